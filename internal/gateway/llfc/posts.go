package llfc

import "sync"

// How much of a connection's texts may be on the way to the disk before its reader waits.
const (
	maxPosts = 256
	// maxPostBytes and what may be queued when another request is read must stay below the session's overflow: an
	// acknowledgement repeats its text.
	maxPostBytes = 256 << 10
)

// posts counts the texts of a connection that are on their way to the disk.
type posts struct {
	mu    sync.Mutex // guards all of it
	n     int
	bytes int
	left  *sync.Cond // made by the first post: most connections are silent
}

// begin waits until there is room for another text.
func (p *posts) begin(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == nil {
		p.left = sync.NewCond(&p.mu)
	}
	for p.n >= maxPosts || p.bytes >= maxPostBytes {
		p.left.Wait()
	}
	p.n++
	p.bytes += bytes
}

// end takes note that a text is answered.
func (p *posts) end(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n--
	p.bytes -= bytes
	p.left.Signal() // only the reader waits
}

// wait waits until every text is answered.
func (p *posts) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.n > 0 {
		p.left.Wait()
	}
}
