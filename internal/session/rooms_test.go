package session_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

// den makes a room that ann owns.
func (b *bench) den() core.ConversationID {
	b.Helper()
	r, err := b.Chat.CreateRoom(context.Background(), as(ann), chat.RoomForm{Name: "den", Public: true})
	b.Check(err)
	return r.ID
}

func (b *bench) joins(uid core.UserID, id core.ConversationID) {
	b.Helper()
	_, err := b.Chat.Join(context.Background(), as(uid), id)
	b.Check(err)
}

func (b *bench) leaves(uid core.UserID, id core.ConversationID) {
	b.Helper()
	b.Check(b.Chat.Leave(context.Background(), as(uid), id))
}

func TestARoomIsHeardFromJoiningToLeaving(t *testing.T) {
	for _, catchUp := range []bool{true, false} {
		b := newBench(t, &line.Gateway{
			Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", CatchUp: catchUp, AllRooms: true},
		})
		id := b.den()
		one, two := b.login(bob), b.login(bob)
		b.post(ann, id, "before")
		b.joins(bob, id)
		b.post(ann, id, "in", "still in")
		b.leaves(bob, id)
		b.post(ann, id, "away")
		b.joins(bob, id)
		b.post(ann, id, "back")
		for _, c := range []*line.Client{one, two} {
			c.Expect(t, fmt.Sprintf("joined %d 1002", id))
			hears(t, c, id, 2, 2)
			c.Expect(t, fmt.Sprintf("left %d 1002", id), fmt.Sprintf("joined %d 1002", id))
			hears(t, c, id, 5, 1)
			c.Must(t, "ping x")
			c.Expect(t, "pong x")
		}
	}
}

// Clients that are shown only some rooms are not shown those that their user joins.
func TestSomeHearOnlyWhatTheirGatewayChose(t *testing.T) {
	b := newBench(t, &line.Gateway{Profile: &session.Profile{Gateway: "line"}})
	id := b.den()
	c := b.login(bob)
	b.joins(bob, id)
	b.post(ann, id, "not for this one")
	c.Must(t, "ping x")
	c.Expect(t, "pong x")
}

// The rooms that a login has read may be old when it is registered.
func TestRoomsThatChangeDuringALogin(t *testing.T) {
	b := newBench(t, &line.Gateway{})
	id, other := b.den(), b.den()
	b.joins(bob, other)
	conn, peer := net.Pipe()
	defer peer.Close()
	s := b.Hub.Open(b.gw.Profile, conn)
	defer s.End(false)
	rooms := []core.ConversationID{other, roomA}
	b.joins(bob, id)
	b.leaves(bob, other)
	b.Check(b.Hub.Register(s, as(bob), session.NewerWins, rooms))
	if heard := fmt.Sprint(b.Hub.Heard(s)); heard != fmt.Sprint([]core.ConversationID{roomA, id}) {
		t.Errorf("hears %s", heard)
	}
}

// A session that is behind in a room when its user leaves gets nothing more of it, and goes on elsewhere.
func TestWhoIsBehindInARoomAndLeaves(t *testing.T) {
	b := newBench(t, &line.Gateway{
		SendBuffer: 4096, Profile: &session.Profile{Gateway: "line", CatchUp: true, AllRooms: true, QueueBytes: 16 << 10},
	})
	id := b.den()
	b.joins(bob, id)
	c := b.login(bob)
	b.Check(c.Conn.(*net.TCPConn).SetReadBuffer(4096))
	text := strings.Repeat("x", 2000)
	for range 100 {
		b.post(ann, id, text)
	}
	until(t, "bob is behind", func() bool { return b.Metric(`parley_session_lagging_total{gateway="line"}`) > 0 })
	b.leaves(bob, id)
	for range 50 {
		b.post(ann, id, "secret")
	}
	b.post(ann, roomA, "the last")
	b.Check(c.Conn.(*net.TCPConn).SetReadBuffer(1 << 20))
	for {
		m := hearUntilMessage(t, c)
		if m.Conversation == roomA {
			return
		}
		if m.Text == "secret" {
			t.Fatal("heard what was said after leaving")
		}
	}
}

func hearUntilMessage(t *testing.T, c *line.Client) line.Message {
	t.Helper()
	for {
		got, err := c.Hear()
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := line.ParseMessage(got); ok {
			return m
		}
	}
}

// TestNobodyHearsARoomWhenTheyAreNotInIt has people come and go while others talk, log in and hang. Whoever is in a room
// hears all that is said from their joining on to their leaving, and nothing else.
func TestNobodyHearsARoomWhenTheyAreNotInIt(t *testing.T) {
	b := newBench(t, &line.Gateway{
		Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", AllRooms: true},
	})
	id := b.den()
	clients := make([]*line.Client, 4)
	for i := range clients {
		clients[i] = b.login(bob)
	}
	stop := make(chan struct{})
	var talking, listening sync.WaitGroup
	for range 2 {
		talking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					b.post(ann, id, strings.Repeat("x", 100+n%400))
				}
			}
		})
	}
	type span struct{ from, to core.Seq } // heard while in the room: from..to
	heard := make([][]span, len(clients))
	for i, c := range clients {
		listening.Go(func() {
			in := false
			for {
				got, err := c.Hear()
				if err != nil {
					t.Error(err)
					return
				}
				m, isMessage := line.ParseMessage(got)
				switch {
				case got == fmt.Sprintf("joined %d 1002", id):
					in, heard[i] = true, append(heard[i], span{})
				case got == fmt.Sprintf("left %d 1002", id):
					in = false
				case got == "msg       1002 10 1 1001 - the end":
					return
				case !isMessage || !in:
					t.Errorf("client %d heard %.40q, in the room: %v", i, got, in)
					return
				default:
					s := &heard[i][len(heard[i])-1]
					if s.from == 0 {
						s.from = m.Seq
					} else if m.Seq != s.to+1 {
						t.Errorf("client %d heard %d after %d", i, m.Seq, s.to)
						return
					}
					s.to = m.Seq
				}
			}
		})
	}
	const rounds = 60
	var stored []span // what was said while he was in the room
	for range rounds {
		b.joins(bob, id)
		time.Sleep(time.Millisecond) // something is said meanwhile
		stored = append(stored, span{from: core.Seq(b.Int(`SELECT joined_seq + 1 FROM member WHERE user_id = ? AND conversation_id = ?`, int64(bob), int64(id)))})
		b.Check(b.DB.Update(context.Background(), func(ctx context.Context) error { // what is last does not change before he has left
			if err := b.DB.QueryRow(ctx, `SELECT last_seq FROM conversation WHERE id = ?`, []any{int64(id)}, &stored[len(stored)-1].to); err != nil {
				return err
			}
			return b.Chat.Leave(ctx, as(bob), id)
		}))
	}
	close(stop)
	talking.Wait()
	b.post(ann, roomA, "the end")
	listening.Wait()
	for i := range clients {
		if len(heard[i]) != rounds {
			t.Fatalf("client %d was in the room %d times", i, len(heard[i]))
		}
		for r, want := range stored {
			if want.to < want.from {
				want = span{} // nothing was said
			}
			if heard[i][r] != want {
				t.Errorf("round %d: client %d heard %v of %v", r, i, heard[i][r], want)
			}
		}
	}
}
