package file

import (
	"sync"

	"parley/internal/core"
)

// inflight is what is being uploaded: blobs that have no row yet, and the space that is promised to them.
type inflight struct {
	mu       sync.Mutex            // guards the rest
	blobs    map[string]struct{}   // from their creation until their row is committed
	claims   map[*claim]struct{}   // one for each upload
	promised map[core.UserID]int64 // the claims of each user
}

// claim is the space that one upload counts on.
type claim struct {
	user    core.UserID
	bytes   int64 // what it may have
	written int64 // what it has
}

func (i *inflight) init() {
	i.blobs, i.claims, i.promised = map[string]struct{}{}, map[*claim]struct{}{}, map[core.UserID]int64{}
}

func (i *inflight) uploads() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.claims)
}

// add adds n bytes to c and returns what is promised then: to the user, and of the disk what is not yet written.
func (i *inflight) add(c *claim, n int64) (ofUser, ofDisk int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims[c] = struct{}{}
	c.bytes += n
	i.promised[c.user] += n
	for c := range i.claims {
		ofDisk += c.bytes - c.written
	}
	return i.promised[c.user], ofDisk
}

// giveBack takes n bytes from c.
func (i *inflight) giveBack(c *claim, n int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.bytes -= n
	i.promised[c.user] -= n
}

func (i *inflight) wrote(c *claim, n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.written += int64(n)
}

// release ends a claim.
func (i *inflight) release(c *claim) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.claims[c]; !ok {
		return
	}
	delete(i.claims, c)
	if i.promised[c.user] -= c.bytes; i.promised[c.user] == 0 {
		delete(i.promised, c.user)
	}
}

// hold keeps a blob from being swept until it is let go.
func (i *inflight) hold(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.blobs[key] = struct{}{}
}

func (i *inflight) letGo(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.blobs, key)
}

func (i *inflight) holds(key string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, ok := i.blobs[key]
	return ok
}
