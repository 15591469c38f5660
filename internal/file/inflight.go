package file

import (
	"sync"

	"parley/internal/core"
)

// inflight is what is being uploaded, and the space that is promised to it.
type inflight struct {
	mu       sync.Mutex            // guards the rest
	blobs    map[string]struct{}   // that have no row yet
	claims   map[*claim]struct{}   // one for each upload
	running  map[core.UserID]int   // how many claims each user has
	promised map[core.UserID]int64 // the claims of each user
}

// claim is the space that one upload counts on.
type claim struct {
	user    core.UserID
	bytes   int64 // what it may count for in the quota
	frees   int64 // what the file that it replaces counts for
	disk    int64 // what it may write
	written int64 // what it has written
}

// adds returns by how much more the user's quota may be used when the upload is done.
func (c *claim) adds() int64 { return max(0, c.bytes-c.frees) }

func (i *inflight) init() {
	i.blobs, i.claims, i.promised = map[string]struct{}{}, map[*claim]struct{}{}, map[core.UserID]int64{}
	i.running = map[core.UserID]int{}
}

// begin takes in a claim, unless the user has too many.
func (i *inflight) begin(c *claim) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running[c.user] >= maxRunning {
		return false
	}
	i.claims[c] = struct{}{}
	i.running[c.user]++
	return true
}

func (i *inflight) uploads() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.claims)
}

// add adds n bytes, or takes them, and returns by how much that changes what is promised to the user, and what is then.
func (i *inflight) add(c *claim, n int64) (change, promised int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := c.adds()
	c.bytes += n
	change = c.adds() - before
	i.promised[c.user] += change
	return change, i.promised[c.user]
}

// addDisk adds n bytes, or takes them, and returns what is promised of the disk to all uploads and not yet written.
func (i *inflight) addDisk(c *claim, n int64) (promised int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.disk += n
	for c := range i.claims {
		promised += c.disk - c.written
	}
	return promised
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
	if i.running[c.user]--; i.running[c.user] == 0 {
		delete(i.running, c.user)
	}
	if i.promised[c.user] -= c.adds(); i.promised[c.user] == 0 {
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
