package cs3_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/obs"
)

// pipes is a listener of connections on which each Write arrives as a segment of its own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return nil }

func (p *pipes) dial(t testing.TB) *client {
	mine, theirs := net.Pipe()
	p.conns <- theirs
	return newClient(t, mine)
}

// TestEveryCut cuts a request at each byte, also inside characters, and then sends it byte by byte.
func TestEveryCut(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	p := newPipes()
	w.serve(p)
	c := p.dial(t)
	c.login("alice")
	const text = "你好 👋 é"
	object := chatObject(c.token, text)
	for at := 1; at < len(object); at++ {
		c.send(object[:at])
		c.send(object[at:])
		c.expect(said("alice", text), posted)
	}
	for i := range len(object) {
		c.send(object[i : i+1])
	}
	c.expect(said("alice", text), posted)
	c.send(object + object + object[:70])
	c.send(object[70:] + object)
	for range 4 {
		c.expect(said("alice", text), posted)
	}
}

// TestWhatLeavesIsCompactAndJoined looks at the bytes themselves.
func TestWhatLeavesIsCompactAndJoined(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	c.send(chatObject(c.token, "一") + heartbeatObject(c.token))
	c.conn.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c.conn)
	w.must(err)
	c.equal(string(b), said("alice", "一")+posted+beating)
}

// TestAnswersBeforeTheEnd: a client may end its side right after its requests, as a script does.
func TestAnswersBeforeTheEnd(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	for i := range 20 {
		c.send(chatObject(c.token, strconv.Itoa(i)))
	}
	c.conn.(*net.TCPConn).CloseWrite()
	for i := range 20 {
		c.expect(said("alice", strconv.Itoa(i)), posted)
	}
	c.ended()
}

// TestAnswersKeepTheirOrder sends many requests at once, more than may be on their way at a time.
func TestAnswersKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	var requests strings.Builder
	var answers, want []string
	for i := range 300 {
		requests.WriteString(chatObject(c.token, fmt.Sprint("message ", i)))
		want = append(want, posted)
		if i%50 == 49 {
			requests.WriteString(heartbeatObject(c.token) + chatObject("", "") + chatObject(c.token, ""))
			want = append(want, beating, `{"type":"chat","status":"error_Mt","message":"Missing token"}`,
				`{"type":"chat","status":"error","message":"The message is empty"}`)
		}
	}
	go io.WriteString(c.conn, requests.String())
	heard := 0
	for len(answers) < len(want) {
		object := c.read()
		if strings.Contains(object, `"user"`) {
			c.equal(object, said("alice", fmt.Sprint("message ", heard)))
			heard++
			continue
		}
		answers = append(answers, object)
	}
	if heard != 300 || strings.Join(answers, "") != strings.Join(want, "") {
		t.Errorf("heard %d, answers %v", heard, answers)
	}
}

// TestGarbageInOneSegmentIsOneFault: what has arrived is dropped, though it does not fit the buffer.
func TestGarbageInOneSegmentIsOneFault(t *testing.T) {
	w := newWorld(t)
	c := w.dial()
	for range 3 {
		c.send("]" + strings.Repeat(`{"type":"heartbeat"}`, 1500))
		c.expect(invalidJSON)
		c.send(`{"type":"heartbeat"}`)
		c.expect(notBeating)
	}
}

func TestObjectWithoutAnEnd(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	start := `{"type":"chat","token":"` + c.token + `","message":"`
	longest := strings.Repeat("x", 64<<10-len(start)-2)
	c.send(start + longest + `"}`)
	c.expect(`{"type":"chat","status":"error","message":"The message is too long"}`)
	c.send(start + strings.Repeat("x", 60_000) + `"}`)
	c.expect(said("alice", strings.Repeat("x", 60_000)), posted)
	c.send(start + longest + "xx")
	c.expect(invalidJSON)
	c.ended()
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	c := w.online("alice")
	c.send(chatObject(c.token, "@")[:len(chatObject(c.token, "@"))-3] + "a\xff\xe4\"}")
	c.expect(said("alice", "a\uFFFD\uFFFD"), posted)
	c.send(chatObject(c.token, "?")[:len(chatObject(c.token, "?"))-3] + "\\ud83d!\"}")
	c.expect(said("alice", "\uFFFD!"), posted)
	c.send("\xef\xbb\xbf{}")
	c.expect(invalidJSON)
}

// FuzzConn sends anything in two pieces; all that comes back is JSON objects, and the connection ends.
func FuzzConn(f *testing.F) {
	w := newWorld(f)
	w.add("alice")
	for _, request := range []string{
		`{"type":"register","username":"alice","password":"secret","avatar":"alice.png"}`,
		loginObject("alice", password) + `{"type":"chat","token":"0f8c2b7e6a9d4c51b3e07f6d2a184c90","message":"hello"}`,
		`{"type":"heartbeat","token":"0f8c2b7e6a9d4c51b3e07f6d2a184c90"}{"type":"heartbeat"}`,
		`{"type":"register","username":"1","password":"secret"}hello`,
		"\xff\x00{\"type\":\"chat\",\"token\":[{}]}", `}}}}}`, `{"a":{"b":[[[`,
	} {
		f.Add([]byte(request), 7)
	}
	f.Fuzz(func(t *testing.T, input []byte, at int) {
		c := w.dialIn(t)
		defer c.conn.Close()
		at = int(uint(at) % uint(len(input)+1))
		go func() {
			_, _ = c.conn.Write(input[:at])
			_, _ = c.conn.Write(input[at:])
			_ = c.conn.(*net.TCPConn).CloseWrite()
		}()
		for {
			object, err := c.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || jsontext.Value(object).Kind() != '{' {
				t.Fatalf("%q, %v", object, err)
			}
		}
		if obs.Panics() > 0 {
			t.Fatal("a panic was recovered")
		}
	})
}
