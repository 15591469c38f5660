package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

func TestTheNewerWins(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.NewerWins})
	older := b.login(ann)
	newer := b.login(ann)
	older.Expect(t, "bye replaced")
	older.ExpectEnd(t)
	b.post(bob, roomA, "1")
	newer.Expect(t, "msg       1001 10 1 1002 - 1")
}

func TestTheHubKeepsNothingOfWhoIsGone(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.NewerWins})
	var clients []*line.Client
	for _, uid := range []core.UserID{ann, bob, ann, cyd, ann, bob} {
		clients = append(clients, b.login(uid))
	}
	if users, rooms := b.Hub.Kept(); users != 3 || rooms != 3 {
		t.Errorf("%d users and %d rooms while three are there", users, rooms)
	}
	for _, c := range clients {
		_ = c.Close()
	}
	b.StopHub(t.Context())
	if users, rooms := b.Hub.Kept(); users != 0 || rooms != 0 {
		t.Errorf("%d users and %d rooms are kept", users, rooms)
	}
}

func TestTheOlderWins(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.OlderWins})
	older, newer := b.login(ann), b.dial()
	newer.Must(t, "login 1001")
	newer.Expect(t, "err login "+core.ErrAlreadyOnline.Error())
	older.Must(t, "ping x")
	older.Expect(t, "pong x")
	_ = older.Close()
	until(t, "the older is gone", func() bool { return !b.Hub.Online([]core.UserID{ann})[0] })
	login(t, newer, ann)
}

// A connection that is being closed is still there while it drains, but holds its user's place no longer.
func TestAClosingSessionDoesNotWin(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.OlderWins})
	older := b.login(ann)
	b.session(ann).Close(session.Revoked)
	older.Expect(t, "bye revoked") // the client does not close its side yet
	b.login(ann)
	_ = older.Close()
	until(t, "the older has ended", func() bool { return b.Hub.Connections() == 1 })
	if !b.Hub.Online([]core.UserID{ann})[0] {
		t.Error("the end of the older took the newer off")
	}
	if n := b.Metric(`parley_session_connections{gateway="line",state="online"}`); n != 1 {
		t.Errorf("%v are counted as online", n)
	}
}

func TestALoginTwiceOnOneConnectionIsRefused(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.NewerWins})
	c := b.login(ann)
	c.Must(t, "login 1002", "ping x")
	c.Expect(t, "err login "+core.ErrAlreadyOnline.Error(), "pong x")
	if b.Hub.Online([]core.UserID{bob})[0] {
		t.Error("the refused user is online")
	}
}

// The reader may end while its login is still under way in another goroutine.
func TestALoginThatRacesWithTheEndLeavesNothingBehind(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	for range 2000 {
		here, there := net.Pipe()
		s := b.Hub.Open(b.gw.Profile, there)
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Hub.Register(s, as(ann), session.NewerWins, []core.ConversationID{roomA}) })
		wg.Go(func() { s.End(true) })
		wg.Wait()
		if b.Hub.Online([]core.UserID{ann})[0] {
			t.Fatal("the session has ended, and is online")
		}
		_ = here.Close()
	}
}

func TestCloseLetsTheQueueLeaveAndSaysFarewell(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096})
	c := b.login(ann)
	s := b.session(ann)
	word := strings.Repeat("x", 1000)
	for i := range 500 {
		s.Send(fmt.Appendf(nil, "pong %d %s\n", i, word))
	}
	s.Close(session.Revoked)
	s.Close(session.Stopping) // the first reason stays
	s.Send([]byte("pong late\n"))
	c.Must(t, "ping unheard", "ping unheard") // unread input must not make the peer's TCP throw our words away
	for i := range 500 {
		c.Expect(t, fmt.Sprintf("pong %d %s", i, word))
	}
	c.Expect(t, "bye revoked")
	b.Check(c.SetReadDeadline(time.Now().Add(time.Second))) // the end comes at once
	c.ExpectEnd(t)
	_ = c.Close()
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
	if n := b.Metric(`parley_session_closed_total{gateway="line",reason="revoked"}`); n != 1 {
		t.Errorf("%v connections ended as revoked", n)
	}
}

func TestAPeerThatDoesNotCloseItsSideIsNotWaitedForLong(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	c := b.login(ann)
	b.session(ann).Close(session.Revoked)
	c.Expect(t, "bye revoked")
	go func() { // talking on does not help
		for c.Say("ping x") == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
	until(t, "the socket is closed", func() bool { return c.Say("ping x") != nil })
}

func TestHalfCloseGetsItsAnswers(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096})
	c := b.dial()
	c.Must(t, "login 1001")
	word := strings.Repeat("x", 1000)
	for range 50 {
		c.Must(t, "ping "+word)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.Expect(t, "welcome 1001")
	for range 50 {
		c.Expect(t, "pong "+word)
	}
	c.ExpectEnd(t)
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
}

// The gateway may leave as soon as Ready tells it that the session does not go on.
func TestAReaderThatLeavesEarlyDoesNotCutTheFarewell(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	here, there := tcpPair(t)
	s := b.Hub.Open(b.gw.Profile, there)
	for range 100 {
		s.Send([]byte(strings.Repeat("x", 999) + "\n"))
	}
	s.Close(session.Stopping)
	s.End(false)
	got, err := io.ReadAll(here)
	if err != nil || len(got) != 100*1000+len("bye stopping\n") {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
}

func tcpPair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if here, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return here, there
}

func TestProbe(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096})
	c := b.login(ann)
	s := b.session(ann)
	if !s.Probe([]byte("pong probe\n"), 3*time.Second) {
		t.Error("a live peer does not count as there")
	}
	c.Expect(t, "pong probe")
	for range 4000 { // more than the kernels hold
		s.Send([]byte(strings.Repeat("x", 1000)))
	}
	if s.Probe([]byte("pong probe\n"), 100*time.Millisecond) {
		t.Error("a peer that takes nothing counts as there")
	}
	s.Abort(session.Failed)
	start := time.Now()
	if s.Probe(nil, time.Minute) || time.Since(start) > 5*time.Second {
		t.Error("a closed session counts as there")
	}
}

func TestRevokeClosesWhatProvedAnOlderEpoch(t *testing.T) {
	b := newBench(t, &line.Gateway{Login: func(token string) (core.Actor, error) {
		epoch := map[string]int64{"old": 1, "new": 2}[token]
		return core.NewActor(core.User{ID: ann, Epoch: epoch}), nil
	}, Rivalry: session.NewerWins})
	old := b.dial()
	old.Must(t, "login old")
	old.Expect(t, "welcome 1001")
	b.Hub.Revoke(ann, 2)
	old.Expect(t, "bye revoked")
	old.ExpectEnd(t)
	renewed := b.dial()
	renewed.Must(t, "login old") // checked before the epoch rose, registered after
	renewed.Expect(t, "err login "+core.ErrNoToken.Error())
	renewed.Must(t, "login new")
	renewed.Expect(t, "welcome 1001")
	b.Hub.Revoke(ann, 2)
	renewed.Must(t, "ping x")
	renewed.Expect(t, "pong x")
}

func TestNoLoginSlipsPastARevocation(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	for i := range int64(300) {
		epoch := i + 1
		conns, sessions := [8]net.Conn{}, [8]*session.Session{}
		var wg sync.WaitGroup
		for j := range sessions {
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, here) }()
			conns[j], sessions[j] = here, b.Hub.Open(b.gw.Profile, there)
			actor := core.NewActor(core.User{ID: ann, Epoch: epoch})
			wg.Go(func() {
				if err := b.Hub.Register(sessions[j], actor, session.NewerWins, nil); err != nil {
					sessions[j].Close(session.Failed)
				}
			})
		}
		wg.Go(func() { b.Hub.Revoke(ann, epoch+1) })
		wg.Wait()
		for j, s := range sessions {
			if !s.Closing() {
				t.Fatalf("round %d: a session of a past epoch lives on", i)
			}
			s.End(false)
			_ = conns[j].Close()
		}
	}
}

func TestStopTellsEverybodyAndWaits(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096})
	var clients []*line.Client
	for _, uid := range []core.UserID{ann, bob} {
		c := b.login(uid)
		for range 100 {
			b.session(uid).Send([]byte("pong " + strings.Repeat("x", 1000) + "\n"))
		}
		clients = append(clients, c)
	}
	clients = append(clients, b.dial())
	until(t, "all are connected", func() bool { return b.Hub.Connections() == 3 })
	stopped := make(chan struct{})
	go func() { b.Stop(); close(stopped) }()
	for i, c := range clients {
		for range 100 * min(1, 2-i) {
			c.Expect(t, "pong "+strings.Repeat("x", 1000))
		}
		c.Expect(t, "bye stopping")
		c.ExpectEnd(t)
	}
	late := b.dial()
	late.Expect(t, "bye stopping")
	for _, c := range append(clients, late) {
		_ = c.Close()
	}
	<-stopped
}

func TestStopCutsWhoTakesNothing(t *testing.T) {
	b := newBench(t, &line.Gateway{SendBuffer: 4096})
	b.login(ann)
	s := b.session(ann)
	for range 4000 {
		s.Send([]byte(strings.Repeat("x", 1000)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	b.StopHub(ctx)
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the stop took %v", d)
	}
}

// A codec that panics ends its connection; the socket does not stay open, and nobody else suffers.
func TestACodecThatPanicsEndsItsConnectionOnly(t *testing.T) {
	b := newBench(t, &line.Gateway{Profile: &session.Profile{Gateway: "line", CatchUp: true, Codec: brittle{}}})
	b.post(bob, roomA, "fragile")
	b.post(bob, roomB, "1")
	line.WantPanics.Add(1)
	c := b.login(ann)
	if got, err := c.Hear(); err == nil && strings.Contains(got, "fragile") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("heard %q, %v", got, err)
	}
	until(t, "the session has ended", func() bool { return b.Hub.Connections() == 0 })
	if n := b.Metric(`parley_session_closed_total{gateway="line",reason="failed"}`); n != 1 {
		t.Errorf("%v connections ended as failed", n)
	}
}

type brittle struct{ line.Codec }

func (b brittle) Encode(ev core.Event) []session.Frame {
	if p, ok := ev.(core.MessagesPosted); ok && p.Messages[0].Text == "fragile" {
		panic("it broke")
	}
	return b.Codec.Encode(ev)
}
