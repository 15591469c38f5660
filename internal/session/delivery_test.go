package session_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

// hears reads messages of one conversation and checks that they are n consecutive ones from first on.
func hears(t testing.TB, c *line.Client, conv core.ConversationID, first core.Seq, n int) {
	t.Helper()
	for i := range n {
		m := hearMessage(t, c)
		if m.Conversation != conv || m.Seq != first+core.Seq(i) {
			t.Fatalf("heard %d of %d, want %d of %d", m.Seq, m.Conversation, first+core.Seq(i), conv)
		}
	}
}

func hearMessage(t testing.TB, c *line.Client) line.Message {
	t.Helper()
	got, err := c.Hear()
	if err != nil {
		t.Fatal(err)
	}
	m, ok := line.ParseMessage(got)
	if !ok {
		t.Fatalf("heard %q, want a message", got)
	}
	return m
}

func TestASlowReaderFallsBehindAndHoldsNobodyElse(t *testing.T) {
	for _, catchUp := range []bool{true, false} {
		t.Run(fmt.Sprintf("catch up %v", catchUp), func(t *testing.T) {
			b := newBench(t, &line.Gateway{SendBuffer: 4096, Profile: &session.Profile{
				Gateway: "line", QueueBytes: 16 << 10, CatchUp: catchUp,
			}})
			slow, quick := b.login(ann), b.login(bob)
			b.Check(slow.Conn.(*net.TCPConn).SetReadBuffer(4096))
			text := strings.Repeat("x", 2000)
			const n = 600
			for i := range n {
				b.post(cyd, roomA, text)
				hears(t, quick, roomA, core.Seq(i+1), 1)
			}
			if l := b.Metric(`parley_session_lagging_total{gateway="line"}`); l == 0 {
				t.Error("the slow reader did not fall behind")
			}
			b.Check(slow.Conn.(*net.TCPConn).SetReadBuffer(1 << 20))
			hears(t, slow, roomA, 1, n)
			b.post(cyd, roomA, "at the head again")
			hears(t, slow, roomA, n+1, 1)
		})
	}
}

func TestWhatHappensDuringTheLoginComesAfterItsAnswer(t *testing.T) {
	for _, catchUp := range []bool{true, false} {
		t.Run(fmt.Sprintf("catch up %v", catchUp), func(t *testing.T) {
			g := &line.Gateway{Profile: &session.Profile{Gateway: "line", CatchUp: catchUp}}
			var b *bench
			g.AfterRegister = func() {
				for i := range 10 {
					b.post(bob, roomA, fmt.Sprint("during ", i))
				}
				b.Check(b.Contacts.Request(context.Background(), as(bob), ann, ""))
			}
			b = newBench(t, g)
			missed := 0
			if catchUp {
				missed = 300
				for range missed {
					b.post(bob, roomA, "before")
				}
				b.Exec(`INSERT INTO gateway_use (user_id, gateway, since) VALUES (?, 'line', 1)`, int64(ann))
			}
			c := b.login(ann)
			c.Expect(t, "asked 1002")
			hears(t, c, roomA, 1, missed+10)
			b.post(bob, roomA, "after")
			hears(t, c, roomA, core.Seq(missed+11), 1)
		})
	}
}

// A conversation that is far behind does not keep the others waiting until it has caught up.
func TestThoseBehindTakeTurns(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	b.Exec(`INSERT INTO gateway_use (user_id, gateway, since) VALUES (?, 'line', 1)`, int64(ann))
	for range 20 {
		b.post(bob, roomA, strings.Split(strings.Repeat("x,", 99)+"x", ",")...)
	}
	b.post(bob, roomB, "urgent")
	c := b.login(ann)
	for n := 0; ; n++ {
		if hearMessage(t, c).Conversation == roomB {
			if n > 300 {
				t.Errorf("%d messages of the other room came first", n)
			}
			break
		}
	}
}

func TestEachViewerStandsInTheirSlot(t *testing.T) {
	b := newBench(t, &line.Gateway{Profile: &session.Profile{Gateway: "line", CatchUp: true}})
	b.AddUsers(1, 9_999_999_999)
	b.AddRoom(20, 1, 9_999_999_999)
	one, many := b.login(1), b.login(9_999_999_999)
	text := strings.Repeat("y", 50_000) // does not fit the writer's buffer
	for _, text := range []string{"short", text} {
		b.post(1, 20, text)
		for c, viewer := range map[*line.Client]core.UserID{one: 1, many: 9_999_999_999} {
			if m := hearMessage(t, c); m.Viewer != viewer || m.Text != text {
				t.Errorf("viewer %d was told they are %d, %d bytes of text", viewer, m.Viewer, len(m.Text))
			}
		}
	}
}

func TestNobodyHearsARoomTheyAreNotIn(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.NewerWins})
	b.AddUsers(1004)
	other := b.login(1004)
	for range 3 { // joining and leaving moves the others' places in the room
		b.login(ann)
		b.login(bob)
		b.login(cyd)
	}
	c := b.login(ann)
	b.post(bob, roomA, "secret")
	hears(t, c, roomA, 1, 1)
	other.Must(t, "ping x")
	other.Expect(t, "pong x")
}

func TestAFrameAfterTheAcknowledgementConfirms(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	c := b.login(ann)
	b.post(bob, roomA, "1")
	hears(t, c, roomA, 1, 1)
	if got := b.got(ann, roomA, 1); got != 0 {
		t.Error("confirmed without a frame")
	}
	until(t, "a frame confirms it", func() bool {
		c.Must(t, "ping x")
		c.Expect(t, "pong x")
		return b.got(ann, roomA, 1) == 1
	})
	reset(t, c)
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
	c = b.login(ann)
	b.post(bob, roomA, "2")
	hears(t, c, roomA, 2, 1)
}

func TestAFrameDoesNotConfirmWhatTCPHasNotAcknowledged(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096, Profile: &session.Profile{Gateway: "line", CatchUp: true, QueueBytes: 16 << 20}})
	c := b.login(ann)
	b.Check(c.Conn.(*net.TCPConn).SetReadBuffer(4096))
	const n = 3000
	texts := strings.Split(strings.Repeat(strings.Repeat("x", 2000)+",", n), ",")[:n]
	for at := 0; at < n; at += 100 {
		b.post(bob, roomA, texts[at:at+100]...)
	}
	c.Must(t, "post 1 room 11 heard")
	until(t, "the frame is read", func() bool { return b.Int(`SELECT last_seq FROM conversation WHERE id = 11`) == 1 })
	if got := b.got(ann, roomA, n); got != 0 {
		t.Errorf("confirmed up to %d, but the peer's TCP has not acknowledged what was queued with it", got)
	}
	reset(t, c)
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
	if got := b.got(ann, roomA, n); got == n {
		t.Errorf("a reset confirmed everything")
	}
	again := b.login(ann)
	for want := core.Seq(1); want <= n; {
		if m := hearMessage(t, again); m.Conversation == roomA && m.Seq == want {
			want++
		} else if m.Conversation == roomA {
			t.Fatalf("heard %d, want %d", m.Seq, want)
		}
	}
}

// While messages keep coming, frames confirm those before the last ones, too.
func TestAStreamIsConfirmedWhileItFlows(t *testing.T) {
	b := newBench(t, &line.Gateway{Profile: &session.Profile{Gateway: "line", CatchUp: true}})
	c := b.login(ann)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 1000 {
			b.post(bob, roomA, "x")
		}
	}()
	defer func() { <-stop }()
	confirmed := false
	for i := core.Seq(1); i <= 1000; i++ {
		got, err := c.Hear()
		b.Check(err)
		if m, ok := line.ParseMessage(got); !ok {
			i--
		} else if m.Seq != i {
			t.Fatalf("heard %d, want %d", m.Seq, i)
		} else if i%50 == 0 {
			c.Must(t, "ping x")
			confirmed = confirmed || i > 200 && i < 1000 && b.got(ann, roomA, 1000) > 0
		}
	}
	if !confirmed {
		t.Error("nothing was confirmed while messages came")
	}
}

func TestACleanEndConfirmsAResetDoesNot(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	end := map[string]func(*line.Client){
		"clean": func(c *line.Client) { _ = c.Close() },
		"reset": func(c *line.Client) { reset(t, c) },
	}
	for i, name := range []string{"reset", "clean"} {
		c := b.login(ann)
		if i == 0 {
			b.post(bob, roomA, "1")
		}
		hears(t, c, roomA, 1, 1)
		until(t, "TCP has acknowledged it", func() bool { return b.session(ann).Probe([]byte(" \n"), time.Second) })
		if got, err := c.Hear(); err != nil || got != " " {
			t.Fatal(got, err)
		}
		end[name](c)
		until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
		if name == "clean" { // its writer may be the last to leave
			until(t, "a clean end confirms", func() bool { return b.got(ann, roomA, 1) == 1 })
		} else if got := b.got(ann, roomA, 1); got != 0 {
			t.Errorf("after a %s end %d messages are confirmed", name, got)
		}
	}
}

// What an author is not shown counts as delivered: it must not come back at every login.
func TestWhatIsSkippedIsConfirmedAllTheSame(t *testing.T) {
	b := newBench(t, &line.Gateway{Profile: &session.Profile{Gateway: "line", CatchUp: true, Codec: line.Codec{SkipOwn: true}}})
	a, c := b.login(ann), b.login(bob)
	a.Must(t, "post 1 user 1002 hello")
	a.Expect(t, "ack 1 1")
	m := hearMessage(t, c)
	until(t, "an author's own message is confirmed like others", func() bool {
		a.Must(t, "ping x")
		a.Expect(t, "pong x")
		return b.got(ann, m.Conversation, 1) == 1
	})
	c.Must(t, "post 1 user 1001 answer")
	c.Expect(t, "ack 1 2")
	if m := hearMessage(t, a); m.Seq != 2 || m.Text != "answer" {
		t.Errorf("heard %+v", m)
	}
}

func TestViewerSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := core.UserID(rapid.Int64Range(0, 9_999_999_999).Draw(t, "id"))
		slot := []byte("??????????")
		session.PutViewer(slot, id)
		if want := fmt.Sprintf("%*d", session.ViewerWidth, id); string(slot) != want {
			t.Fatalf("got %q, want %q", slot, want)
		}
	})
}
