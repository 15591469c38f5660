package session

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	tick       = 500 * time.Millisecond
	wheelSlots = 1024 // more than the longest limit has ticks
)

// wheel is the one timer that all silence limits hang on. A session stands in the slot of the tick at which it would
// have been silent too long; when that tick comes and it was heard since, it moves on.
type wheel struct {
	now atomic.Int32 // ticks since the start

	mu    sync.Mutex // guards slots and the sessions' links
	slots [wheelSlots]*Session
	count int
}

// ticks returns after how many ticks d has surely passed: the current one may be almost over.
func ticks(d time.Duration) int32 { return int32((d+tick-1)/tick) + 1 }

// add hangs a session so that it is looked at after the given number of ticks.
func (w *wheel) add(s *Session, after int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	w.link(s, after)
}

func (w *wheel) link(s *Session, after int32) {
	s.slot = (w.now.Load() + max(1, min(after, wheelSlots-1))) % wheelSlots
	s.prev, s.next = nil, w.slots[s.slot]
	if s.next != nil {
		s.next.prev = s
	}
	w.slots[s.slot] = s
}

func (w *wheel) unlink(s *Session) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.slots[s.slot] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next, s.slot = nil, nil, -1
}

// remove takes a session off the wheel; once is enough.
func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.slot >= 0 {
		w.count--
		w.unlink(s)
	}
}

// turn moves to the next tick and returns the sessions that limit says are overdue, and those that are to be pinged.
func (w *wheel) turn(limit func(s *Session, now int32) (left int32, ping bool)) (overdue, quiet []*Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now.Add(1)
	for s := w.slots[now%wheelSlots]; s != nil; {
		next := s.next
		w.unlink(s)
		after, ping := limit(s, now)
		switch {
		case after <= 0:
			overdue = append(overdue, s)
			after = ticks(time.Second) // looked at again, should it not have ended
		case ping:
			quiet = append(quiet, s)
		}
		w.link(s, after)
		s = next
	}
	return overdue, quiet
}

// all returns every session on the wheel.
func (w *wheel) all() []*Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*Session, 0, w.count)
	for _, s := range w.slots {
		for ; s != nil; s = s.next {
			all = append(all, s)
		}
	}
	return all
}
