package session

import (
	"sync"
	"time"
)

// goneCheck is how often a wait for posts looks whether its connection is gone.
const goneCheck = time.Second

// Posts counts the messages of one connection that are on their way to the disk, so that its reader can be held back.
type Posts struct {
	mu    sync.Mutex // guards all of it
	n     int32
	bytes int32
	fell  chan struct{} // closed when n falls; nil if nobody waits
}

// PostLimit is how much of a connection may be on its way before its reader waits.
type PostLimit struct {
	Posts int32
	Bytes int32 // 0 for no limit
}

// Begin waits until there is room for another post, and counts it. Only the connection's reader calls it.
func (p *Posts) Begin(bytes int, limit PostLimit, gone func() bool) {
	p.await(gone, func() bool { return p.n < limit.Posts && (limit.Bytes == 0 || p.bytes < limit.Bytes) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.bytes += int32(bytes)
}

// End takes note that a post is answered.
func (p *Posts) End(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n--
	p.bytes -= int32(bytes)
	if p.fell != nil {
		close(p.fell)
		p.fell = nil
	}
}

// Wait waits until every post is answered.
func (p *Posts) Wait(gone func() bool) { p.await(gone, func() bool { return p.n == 0 }) }

// await waits until something is so. A stop that runs out of time leaves posts that are never answered: then it is over when
// the connection is gone.
func (p *Posts) await(gone, so func() bool) {
	for {
		p.mu.Lock()
		if so() {
			p.mu.Unlock()
			return
		}
		if p.fell == nil {
			p.fell = make(chan struct{})
		}
		fell := p.fell
		p.mu.Unlock()
		select {
		case <-fell:
		case <-time.After(goneCheck):
			if gone() {
				return
			}
		}
	}
}
