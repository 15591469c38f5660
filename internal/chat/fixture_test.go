package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	ann    core.UserID = 1001
	bob    core.UserID = 1002
	cyd    core.UserID = 1003
	nobody core.UserID = 9999

	room core.ConversationID = 10
)

func as(uid core.UserID) core.Actor { return core.NewActor(core.User{ID: uid, Name: "u"}) }

// town is a world that keeps what was published.
type town struct {
	*line.World

	mu     sync.Mutex // guards both
	events []core.MessagesPosted
	others []core.Event // that are no messages
	poison string       // a text whose publication panics
}

func newTown(t testing.TB, opts line.Options) *town {
	t.Helper()
	tw := &town{}
	opts.Publish = func(next func(core.Event), e core.Event) {
		tw.mu.Lock()
		if p, ok := e.(core.MessagesPosted); ok {
			tw.events = append(tw.events, p)
			if tw.poison != "" && p.Messages[0].Text == tw.poison {
				tw.mu.Unlock()
				panic(tw.poison)
			}
		} else {
			tw.others = append(tw.others, e)
		}
		tw.mu.Unlock()
		next(e)
	}
	tw.World = line.NewWorld(t, opts)
	return tw
}

// settled is a town with three users and a room in which ann and bob are.
func settled(t testing.TB, opts line.Options) *town {
	t.Helper()
	tw := newTown(t, opts)
	tw.AddUsers(ann, bob, cyd)
	tw.AddRoom(room, ann, bob)
	return tw
}

func (tw *town) published() []core.MessagesPosted {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	return tw.events
}

// happened returns the events that are no messages since it was called last, as text.
func (tw *town) happened() (out []string) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	for _, e := range tw.others {
		switch e := e.(type) {
		case core.RoomChanged:
			out = append(out, fmt.Sprintf("room %d is %q %q %v by %d", e.Room.ID, e.Room.Name, e.Room.Topic, e.Room.Public, e.By.ID))
		case core.MemberJoined:
			out = append(out, fmt.Sprintf("%d joined %d as %d by %d", e.Member.User.ID, e.Room.ID, e.Member.Role, e.By))
		case core.MemberLeft:
			out = append(out, fmt.Sprintf("%d left %d by %d", e.User.ID, e.Room.ID, e.By))
		case core.MemberChanged:
			out = append(out, fmt.Sprintf("%d is %d in %d muted %v by %d", e.Member.User.ID, e.Member.Role, e.Room.ID, !e.Member.MutedUntil.IsZero(), e.By))
		default:
			out = append(out, fmt.Sprintf("%T", e))
		}
	}
	tw.others = nil
	return out
}

// say posts and waits for the result.
func (tw *town) say(from core.UserID, to chat.Target, retry chat.RetryRule, drafts ...chat.Draft) ([]core.Message, error) {
	tw.Helper()
	type result struct {
		m   []core.Message
		err error
	}
	done := make(chan result, 1)
	err := tw.Chat.Post(context.Background(), as(from), chat.Post{To: to, Origin: "test", Retry: retry, Drafts: drafts},
		func(m []core.Message, err error) { done <- result{m, err} })
	if err != nil {
		return nil, err
	}
	r := <-done
	return r.m, r.err
}

// seqs posts what must go well and returns the numbers.
func (tw *town) seqs(from core.UserID, to chat.Target, retry chat.RetryRule, drafts ...chat.Draft) (seqs []core.Seq) {
	tw.Helper()
	m, err := tw.say(from, to, retry, drafts...)
	tw.Check(err)
	for i, m := range m {
		if m.Text != drafts[i].Text || m.ClientID != drafts[i].ClientID || m.Author.ID != from {
			tw.Errorf("draft %d: acknowledged as %+v", i, m)
		}
		seqs = append(seqs, m.Seq)
	}
	return seqs
}

func user(u core.UserID) chat.Target              { return chat.Target{User: u} }
func inRoom(c core.ConversationID) chat.Target    { return chat.Target{Room: c} }
func draft(id, text string) chat.Draft            { return chat.Draft{ClientID: id, Text: text} }
func (tw *town) count(query string, a ...any) int { tw.Helper(); return int(tw.Int(query, a...)) }

// holdCommits keeps the database busy with a unit of work until it is released.
func (tw *town) holdCommits() (release func()) {
	begun, hold, held := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		held <- tw.DB.Update(context.Background(), func(context.Context) error { close(begun); <-hold; return nil })
	}()
	<-begun
	return func() { tw.Helper(); close(hold); tw.Check(<-held) }
}
