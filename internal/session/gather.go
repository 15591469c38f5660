package session

import "sync"

// gathering holds back the writers that would have to be started while something publishes a lot at once.
type gathering struct {
	mu      sync.Mutex // guards both; taken after a session's lock
	over    bool
	writers []*Session
}

// add takes a session whose writer shall be started at the end, unless that has come.
func (g *gathering) add(s *Session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.writers = append(g.writers, s)
	}
	return !g.over
}

// Gather runs fn, which must be short, and starts the writers for what it queues only then: so several events for one
// session, and the acknowledgement of its own post, leave in one write. One call runs at a time.
func (h *Hub) Gather(fn func()) {
	g := &gathering{}
	h.gathering.Store(g)
	defer func() {
		h.gathering.Store(nil)
		g.mu.Lock()
		g.over = true
		g.mu.Unlock()
		for _, s := range g.writers {
			s.startWriter()
		}
	}()
	fn()
}
