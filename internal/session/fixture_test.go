package session_test

import (
	"context"
	"net"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	ann core.UserID = 1001
	bob core.UserID = 1002
	cyd core.UserID = 1003

	roomA core.ConversationID = 10
	roomB core.ConversationID = 11
)

func as(uid core.UserID) core.Actor { return core.NewActor(core.User{ID: uid, Name: "u", Epoch: 1}) }

// bench is a world with one gateway that listens.
type bench struct {
	*line.World
	gw   *line.Gateway
	addr string
}

func newBench(t *testing.T, g *line.Gateway) *bench {
	t.Helper()
	return newBenchWith(t, g, line.Options{})
}

func newBenchWith(t *testing.T, g *line.Gateway, opts line.Options) *bench {
	t.Helper()
	w := line.NewWorld(t, opts)
	w.AddUsers(ann, bob, cyd)
	w.AddRoom(roomA, ann, bob, cyd)
	w.AddRoom(roomB, ann, bob, cyd)
	return &bench{w, g, w.Listen(g, as)}
}

func (b *bench) dial() *line.Client {
	b.Helper()
	conn, err := net.Dial("tcp", b.addr)
	b.Check(err)
	b.Cleanup(func() { _ = conn.Close() })
	b.Check(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	return line.NewClient(conn)
}

func (b *bench) login(uid core.UserID) *line.Client {
	b.Helper()
	c := b.dial()
	login(b, c, uid)
	return c
}

func login(t testing.TB, c *line.Client, uid core.UserID) {
	t.Helper()
	c.Must(t, "login "+itoa(int64(uid)))
	c.Expect(t, "welcome "+itoa(int64(uid)))
}

// session returns the user's session; their client has been welcomed.
func (b *bench) session(uid core.UserID) *session.Session {
	b.Helper()
	s := b.Hub.Find(uid, b.gw.Profile)
	if s == nil {
		b.Fatalf("user %d has no session", uid)
	}
	return s
}

// got returns how far a user's clients have confirmed a conversation whose last message is last.
func (b *bench) got(uid core.UserID, conv core.ConversationID, last core.Seq) core.Seq {
	b.Helper()
	behind, err := b.Chat.Behind(context.Background(), uid, b.gw.Profile.Gateway)
	b.Check(err)
	for _, p := range behind {
		if p.Conversation == conv {
			return p.Seq
		}
	}
	return last
}

// until waits for a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// reset makes a connection end with a TCP reset.
func reset(t testing.TB, c *line.Client) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// post posts a message to a room and returns after its publication.
func (b *bench) post(from core.UserID, room core.ConversationID, texts ...string) {
	b.Helper()
	done := make(chan error, 1)
	var drafts []chat.Draft
	for _, t := range texts {
		drafts = append(drafts, chat.Draft{Text: t})
	}
	b.Check(b.Chat.Post(context.Background(), as(from), chat.Post{
		To: chat.Target{Room: room}, Origin: "test", Retry: chat.RetryRecent, Drafts: drafts,
	}, func(_ []core.Message, err error) { done <- err }))
	b.Check(<-done)
}
