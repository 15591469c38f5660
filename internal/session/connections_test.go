package session_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

// onDevice makes a gateway's tokens UID/DEVICE.
func onDevice(token string) (core.Actor, error) {
	user, device, _ := strings.Cut(token, "/")
	a := as(core.UserID(number(user)))
	return a.OnDevice(number(device)), nil
}

func number(text string) (n int64) {
	for _, c := range text {
		n = 10*n + int64(c-'0')
	}
	return n
}

func TestADevicesSessionsEndWithIt(t *testing.T) {
	b := newBench(t, &line.Gateway{Rivalry: session.Share, Login: onDevice, Rooms: []core.ConversationID{roomA}})
	enter := func(token string) *line.Client {
		c := b.dial()
		c.Must(t, "login "+token)
		c.Expect(t, "welcome "+token[:4])
		return c
	}
	one, two, other, bobs := enter("1001/7"), enter("1001/7"), enter("1001/8"), enter("1002/7")
	listener := b.dial()
	listener.Must(t, "listen 1001/7")
	listener.Expect(t, "listening")
	b.Hub.RevokeDevice(ann, 7)
	for _, c := range []*line.Client{one, two, listener} {
		c.Expect(t, "bye revoked")
		c.ExpectEnd(t)
	}
	late := b.dial() // its token was looked at before
	late.Must(t, "login 1001/7")
	late.Expect(t, "err login "+core.ErrNoToken.Error())
	late.Must(t, "listen 1001/7")
	late.Expect(t, "bye revoked")
	for _, c := range []*line.Client{other, bobs, enter("1001/8"), enter("1001/9")} {
		c.Must(t, "ping x")
		c.Expect(t, "pong x")
	}
}

func TestTheListOfConnections(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line"}, Login: onDevice}
	b := newBench(t, g)
	start := time.Now()
	stranger := b.dial()
	until(t, "the stranger is there", func() bool { return b.Hub.Connections() == 1 })
	c := b.dial()
	c.Must(t, "login 1001/7")
	c.Expect(t, "welcome 1001")
	var list []session.Connection
	until(t, "both are in the list", func() bool { list = b.Hub.List(); return len(list) == 2 && list[1].Online })
	for i, want := range []session.Connection{
		{Gateway: "line"}, {Gateway: "line", User: ann, Name: "u", Device: 7, Online: true},
	} {
		got := list[i]
		if got.ID <= 0 || got.Since.Before(start.Add(-time.Second)) || got.Since.After(time.Now()) {
			t.Errorf("%+v", got)
		}
		want.ID, want.Since, want.IP = got.ID, got.Since, netip.MustParseAddr("127.0.0.1")
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if !b.Hub.Kick(list[1].ID) {
		t.Error("not found")
	}
	c.Expect(t, "bye kicked")
	c.ExpectEnd(t)
	until(t, "one is left", func() bool { return len(b.Hub.List()) == 1 })
	if b.Hub.Kick(list[1].ID) || b.Hub.Kick(0) {
		t.Error("kicked a connection that there is not")
	}
	if n := b.Metric(`parley_session_closed_total{gateway="line",reason="kicked"}`); n != 1 {
		t.Errorf("%v were kicked", n)
	}
	stranger.Must(t, "ping x")
	stranger.Expect(t, "pong x")
}

func TestWhoIsSilentIsPinged(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{
		Gateway: "line", Silence: time.Minute, LoginWithin: 40 * time.Second, Ping: []byte("are you there\n"), PingEvery: 25 * time.Second,
	}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		stranger, c := pipe(w, g), pipe(w, g)
		login(t, c, ann)
		for range 100 { // who answers stays
			since := time.Now()
			c.Expect(t, "are you there")
			between(t, "a ping", time.Since(since), 24*time.Second, 27*time.Second)
			c.Must(t, "ping yes")
			c.Expect(t, "pong yes")
		}
		since := time.Now()
		c.Expect(t, "are you there", "are you there")
		between(t, "the second ping", time.Since(since), 50*time.Second, 53*time.Second)
		c.ExpectEnd(t)
		between(t, "the end", time.Since(since), time.Minute, 61*time.Second)
		stranger.ExpectEnd(t)
		if n := w.Hub.Connections(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestWhoTalksIsNotPinged(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Ping: []byte("are you there\n"), PingEvery: 25 * time.Second}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := pipe(w, g)
		login(t, c, ann)
		for range 100 {
			time.Sleep(24 * time.Second)
			c.Must(t, "ping x")
			c.Expect(t, "pong x")
		}
	})
}

// A gateway may speak its protocol in two ways. Its figures are those of both.
func TestTwoProfilesOfOneGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := line.NewWorld(t, line.Options{})
		w.AddUsers(ann, bob)
		w.AddRoom(roomA, ann, bob)
		plain := &line.Gateway{Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", AllRooms: true}}
		loud := &line.Gateway{Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", AllRooms: true, Codec: loudly{}}}
		w.Prepare(plain, as)
		w.Prepare(loud, as)
		one, two := pipe(w, plain), pipe(w, loud)
		login(t, one, ann)
		login(t, two, ann)
		if n := w.Metric(`parley_session_connections{gateway="line",state="online"}`); n != 2 {
			t.Errorf("%v are online", n)
		}
		b := &bench{w, plain, ""}
		b.post(bob, roomA, "x")
		one.Expect(t, "msg       1001 10 1 1002 - x")
		two.Expect(t, "LOUD 1")
		if w.Hub.Find(ann, plain.Profile) == nil || w.Hub.Find(ann, loud.Profile) == nil {
			t.Error("a session is not found")
		}
		_ = two.Close()
		synctest.Wait()
		if n := w.Metric(`parley_session_connections{gateway="line",state="online"}`); n != 1 {
			t.Errorf("%v are online", n)
		}
	})
}

func TestWhoIsExceptedHearsNothing(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	clients := map[core.UserID]*line.Client{ann: b.login(ann), bob: b.login(bob), cyd: b.login(cyd)}
	room := core.Conversation{ID: roomA, Kind: core.Room}
	b.Hub.Publish(core.MessageChanged{Conversation: room, Message: core.Message{Seq: 1, Text: "x"}, Hidden: []core.UserID{ann, cyd}})
	b.Hub.Publish(core.MessageChanged{Conversation: room, Message: core.Message{Seq: 2, Text: "y"}})
	for uid, c := range clients {
		if uid == bob {
			c.Expect(t, "changed 10 1 x")
		}
		c.Expect(t, "changed 10 2 y")
	}
}
