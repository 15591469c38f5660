package chat_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func seqsOf(list []core.Message) (out []core.Seq) {
	for _, m := range list {
		out = append(out, m.Seq)
	}
	return out
}

func TestHistory(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.fill(ann, inRoom(den), 20)
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	tw.fill(ann, inRoom(den), 10)
	tw.Check(tw.Chat.Delete(ctx, as(ann), core.Origin{}, den, 29))
	_, err := tw.Chat.React(ctx, as(eve), den, 30, "👍", true)
	tw.Check(err)
	for _, c := range []struct {
		who  core.UserID
		w    chat.Window
		want string
	}{
		{bob, chat.Window{Limit: 3}, "[28 29 30]"},
		{bob, chat.Window{Before: 4}, "[1 2 3]"},
		{bob, chat.Window{Before: 1}, "[]"},
		{bob, chat.Window{After: new(core.Seq(0)), Limit: 2}, "[1 2]"},
		{bob, chat.Window{After: new(core.Seq(27))}, "[28 29 30]"},
		{bob, chat.Window{After: new(core.Seq(30))}, "[]"},
		{bob, chat.Window{After: new(core.Seq(5)), Limit: 2}, "[6 7]"},
		{bob, chat.Window{Around: 10, Limit: 5}, "[8 9 10 11 12]"},
		{bob, chat.Window{Around: 10, Limit: 1}, "[10]"},
		{bob, chat.Window{Around: 30, Limit: 4}, "[29 30]"},
		// Who came later reads from there on, as the room is private.
		{eve, chat.Window{Before: 23}, "[21 22]"},
		{eve, chat.Window{After: new(core.Seq(0)), Limit: 2}, "[21 22]"},
		{eve, chat.Window{After: new(core.Seq(1)), Limit: 2}, "[21 22]"},
		{eve, chat.Window{Around: 21, Limit: 3}, "[21 22 23]"},
		{eve, chat.Window{Around: 5, Limit: 3}, "[21 22 23]"},
	} {
		list, err := tw.Chat.History(ctx, as(c.who), den, c.w)
		if got := fmt.Sprint(seqsOf(list)); err != nil || got != c.want {
			t.Errorf("%d, %+v: %s, %v; want %s", c.who, c.w, got, err, c.want)
		}
	}
	list, err := tw.Chat.History(ctx, as(eve), den, chat.Window{Limit: 2})
	if err != nil || !list[0].Deleted || list[0].Text != "" || fmt.Sprint(list[1].Reactions) != "[{👍 [1005]}]" || list[1].Author.Name != "u1001" {
		t.Errorf("%+v, %v", list, err)
	}
	for name, c := range map[string]struct {
		actor core.Actor
		w     chat.Window
		want  error
	}{
		"nobody":            {core.Actor{}, chat.Window{}, core.ErrLoginRequired},
		"a stranger":        {as(1006), chat.Window{}, core.ErrConversationNotFound},
		"an admin":          {root(), chat.Window{}, core.ErrConversationNotFound},
		"two at once":       {as(bob), chat.Window{Before: 5, After: new(core.Seq(1))}, core.ErrInvalid},
		"a negative number": {as(bob), chat.Window{Before: -5}, core.ErrInvalid},
	} {
		if list, err := tw.Chat.History(ctx, c.actor, den, c.w); !errors.Is(err, c.want) || len(list) > 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	if _, err := tw.Chat.Message(ctx, as(eve), den, 20); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("what was before: %v", err)
	}
	if m, err := tw.Chat.Message(ctx, as(bob), den, 20); err != nil || m.Seq != 20 {
		t.Errorf("%+v, %v", m, err)
	}
	public := true
	_, err = tw.Chat.EditRoom(ctx, as(ann), den, chat.RoomEdit{Public: &public})
	tw.Check(err)
	if list, err := tw.Chat.History(ctx, as(eve), den, chat.Window{Before: 3}); err != nil || len(list) != 0 {
		t.Errorf("of a room that was private: %+v, %v", list, err)
	}
}

func TestChatsAndReading(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "one @u1003"))
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "two @u1003 myself"))
	tw.seqs(bob, inRoom(den), chat.RetryForever, draft("", "three @u1003"))
	tw.seqs(ann, user(cyd), chat.RetryForever, draft("", "a"))
	tw.seqs(ann, user(cyd), chat.RetryForever, draft("", "b"))
	direct := tw.directOf(ann, cyd)
	tw.Check(tw.Chat.Delete(ctx, as(ann), core.Origin{}, direct, 1))
	list := func() (out []string) {
		t.Helper()
		chats, err := tw.Chat.Chats(ctx, as(cyd), 0, 0)
		tw.Check(err)
		for _, c := range chats {
			last := core.Seq(0)
			if c.Last != nil {
				last = c.Last.Seq
			}
			out = append(out, fmt.Sprintf("%d with %d role %d: last %d read %d unread %d mentions %d",
				c.Conversation.ID, c.With.ID, c.Role, last, c.ReadSeq, c.Unread, c.Mentions))
		}
		return out
	}
	expect := func(want ...string) {
		t.Helper()
		if got := list(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	lobby := "1 with 0 role 1: last 0 read 0 unread 0 mentions 0"
	expect(lobby, fmt.Sprintf("%d with 0 role 1: last 3 read 0 unread 2 mentions 2", den), fmt.Sprintf("%d with 1001 role 1: last 2 read 0 unread 1 mentions 0", direct))
	tw.happened()
	tw.Check(tw.Chat.MarkRead(ctx, as(cyd), den, 2))
	tw.Check(tw.Chat.MarkRead(ctx, as(cyd), den, 1)) // which changes nothing
	tw.Check(tw.Chat.MarkRead(ctx, as(cyd), den, 2))
	tw.Check(tw.Chat.MarkRead(ctx, as(cyd), direct, 2))
	tw.expectHappened("core.ConversationRead", "core.ConversationRead")
	expect(lobby, fmt.Sprintf("%d with 0 role 1: last 3 read 2 unread 1 mentions 1", den), fmt.Sprintf("%d with 1001 role 1: last 2 read 2 unread 0 mentions 0", direct))
	marks, err := tw.Chat.Readers(ctx, as(ann), den, 0, 0)
	if err != nil || fmt.Sprint(marks) != "[{1001 0} {1002 0} {1003 2}]" {
		t.Errorf("%v, %v", marks, err)
	}
	if c, err := tw.Chat.Chat(ctx, as(cyd), den); err != nil || c.Conversation.Name != "the den" || c.Last.Text != "three @u1003" {
		t.Errorf("%+v, %v", c, err)
	}
	for name, err := range map[string]error{
		"nobody reads":   tw.Chat.MarkRead(ctx, core.Actor{}, den, 1),
		"nobody's chats": func() error { _, err := tw.Chat.Chats(ctx, core.Actor{}, 0, 0); return err }(),
		"nobody sees":    func() error { _, err := tw.Chat.Readers(ctx, core.Actor{}, den, 0, 0); return err }(),
	} {
		if !errors.Is(err, core.ErrLoginRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct{ err, want error }{
		"a stranger":      {tw.Chat.MarkRead(ctx, as(eve), den, 1), core.ErrConversationNotFound},
		"a third":         {tw.Chat.MarkRead(ctx, as(bob), direct, 1), core.ErrConversationNotFound},
		"the future":      {tw.Chat.MarkRead(ctx, as(cyd), den, 4), core.ErrMessageNotFound},
		"the past":        {tw.Chat.MarkRead(ctx, as(cyd), den, -1), core.ErrMessageNotFound},
		"a stranger sees": {func() error { _, err := tw.Chat.Readers(ctx, as(eve), den, 0, 0); return err }(), core.ErrConversationNotFound},
		"the lobby's":     {func() error { _, err := tw.Chat.Readers(ctx, as(ann), core.Lobby, 0, 0); return err }(), core.ErrForbidden},
		"a stranger's":    {func() error { _, err := tw.Chat.Chat(ctx, as(eve), den); return err }(), core.ErrConversationNotFound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	for id, want := range map[core.ConversationID]core.Audience{
		core.Lobby: {Users: []core.UserID{cyd}}, den: {Room: den},
	} {
		if got := (core.ConversationRead{Conversation: core.Conversation{ID: id, Kind: core.Room}, User: cyd}).Audience(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v", got)
		}
	}
}

// Whom somebody keeps from writing to them does not see any more what they read.
func TestABlockHidesWhatOneReads(t *testing.T) {
	tw := newTown(t, line.Options{})
	ctx := t.Context()
	tw.AddUsers(ann, bob)
	tw.fill(bob, chat.Target{User: ann}, 3)
	direct := core.ConversationID(tw.count(`SELECT id FROM conversation WHERE kind = 1`))
	read := func(seq core.Seq, told ...core.UserID) {
		t.Helper()
		tw.others = nil
		tw.Check(tw.Chat.MarkRead(ctx, as(ann), direct, seq))
		if got := tw.others[0].Audience().Users; !slices.Equal(got, told) {
			t.Errorf("%v are told, want %v", got, told)
		}
	}
	sees := func(who core.UserID, want string) {
		t.Helper()
		marks, err := tw.Chat.Readers(ctx, as(who), direct, 0, 0)
		if err != nil || fmt.Sprint(marks) != want {
			t.Errorf("%d sees %v, %v, want %s", who, marks, err, want)
		}
	}
	read(1, ann, bob)
	sees(bob, "[{1001 1} {1002 0}]")
	tw.Check(tw.Contacts.Block(ctx, as(ann), bob))
	read(2, ann)
	sees(bob, "[{1002 0}]")
	tw.Check(tw.Contacts.Unblock(ctx, as(ann), bob))
	read(3, ann, bob)
	sees(bob, "[{1001 3} {1002 0}]")
}

// What was said before somebody came, or came back, counts as read.
func TestWhoComesHasNothingUnread(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.fill(ann, inRoom(den), 5)
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	c, err := tw.Chat.Chat(ctx, as(eve), den)
	if err != nil || c.ReadSeq != 5 || c.Unread != 0 || c.Last != nil {
		t.Errorf("%+v, %v", c, err)
	}
	tw.fill(ann, inRoom(den), 1100)
	c, err = tw.Chat.Chat(ctx, as(eve), den)
	if err != nil || c.Unread != core.MaxUnread || c.Last.Seq != 1105 {
		t.Errorf("%+v, %v", c, err)
	}
}

// For each room in the list all of its members were gone through.
func TestTheListOfChatsTakesNoLongerInALargeRoom(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.Exec(`DELETE FROM member WHERE conversation_id = 1 AND user_id = ?`, int64(bob)) // who is only in a small one
	tw.Exec(`DELETE FROM member WHERE conversation_id = 10 AND user_id = ?`, int64(ann))
	tw.Exec(`WITH RECURSIVE n (i) AS (SELECT 100000 UNION ALL SELECT i + 1 FROM n WHERE i < 130000)
		INSERT INTO member (user_id, conversation_id, joined_at) SELECT i, 1, 0 FROM n`)
	// The two take turns, and the quickest of many counts, so that other work of the machine is the same for both.
	least := map[core.UserID]time.Duration{ann: time.Hour, bob: time.Hour}
	for range 50 {
		for who := range least {
			began := time.Now()
			list, err := tw.Chat.Chats(t.Context(), as(who), 0, 0)
			least[who] = min(least[who], time.Since(began))
			if err != nil || len(list) != 1 {
				t.Fatalf("%d has %d chats, %v", who, len(list), err)
			}
		}
	}
	if least[ann] > 4*least[bob] {
		t.Errorf("%s in a room of many, %s in one of few", least[ann], least[bob])
	}
}
