package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"parley/internal/core"
	"parley/internal/gateway/api"
	test "parley/test/client"
)

// TestAChatOverSockets: what is said, changed, read and typed reaches both, in both ways of sending.
func TestAChatOverSockets(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	a, b := ann.connect("", compressed), bob.connect("")
	a.say(`{"type":"send","ref":"r1","user_id":%d,"client_id":"one","text":"%s"}`, bob.id, strings.Repeat("hello ", 100))
	var got struct {
		ID  core.ConversationID `json:"conversation_id"`
		Seq core.Seq            `json:"seq"`
	}
	// The answer and the message itself come in either order.
	first, second := a.next(), a.next()
	for _, e := range []test.Event{first, second} {
		if e.Type == "sent" {
			w.must(e.Read(&got))
		}
	}
	if got.ID == 0 || got.Seq != 1 {
		t.Fatalf("%s %s", first.JSON, second.JSON)
	}
	b.has("message.new", `"client_id":"one"`, `"seq":1`, `"username":"ann"`, `hello hello`) //nolint:dupword // so it was sent
	a.say(`{"type":"send","ref":"r2","conversation_id":%d,"client_id":"one","text":"%s"}`, got.ID, strings.Repeat("hello ", 100))
	a.has("sent", `"again":true`, `"seq":1`, `"ref":"r2"`)
	a.say(`{"type":"send","conversation_id":%d,"client_id":"one","text":"other"}`, got.ID)
	a.has("error", `"code":20109`)

	b.say(`{"type":"typing","conversation_id":%d}`, got.ID)
	a.has("typing", `"username":"bob"`)
	b.say(`{"type":"read","ref":"r","conversation_id":%d,"seq":1}`, got.ID)
	a.has("conversation.read", fmt.Sprintf(`"user_id":%d`, bob.id), `"seq":1`)
	kinds := b.next().Type + " " + b.next().Type
	if kinds != "ok conversation.read" && kinds != "conversation.read ok" {
		t.Errorf("the reader hears %s", kinds)
	}

	path := fmt.Sprintf("/conversations/%d/messages/1", got.ID)
	ann.put(path, `{"text":"hello, Bob"}`).ok(200)
	b.has("message.changed", `"kind":"edited"`, `"text":"hello, Bob"`, `"change":1`)
	bob.put(path+"/reactions", `{"emoji":"👍"}`).ok(200)
	a.has("message.changed", `"kind":"edited"`)
	a.has("message.changed", `"kind":"reacted"`, "👍", `"change":2`)
	ann.delete(path).ok(200)
	b.has("message.changed", `"kind":"reacted"`)
	b.has("message.changed", `"kind":"deleted"`, `"deleted":true`, `"text":""`, `"change":3`)
	a.until("message.changed")
	a.quiet()
	b.quiet()
}

// TestRoomsOverSockets: who comes, goes and changes what.
func TestRoomsOverSockets(t *testing.T) {
	w := newWorld(t)
	ann, bob, cyd := w.join("ann"), w.join("bob"), w.join("cyd")
	ann.befriend(bob)
	ann.befriend(cyd)
	a, b, c := ann.connect(""), bob.connect("", compressed), cyd.connect("")
	room := ann.room("choir", bob)
	a.has("conversation.joined", `"name":"choir"`, `"role":"owner"`)
	a.has("member.joined", `"username":"bob"`)
	b.has("conversation.joined", `"name":"choir"`, `"role":"member"`, fmt.Sprintf(`"by_user_id":%d`, ann.id))
	path := fmt.Sprintf("/rooms/%d", room)
	ann.put(path, `{"topic":"songs"}`).ok(200)
	b.has("room.changed", `"topic":"songs"`, `"username":"ann"`)
	ann.post(path+"/members", fmt.Sprintf(`{"user_id":%d}`, cyd.id)).ok(201)
	b.has("member.joined", `"username":"cyd"`)
	c.has("conversation.joined", `"topic":"songs"`)
	ann.put(fmt.Sprintf("%s/members/%d", path, cyd.id), `{"role":"admin"}`).ok(200)
	b.has("member.changed", `"role":"admin"`)
	c.has("member.changed", `"role":"admin"`)
	c.say(`{"type":"send","conversation_id":%d,"text":"la"}`, room)
	b.has("message.new", `"text":"la"`)
	ann.delete(fmt.Sprintf("%s/members/%d", path, cyd.id)).ok(200)
	b.has("member.left", `"username":"cyd"`, fmt.Sprintf(`"by_user_id":%d`, ann.id))
	for e := c.next(); e.Type != "conversation.left"; e = c.next() {
		if e.Type != "sent" && e.Type != "message.new" {
			t.Errorf("unexpected: %s", e.JSON)
		}
	}
	ann.post(fmt.Sprintf("/conversations/%d/messages", room), `{"text":"without cyd"}`).ok(201)
	b.has("message.new", "without cyd")
	c.say(`{"type":"send","conversation_id":%d,"text":"still here"}`, room)
	c.has("error", `"type":"NotFoundError"`)
	c.quiet()
}

// TestContactsOverSockets: requests, answers and who is there.
func TestContactsOverSockets(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	a, b := ann.connect(""), bob.connect("")
	ann.post("/contacts/requests", fmt.Sprintf(`{"user_id":%d,"text":"it is me"}`, bob.id)).ok(201)
	heard := b.next().Type + " " + b.next().Type
	if !strings.Contains(heard, "contact.requested") || !strings.Contains(heard, "contacts.changed") {
		t.Errorf("bob hears %s", heard)
	}
	a.until("contacts.changed")
	bob.post(fmt.Sprintf("/contacts/requests/%d/accept", ann.id), `{}`).ok(200)
	heard = a.next().Type + " " + a.next().Type
	if !strings.Contains(heard, "contact.accepted") || !strings.Contains(heard, "contacts.changed") {
		t.Errorf("ann hears %s", heard)
	}
	w.check(b.Hangup())
	a.has("presence", `"online":false`, fmt.Sprintf(`"user_id":%d`, bob.id))
	b = bob.dial()
	b.say(`{"type":"start","contacts_version":1,"ref":"s"}`)
	b.has("ready", fmt.Sprintf(`"online":[%d]`, ann.id), fmt.Sprintf(`"user_id":%d`, bob.id), fmt.Sprintf(`"device_id":%d`, bob.device))
	b.until("contacts.changed")
	b.until("ok")
	a.has("presence", `"online":true`)
	w.hub.Publish(core.Reported{Report: core.Report{ID: 1, By: core.Author{ID: bob.id}, About: core.Author{ID: ann.id}, At: time.Now()}, To: []core.UserID{ann.id}})
	a.has("report.filed", `"report_id":1`)
}

// TestAClientThatComesBackMissesNothing, and hears of changes to what it has.
func TestAClientThatComesBackMissesNothing(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	room := ann.room("choir", bob)
	say := func(text string) {
		ann.post(fmt.Sprintf("/conversations/%d/messages", room), fmt.Sprintf(`{"text":%q}`, text)).ok(201)
	}
	for i := range 10 {
		say(fmt.Sprint("message ", i+1))
	}
	ann.put(fmt.Sprintf("/conversations/%d/messages/2", room), `{"text":"second"}`).ok(200)
	ann.put(fmt.Sprintf("/conversations/%d/messages/8", room), `{"text":"eighth"}`).ok(200)
	ann.delete(fmt.Sprintf("/conversations/%d/messages/9", room)).ok(200)

	b := bob.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":5,"change":0}]}`, room), compressed)
	b.has("message.changed", `"seq":2,`, `"text":"second"`, `"change":1`)
	for i := 6; i <= 10; i++ {
		b.has("message.new", fmt.Sprintf(`"seq":%d,`, i), map[int]string{8: "eighth", 9: `"deleted":true`}[i])
	}
	say("live")
	b.has("message.new", `"seq":11,`, "live")
	b.quiet()
	if b.Frames > 8 {
		t.Errorf("%d frames: what was missed should come in few", b.Frames)
	}

	// Without a position a conversation begins at the present; beyond what there is, it is stale.
	b = bob.connect("")
	b.quiet()
	b = bob.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":99}]}`, room))
	b.has("conversation.stale", fmt.Sprintf(`"conversation_id":%d`, room))
	say("after all")
	b.has("message.new", `"seq":12,`)
	b = bob.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"change":3}]}`, room))
	b.quiet()
}

// TestManyChangesMakeAConversationStale rather than a flood.
func TestManyChangesMakeAConversationStale(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	room := ann.room("choir")
	w.exec(`INSERT INTO message (conversation_id, seq, sender_id, retry, text, origin, created_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100) SELECT ?, i, ?, 0, 'text', 'api', 1 FROM n`, int64(room), int64(ann.id))
	w.exec(`INSERT INTO message_change (conversation_id, change_seq, seq) SELECT conversation_id, seq, seq FROM message WHERE conversation_id = ?`, int64(room))
	w.exec(`UPDATE conversation SET last_seq = 2100, change_seq = 2100 WHERE id = ?`, int64(room))
	a := ann.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":2100,"change":50}]}`, room))
	a.until("conversation.stale")
	a.quiet()
	a = ann.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":2100,"change":300}]}`, room))
	for i := 301; i <= 2100; i++ {
		a.has("message.changed", fmt.Sprintf(`"change":%d,`, i))
	}
	a.quiet()
}

// TestLongChangesMakeAConversationStale: they would wait in memory for clients that do not read.
func TestLongChangesMakeAConversationStale(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	change := func(name string, messages, bytes int) core.ConversationID {
		room := ann.room(name)
		w.exec(`INSERT INTO message (conversation_id, seq, sender_id, retry, text, origin, created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT ?, i, ?, 0, ?, 'api', 1 FROM n`,
			messages, int64(room), int64(ann.id), strings.Repeat("x", bytes))
		w.exec(`INSERT INTO message_change (conversation_id, change_seq, seq) SELECT conversation_id, seq, seq FROM message WHERE conversation_id = ?`, int64(room))
		w.exec(`UPDATE conversation SET last_seq = ?1, change_seq = ?1 WHERE id = ?2`, messages, int64(room))
		return room
	}
	few, long, many := change("few", 10, 50_000), change("long", 30, 50_000), change("many", 1900, 300)
	for _, edit := range []func(*test.EventsOptions){func(*test.EventsOptions) {}, compressed} {
		a := ann.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":10,"change":0},{"conversation_id":%d,"seq":30,"change":0}]}`, few, long), edit)
		for i := range 10 {
			a.has("message.changed", fmt.Sprintf(`"change":%d,`, i+1))
		}
		a.has("conversation.stale", fmt.Sprintf(`"conversation_id":%d`, long))
		a.quiet()
	}
	a := ann.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":1900,"change":0}]}`, many))
	a.until("conversation.stale") // not for its texts alone
	a.quiet()
}

// TestNobodyHearsWhatIsAnothers, whatever they say where they stand.
func TestNobodyHearsWhatIsAnothers(t *testing.T) {
	w := newWorld(t)
	ann, bob, eve := w.join("ann"), w.join("bob"), w.join("eve")
	ann.befriend(bob)
	room := ann.room("choir", bob)
	var direct struct {
		ID core.ConversationID `json:"conversation_id"`
	}
	ann.post("/conversations/direct", fmt.Sprintf(`{"user_id":%d}`, bob.id)).ok(200).read(&direct)
	for _, id := range []core.ConversationID{room, direct.ID} {
		ann.post(fmt.Sprintf("/conversations/%d/messages", id), `{"text":"secret"}`).ok(201)
		ann.put(fmt.Sprintf("/conversations/%d/messages/1", id), `{"text":"secret!"}`).ok(200)
	}
	e := eve.connect(fmt.Sprintf(`{"type":"start","positions":[{"conversation_id":%d,"seq":0,"change":0},{"conversation_id":%d,"seq":0,"change":0},{"conversation_id":999,"seq":0}]}`,
		room, direct.ID))
	for _, id := range []core.ConversationID{room, direct.ID} {
		for _, command := range []string{`"type":"send","text":"hi"`, `"type":"typing"`, `"type":"read","seq":1`} {
			e.say(`{%s,"conversation_id":%d}`, command, id)
			e.has("error", `"code":20101`)
		}
		ann.post(fmt.Sprintf("/conversations/%d/messages", id), `{"text":"more secrets"}`).ok(201)
	}
	e.say(`{"type":"send","user_id":%d,"text":"hi"}`, ann.id)
	e.has("error", `"code":10016`)
	e.quiet()
}

// TestCommandsThatAreNone are refused, and nothing else happens.
func TestCommandsThatAreNone(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	a := ann.connect("")
	for _, tt := range []struct{ command, want string }{
		{`[]`, "A command is a JSON object"},
		{`{`, "not valid JSON"},
		{``, "A command is a JSON object"},
		{`{"type":"dance","ref":"x"}`, "There is no such command"},
		{`{"type":7}`, "type has the wrong type"},
		{`{"type":"send","ref":"x"}`, "conversation_id or user_id"},
		{`{"type":"send","conversation_id":1,"user_id":1,"text":"x"}`, "conversation_id or user_id"},
		{`{"type":"send","conversation_id":"1","text":"x"}`, "conversation_id has the wrong type"},
		{`{"type":"send","conversation_id":1}`, "The message is empty"},
		{`{"type":"read","conversation_id":1,"seq":5}`, "There is no such message"},
		{`{"type":"start"}`, "The events have begun already"},
		{fmt.Sprintf(`{"type":"ping","ref":%q}`, strings.Repeat("x", 65)), "ref may have 64 bytes"},
	} {
		a.say("%s", tt.command)
		e := a.has("error", tt.want)
		if ref := strings.Contains(string(e.JSON), `"ref":"x"`); ref != strings.Contains(tt.command, `"ref":"x"`) {
			t.Errorf("%s: %s", tt.command, e.JSON)
		}
	}
	a.quiet()
}

// TestTheEventsBeginByThemselves for a client that does not say where it stands, or says something else first.
func TestTheEventsBeginByThemselves(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.StartWithin = 10 * time.Millisecond })
	ann := w.join("ann")
	ann.dial().until("ready")
	w = newWorld(t)
	a := w.join("ann").dial()
	a.say(`{"type":"ping"}`)
	a.until("ready")
	a.until("pong")
}

// TestWaysToProveWhoOneIs on a socket.
func TestWaysToProveWhoOneIs(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	var issued struct {
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expires_in"`
	}
	ann.post("/ws/tickets", "").ok(201).read(&issued)
	if issued.ExpiresIn != 30 {
		t.Errorf("a ticket is good for %d seconds", issued.ExpiresIn)
	}
	noHeader := func(o *test.EventsOptions) { o.Token = "" }
	ann.connect("")
	ann.connect("", noHeader, func(o *test.EventsOptions) { o.Ticket = issued.Ticket })
	ann.connect("", noHeader, func(o *test.EventsOptions) { o.Protocols = []string{"parley.v1", "bearer." + ann.access} })
	ann.connect("", noHeader, func(o *test.EventsOptions) { o.Ticket = "&token=" + ann.access })
	for _, query := range []string{"", "?ticket=" + issued.Ticket, "?ticket=made-up", "?token=made-up", "?token=" + ann.refresh} {
		w.upgrade(query).refused(401, 10004)
	}
	bob := w.join("bob")
	bob.post("/ws/tickets", "").ok(201).read(&issued)
	bob.post("/auth/logout", "").ok(200)
	w.upgrade("?ticket="+issued.Ticket).refused(401, 10004)
	w.upgrade("?token="+bob.access).refused(401, 10004)
}

// upgrade asks for a socket that is refused.
func (w *world) upgrade(query string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.web.URL+api.EventsPath+query, nil)
	w.must(err)
	h := req.Header
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return w.send(req)
}

// TestWhatIsNoUpgradeIsToldSo in the form of the API.
func TestWhatIsNoUpgradeIsToldSo(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.api.PublicURL, s.api.Origins = "https://chat.example.org", []string{"https://app.example.net"}
	})
	ann := w.join("ann")
	token := "?token=" + ann.access
	for _, header := range []string{"Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"} {
		a := w.upgrade(token, header, "nothing").refused(426, 10426)
		if a.header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s: it is not told which version is spoken", header)
		}
	}
	for _, origin := range []string{"https://elsewhere.example", "null", "http://app.example.net", "https://chat.example.org.evil.example"} {
		w.upgrade(token, "Origin", origin).refused(403, 10403)
	}
	for _, origin := range []string{"https://app.example.net", "https://chat.example.org", w.web.URL} {
		ann.connect("", func(o *test.EventsOptions) { o.Header = http.Header{"Origin": {origin}} })
	}
}

// TestSocketsEndWithWhatTheyHangOn, and are told why.
func TestSocketsEndWithWhatTheyHangOn(t *testing.T) {
	w := newWorld(t)
	ann, admin := w.join("ann"), w.admin("root")
	phone := w.login("ann")
	a, p := ann.connect(""), phone.connect("", compressed)
	phone.post("/auth/logout", "").ok(200)
	p.has("closing", `"code":4001`, `"reason":"revoked"`)
	p.ends(4001)
	a.quiet()
	admin.post(fmt.Sprintf("/admin/users/%d/ban", ann.id), "").ok(200)
	a.has("closing", `"code":4001`)
	a.ends(4001)
	r := admin.connect("")
	for _, c := range w.hub.List() {
		if c.User == admin.id {
			w.hub.Kick(c.ID)
		}
	}
	r.has("closing", `"code":4003`)
	r.ends(4003)
	waits := admin.dial() // and is not ready
	w.hub.Quiesce()
	w.upgrade("?token="+admin.access).refused(503, 10503)
	go w.stop()
	waits.ends(1001)
}

// TestBrokenStreamsAreClosed with the code of what is wrong.
func TestBrokenStreamsAreClosed(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	for name, tt := range map[string]struct {
		frame ws.Frame
		code  ws.StatusCode
	}{
		"bytes":          {ws.NewBinaryFrame([]byte("{}")), 1003},
		"no UTF-8":       {ws.NewTextFrame([]byte{'"', 0xff}), 1007},
		"too long":       {ws.NewTextFrame(bytes.Repeat([]byte("x"), 65<<10)), 1009},
		"a reserved bit": {ws.Frame{Header: ws.Header{Fin: true, Rsv: 2, OpCode: ws.OpText, Length: 2}, Payload: []byte("{}")}, 1002},
		"closing":        {ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), 1000},
	} {
		a := ann.connect("")
		if err := a.Frame(tt.frame); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		a.ends(tt.code)
	}
	a := ann.connect("")
	if _, err := a.Conn.Write(ws.MustCompileFrame(ws.NewTextFrame([]byte("{}")))); err != nil { // not masked
		t.Fatal(err)
	}
	a.ends(1002)
}

// TestAPingIsAnswered, and its words come back.
func TestAPingIsAnswered(t *testing.T) {
	w := newWorld(t)
	a := w.join("ann").connect("")
	if err := a.Frame(ws.NewPingFrame([]byte("there?"))); err != nil {
		t.Fatal(err)
	}
	want := ws.MustCompileFrame(ws.NewPongFrame([]byte("there?")))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(a.Conn, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAFloodOfCommandsIsRefused, and ends the connection if it goes on.
func TestAFloodOfCommandsIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.join("ann").connect("")
	flood := bytes.Repeat(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"ping"}`)))), 10_000) // a busy machine is hardly quicker than the rate
	go func() { _, _ = a.Conn.Write(flood) }()
	pongs, refused := 0, 0
	for {
		e, err := a.Next(patience)
		if err != nil {
			break
		}
		switch e.Type {
		case "pong":
			pongs++
		case "error":
			if refused++; !strings.Contains(string(e.JSON), `"code":10429`) {
				t.Error(string(e.JSON))
			}
		}
	}
	if a.Closed != 1008 || pongs < 200 || refused < 200 {
		t.Errorf("closed with %d after %d pongs and %d refusals", a.Closed, pongs, refused)
	}
}

// TestAUserHasOnlySoManySockets.
func TestAUserHasOnlySoManySockets(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.StartWithin = time.Hour })
	ann := w.join("ann")
	for range 100 {
		ann.connect("")
	}
	w.upgrade("?token="+ann.access).refused(429, 10429)
	w.join("bob").connect("")
}

// TestSocketsThatHadNotStartedDidNotCount: a user could have any number of them.
func TestSocketsThatHadNotStartedDidNotCount(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.StartWithin = time.Hour })
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	sees := bob.connect("")
	idle := ann.dial()
	for range 99 {
		ann.dial()
	}
	until(t, "all are there", func() bool { return w.hub.Sessions(ann.id, "api") == 100 })
	w.upgrade("?token="+ann.access).refused(429, 10429)
	sees.quiet()
	if w.hub.Online([]core.UserID{ann.id})[0] {
		t.Error("who has not started is online")
	}
	bob.post("/messages/direct", fmt.Sprintf(`{"user_id":%d,"text":"Are you there?"}`, ann.id)).ok(201)
	idle.say(`{"type":"start"}`)
	idle.has("ready", `"unread":1`)
	idle.quiet()
}

// TestManySocketsAtOncePassedTheLimit: each was counted before the others were there.
func TestManySocketsAtOncePassedTheLimit(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.StartWithin = time.Hour })
	ann := w.join("ann")
	for range 90 {
		ann.dial()
	}
	var opened sync.WaitGroup
	for range 30 {
		opened.Go(func() {
			if e, err := test.DialEvents(context.Background(), w.web.URL, test.EventsOptions{Token: ann.access}); err == nil {
				t.Cleanup(func() { _ = e.Conn.Close() })
			}
		})
	}
	opened.Wait()
	until(t, "as many as may are there", func() bool { return w.hub.Sessions(ann.id, "api") == 100 })
}

// TestASocketThatHadNotStartedOutlivedItsLogin, for as long as it said nothing.
func TestASocketThatHadNotStartedOutlivedItsLogin(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.StartWithin = time.Hour })
	ann, admin := w.join("ann"), w.admin("root")
	phone := w.login("ann")
	a, p := ann.dial(), phone.dial(compressed)
	phone.post("/auth/logout", "").ok(200)
	p.has("closing", `"code":4001`, `"reason":"revoked"`)
	p.ends(4001)
	admin.post(fmt.Sprintf("/admin/users/%d/ban", ann.id), "").ok(200)
	a.has("closing", `"code":4001`)
	a.ends(4001)
}

// until waits for a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestEventsOverTLS, on a connection of HTTP/1.1; one of HTTP/2 is told.
func TestEventsOverTLS(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	secure := httptest.NewUnstartedServer(w)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	a, err := test.DialEvents(t.Context(), secure.URL, test.EventsOptions{
		Token: ann.access, Deflate: true, Dialer: ws.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}},
	})
	w.must(err)
	s := &socket{a, t, w.events}
	s.say(`{"type":"start"}`)
	s.until("ready")
	text := strings.Repeat("over TLS ", 3000)
	bob.post("/conversations/1/messages", fmt.Sprintf(`{"text":%q}`, text)).ok(201)
	s.has("message.new", text)
	s.say(`{"type":"send","conversation_id":1,"text":%q}`, text)
	for _, e := range []string{s.next().Type, s.next().Type} {
		if e != "sent" && e != "message.new" {
			t.Error(e)
		}
	}
	w.check(a.Hangup())

	resp, err := secure.Client().Get(secure.URL + api.EventsPath + "?token=" + ann.access)
	w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(body), "HTTP/1.1") {
		t.Errorf("%s %s: %s", resp.Proto, resp.Status, body)
	}
}

// TestWhatComesTooEarlyIsTakenAllTheSame: a client sends its first command before it knows that it may.
func TestWhatComesTooEarlyIsTakenAllTheSame(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.web.URL, "http://"))
	w.must(err)
	defer conn.Close()
	request := "GET " + api.EventsPath + "?token=" + ann.access + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"ping","ref":"early"}`))))
	_, err = conn.Write(append([]byte(request), frame...))
	w.must(err)
	w.must(conn.SetReadDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	w.must(err)
	defer resp.Body.Close()
	var got strings.Builder
	for !strings.Contains(got.String(), `"ref":"early"`) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.WriteByte(b)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

// TestASlowReaderGetsEverythingInItsOrder, from the store what it could not take at once.
func TestASlowReaderGetsEverythingInItsOrder(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 40_000)
	for name, edit := range map[string]func(*test.EventsOptions){"plain": func(*test.EventsOptions) {}, "compressed": compressed} {
		before := w.lagging()
		b := bob.connect("", edit)
		a := ann.connect("")
		const messages, atOnce = 150, 10 // more than the kernel takes
		for i := range messages {
			for j := range noise { // which nothing makes shorter than three quarters
				noise[j] = byte(rnd.Uint32())
			}
			a.say(`{"type":"send","conversation_id":1,"client_id":"%s %d","text":"%s"}`, name, i, base64.StdEncoding.EncodeToString(noise))
			for answered := 0; i%atOnce == atOnce-1 && answered < atOnce; { // quickly: the reader is cut when it takes nothing for long
				e := a.next()
				if e.Type == "sent" {
					answered++
				}
				if e.Type == "error" {
					t.Fatal(string(e.JSON))
				}
			}
		}
		if w.lagging() == before {
			t.Errorf("%s: the reader did not fall behind", name)
		}
		for i := range messages {
			b.has("message.new", fmt.Sprintf(`"client_id":"%s %d"`, name, i))
		}
		b.quiet()
	}
}

// lagging returns how often sockets fell behind.
func (w *world) lagging() string {
	r := httptest.NewRecorder()
	w.gateway.Metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(r.Body.String()) {
		if strings.HasPrefix(line, `parley_session_lagging_total{gateway="api"}`) {
			return line
		}
	}
	w.t.Fatal("there is no such metric")
	return ""
}

// FuzzCommand: whatever is sent is answered, and nothing breaks.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		`{"type":"start","positions":[{"conversation_id":1,"seq":0,"change":0}],"contacts_version":1}`, `{"type":"start","positions":[{"conversation_id":1,"seq":-5,"change":-1}]}`,
		`{"type":"send","conversation_id":1,"client_id":"a","text":"b","reply_to":1,"file_id":1}`, `{"type":"send","user_id":-1,"text":"b"}`,
		`{"type":"typing","conversation_id":-1}`, `{"type":"read","conversation_id":1,"seq":99999999999}`, `{"type":"ping","ref":"\u0000"}`, `{`, `null`, `[]`,
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	ann := w.join("ann")
	f.Fuzz(func(t *testing.T, command string) {
		command = strings.ToValidUTF8(command, "?")
		if len(command) > 60<<10 {
			return
		}
		e, err := test.DialEvents(context.Background(), w.web.URL, test.EventsOptions{Token: ann.access})
		if err != nil {
			t.Fatal(err)
		}
		s := &socket{e, t, w.events}
		s.say("%s", command)
		s.say(`{"type":"ping","ref":"last"}`)
		for {
			e := s.event()
			if strings.Contains(string(e.JSON), `"code":10500`) {
				t.Errorf("%s: %s", command, e.JSON)
			}
			if e.Type == "pong" && strings.Contains(string(e.JSON), `"ref":"last"`) {
				break
			}
		}
		if err := e.Hangup(); err != nil {
			t.Error(err)
		}
	})
}
