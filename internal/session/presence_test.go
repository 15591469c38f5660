package session_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/session"
	"parley/test/line"
)

// square runs fn with a world in which ann and bob are friends and are told who is online, and cyd is nobody's.
func square(t *testing.T, fn func(w *line.World, g, deaf *line.Gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := line.NewWorld(t, line.Options{Presence: true})
		w.AddUsers(ann, bob, cyd)
		w.Befriend(as(ann), as(bob))
		g := &line.Gateway{Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", Presence: true, Silence: time.Hour}}
		deaf := &line.Gateway{Rivalry: session.NewerWins, Rooms: []core.ConversationID{core.Lobby}, Profile: &session.Profile{Gateway: "deaf", Silence: time.Hour}}
		w.Prepare(g, as)
		w.Prepare(deaf, as)
		fn(w, g, deaf)
	})
}

func enter(w *line.World, g *line.Gateway, uid core.UserID) *line.Client {
	w.Helper()
	c := pipe(w, g)
	login(w, c, uid)
	return c
}

// quiet fails the test if a client hears anything before its answer.
func quiet(w *line.World, c *line.Client) {
	w.Helper()
	synctest.Wait()
	c.Must(w, "ping quiet")
	c.Expect(w, "pong quiet")
}

func online(w *line.World, want ...core.UserID) {
	w.Helper()
	synctest.Wait()
	users := []core.UserID{ann, bob, cyd}
	var got []core.UserID
	for i, there := range w.Hub.Online(users) {
		if there {
			got = append(got, users[i])
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("%v count as online, want %v", got, want)
	}
}

func TestFriendsAreToldWhoComesAndGoes(t *testing.T) {
	square(t, func(w *line.World, g, deaf *line.Gateway) {
		a := enter(w, g, ann)
		quiet(w, a)
		first := enter(w, g, bob)
		a.Expect(w, "online 1002")
		second := enter(w, deaf, bob)
		enter(w, g, cyd)
		quiet(w, a)
		online(w, ann, bob, cyd)
		_ = first.Close()
		time.Sleep(time.Minute)
		quiet(w, a) // one session is left
		_ = second.Close()
		time.Sleep(5*time.Second - time.Millisecond)
		quiet(w, a)
		online(w, ann, bob, cyd)
		time.Sleep(time.Millisecond)
		a.Expect(w, "offline 1002")
		online(w, ann, cyd)
	})
}

func TestWhoOnlyReconnectsDoesNotFlicker(t *testing.T) {
	square(t, func(w *line.World, g, _ *line.Gateway) {
		a, b := enter(w, g, ann), enter(w, g, bob)
		a.Expect(w, "online 1002")
		for range 3 {
			_ = b.Close()
			time.Sleep(4 * time.Second)
			b = enter(w, g, bob)
			time.Sleep(500 * time.Millisecond)
		}
		_ = b.Close()
		// The five seconds count from the last end.
		time.Sleep(5*time.Second - time.Millisecond)
		quiet(w, a)
		online(w, ann, bob)
		time.Sleep(time.Millisecond)
		a.Expect(w, "offline 1002")
	})
}

func TestALoginThatReplacesAnotherIsNoPresence(t *testing.T) {
	square(t, func(w *line.World, g, deaf *line.Gateway) {
		a := enter(w, g, ann)
		quiet(w, a)
		old := enter(w, deaf, bob)
		a.Expect(w, "online 1002")
		enter(w, deaf, bob)
		old.Expect(w, "bye replaced")
		time.Sleep(time.Minute)
		quiet(w, a)
	})
}

func TestWhoListensIsNotOnline(t *testing.T) {
	square(t, func(w *line.World, g, deaf *line.Gateway) {
		a, c := enter(w, g, ann), pipe(w, deaf)
		c.Must(w, "listen 1002") // on bob's account
		c.Expect(w, "listening")
		quiet(w, a)
		online(w, ann)
		login(w, c, bob)
		a.Expect(w, "online 1002")
		online(w, ann, bob)
		_ = c.Close()
		time.Sleep(5 * time.Second)
		a.Expect(w, "offline 1002")
	})
}

// While nobody hears of it nothing is told, but who asks is given the truth, also about the seconds before.
func TestPresenceThatNobodyHearsIsNotForgotten(t *testing.T) {
	square(t, func(w *line.World, g, deaf *line.Gateway) {
		b := enter(w, deaf, bob)
		online(w, bob)
		_ = b.Close()
		time.Sleep(time.Second)
		online(w, bob)
		a := enter(w, g, ann)
		quiet(w, a)
		time.Sleep(4 * time.Second)
		a.Expect(w, "offline 1002")
		_ = a.Close()
		time.Sleep(time.Minute)
		online(w)
		enter(w, deaf, bob)
		online(w, bob)
		a = enter(w, g, ann)
		quiet(w, a)
		online(w, ann, bob)
	})
}

func TestTheHubStopsWhileSomebodyIsAboutToGo(t *testing.T) {
	square(t, func(w *line.World, g, _ *line.Gateway) {
		a, b := enter(w, g, ann), enter(w, g, bob)
		a.Expect(w, "online 1002")
		_ = b.Close()
		synctest.Wait()
		w.StopHub(context.Background())
	})
}

// TestWhoCameForAMomentStayedOnline for those who had asked in that moment, when it was over before anybody was told.
func TestWhoCameForAMomentStayedOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		goroutines := obs.NewGoroutines(log)
		hub := session.NewHub(log, obs.NewMetrics(), goroutines)
		type told struct {
			user   core.UserID
			online bool
		}
		calls := make(chan told) // unbuffered: the teller waits until somebody listens
		hub.OnPresence(func(user core.UserID, online bool) { calls <- told{user, online} })
		hub.Start(emptySource{})
		profile := &session.Profile{Gateway: "line", Codec: line.Codec{}, Presence: true}
		hub.Use(profile)
		enter := func(uid core.UserID) *session.Session {
			here, there := net.Pipe()
			t.Cleanup(func() { _ = here.Close() })
			s := hub.Open(profile, there)
			if err := hub.Register(s, as(uid), session.Share, nil); err != nil {
				t.Fatal(err)
			}
			return s
		}
		a := enter(ann)
		synctest.Wait()
		b := enter(bob)
		if !hub.Online([]core.UserID{bob})[0] {
			t.Error("bob is not online")
		}
		b.End(true)
		for _, want := range []told{{ann, true}, {bob, true}, {bob, false}} {
			select {
			case got := <-calls:
				if got != want {
					t.Errorf("told %v, want %v", got, want)
				}
			case <-time.After(time.Minute):
				t.Errorf("not told %v", want)
			}
		}
		if hub.Online([]core.UserID{bob})[0] {
			t.Error("bob is online")
		}
		a.End(true)
		hub.Stop(t.Context())
		if err := goroutines.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
