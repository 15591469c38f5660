package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
)

// maxUnits is how many units of work share one commit at most.
const maxUnits = 512

// errAlone says that the only unit of a transaction failed, and with it the transaction.
var errAlone = errors.New("the only unit of work failed")

// unit is one unit of work and what follows it.
type unit struct {
	ctx   context.Context
	fn    func(context.Context) error
	hooks []func() // run after the commit, in commit order
	undo  []func() // run if there is none
	done  func(error)
	err   error
}

type unitKey struct{}

func unitOf(ctx context.Context) *unit {
	u, _ := ctx.Value(unitKey{}).(*unit)
	return u
}

// Update runs fn as one unit of work and returns once it is committed, or rolled back because fn failed.
// Inside a unit of work it joins that unit. It must not be called from a function given to AfterCommit.
func (db *DB) Update(ctx context.Context, fn func(context.Context) error) error {
	if unitOf(ctx) != nil {
		return fn(ctx)
	}
	result := make(chan error, 1)
	if err := db.Submit(ctx, fn, func(err error) { result <- err }); err != nil {
		return err
	}
	return <-result
}

// Submit queues a unit of work and returns; done is called after the unit's commit, in commit order, and must not block.
// It waits while the queue is full. An error means that the unit was not queued.
func (db *DB) Submit(ctx context.Context, fn func(context.Context) error, done func(error)) error {
	u := &unit{fn: fn, done: done}
	// A unit that has begun runs to its end: half of its caller's time-out must not undo a shared commit.
	u.ctx = context.WithValue(context.WithoutCancel(ctx), unitKey{}, u)
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return core.ErrStopping
	}
	select {
	case db.queue <- u:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AfterCommit runs fn once the context's unit of work is committed, before its Update returns. Units are served in
// commit order. fn must not block and must not call Update.
func AfterCommit(ctx context.Context, fn func()) {
	u := unitOf(ctx)
	u.hooks = append(u.hooks, fn)
}

// AfterRollback runs fn if the context's unit of work comes to nothing. The rules of AfterCommit hold for it.
func AfterRollback(ctx context.Context, fn func()) {
	u := unitOf(ctx)
	u.undo = append(u.undo, fn)
}

// committer owns the writing connection. It takes whatever units wait, without lingering for more.
func (db *DB) committer() {
	defer close(db.commit)
	for first := range db.queue {
		batch := append(make([]*unit, 0, len(db.queue)+1), first)
	fill:
		for len(batch) < maxUnits {
			select {
			case u, ok := <-db.queue:
				if !ok {
					break fill
				}
				batch = append(batch, u)
			default:
				break fill
			}
		}
		start := time.Now()
		if err := db.runBatch(batch); err != nil && !errors.Is(err, errAlone) {
			db.cfg.Log.Error("commit failed", "units", len(batch), "err", err)
			for _, u := range batch {
				u.err = errors.Join(u.err, err)
			}
		}
		db.cfg.Metrics.CommitUnits.Observe(float64(len(batch)))
		db.cfg.Metrics.CommitSeconds.Observe(time.Since(start).Seconds())
		db.commit <- batch
	}
}

// publisher runs what follows the commits, so that the committer can go on with the next one.
func (db *DB) publisher() {
	defer close(db.done)
	for batch := range db.commit {
		for _, u := range batch {
			name, hooks := "after commit", u.hooks
			if u.err != nil {
				name, hooks = "after rollback", u.undo
			}
			for _, hook := range hooks {
				db.call(name, hook)
			}
			db.call("commit result", func() { u.done(u.err) })
		}
	}
}

func (db *DB) call(name string, fn func()) {
	defer obs.Recover(db.cfg.Log, name)
	fn()
}

// runBatch runs the units in one transaction. A unit that fails is rolled back alone; an error returned concerns all.
func (db *DB) runBatch(batch []*unit) error {
	ctx := context.WithValue(context.Background(), unitKey{}, batch[0])
	if _, err := db.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := db.runUnits(ctx, batch)
	if err == nil {
		if _, err = db.Exec(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	if _, rerr := db.Exec(ctx, "ROLLBACK"); rerr != nil {
		db.cfg.Log.Error("rollback failed", "err", rerr)
	}
	return err
}

// runUnits runs each unit in a savepoint. One that has the transaction for itself needs none, and saves SQLite the copy
// of every page that it would change.
func (db *DB) runUnits(ctx context.Context, batch []*unit) error {
	if len(batch) == 1 {
		u := batch[0]
		if u.err = db.runUnit(u); u.err != nil {
			return errAlone
		}
		return nil
	}
	for _, u := range batch {
		if _, err := db.Exec(ctx, "SAVEPOINT unit"); err != nil {
			return err
		}
		if u.err = db.runUnit(u); u.err != nil {
			if _, err := db.Exec(ctx, "ROLLBACK TO unit"); err != nil {
				return err
			}
		}
		if _, err := db.Exec(ctx, "RELEASE unit"); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) runUnit(u *unit) (err error) {
	defer func() {
		if v := recover(); v != nil {
			obs.CountPanic()
			db.cfg.Log.Error("panic recovered", "in", "unit of work", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in a unit of work: %v", v)
		}
	}()
	return u.fn(u.ctx)
}
