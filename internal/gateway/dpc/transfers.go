package dpc

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxTransfers is how many connections the file port takes, maxTransfersIP from one address.
	maxTransfers   = 1000
	maxTransfersIP = 200
	// cutTime is how long a stop waits for connections that it has cut.
	cutTime = 2 * time.Second
)

// transfers are the open connections of the file port.
type transfers struct {
	mu       sync.Mutex         // guards all of it; no lock is taken while it is held
	open     map[*fileConn]bool // whether it waits for a request
	from     map[netip.Addr]int
	stopping bool
	gone     chan struct{} // closed when the last one has left during a stop
}

func newTransfers() transfers {
	return transfers{open: map[*fileConn]bool{}, from: map[netip.Addr]int{}, gone: make(chan struct{})}
}

// add takes in a connection, if there is room for it.
func (t *transfers) add(c *fileConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping || len(t.open) >= maxTransfers || t.from[c.from.IP] >= maxTransfersIP {
		return false
	}
	t.open[c] = false
	t.from[c.from.IP]++
	return true
}

func (t *transfers) remove(c *fileConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
	if t.from[c.from.IP]--; t.from[c.from.IP] == 0 {
		delete(t.from, c.from.IP)
	}
	if t.stopping && len(t.open) == 0 {
		close(t.gone)
	}
}

// mark takes note whether a connection waits for a request, and reports whether it goes on: a stop ends those that wait.
func (t *transfers) mark(c *fileConn, waits bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := t.stopping && (waits || t.open[c])
	t.open[c] = waits
	return !ended
}

// stop ends the connections that wait for a request, gives the others until the context ends, cuts what is left then, and
// returns how many do not end even so.
func (t *transfers) stop(ctx context.Context) int {
	t.mu.Lock()
	t.stopping = true
	for c, waits := range t.open {
		if waits {
			c.breakable(false)
			_ = c.conn.Close()
		}
	}
	none := len(t.open) == 0
	t.mu.Unlock()
	if none {
		return 0
	}
	select {
	case <-t.gone:
		return 0
	case <-ctx.Done():
	}
	t.mu.Lock()
	for c := range t.open {
		c.cut()
	}
	t.mu.Unlock()
	select {
	case <-t.gone:
	case <-time.After(cutTime):
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
