package session_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// pipe connects a client through a pipe: it has no buffer, its time is the bubble's.
func pipe(w *line.World, g *line.Gateway) *line.Client {
	here, there := net.Pipe()
	w.Cleanup(func() { _ = here.Close() })
	w.Goroutines.Go("reader", func() { g.Serve(there) })
	return line.NewClient(here)
}

// bubble runs fn with a world whose time is fake.
func bubble(t *testing.T, g *line.Gateway, fn func(t *testing.T, w *line.World)) {
	synctest.Test(t, func(t *testing.T) {
		w := line.NewWorld(t, line.Options{})
		w.AddUsers(ann, bob)
		w.AddRoom(roomA, ann, bob)
		w.Prepare(g, as)
		fn(t, w)
	})
}

// ends returns how long it takes until the server ends the connection.
func ends(t *testing.T, c *line.Client) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		if _, err := c.Hear(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return time.Since(start)
		}
	}
}

func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s after %v, want %v to %v", what, got, low, high)
	}
}

func TestSilenceEndsAConnectionAfterItsLimitNotBefore(t *testing.T) {
	for _, late := range []time.Duration{0, 1, 250 * time.Millisecond, 499 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: 20 * time.Second, LoginWithin: 5 * time.Second}}
			bubble(t, g, func(t *testing.T, w *line.World) {
				time.Sleep(late)
				stranger, c := pipe(w, g), pipe(w, g)
				login(t, c, ann)
				between(t, "a connection without login ended", ends(t, stranger), 5*time.Second, 6*time.Second)
				c.Must(t, "ping x")
				c.Expect(t, "pong x")
				for range 5 {
					time.Sleep(19999 * time.Millisecond)
					c.Must(t, "ping x")
					c.Expect(t, "pong x")
				}
				between(t, "a silent connection ended", ends(t, c), 20*time.Second, 21*time.Second)
				synctest.Wait()
				if n := w.Hub.Connections(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

func TestALimitLongerThanTheWheelHolds(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: 20 * time.Minute, LoginWithin: time.Minute}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		between(t, "a silent connection ended", ends(t, c), 20*time.Minute, 20*time.Minute+time.Second)
	})
}

func TestAPeerThatTakesNothingIsCut(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: time.Hour}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		c.Must(t, "ping "+strings.Repeat("x", 1000))
		b := make([]byte, 1)
		if _, err := c.Conn.Read(b); err != nil { // it takes a little at first
			t.Fatal(err)
		}
		start := time.Now()
		for w.Hub.Connections() > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		between(t, "a stuck connection ended", time.Since(start), session.WriteTimeout, session.WriteTimeout+6*time.Second)
		if n := w.Metric(`parley_session_closed_total{gateway="line",reason="stuck"}`); n != 1 {
			t.Errorf("%v connections ended as stuck", n)
		}
	})
}

func TestASlowPeerIsNotCut(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: time.Hour}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		want := "pong " + strings.Repeat("x", 20) + "\n"
		c.Must(t, "ping "+strings.Repeat("x", 20))
		var got []byte
		for b := make([]byte, 1); len(got) < len(want); got = append(got, b[0]) {
			time.Sleep(session.WriteTimeout - time.Second)
			if _, err := c.Conn.Read(b); err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
		}
		if string(got) != want {
			t.Errorf("got %q", got)
		}
	})
}

// A peer whose requests the server does not read, because its answers wait, is not silent.
func TestASlowPeerWithFullQueueIsNotSilent(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: 20 * time.Second, QueueBytes: 1000}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		word := strings.Repeat("x", 3000)
		go func() {
			for range 4 {
				_ = c.Say("ping %s", word)
			}
		}()
		for i := range 4 {
			for j := range len("pong " + word + "\n") {
				time.Sleep(20 * time.Millisecond)
				if _, err := c.Conn.Read(make([]byte, 1)); err != nil {
					t.Fatalf("answer %d, byte %d: %v", i, j, err)
				}
			}
		}
	})
}

func TestRequestsWaitWhileTheirAnswersAreNotRead(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", QueueBytes: 4000}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		asked := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				_ = c.Say("ping %s", strings.Repeat("x", 1000))
				asked++
			}
		}()
		synctest.Wait()
		if asked > 12 { // what the queue, the reader's and the writer's buffers hold
			t.Errorf("%d requests were taken from a peer that reads nothing", asked)
		}
		for range 200 {
			c.Expect(t, "pong "+strings.Repeat("x", 1000))
		}
		<-done
	})
}

func TestTooManyNoticesEndAConnection(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", QueueBytes: 1000}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		sent := 0
		for ; w.Hub.Connections() > 0; sent++ {
			if sent > 1000 {
				t.Fatal("the queue has no bound")
			}
			w.Hub.Publish(core.FriendRequested{Request: core.FriendRequest{From: core.User{ID: bob}, To: ann}})
			synctest.Wait()
		}
		if sent < 4*1000/len("asked 1002\n") {
			t.Errorf("cut after %d notices", sent)
		}
		if n := w.Metric(`parley_session_closed_total{gateway="line",reason="overflow"}`); n != 1 {
			t.Errorf("%v connections ended by overflow", n)
		}
	})
}

// Where the kernel does not tell what is unacknowledged, it takes a second frame after the write.
func TestWithoutAcknowledgementsTheSecondFrameConfirms(t *testing.T) {
	for name, full := range map[string]bool{"read at once": false, "read late": true} {
		t.Run(name, func(t *testing.T) {
			g := &line.Gateway{}
			bubble(t, g, func(t *testing.T, w *line.World) {
				b := &bench{w, g, ""}
				c := pipe(w, g)
				login(t, c, ann)
				b.post(bob, roomA, "1")
				synctest.Wait()
				if full { // a frame while the message is still being written counts for nothing
					c.Must(t, "ping 0")
					synctest.Wait()
				}
				c.Expect(t, "msg       1001 10 1 1002 - 1")
				if full {
					c.Expect(t, "pong 0")
				}
				c.Must(t, "ping 1")
				c.Expect(t, "pong 1")
				if got := b.got(ann, roomA, 1); got != 0 {
					t.Error("confirmed by the first frame after the write")
				}
				c.Must(t, "ping 2")
				c.Expect(t, "pong 2")
				if got := b.got(ann, roomA, 1); got != 1 {
					t.Error("not confirmed by the second frame after the write")
				}
			})
		})
	}
}

func TestWithoutLimitsNobodyIsSilentTooLong(t *testing.T) {
	g := &line.Gateway{Rooms: []core.ConversationID{roomA}, Patient: true}
	bubble(t, g, func(t *testing.T, w *line.World) {
		listener, stranger := pipe(w, g), pipe(w, g)
		listener.Must(t, "listen nobody")
		listener.Expect(t, "listening")
		time.Sleep(24 * time.Hour)
		for _, c := range []*line.Client{listener, stranger} {
			c.Must(t, "ping x")
			c.Expect(t, "pong x")
		}
	})
}

// A listener has said nothing yet, but it is no stranger: only silence ends it.
func TestAListenerNeedNotLogIn(t *testing.T) {
	g := &line.Gateway{Rooms: []core.ConversationID{roomA}, Profile: &session.Profile{
		Gateway: "line", Silence: time.Minute, LoginWithin: 10 * time.Second,
	}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		c.Must(t, "listen nobody")
		c.Expect(t, "listening")
		between(t, "silence", ends(t, c), time.Minute, time.Minute+2*time.Second)
	})
}
