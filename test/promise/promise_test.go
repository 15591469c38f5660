// Package promise tests the delivery promise with clients that check themselves: they join, drop, hang, read slowly and
// send again at random, and in the end what each of them has heard must be what the store holds.
package promise

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

// size is how large a run is.
type size struct {
	users, rooms, members int
	posting               time.Duration
	pause                 time.Duration // between a client's posts, on the average
}

func TestEveryViewEndsEqualToTheStore(t *testing.T) {
	of := size{users: 120, rooms: 16, members: 12, posting: 2 * time.Second, pause: 15 * time.Millisecond}
	if os.Getenv("SOAK") != "" {
		of = size{users: 300, rooms: 40, members: 20, posting: time.Minute, pause: 40 * time.Millisecond}
	}
	seed := rand.Uint64()
	if _, err := fmt.Sscan(os.Getenv("SEED"), &seed); err == nil {
		t.Log("the seed is given")
	}
	t.Logf("SEED=%d", seed)
	c := newCity(t, seed, of)
	c.live()
	c.checkStore()
	for _, d := range c.devices {
		d.check()
	}
	t.Logf("%d clients, %d messages, %d heard, %d connections (%v), %d posts sent again, fell behind %v times",
		len(c.devices), c.stored.Load(), c.heard.Load(), c.connections.Load(), c.drops(), c.again.Load(),
		c.Metric(`parley_session_lagging_total{gateway="alpha"}`)+c.Metric(`parley_session_lagging_total{gateway="beta"}`))
}

// city is a server and its clients.
type city struct {
	*line.World
	of        size
	seed      uint64
	addr      [2]string // of the gateways
	users     []core.UserID
	rooms     map[core.UserID][]core.ConversationID
	devices   []*device
	lobbyLeft atomic.Int64 // fewer posts than the lobby replays
	deadline  time.Time    // of the posting

	stored, heard, connections, again atomic.Int64
	dropped                           [len(dropNames)]atomic.Int64

	store map[core.ConversationID]*conversation
}

// conversation is a conversation as the store has it in the end.
type conversation struct {
	direct   bool
	joined   map[core.UserID]core.Seq
	messages []message // the first has number 1
}

type message struct {
	author core.UserID
	id     string
}

var gateways = [2]core.Gateway{"alpha", "beta"}

func newCity(t *testing.T, seed uint64, of size) *city {
	t.Helper()
	c := &city{World: line.NewWorld(t, line.Options{}), of: of, seed: seed, rooms: map[core.UserID][]core.ConversationID{}}
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range of.users {
		c.users = append(c.users, core.UserID(1001+i))
	}
	early := c.users[:of.users*4/5]
	c.AddUsers(early...)
	for r := range of.rooms {
		id := core.ConversationID(100 + r)
		var members []core.UserID
		for _, i := range rnd.Perm(of.users)[:of.members] {
			members = append(members, c.users[i])
			c.rooms[c.users[i]] = append(c.rooms[c.users[i]], id)
		}
		c.AddRoom(id, members...)
	}
	c.lobbyLeft.Store(150)
	as := func(u core.UserID) core.Actor { return core.NewActor(core.User{ID: u, Name: fmt.Sprint("u", u)}) }
	rules := [2]chat.RetryRule{chat.RetryForever, chat.RetryRecent}
	for i, name := range gateways {
		c.addr[i] = c.Listen(&line.Gateway{
			Rivalry: session.NewerWins, Retry: rules[i], SendBuffer: 16 << 10,
			Profile: &session.Profile{Gateway: name, CatchUp: true, QueueBytes: 8 << 10, Codec: line.Codec{SkipOwn: i == 0}},
		}, as)
	}
	for i, u := range c.users {
		for g := range gateways {
			if rnd.IntN(3) > 0 || g == i%2 {
				c.devices = append(c.devices, newDevice(c, u, g, i >= len(early)))
			}
		}
	}
	return c
}

// live lets the clients live until everybody has everything, or time is up.
func (c *city) live() {
	c.Helper()
	c.deadline = time.Now().Add(c.of.posting)
	var posting, all sync.WaitGroup
	complete := make(chan struct{})
	newcomers := make(chan struct{})
	for _, d := range c.devices {
		posting.Add(1)
		all.Go(func() {
			if d.late {
				<-newcomers
			}
			d.live()
			posting.Done()
			d.stay(complete)
		})
	}
	time.AfterFunc(c.of.posting/3, func() {
		defer close(newcomers)
		c.AddUsers(c.users[c.of.users*4/5:]...)
	})
	posting.Wait()
	c.load()
	giveUp := time.Now().Add(20 * time.Second)
	for _, d := range c.devices {
		for len(d.missing()) > 0 && time.Now().Before(giveUp) {
			time.Sleep(time.Millisecond)
		}
	}
	close(complete)
	all.Wait()
}

// load reads the store.
func (c *city) load() {
	c.Helper()
	c.store = map[core.ConversationID]*conversation{}
	ctx := c.Context()
	rows, err := c.DB.Query(ctx, `SELECT c.id, c.kind = 1, m.user_id, m.joined_seq FROM conversation c JOIN member m ON m.conversation_id = c.id`)
	c.Check(err)
	for rows.Next() {
		var id core.ConversationID
		var direct bool
		var user core.UserID
		var joined core.Seq
		c.Check(rows.Scan(&id, &direct, &user, &joined))
		if c.store[id] == nil {
			c.store[id] = &conversation{direct: direct, joined: map[core.UserID]core.Seq{}}
		}
		c.store[id].joined[user] = joined
	}
	c.Check(rows.Err())
	rows, err = c.DB.Query(ctx, `SELECT conversation_id, seq, sender_id, client_id, text FROM message ORDER BY conversation_id, seq`)
	c.Check(err)
	for rows.Next() {
		var conv core.ConversationID
		var seq core.Seq
		var m message
		var text string
		c.Check(rows.Scan(&conv, &seq, &m.author, &m.id, &text))
		k := c.store[conv]
		k.messages = append(k.messages, m)
		if seq != core.Seq(len(k.messages)) {
			c.Fatalf("conversation %d: number %d stands in place %d", conv, seq, len(k.messages))
		}
		if text != textOf(m.author, m.id) {
			c.Errorf("message %s of %d is stored as %.40q", m.id, m.author, text)
		}
		c.stored.Add(1)
	}
	c.Check(rows.Err())
}

// checkStore checks that every post is stored exactly once, under the number that was acknowledged.
func (c *city) checkStore() {
	c.Helper()
	type key struct {
		author core.UserID
		id     string
	}
	at := map[key]core.Seq{}
	for conv, k := range c.store {
		if last := c.Int(`SELECT last_seq FROM conversation WHERE id = ?`, int64(conv)); last != int64(len(k.messages)) {
			c.Errorf("conversation %d has %d messages, its head is %d", conv, len(k.messages), last)
		}
		for i, m := range k.messages {
			if at[key(m)] != 0 {
				c.Errorf("message %s of %d is stored twice", m.id, m.author)
			}
			at[key(m)] = core.Seq(i + 1)
		}
	}
	for _, d := range c.devices {
		for id, p := range d.posts {
			if len(p.acked) == 0 {
				c.Errorf("client %v: post %s was never acknowledged", d, id)
			}
			for _, seq := range p.acked {
				if seq != at[key{d.user, id}] {
					c.Errorf("client %v: post %s was acknowledged as %d, it is %d", d, id, seq, at[key{d.user, id}])
				}
			}
			delete(at, key{d.user, id})
		}
	}
	for k := range at {
		c.Errorf("message %s of %d was never posted", k.id, k.author)
	}
}

func (c *city) drops() (s string) {
	for i, name := range dropNames {
		s += fmt.Sprintf(" %s %d", name, c.dropped[i].Load())
	}
	return s[1:]
}
