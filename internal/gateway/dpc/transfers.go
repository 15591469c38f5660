package dpc

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	// maxTransfers is how many connections the file port takes, maxTransfersIP from one address.
	maxTransfers   = 1000
	maxTransfersIP = 200
	// cutTime is how long a stop waits for connections that it has cut.
	cutTime = 2 * time.Second
	// revocationsKept is how long a raised epoch is remembered for requests whose password was checked before it rose.
	revocationsKept = 2 * requestTime
)

// transfers are the open connections of the file port.
type transfers struct {
	places *places

	mu       sync.Mutex // guards the rest; no lock is taken while it is held
	open     map[*fileConn]transfer
	revoked  map[core.UserID]revocation
	stopping bool
	gone     chan struct{} // closed when the last one has left during a stop
}

// transfer is what is known of a connection from outside of it.
type transfer struct {
	waits bool       // for a request
	actor core.Actor // of the last request
}

type revocation struct {
	epoch int64
	at    time.Time
}

func newTransfers() transfers {
	return transfers{
		places: newPlaces(maxTransfers, maxTransfersIP), open: map[*fileConn]transfer{}, revoked: map[core.UserID]revocation{},
		gone: make(chan struct{}),
	}
}

// add takes in a connection, if there is room for it.
func (t *transfers) add(c *fileConn) bool {
	if !t.places.take(c.from.IP) {
		return false
	}
	t.mu.Lock()
	stopping := t.stopping
	if !stopping {
		t.open[c] = transfer{}
	}
	t.mu.Unlock()
	if stopping {
		t.places.leave(c.from.IP)
	}
	return !stopping
}

func (t *transfers) remove(c *fileConn) {
	t.places.leave(c.from.IP)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
	if t.stopping && len(t.open) == 0 {
		close(t.gone)
	}
}

// mark takes note whether a connection waits for a request, and reports whether it goes on: a stop ends those that wait.
func (t *transfers) mark(c *fileConn, waits bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.open[c]
	goesOn := !t.stopping || !waits && !is.waits
	is.waits = waits
	t.open[c] = is
	return goesOn
}

// claim takes note of who asks on a connection: from now on it ends when what they have proved is void. The error says that it
// is void already.
func (t *transfers) claim(c *fileConn, actor core.Actor) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.revoked[actor.User()]; ok && r.epoch > actor.Epoch() {
		return core.ErrNoToken
	}
	is := t.open[c]
	is.actor = actor
	t.open[c] = is
	return nil
}

// revoke cuts the transfers of those who proved who they are before the account's epoch rose to epoch.
func (t *transfers) revoke(user core.UserID, epoch int64) {
	t.mu.Lock()
	maps.DeleteFunc(t.revoked, func(_ core.UserID, r revocation) bool { return time.Since(r.at) > revocationsKept })
	t.revoked[user] = revocation{epoch, time.Now()}
	void := t.those(func(is transfer) bool { return is.actor.User() == user && is.actor.Epoch() < epoch })
	t.mu.Unlock()
	for _, c := range void {
		c.forbid()
		c.cut()
	}
}

// those returns the connections that are so. t.mu is held.
func (t *transfers) those(so func(transfer) bool) (list []*fileConn) {
	for c, is := range t.open {
		if so(is) {
			list = append(list, c)
		}
	}
	return list
}

// stop ends the connections that wait for a request, gives the others until the context ends, cuts what is left then, and
// returns how many do not end even so.
func (t *transfers) stop(ctx context.Context) int {
	t.mu.Lock()
	t.stopping = true
	waiting := t.those(func(is transfer) bool { return is.waits })
	none := len(t.open) == 0
	t.mu.Unlock()
	for _, c := range waiting {
		c.cut() // an upload may be on its way to it, and must not seem to have arrived
	}
	if none {
		return 0
	}
	select {
	case <-t.gone:
		return 0
	case <-ctx.Done():
	}
	t.mu.Lock()
	left := slices.Collect(maps.Keys(t.open))
	t.mu.Unlock()
	for _, c := range left {
		c.cut()
	}
	select {
	case <-t.gone:
	case <-time.After(cutTime):
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
