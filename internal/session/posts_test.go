package session_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/session"
)

func stays() bool { return false }

func TestPostsHoldTheReaderBack(t *testing.T) {
	for name, limit := range map[string]session.PostLimit{
		"by their number": {Posts: 2}, "by their bytes": {Posts: 100, Bytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p session.Posts
				var begun atomic.Int32
				go func() {
					for range 4 {
						p.Begin(10, limit, stays)
						begun.Add(1)
					}
				}()
				for want := int32(2); want <= 4; want++ {
					time.Sleep(time.Minute)
					if n := begun.Load(); n != want {
						t.Fatalf("%d have begun, want %d", n, want)
					}
					p.End(10)
				}
				waited := make(chan struct{})
				go func() { p.Wait(stays); close(waited) }()
				synctest.Wait()
				select {
				case <-waited:
					t.Fatal("the wait is over, but a post is on its way")
				default:
				}
				p.End(10)
				<-waited
			})
		})
	}
}

// A stop that runs out of time leaves posts that nobody answers.
func TestNobodyWaitsForPostsOfAConnectionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p session.Posts
		limit := session.PostLimit{Posts: 1}
		p.Begin(0, limit, stays)
		gone := time.Now().Add(time.Minute)
		p.Wait(func() bool { return time.Now().After(gone) })
		p.Begin(0, limit, func() bool { return true })
		if time.Now().Before(gone) {
			t.Error("it did not wait at all")
		}
	})
}
