package blob

import "sync"

const (
	slabSize = 1 << 20
	// maxSlabs bounds the memory of all uploads together. One that gets no slab goes on in small steps.
	maxSlabs = 64
)

type slab [slabSize]byte

// slabs lends the big buffers. Those that nobody has are the collector's to free.
type slabs struct {
	pool *sync.Pool
	lent chan struct{}
}

func newSlabs() slabs {
	return slabs{pool: &sync.Pool{New: func() any { return new(slab) }}, lent: make(chan struct{}, maxSlabs)}
}

// take returns a slab, nil if all are lent.
func (s slabs) take() *slab {
	select {
	case s.lent <- struct{}{}:
		return s.pool.Get().(*slab)
	default:
		return nil
	}
}

func (s slabs) give(b *slab) {
	s.pool.Put(b)
	<-s.lent
}
