package dpc_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/gateway/dpc"
)

// TestTricklingMessagesEnd: a message that has begun must get whole in time, however steadily its bytes come.
func TestTricklingMessagesEnd(t *testing.T) {
	t.Parallel()
	const messageTime = time.Second
	w := newWorld(t, options{listen: dpc.ListenOpen, messageTime: messageTime, silence: time.Hour, stall: time.Hour})
	w.add("alice")
	whole := framed(fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"news":"%s"}`, password, strings.Repeat("x", 1000)))
	var wg sync.WaitGroup
	for _, port := range []string{"auth", "chat", "file"} {
		for _, begun := range []int{1, 14, 200} {
			c := w.dialIn(t, port)
			c.raw(whole[:begun])
			start := time.Now()
			wg.Go(func() {
				for i := begun; i < len(whole)-1; i++ { // this is the slow client
					// A write that is under way when the reset comes would be told of it, and the read below of an end.
					if port == "file" && time.Since(start) > messageTime/2 {
						break
					}
					if _, err := io.WriteString(c.Conn, whole[i:i+1]); err != nil {
						break
					}
					time.Sleep(messageTime / 50)
				}
			})
			wg.Go(func() {
				if b, err := c.Receive(); err == nil {
					t.Errorf("%s, after %d bytes: %s", port, begun, b)
				} else if port == "file" && err == io.EOF { //nolint:errorlint // an orderly end
					t.Errorf("%s, after %d bytes: the end looks orderly", port, begun)
				}
				if after := time.Since(start); after < messageTime/2 || after > 10*messageTime {
					t.Errorf("%s, after %d bytes: cut off after %v", port, begun, after)
				}
				c.Close()
			})
		}
	}
	wg.Wait()
}

// TestPatienceIsPerMessage: the time for one message does not run between messages, nor is it shared by several.
func TestPatienceIsPerMessage(t *testing.T) {
	t.Parallel()
	const messageTime = time.Second
	w := newWorld(t, options{listen: dpc.ListenOpen, messageTime: messageTime})
	w.add("alice")
	ear, c := w.connect("ear"), w.connect("speaker")
	var stream string
	for i := range 4 {
		stream += framed(fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"news":"%d"}`, password, i))
	}
	for part := range slices.Chunk([]byte(stream), len(stream)/8+1) { // from the middle of a message to the middle of the next
		c.raw(string(part))
		time.Sleep(messageTime / 3) // this is the slow client
	}
	for i := range 4 {
		ear.expect(news("alice", fmt.Sprint(i)))
	}
	ear.hearsNothing() // it has been silent for longer than a message may take
	c.hearsNothing()
}

// TestNobodyStaysNobody: a chat connection that hears nothing and never says whose it is ends; others may stay.
func TestNobodyStaysNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{loginWithin: 2 * time.Second})
	w.add("alice", "bob")
	start := time.Now()
	nobody, speaker := w.connect("nobody"), w.connect("speaker")
	sponsored := w.listener("alice")
	speaker.say(w.user("alice"), "here I am")
	sponsored.expect(news("alice", "here I am"))
	nobody.ended()
	if after := time.Since(start); after < time.Second {
		t.Errorf("cut off after %v", after)
	}
	w.eventually("the others have been there for longer", func() bool { return time.Since(start) > 5*time.Second })
	w.post("bob", "still there?")
	speaker.expect(news("bob", "still there?"))
	sponsored.expect(news("bob", "still there?"))
}

// TestConnectionsOfTheOtherPorts: what is more than the bound is closed, and there is room again when others go.
func TestConnectionsOfTheOtherPorts(t *testing.T) {
	for port, most := range map[string]int{"auth": dpc.MaxAuthIP, "chat": dpc.MaxChatIP} {
		t.Run(port, func(t *testing.T) {
			w := newWorld(t, options{})
			w.add("alice")
			conns := make([]*conn, most)
			for i := range conns {
				conns[i] = w.dial(port)
			}
			ask := map[string]string{"auth": `{"op":0,"args":{"user_name":"alice","user_pwd":"a good password"}}`, "chat": `{"op":0}`}[port]
			want := map[string]string{"auth": `{"op":0,"test":0}`, "chat": refused}[port]
			conns[most-1].send(ask)
			conns[most-1].expect(want)
			w.dial(port).ended()
			for _, c := range conns[:10] {
				c.Close()
			}
			w.eventually("there is room", func() bool {
				c := w.dial(port)
				defer c.Close()
				if _, err := io.WriteString(c.Conn, framed(ask)); err != nil {
					return false
				}
				got, err := c.Receive()
				return err == nil && string(got) == want
			})
		})
	}
}

// TestEndOfStreamMeansStored: a stop may come at any moment. Who reads the end of the stream after an upload has it stored.
func TestEndOfStreamMeansStored(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	var (
		mu     sync.Mutex // guards stored
		stored []string
		wg     sync.WaitGroup
	)
	const clients = 8
	for i := range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d-%d", i, n)
				if up(w.user("alice"), name, []byte("something")) != nil {
					return // the server stops
				}
				mu.Lock()
				stored = append(stored, name)
				mu.Unlock()
			}
		})
	}
	w.eventually("many are stored", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(stored) > 5*clients
	})
	w.gw.Stop(t.Context())
	wg.Wait()
	names := w.listed("alice")
	for _, name := range stored {
		if !slices.Contains(names, name) {
			t.Errorf("%s seems to be stored, but is not listed", name)
		}
	}
}

// TestUploadToAConnectionThatWaited: a stop, or too long a silence, ends a connection just when an upload is sent on it. That must
// not look like its acknowledgement.
func TestUploadToAConnectionThatWaited(t *testing.T) {
	t.Parallel()
	list := fmt.Sprintf(`{"op":1,"args":{"name":"alice","password":%q},"look":0}`, password)
	for name, end := range map[string]func(w *world){
		"stop":    func(w *world) { w.gw.Stop(t.Context()) },
		"silence": func(w *world) { w.eventually("silent for too long", func() bool { return w.metric(open) == 0 }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{silence: time.Second})
			w.add("alice")
			fresh, listed := w.dial("file"), w.dial("file")
			listed.send(list)
			listed.expect(`{"op":1,"exist_file":0}`)
			w.eventually("both are there", func() bool { return w.metric(open) == 2 })
			end(w)
			for _, c := range []*conn{fresh, listed} {
				upload := fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"file_name":"x","file_type":0,"file_size":"1"}`, password)
				_, sent := io.WriteString(c.Conn, framed(upload)+"x")
				if _, err := c.Receive(); sent == nil && err == io.EOF { //nolint:errorlint // an orderly end
					t.Error("it looks as if all were well")
				}
			}
			if names := w.listed("alice"); len(names) > 0 {
				t.Errorf("%q", names)
			}
		})
	}
}

const open = `parley_session_connections{gateway="dpc",state="open"}`
