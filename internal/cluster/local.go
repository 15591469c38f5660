// Package cluster holds what the nodes of one installation share: expiring keys and counters.
// Local is the engine of an installation that consists of one process.
package cluster

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// sweepEvery is the number of writes after which expired keys are collected.
const sweepEvery = 4096

// Local keeps everything in this process.
type Local struct {
	mu     sync.Mutex // guards keys and writes
	keys   map[string]entry
	writes int
}

type entry struct {
	value   string
	expires time.Time
}

// NewLocal returns an empty engine.
func NewLocal() *Local {
	return &Local{keys: map[string]entry{}}
}

// Get returns the value of a live key.
func (l *Local) Get(_ context.Context, key string) (string, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.live(key)
	return e.value, ok, nil
}

// Take returns the value of a live key and deletes it: of many who take at once, one gets it.
func (l *Local) Take(_ context.Context, key string) (string, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.live(key)
	delete(l.keys, key)
	return e.value, ok, nil
}

// Set stores a value that lives for ttl.
func (l *Local) Set(_ context.Context, key, value string, ttl time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(key, entry{value, time.Now().Add(ttl)})
	return nil
}

// Add adds n to a counter and returns the sum. The first Add starts the counter's ttl; later ones leave it.
func (l *Local) Add(_ context.Context, key string, n int64, ttl time.Duration) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.live(key)
	if !ok {
		e.expires = time.Now().Add(ttl)
	}
	was, _ := strconv.ParseInt(e.value, 10, 64)
	e.value = strconv.FormatInt(was+n, 10)
	l.put(key, e)
	return was + n, nil
}

// TTL returns how long a key has still to live, 0 if it does not exist.
func (l *Local) TTL(_ context.Context, key string) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.live(key)
	if !ok {
		return 0, nil
	}
	return time.Until(e.expires), nil
}

// Delete removes keys; those that do not exist are ignored.
func (l *Local) Delete(_ context.Context, keys ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		delete(l.keys, k)
	}
	return nil
}

func (l *Local) live(key string) (entry, bool) {
	e, ok := l.keys[key]
	if ok && !time.Now().Before(e.expires) {
		delete(l.keys, key)
		return entry{}, false
	}
	return e, ok
}

func (l *Local) put(key string, e entry) {
	l.keys[key] = e
	if l.writes++; l.writes < sweepEvery {
		return
	}
	l.writes = 0
	now := time.Now()
	for k, e := range l.keys {
		if !now.Before(e.expires) {
			delete(l.keys, k)
		}
	}
}
