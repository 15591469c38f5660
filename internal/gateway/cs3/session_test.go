package cs3_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/gateway/cs3"
)

// TestDeadOlderConnectionGivesWay: the older connection's peer acknowledges nothing, since its window is full and nobody
// reads. The newer login waits for that and goes through.
func TestDeadOlderConnectionGivesWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("alice")
	w.add("bob")
	small, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.serve(smallBuffers{small})
	conn, err := net.Dial("tcp", small.Addr().String())
	w.must(err)
	w.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	dead := newClient(t, conn)
	dead.login("alice")
	bob := w.online("bob")
	for range 20 {
		bob.say(strings.Repeat("x", 50_000))
	}
	newer := w.dial()
	newer.name = "alice"
	newer.login("alice")
	w.eventually("two sessions are left", func() bool { return w.hub.Connections() == 2 })
	bob.say("anybody?")
	newer.expect(said("bob", "anybody?"))
	newer.say("yes")
	bob.expect(said("alice", "yes"))
}

// TestDeadOlderConnectionDoesNotStopHTTP is the same over HTTP, for two logins at once.
func TestDeadOlderConnectionDoesNotStopHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("alice")
	w.add("bob")
	small, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.serve(smallBuffers{small})
	conn, err := net.Dial("tcp", small.Addr().String())
	w.must(err)
	w.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	newClient(t, conn).login("alice")
	bob := w.online("bob")
	for range 20 {
		bob.say(strings.Repeat("x", 50_000))
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if status, body := w.request("POST", "/api/login", "", `{"username":"alice","password":"secret"}`); status != 200 {
				t.Error(status, body)
			}
		})
	}
	both.Wait()
	w.eventually("bob's session is left", func() bool { return w.hub.Connections() == 1 })
}

// smallBuffers makes the kernel hold little of what a peer does not read.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

// TestOneOfManyLoginsWins: of the connections that log in at once exactly one is online, and it stays. They are no more
// than the wrong passwords that are free, since each attempt counts as one until its password is found right.
func TestOneOfManyLoginsWins(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	var wg sync.WaitGroup
	answers := make([]string, 5)
	clients := make([]*client, len(answers))
	for i := range clients {
		clients[i] = w.dial()
		wg.Go(func() {
			clients[i].send(loginObject("alice", password))
			for {
				object, err := clients[i].next()
				if err != nil || object != ping {
					answers[i] = object
					return
				}
			}
		})
	}
	wg.Wait()
	won := -1
	for i, a := range answers {
		switch {
		case strings.Contains(a, `"status":"success"`) && won < 0:
			won = i
		case a != alreadyIn:
			t.Errorf("answer %d: %s", i, a)
		}
	}
	if won < 0 {
		t.Fatal("nobody won")
	}
	winner := clients[won]
	winner.send(heartbeatObject(tokenIn(answers[won])))
	for {
		object := winner.read()
		if object != ping {
			winner.equal(object, beating)
			break
		}
	}
}

func TestLoginAgainAfterHangingUp(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	for range 3 {
		c := w.online("alice")
		c.say("hello")
		c.conn.Close()
	}
}

// TestTokenExpires moves a token's dates instead of the clock.
func TestTokenExpires(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	age := func(used, left time.Duration) {
		now := time.Now()
		w.exec(`UPDATE token SET used_at = ?, expires_at = ?`, now.Add(-used).UnixMilli(), now.Add(left).UnixMilli())
	}
	lives := func() time.Duration {
		var expires int64
		w.scan(`SELECT expires_at FROM token`, &expires)
		return time.Until(time.UnixMilli(expires)).Round(time.Minute)
	}
	if got := lives(); got != time.Hour {
		t.Errorf("a new token lives %v", got)
	}
	uses := map[string]func(){
		"heartbeat": func() { c.send(heartbeatObject(c.token)); c.expect(beating) },
		"chat":      func() { c.say("hello") },
		"HTTP": func() {
			if status, body := w.request("POST", "/api/chat", c.token, `{"message":"hello"}`); status != 200 {
				t.Error(status, body)
			}
			c.expect(said("alice", "hello"))
		},
	}
	for name, use := range uses {
		age(30*time.Second, 20*time.Minute)
		if use(); lives() != 20*time.Minute {
			t.Errorf("%s wrote the token twice within a minute: it lives %v", name, lives())
		}
		age(50*time.Minute, 10*time.Minute)
		if use(); lives() != time.Hour {
			t.Errorf("after %s the token lives %v", name, lives())
		}
	}
	age(time.Hour, -time.Second)
	c.send(heartbeatObject(c.token) + chatObject(c.token, "hello"))
	c.expect(notBeating, badToken)
	if status, body := w.request("POST", "/api/chat", c.token, `{"message":"hello"}`); status != 401 {
		t.Error(status, body)
	}
	c.send(loginObject("alice", password))
	c.expect(alreadyIn)
}

// TestSilence: who says nothing is cut off, who beats stays, and who does not log in is cut off all the same.
func TestSilence(t *testing.T) {
	t.Parallel()
	const silence, tick = 2 * time.Second, 500 * time.Millisecond
	w := newWorld(t, func(c *cs3.Config) { c.Silence = silence })
	for _, name := range []string{"quiet", "lively"} {
		w.add(name)
	}
	stranger, quiet, lively := w.dial(), w.online("quiet"), w.online("lively")
	start := time.Now()
	var gone sync.WaitGroup
	gone.Go(quiet.ended)
	gone.Go(func() {
		for {
			if _, err := stranger.next(); err != nil {
				return
			}
		}
	})
	all := make(chan struct{})
	go func() { gone.Wait(); close(all) }()
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	for {
		lively.send(heartbeatObject(lively.token))
		lively.expect(beating)
		_, _ = stranger.conn.Write([]byte(heartbeatObject("")))
		select {
		case <-beat.C:
		case <-all:
			if after := time.Since(start); after < silence-tick {
				t.Errorf("cut off after %v", after)
			}
			lively.say("still here")
			return
		}
	}
}

// TestHeartbeatOverAnotherConnection: a heartbeat is for the user's connection, whichever way it comes.
func TestHeartbeatOverAnotherConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *cs3.Config) { c.Silence = time.Second })
	w.add("alice")
	c := w.online("alice")
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
		other := w.dial()
		other.send(heartbeatObject(c.token))
		other.expect(beating)
		other.conn.Close()
	}
	c.say("still here")
}

// TestGracefulStop: what was sent is answered, then everybody is told.
func TestGracefulStop(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c, stranger := w.online("alice"), w.dial()
	stranger.send(`{"type":"heartbeat"}`)
	stranger.expect(notBeating)
	c.say("hello")
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	for _, c := range []*client{c, stranger} {
		c.expect(`{"type":"error","status":"error","message":"Server is shutting down"}`)
		c.ended()
		c.conn.Close()
	}
	<-stopped
}

func TestRevoked(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	operator, from := w.accounts.Operator(), core.Origin{Gateway: "test"}
	w.must(w.accounts.SetDisabled(context.Background(), operator, from, "alice", true))
	c.expect(`{"type":"error","status":"error","message":"Password changed or account disabled"}`)
	c.ended()
	if status, body := w.request("POST", "/api/chat", c.token, `{"message":"hello"}`); status != 401 {
		t.Error(status, body)
	}
	other := w.dial()
	other.send(loginObject("alice", password) + loginObject("alice", "wrong"))
	other.expect(`{"type":"login","status":"error_0","message":"The account is disabled"}`, badPassword)
	status, body := w.request("POST", "/api/login", "", loginObject("alice", password))
	if status != 401 || body != `{"type":"login_0","status":"error","message":"The account is disabled"}` {
		t.Error(status, body)
	}
}

// TestFromTheWrongSide: what somebody may not do, they cannot do.
func TestFromTheWrongSide(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.add("alice"), w.add("bob")
	foreign, err := w.accounts.IssueToken(context.Background(), alice, account.TokenKind{Name: "llfc", TTL: time.Hour})
	w.must(err)
	b := w.online("bob")

	// The token of another protocol opens nothing here.
	b.send(chatObject(foreign, "hello") + heartbeatObject(foreign))
	b.expect(badToken, notBeating)
	if status, body := w.request("POST", "/api/chat", foreign, `{"message":"hello"}`); status != 401 {
		t.Error(status, body)
	}
	// Whoever is logged in has still to show the token; a name in the object is nothing.
	b.send(`{"type":"chat","message":"hello","user":"bob","username":"bob"}`)
	b.expect(`{"type":"chat","status":"error_Mt","message":"Missing token"}`)
	// A good token does not speak while its user has no connection.
	other := w.dial()
	_, body := w.request("POST", "/api/login", "", loginObject("alice", password))
	aliceToken := tokenIn(body)
	other.send(chatObject(aliceToken, "hello") + heartbeatObject(aliceToken))
	other.expect(notLoggedIn, notBeating)
	b.send(chatObject(aliceToken, "hello"))
	b.expect(notLoggedIn)
	// Nobody who is not logged in hears anything.
	b.say("secret of the lobby")
	other.send(heartbeatObject(""))
	other.expect(notBeating)
	// What was said came from whom it says.
	var sender int64
	w.scan(`SELECT sender_id FROM message`, &sender)
	if core.UserID(sender) != bob.User() {
		t.Errorf("the message is by %d", sender)
	}
}

// TestTokenOnAnotherConnection: the token says who speaks, not the connection. The answer goes to who asked.
func TestTokenOnAnotherConnection(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	w.add("bob")
	alice, bob, stranger := w.online("alice"), w.online("bob"), w.dial()
	stranger.send(chatObject(alice.token, "one"))
	stranger.expect(posted)
	alice.expect(said("alice", "one"))
	bob.expect(said("alice", "one"))
	bob.send(chatObject(alice.token, "two"))
	bob.expect(said("alice", "two"), posted)
	alice.expect(said("alice", "two"))
}

// TestWrongPasswordsAreSlowed: the answer says for how long.
func TestWrongPasswordsAreSlowed(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.dial()
	for range 5 {
		c.send(loginObject("alice", "wrong"))
		c.expect(badPassword)
	}
	c.send(loginObject("alice", password))
	if got := c.read(); !strings.HasPrefix(got, `{"type":"login","status":"error_0","message":"Too many attempts, try again in `) {
		t.Error(got)
	}
	if status, body := w.request("POST", "/api/login", "", loginObject("alice", password)); status != 429 || !strings.HasPrefix(body, `{"type":"login_0","status":"error","message":"Too many attempts, try again in `) {
		t.Error(status, body)
	}
}

// TestCrowd: two hundred clients at once; everybody hears everything in one order, and costs one goroutine when idle.
func TestCrowd(t *testing.T) {
	const people, talkers = 200, 20
	w := newWorld(t)
	w.add("u0")
	var hash string
	w.scan(`SELECT password FROM "user"`, &hash)
	for i := 1; i < people; i++ {
		name := fmt.Sprint("u", i)
		w.exec(`INSERT INTO "user" (uid, name, name_key, password, created_at) VALUES (?, ?, ?, ?, 1)`, 5000+i, name, name, hash)
		w.must(w.chat.JoinLobby(context.Background(), core.UserID(5000+i)))
	}
	before := w.goroutines.Running()
	clients := make([]*client, people)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range clients {
		clients[i] = w.dial()
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			clients[i].login(fmt.Sprint("u", i))
		})
	}
	wg.Wait()
	w.eventually("one goroutine each", func() bool { return w.goroutines.Running() == before+people })
	for i := range talkers {
		c := clients[i*7]
		wg.Go(func() { c.send(chatObject(c.token, "from "+c.name)) })
	}
	heard := make([]string, people)
	for i, c := range clients {
		wg.Go(func() {
			for n := 0; n < talkers; {
				if object := c.read(); object != posted {
					heard[i] += object
					n++
				}
			}
		})
	}
	wg.Wait()
	for i := range heard {
		if heard[i] != heard[0] {
			t.Fatalf("client %d heard something else than the first one", i)
		}
	}
}

// TestForeignHeartbeatConfirmsNothing: who is heard on another connection has not got what was sent on their own.
func TestForeignHeartbeatConfirmsNothing(t *testing.T) {
	w := newWorld(t, func(c *cs3.Config) { c.Replay = true })
	w.add("alice")
	w.add("bob")
	alice, bob := w.online("alice"), w.online("bob")
	alice.say("is bob there?")
	bob.expect(said("alice", "is bob there?"))
	for range 3 {
		other := w.dial()
		other.send(heartbeatObject(bob.token))
		other.expect(beating)
		other.conn.Close()
	}
	if err := bob.conn.(*net.TCPConn).SetLinger(0); err != nil { // he is gone without a word
		t.Fatal(err)
	}
	bob.conn.Close()
	bob = w.online("bob")
	bob.expect(said("alice", "is bob there?"))
}

// TestReplay: with it, a session begins with what was missed, once.
func TestReplay(t *testing.T) {
	w := newWorld(t, func(c *cs3.Config) { c.Replay = true })
	w.add("alice")
	w.add("bob")
	alice, bob := w.online("alice"), w.online("bob")
	// has waits until the server knows that bob has the first n messages, and lets him go.
	has := func(n int) {
		t.Helper()
		w.eventually(fmt.Sprint("bob has ", n), func() bool {
			bob.send(heartbeatObject(bob.token))
			bob.expect(beating)
			var got int
			w.scan(`SELECT COALESCE(max(seq), 0) FROM cursor JOIN "user" ON uid = user_id WHERE name = 'bob' AND gateway = 'cs3'`, &got)
			return got == n
		})
		bob.conn.Close()
	}
	alice.say("before")
	bob.expect(said("alice", "before"))
	has(1)
	for i := range 30 {
		alice.say(fmt.Sprint("missed ", i))
	}
	bob = w.online("bob")
	for i := range 30 {
		bob.expect(said("alice", fmt.Sprint("missed ", i)))
	}
	bob.say("thanks")
	has(32)
	bob = w.online("bob")
	bob.say("again")
}

// TestNotices: of what this protocol cannot show, a client is told that it happened, and no more.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.add("alice"), w.add("bob")
	notice := func(line string) string {
		return fmt.Sprintf(`{"type":"chat","user":"parley notice","message":%q,"avatar":"/avatar/default/default_avatar.png"}`, line)
	}
	a, b := w.online("alice"), w.online("bob")
	ctx := context.Background()
	w.must(w.contacts.Request(ctx, alice, bob.User(), "let me in"))
	b.expect(notice("alice asks to be your friend; this client cannot answer"))
	_, err := w.contacts.Accept(ctx, bob, alice.User(), "")
	w.must(err)
	done := make(chan error, 1)
	w.must(w.chat.Post(ctx, alice, chat.Post{To: chat.Target{User: bob.User()}, Origin: "llfc", Drafts: []chat.Draft{{Text: "between us"}}},
		func(_ []core.Message, err error) { done <- err }))
	w.must(<-done)
	b.expect(notice("alice sent you a direct message; this client cannot show it"))
	a.say("in public")
	b.expect(said("alice", "in public"))
}

// TestLLFCUsersAreHeard: an account of another family of clients speaks and logs in here.
func TestLLFCUsersAreHeard(t *testing.T) {
	w := newWorld(t)
	alice := w.add("老王")
	w.exec(`UPDATE "user" SET avatar = 'a b.png' WHERE uid = ?`, int64(alice.User()))
	w.add("bob")
	b := w.online("bob")
	_, actor, err := w.accounts.Login(context.Background(), core.Origin{Gateway: "test"}, "老王", account.Secret{Text: password})
	w.must(err)
	w.must(w.chat.Post(context.Background(), actor, chat.Post{
		To: chat.Target{Room: core.Lobby}, Origin: "llfc", Retry: chat.RetryRecent,
		Drafts: []chat.Draft{{ClientID: "1", Text: "one"}, {ClientID: "2", Text: "two"}},
	}, func([]core.Message, error) {}))
	for _, text := range []string{"one", "two"} {
		b.expect(`{"type":"chat","user":"老王","message":"` + text + `","avatar":"/avatar/%E8%80%81%E7%8E%8B/a%20b.png"}`)
	}
	// They log in here as well, also by their uid.
	c := w.dial()
	c.send(loginObject(fmt.Sprint(alice.User()), password))
	if got := c.read(); !strings.HasSuffix(got, `"username":"老王","avatar":"/avatar/%E8%80%81%E7%8E%8B/a%20b.png"}`) {
		t.Error(got)
	}
}
