// Package inbound reads what arrives on a connection, and takes a buffer only when something has.
package inbound

import (
	"io"
	"sync"
)

const (
	segmentBytes = 8 << 10
	// smallBytes is for a wait that needs a buffer.
	smallBytes = 512
	// maxDiscard bounds what is thrown away at once.
	maxDiscard = 256 << 10
)

// Segment is what was read at once.
type Segment struct {
	block []byte
	n     int
	pool  *sync.Pool
}

// Bytes returns the segment's content, which is valid until Release.
func (s *Segment) Bytes() []byte { return s.block[:s.n] }

// Release gives the segment's memory back.
func (s *Segment) Release() { s.pool.Put(s) }

var segments, smalls = newPool(segmentBytes), newPool(smallBytes)

func newPool(size int) *sync.Pool {
	p := &sync.Pool{}
	p.New = func() any { return &Segment{block: make([]byte, size), pool: p} }
	return p
}

// stream is a connection whose wait cannot be seen from outside, such as one that is encrypted: it has to wait in a read, which
// holds a buffer. That is a small one, unless the last one was full.
type stream struct {
	conn  io.Reader
	whole bool // more is likely to be there
}

func (r *stream) receive() (*Segment, error) {
	pool := smalls
	if r.whole {
		pool = segments
	}
	s := pool.Get().(*Segment)
	var err error
	if s.n, err = r.conn.Read(s.block); s.n > 0 {
		r.whole = s.n == len(s.block)
		return s, nil
	}
	s.Release()
	return nil, err
}
