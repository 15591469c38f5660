package session_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

func listeners(t *testing.T) *bench {
	t.Helper()
	return newBench(t, &line.Gateway{Rivalry: session.Share, Rooms: []core.ConversationID{roomA}})
}

func (b *bench) listen(token string) *line.Client {
	b.Helper()
	c := b.dial()
	c.Must(b, "listen "+token)
	c.Expect(b, "listening")
	return c
}

func TestAUserHasAnyNumberOfSessionsWhereTheyShare(t *testing.T) {
	b := listeners(t)
	one, two := b.login(ann), b.login(ann)
	b.post(bob, roomA, "hello")
	for _, c := range []*line.Client{one, two} {
		hears(t, c, roomA, 1, 1)
	}
	_ = one.Close()
	until(t, "the first is gone", func() bool { return b.Hub.Connections() == 1 })
	b.post(bob, roomA, "again")
	hears(t, two, roomA, 2, 1)
	if n := b.Metric(`parley_session_connections{gateway="line",state="online"}`); n != 1 {
		t.Errorf("%v are counted as online", n)
	}
}

func TestWhoListensHearsTheRoomAndNothingPersonal(t *testing.T) {
	b := listeners(t)
	for _, token := range []string{"nobody", "1001"} {
		c := b.listen(token)
		b.Check(b.Contacts.Request(context.Background(), as(bob), ann, ""))
		b.post(bob, roomB, "not for this one")
		b.post(bob, roomA, "for all")
		if m := hearMessage(t, c); m.Text != "for all" {
			t.Errorf("heard %+v", m)
		}
		if b.Hub.Find(ann, b.gw.Profile) != nil {
			t.Error("a listener passes for its sponsor")
		}
		_ = c.Close()
	}
	until(t, "both are gone", func() bool { return b.Hub.Connections() == 0 })
	if users, rooms := b.Hub.Kept(); users != 0 || rooms != 0 {
		t.Errorf("%d users and %d rooms are kept", users, rooms)
	}
}

func TestAListenerBecomesAUser(t *testing.T) {
	b := listeners(t)
	c := b.listen("1002")
	login(t, c, ann)
	b.post(bob, roomA, "once")
	b.post(bob, roomB, "and the user's other rooms")
	b.Check(b.Contacts.Request(context.Background(), as(bob), ann, ""))
	c.Expect(t, "msg       1001 10 1 1002 - once", "msg       1001 11 1 1002 - and the user's other rooms", "asked 1002")
	c.Must(t, "login 1003")
	c.Expect(t, "err login "+core.ErrAlreadyOnline.Error())
	b.Hub.Revoke(bob, 9) // the sponsor no longer counts
	c.Must(t, "ping x")
	c.Expect(t, "pong x")
	b.Hub.Revoke(ann, 9)
	c.Expect(t, "bye revoked")
	c.ExpectEnd(t)
}

func TestAListenerGoesWithItsSponsor(t *testing.T) {
	b := listeners(t)
	c, free := b.listen("1001"), b.listen("nobody")
	b.Hub.Revoke(ann, 9)
	c.Expect(t, "bye revoked")
	c.ExpectEnd(t)
	late := b.dial()
	late.Must(t, "listen 1001")
	late.Expect(t, "bye revoked")
	late.ExpectEnd(t)
	b.post(bob, roomA, "still here")
	hears(t, free, roomA, 1, 1)
}

// A login that fails leaves a listener what it was.
func TestAListenerThatFailsToLogInListensOn(t *testing.T) {
	b := listeners(t)
	c := b.listen("1002")
	b.Hub.Revoke(ann, 9)
	c.Must(t, "login 1001")
	c.Expect(t, "err login "+core.ErrNoToken.Error())
	b.post(bob, roomA, "on")
	hears(t, c, roomA, 1, 1)
	b.Hub.Revoke(bob, 9)
	c.Expect(t, "bye revoked")
}

func TestAConnectionPassesOverItsOwnWords(t *testing.T) {
	b := listeners(t)
	one, two := b.login(ann), b.login(ann)
	one.Must(t, "own a.", "post a.1 room 10 mine")
	one.Expect(t, "ack a.1 1")
	two.Must(t, "post b.1 room 10 yours")
	two.Expect(t, "msg       1001 10 1 1001 a.1 mine", "msg       1001 10 2 1001 b.1 yours", "ack b.1 2")
	one.Expect(t, "msg       1001 10 2 1001 b.1 yours")
}

// What a slow reader gets from the store has its own words left out like what comes live.
func TestAConnectionThatFellBehindPassesOverItsOwnWords(t *testing.T) {
	b := newBench(t, &line.Gateway{
		Rivalry: session.Share, SendBuffer: 4096, Profile: &session.Profile{Gateway: "line", QueueBytes: 16 << 10},
	})
	slow, quick := b.login(ann), b.login(ann)
	b.Check(slow.Conn.(*net.TCPConn).SetReadBuffer(4096))
	slow.Must(t, "own a.")
	text := strings.Repeat("x", 2000)
	const n = 300
	for i := range n {
		id := "b."
		if i%3 == 0 {
			id = "a." // as the slow one would give it
		}
		quick.Must(t, "post "+id+itoa(int64(i))+" room 10 "+text)
		for m := (line.Message{}); m.Seq != core.Seq(i+1); {
			got, err := quick.Hear()
			b.Check(err)
			m, _ = line.ParseMessage(got)
		}
	}
	if l := b.Metric(`parley_session_lagging_total{gateway="line"}`); l == 0 {
		t.Error("the slow reader did not fall behind")
	}
	b.Check(slow.Conn.(*net.TCPConn).SetReadBuffer(1 << 20))
	for range n - n/3 {
		if m := hearMessage(t, slow); strings.HasPrefix(m.ID, "a.") {
			t.Fatalf("heard its own %s", m.ID)
		}
	}
	slow.Must(t, "ping x")
	slow.Expect(t, "pong x")
}

// Whoever listens on a user's account is one of the user's sessions where those are counted, and nowhere else.
func TestListenersDidNotCount(t *testing.T) {
	b := listeners(t)
	b.listen("1001")
	b.listen("nobody")
	b.login(ann)
	if n := b.Hub.Sessions(ann, b.gw.Profile.Gateway); n != 2 {
		t.Errorf("%d sessions are counted", n)
	}
}

// A login that is still under way when the connection ends must not put it back into its sponsor's list.
func TestALateLoginKeptAListenerThatHadEnded(t *testing.T) {
	b := listeners(t)
	here, there := net.Pipe()
	defer there.Close()
	s := b.Hub.Open(b.gw.Profile, here)
	b.Check(b.Hub.Listen(s, as(ann), nil))
	s.End(false)
	if err := b.Hub.Register(s, as(ann), session.Share, nil); err == nil {
		t.Error("it is registered")
	}
	if users, _ := b.Hub.Kept(); users != 0 {
		t.Errorf("%d users are kept", users)
	}
}
