package dpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/gateway/dpc"
	"parley/test/client"
)

func news(name, text string) string {
	b, _ := json.Marshal(name + ":" + text)
	return fmt.Sprintf(`{"op":0,"args":{"name":%q},"news":%s}`, name, b)
}

func (c *conn) say(d client.DPC, text string) {
	c.t.Helper()
	if err := d.Say(c.DPCConn, text); err != nil {
		c.t.Fatal(err)
	}
}

// TestWhoListens: what a connection hears before it has said who it is.
func TestWhoListens(t *testing.T) {
	for _, tt := range []struct {
		listen         string
		login, through bool // somebody logged in before, and through this gateway
		hears          bool
	}{
		{dpc.ListenLogin, false, false, false},
		{dpc.ListenLogin, true, false, false},
		{dpc.ListenLogin, true, true, true},
		{"", true, true, true},
		{dpc.ListenOpen, false, false, true},
		{dpc.ListenStrict, true, true, false},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{listen: tt.listen})
			w.add("alice", "bob")
			early := w.connect("early")
			if tt.login {
				from := core.Origin{Gateway: "cs3", IP: early.Conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr()}
				_, _, err := w.accounts.Login(context.Background(), from, "alice", account.Secret{Text: password})
				w.must(err)
			}
			if tt.through {
				if test, err := w.user("alice").Login(); test != 0 || err != nil {
					t.Fatal(test, err)
				}
			}
			c := w.connect("late")
			w.post("bob", "hello")
			if tt.hears {
				c.expect(news("bob", "hello"))
			}
			c.hearsNothing()
			if tt.listen == dpc.ListenOpen {
				early.expect(news("bob", "hello"))
			}
			early.hearsNothing()

			// A message opens the ears of those who have not listened, from then on.
			early.say(w.user("alice"), "here I am")
			if tt.hears {
				c.expect(news("alice", "here I am"))
			}
			w.eventually("the message is stored", func() bool { return w.count(`SELECT count(*) FROM message`) == 2 })
			w.post("bob", "now you hear it")
			early.expect(news("bob", "now you hear it"))
			early.hearsNothing()
		})
	}
}

func (w *world) count(query string) (n int64) {
	w.t.Helper()
	w.must(w.db.QueryRow(context.Background(), query, nil, &n))
	return n
}

// A wrong password opens nothing.
func TestBadCredentialsOpenNothing(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	bad := w.user("alice")
	bad.Password = "wrong"
	if test, err := bad.Login(); test != 1 || err != nil {
		t.Fatal(test, err)
	}
	c := w.connect("stranger")
	c.say(bad, "let me in")
	c.expect(refused)
	w.post("bob", "secret of the lobby")
	c.hearsNothing()
	if n := w.count(`SELECT count(*) FROM message`); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestEverybodyElseHears: each message reaches every connection but the one it came from, once, and in order.
func TestEverybodyElseHears(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice", "bob", "carl")
	conns := map[string]*conn{}
	for _, name := range []string{"alice", "alice 2", "bob"} {
		conns[name] = w.connect(name)
	}
	const rounds = 50
	for i := range rounds { // all at once, while nobody reads
		for name, c := range conns {
			user, _, _ := strings.Cut(name, " ")
			c.say(w.user(user), fmt.Sprintf("%s %d", name, i))
		}
		w.post("carl", fmt.Sprintf("carl %d", i))
	}
	for name, c := range conns {
		next := map[string]int{}
		for range 3 * rounds {
			_, text, err := c.Hear()
			w.must(err)
			_, text, _ = strings.Cut(text, ":")
			at := strings.LastIndexByte(text, ' ')
			if text[:at] == name || text[at+1:] != fmt.Sprint(next[text[:at]]) {
				t.Fatalf("%s hears %q, after %v", name, text, next)
			}
			next[text[:at]]++
		}
		c.hearsNothing()
	}
}

// A connection stays with who spoke first; a second user on it is heard, but gets no notices there.
func TestTwoUsersOnOneConnection(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenStrict})
	w.add("alice", "bob", "carl")
	c := w.connect("both")
	c.say(w.user("alice"), "one")
	c.say(w.user("bob"), "two")
	w.eventually("both are stored", func() bool { return w.count(`SELECT count(DISTINCT sender_id) FROM message`) == 2 })
	w.must(w.contacts.Request(context.Background(), w.actors["carl"], w.actors["bob"].User(), ""))
	c.hearsNothing()
	w.must(w.contacts.Request(context.Background(), w.actors["carl"], w.actors["alice"].User(), ""))
	c.expect(news("parley notice", "carl asks to be your friend; this client cannot answer"))
	w.disable("bob")
	c.say(w.user("bob"), "three")
	c.expect(refused)
	w.disable("alice")
	c.expect(news("parley notice", "password changed or account disabled"))
	c.ended()
}

// Who listens on somebody's account is cut off with it.
func TestRevocationEndsListening(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	c := w.listener("alice")
	w.disable("alice")
	c.expect(news("parley notice", "password changed or account disabled"))
	c.ended()
	late := w.connect("late")
	w.post("bob", "hello")
	late.hearsNothing()
}

// A new password is in force at once, although the old pair was remembered.
func TestNewPassword(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	d := w.user("alice")
	c := w.listener("alice")
	c.say(d, "hello")
	c.hearsNothing()
	w.must(w.accounts.SetPassword(context.Background(), w.accounts.Operator(), core.Origin{Gateway: "test"}, "alice", "a new password"))
	c.expect(news("parley notice", "password changed or account disabled"))
	c.ended()
	c = w.connect("again")
	c.say(d, "with the old one")
	c.expect(refused)
	if _, err := d.List(); !errors.Is(err, client.ErrDPCRefused) {
		t.Error(err)
	}
	d.Password = "a new password"
	c.say(d, "with the new one")
	w.eventually("it is stored", func() bool { return w.count(`SELECT count(*) FROM message WHERE text = 'with the new one'`) == 1 })
	c.hearsNothing()
	if n := w.count(`SELECT count(*) FROM message`); n != 2 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestRefusedMessageSaysWhoseTheConnectionIs: name and password are good, although the text is not.
func TestRefusedMessageSaysWhoseTheConnectionIs(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenStrict})
	w.add("alice", "bob")
	c := w.connect("alice")
	w.post("bob", "nobody hears this")
	c.hearsNothing()
	c.say(w.user("alice"), "")
	c.expect(refused)
	w.post("bob", "now you hear it")
	c.expect(news("bob", "now you hear it"))
	c.hearsNothing()
	if n := w.count(`SELECT count(*) FROM message`); n != 2 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestLongAndManyTexts: the longest text passes, one that is longer does not, and who sends many is not cut off.
func TestLongAndManyTexts(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	d, speaker, ear := w.user("alice"), w.connect("speaker"), w.connect("ear")
	long := strings.Repeat("长", chat.MaxText/3)
	speaker.say(d, long)
	speaker.say(d, long+"x")
	speaker.expect(refused)
	ear.expect(news("alice", long))
	const many = 1000
	go func() {
		for i := range many {
			if d.Say(speaker.DPCConn, fmt.Sprint(i)) != nil {
				return
			}
		}
	}()
	for i := range many {
		ear.expect(news("alice", fmt.Sprint(i)))
	}
	speaker.hearsNothing()
}

// A client that escapes everything that is not ASCII was cut off for a text that was not too long.
func TestAnEscapedTextIsAsLong(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	speaker, ear := w.connect("speaker"), w.connect("ear")
	text := strings.Repeat("😀", chat.MaxText/4)
	escaped := strings.Repeat(`\ud83d\ude00`, chat.MaxText/4)
	speaker.send(fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"news":"%s"}`, password, escaped))
	ear.expect(news("alice", text))
}

// Somebody behind the same address who tried passwords silenced who was already speaking.
func TestGuessersDoNotSilenceThoseWhoSpeak(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	c, ear := w.connect("alice"), w.connect("ear")
	c.say(w.user("alice"), "before")
	ear.expect(news("alice", "before"))
	guess := w.user("alice")
	for i := range 10 {
		guess.Password = fmt.Sprint("guess ", i)
		if test, err := guess.Login(); test != 1 || err != nil {
			t.Fatal(test, err)
		}
	}
	if test, err := w.user("alice").Login(); test != 1 || err != nil {
		t.Errorf("this address does not have to wait: %d, %v", test, err)
	}
	c.say(w.user("alice"), "after")
	ear.expect(news("alice", "after"))
	c.hearsNothing()
}

// What was sent before the client hung up is posted.
func TestSayAndGo(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	ear := w.connect("ear")
	c := w.connect("speaker")
	c.say(w.user("alice"), "one")
	c.say(w.user("alice"), "")
	c.say(w.user("alice"), "two")
	c.half()
	c.expect(refused)
	c.ended()
	ear.expect(news("alice", "one"), news("alice", "two"))
	w.eventually("the connection is gone", func() bool { return w.hub.Connections() == 1 })
}

// TestMessagesInPieces: however the stream is cut.
func TestMessagesInPieces(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	ear := w.connect("ear")
	c := w.connect("speaker")
	var stream string
	for i := range 3 {
		stream += framed(fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"news":"第%d"}`, password, i))
	}
	for i := range len(stream) {
		c.raw(stream[i : i+1])
	}
	for i := range 3 {
		ear.expect(news("alice", fmt.Sprintf("第%d", i)))
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{silence: time.Second, listen: dpc.ListenOpen})
	w.add("alice")
	ear, auth, files := w.connect("ear"), w.dial("auth"), w.dial("file")
	start := time.Now()
	auth.ended()
	files.broken()
	if after := time.Since(start); after < 500*time.Millisecond {
		t.Errorf("cut off after %v", after)
	}
	w.eventually("the ear has been silent for longer", func() bool { return time.Since(start) > 2*time.Second })
	w.post("alice", "still there?")
	ear.expect(news("alice", "still there?"))
}

func TestGracefulStop(t *testing.T) {
	w := newWorld(t, options{listen: dpc.ListenOpen})
	w.add("alice")
	ear, auth, files := w.connect("ear"), w.dial("auth"), w.dial("file")
	auth.send(`{"op":0,"args":{"user_name":"alice","user_pwd":"a good password"}}`)
	auth.expect(`{"op":0,"test":0}`)
	files.send(`{"op":1,"args":{"name":"alice","password":"a good password"},"look":0}`)
	files.expect(`{"op":1,"exist_file":0}`)
	done := make(chan struct{})
	go func() { w.stop(); close(done) }()
	ear.expect(news("parley notice", "the server is shutting down"))
	for _, c := range []*conn{ear, auth} {
		c.ended()
		c.Close()
	}
	files.broken()
	<-done
}
