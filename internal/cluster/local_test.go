package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is what every engine of the cluster can do.
type engine interface {
	Get(ctx context.Context, key string) (string, bool, error)
	Take(ctx context.Context, key string) (string, bool, error)
	Set(ctx context.Context, key, value string, ttl time.Duration) error
	Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error)
	TTL(ctx context.Context, key string) (time.Duration, error)
	Delete(ctx context.Context, keys ...string) error
}

func TestLocal(t *testing.T) {
	for name, check := range conformance {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { check(&suite{t, NewLocal(), time.Sleep}) })
		})
	}
}

// suite is one run of a conformance test: an empty engine, and what lets its time pass.
type suite struct {
	*testing.T
	engine
	pass func(time.Duration)
}

// conformance is what every engine must pass.
var conformance = map[string]func(*suite){
	"keys live for their ttl":                     (*suite).keys,
	"the first Add starts a counter's ttl":        (*suite).counters,
	"one gets what many take":                     (*suite).taken,
	"concurrent Adds are all counted":             (*suite).concurrentAdds,
	"many keys that nobody asks for again expire": (*suite).manyKeys,
}

func (s *suite) want(key, value string, live bool) {
	s.Helper()
	got, ok, err := s.Get(s.Context(), key)
	if err != nil || ok != live || got != value {
		s.Errorf("%s is %q, %v, %v; want %q, %v", key, got, ok, err, value, live)
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) add(key string, n int64, ttl time.Duration, want int64) {
	s.Helper()
	if got, err := s.Add(s.Context(), key, n, ttl); err != nil || got != want {
		s.Errorf("%s counts %d, %v; want %d", key, got, err, want)
	}
}

func (s *suite) keys() {
	ctx := s.Context()
	s.want("a", "", false)
	s.must(s.Set(ctx, "a", "1", 10*time.Second))
	s.must(s.Set(ctx, "b", "", 20*time.Second))
	s.want("a", "1", true)
	s.want("b", "", true)
	if ttl, err := s.TTL(ctx, "a"); err != nil || ttl <= 9*time.Second || ttl > 10*time.Second {
		s.Errorf("a lives for %v, %v", ttl, err)
	}
	s.pass(9 * time.Second)
	s.want("a", "1", true)
	s.pass(time.Second)
	s.want("a", "", false)
	s.want("b", "", true)
	if ttl, err := s.TTL(ctx, "a"); err != nil || ttl != 0 {
		s.Errorf("a dead key lives for %v, %v", ttl, err)
	}
	s.must(s.Set(ctx, "a", "2", 10*time.Second))
	s.pass(5 * time.Second)
	s.must(s.Set(ctx, "a", "3", 10*time.Second)) // starts anew
	s.pass(6 * time.Second)
	s.want("a", "3", true)
	s.must(s.Delete(ctx, "a", "b", "never was"))
	s.want("a", "", false)
	s.must(s.Delete(ctx))
}

func (s *suite) counters() {
	s.add("n", 1, 10*time.Second, 1)
	s.pass(6 * time.Second)
	s.add("n", 5, 10*time.Second, 6)
	s.want("n", "6", true)
	s.add("n", -2, time.Hour, 4)
	s.pass(4 * time.Second)
	s.want("n", "", false)
	s.add("n", 1, 10*time.Second, 1)
	s.must(s.Delete(s.Context(), "n"))
	s.add("n", 0, 10*time.Second, 0)
	s.want("n", "0", true)
	s.must(s.Set(s.Context(), "set", "41", 10*time.Second))
	s.add("set", 1, time.Hour, 42)
	s.pass(10 * time.Second)
	s.want("set", "", false)
}

func (s *suite) concurrentAdds() {
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				if _, err := s.Add(s.Context(), "n", 1, time.Hour); err != nil {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.add("n", 0, time.Hour, 1000)
}

func (s *suite) manyKeys() {
	for i := range 10_000 {
		s.must(s.Set(s.Context(), fmt.Sprint("short", i), "x", time.Second))
	}
	s.must(s.Set(s.Context(), "long", "x", time.Hour))
	s.pass(time.Minute)
	for i := range 10_000 {
		s.must(s.Set(s.Context(), fmt.Sprint("other", i), "x", time.Hour))
	}
	s.want("short5", "", false)
	s.want("long", "x", true)
}

func TestLocalForgetsWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLocal()
		(&suite{t, l, time.Sleep}).manyKeys()
		if len(l.keys) > 10_001 {
			t.Errorf("%d keys are kept, 10,001 live", len(l.keys))
		}
	})
}

func (s *suite) taken() {
	ctx := s.Context()
	s.must(s.Set(ctx, "k", "v", time.Minute))
	var got atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			value, ok, err := s.Take(ctx, "k")
			if err != nil || ok != (value == "v") {
				s.Errorf("took %q, %v, %v", value, ok, err)
			}
			if ok {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		s.Errorf("%d got it", got.Load())
	}
	s.want("k", "", false)
	s.must(s.Set(ctx, "k", "v", time.Minute))
	s.pass(time.Minute)
	if _, ok, err := s.Take(ctx, "k"); ok || err != nil {
		s.Errorf("took what had expired: %v", err)
	}
}
