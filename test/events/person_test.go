package events

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/test/client"
)

// person is a user with one client, over all its connections. It follows the rules of docs/protocols/api.md#events.
type person struct {
	name, url string
	uid       int64
	places    []int64
	rnd       *rand.Rand
	api       *client.API

	connections, frames int
	sent                int

	mu    sync.Mutex // guards all below; each connection has a goroutine that reads
	known map[int64]*conversation
	open  map[string]draft // by their client ids
	wrong []string
}

// draft is a message that was not answered yet.
type draft struct {
	place int64
	text  string
}

// conversation is what the client has of one.
type conversation struct {
	base     int64 // what came before is not the client's matter
	seq      int64 // of the last message
	change   int64
	messages map[int64]message
}

// message is as much of a message as is compared.
type message struct {
	ConversationID int64  `json:"conversation_id"`
	Seq            int64  `json:"seq"`
	ClientID       string `json:"client_id"`
	Text           string `json:"text"`
	Deleted        bool   `json:"deleted"`
	Change         int64  `json:"change"`
	Reactions      []struct {
		Emoji   string  `json:"emoji"`
		UserIDs []int64 `json:"user_ids"`
	} `json:"reactions"`
	Sender struct {
		UserID int64 `json:"user_id"`
	} `json:"sender"`
}

func (p *person) fault(format string, args ...any) {
	if len(p.wrong) < 20 {
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
}

// live connects, does things and drops until the time is over, or the server is gone.
func (p *person) live(deadline time.Time) {
	for time.Now().Before(deadline) {
		e, err := p.connect()
		if err != nil {
			return // the server was killed
		}
		var reading sync.WaitGroup
		reading.Go(func() { p.read(e) })
		until := time.Now().Add(time.Duration(50+p.rnd.IntN(400)) * time.Millisecond)
		for time.Now().Before(until) && p.act(e) == nil {
			time.Sleep(time.Duration(p.rnd.IntN(4)) * time.Millisecond)
		}
		if p.rnd.IntN(2) == 0 {
			_ = e.Frame(closeFrame)
		}
		_ = e.Conn.Close()
		reading.Wait()
		p.frames += e.Frames
	}
}

// connect says what the client has, and sends again what was not answered.
func (p *person) connect() (*client.Events, error) {
	e, err := client.DialEvents(background, p.url, client.EventsOptions{Token: p.api.Token, Deflate: p.rnd.IntN(2) == 0})
	if err != nil {
		return nil, err
	}
	p.connections++
	p.mu.Lock()
	positions := []map[string]int64{}
	for id, c := range p.known {
		positions = append(positions, map[string]int64{"conversation_id": id, "seq": c.seq, "change": c.change})
	}
	again := map[string]draft{}
	for id, d := range p.open {
		again[id] = d
	}
	p.mu.Unlock()
	err = e.Say(map[string]any{"type": "start", "positions": positions})
	for id, d := range again {
		if err == nil {
			err = e.Say(command(id, d))
		}
	}
	return e, err
}

func command(id string, d draft) map[string]any {
	return map[string]any{"type": "send", "conversation_id": d.place, "client_id": id, "text": d.text}
}

// act does something at random.
func (p *person) act(e *client.Events) error {
	place := p.places[p.rnd.IntN(len(p.places))]
	switch n := p.rnd.IntN(20); {
	case n < 10:
		p.sent++
		id := p.id(p.sent)
		d := draft{place, id + strings.Repeat(" and more", p.rnd.IntN(60))}
		p.mu.Lock()
		p.open[id] = d
		p.mu.Unlock()
		return e.Say(command(id, d))
	case n < 11:
		return e.Say(map[string]any{"type": "typing", "conversation_id": place})
	case n < 14:
		p.alter(place)
	case n < 15:
		time.Sleep(time.Duration(p.rnd.IntN(30)) * time.Millisecond)
	}
	return nil
}

// alter edits, deletes or reacts to a message. It may fail: the server may be killed meanwhile, or the message gone.
func (p *person) alter(place int64) {
	p.mu.Lock()
	c := p.known[place]
	var mine, some int64
	if c != nil && c.seq > c.base {
		some = c.base + 1 + p.rnd.Int64N(c.seq-c.base)
		for seq := some; seq > c.base; seq-- {
			if c.messages[seq].Sender.UserID == p.uid {
				mine = seq
				break
			}
		}
	}
	p.mu.Unlock()
	path := func(seq int64) string { return fmt.Sprintf("/conversations/%d/messages/%d", place, seq) }
	switch n := p.rnd.IntN(5); {
	case some == 0:
	case n < 2 && mine > 0:
		_, _, _ = p.api.Ask(http.MethodPut, path(mine), map[string]any{"text": fmt.Sprint("edited ", p.rnd.Uint32())})
	case n < 3 && mine > 0:
		_, _, _ = p.api.Ask(http.MethodDelete, path(mine), nil)
	default:
		_, _, _ = p.api.Ask(http.MethodPut, path(some)+"/reactions", map[string]any{"emoji": []string{"👍", "🎉", "❤️"}[p.rnd.IntN(3)]})
	}
}

// read takes in what comes until the connection ends.
func (p *person) read(e *client.Events) {
	for {
		ev, err := e.Next(time.Minute)
		if err != nil {
			return
		}
		p.take(ev)
	}
}

func (p *person) take(ev client.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var in struct {
		Message       message `json:"message"`
		ClientID      string  `json:"client_id"`
		Seq           int64   `json:"seq"`
		Conversations []struct {
			ID         int64 `json:"conversation_id"`
			LastSeq    int64 `json:"last_seq"`
			LastChange int64 `json:"last_change"`
		} `json:"conversations"`
	}
	switch ev.Type {
	case "typing", "presence", "conversation.read", "ok": // of another form, and not kept
		return
	case "error", "conversation.stale", "closing":
		p.fault("got %s", ev.JSON)
		return
	}
	if err := ev.Read(&in); err != nil {
		p.fault("%v", err)
		return
	}
	switch ev.Type {
	case "ready":
		for _, c := range in.Conversations {
			if p.known[c.ID] == nil {
				p.known[c.ID] = &conversation{base: c.LastSeq, seq: c.LastSeq, change: c.LastChange, messages: map[int64]message{}}
			}
		}
	case "sent":
		delete(p.open, in.ClientID)
	case "message.new":
		c := p.known[in.Message.ConversationID]
		if in.Message.Seq > c.seq+1 {
			p.fault("conversation %d: message %d comes after %d", in.Message.ConversationID, in.Message.Seq, c.seq)
		}
		c.seq = max(c.seq, in.Message.Seq)
		c.keep(in.Message)
	case "message.changed":
		c := p.known[in.Message.ConversationID]
		c.change = max(c.change, in.Message.Change)
		c.keep(in.Message)
	default:
		p.fault("got %s", ev.JSON)
	}
}

// keep keeps the newer of two versions.
func (c *conversation) keep(m message) {
	if old, ok := c.messages[m.Seq]; !ok || m.Change >= old.Change {
		c.messages[m.Seq] = m
	}
}

// settle connects once more, and waits until everything is answered and as the server has it.
func (p *person) settle(t *testing.T, deadline time.Time) {
	t.Helper()
	e, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(e) })
	var wrong []string
	for wrong = p.check(t); len(wrong) > 0 && time.Now().Before(deadline); wrong = p.check(t) {
		time.Sleep(20 * time.Millisecond)
	}
	_ = e.Conn.Close()
	reading.Wait()
	p.wrong = append(p.wrong, wrong...)
}

// check compares what the client has with what the server says now.
func (p *person) check(t *testing.T) (wrong []string) {
	t.Helper()
	fault := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.open {
		fault("%s was never answered", id)
	}
	said := map[string]bool{}
	for place, c := range p.known {
		at := c.base
		for list := p.history(t, place, at); len(list) > 0; list = p.history(t, place, at) {
			for _, m := range list {
				at = m.Seq
				if got, ok := c.messages[m.Seq]; !ok || !same(got, m) {
					fault("conversation %d, message %d is\n%+v, the client has\n%+v", place, m.Seq, m, got)
				}
				if m.Sender.UserID == p.uid && said[m.ClientID] {
					fault("%s is stored twice", m.ClientID)
				}
				said[m.ClientID] = said[m.ClientID] || m.Sender.UserID == p.uid
			}
		}
		if at != c.seq {
			fault("conversation %d ends at %d, the client is at %d", place, at, c.seq)
		}
	}
	for i := range p.sent {
		if !said[p.id(i+1)] {
			fault("%s is not stored", p.id(i+1))
		}
	}
	return wrong
}

// id is the client's id of its n-th message.
func (p *person) id(n int) string { return fmt.Sprintf("%s-%d", p.name, n) }

func same(a, b message) bool {
	if a.Text != b.Text || a.Deleted != b.Deleted || a.Change != b.Change || a.ClientID != b.ClientID || len(a.Reactions) != len(b.Reactions) {
		return false
	}
	for i := range a.Reactions {
		if a.Reactions[i].Emoji != b.Reactions[i].Emoji || !slices.Equal(a.Reactions[i].UserIDs, b.Reactions[i].UserIDs) {
			return false
		}
	}
	return true
}

// history returns what follows in a conversation.
func (p *person) history(t *testing.T, place, after int64) (list []message) {
	t.Helper()
	status, data, err := p.api.Ask(http.MethodGet, fmt.Sprintf("/conversations/%d/messages?limit=100&after=%d", place, after), nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %v %v", status, data, err)
	}
	read(t, data["items"], &list)
	return list
}
