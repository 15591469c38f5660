// Package obs lets people see what the server does: logging, metrics, and goroutines that recover, count and have a waiter.
package obs

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// panics counts every recovered panic of the process, so that a test run can fail on one that was swallowed.
var panics atomic.Int64

// Panics returns how many panics were recovered in this process.
func Panics() int64 { return panics.Load() }

// Goroutines starts goroutines that cannot take the process down and can be waited for.
type Goroutines struct {
	log *slog.Logger
	wg  sync.WaitGroup
	n   atomic.Int64
}

// NewGoroutines returns a group that reports panics to log.
func NewGoroutines(log *slog.Logger) *Goroutines { return &Goroutines{log: log} }

// Go runs fn in a goroutine of the group.
func (g *Goroutines) Go(name string, fn func()) {
	g.wg.Add(1)
	g.n.Add(1)
	go g.run(name, fn)
}

func (g *Goroutines) run(name string, fn func()) {
	defer g.wg.Done()
	defer g.n.Add(-1)
	defer Recover(g.log, name)
	fn()
}

// Running returns how many goroutines of the group have not ended.
func (g *Goroutines) Running() int64 { return g.n.Load() }

// Wait waits until every goroutine of the group has ended, or the context has.
func (g *Goroutines) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Recover is to be deferred: it turns a panic into a log line and a count.
func Recover(log *slog.Logger, name string) {
	if v := recover(); v != nil {
		panics.Add(1)
		log.Error("panic recovered", "in", name, "panic", v, "stack", string(debug.Stack()))
	}
}

// CountPanic counts a panic that was recovered elsewhere because it had to become an error.
func CountPanic() { panics.Add(1) }
