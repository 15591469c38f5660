package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

var operator = core.NewOperator()

// archive is all that was said on a server.
type archive struct {
	Conversations []chat.ConversationRecord
	Members       []chat.Membership
	Messages      map[core.ConversationID][]chat.MessageRecord
	Cursors       []chat.CursorRecord
	Uses          []chat.GatewayUse
}

func into[T any](list *[]T) func(T) error {
	return func(v T) error { *list = append(*list, v); return nil }
}

func (tw *town) export(actor core.Actor, only core.UserID) (a archive, err error) {
	ctx := tw.Context()
	a.Messages = map[core.ConversationID][]chat.MessageRecord{}
	err = errors.Join(
		tw.Chat.Conversations(ctx, actor, only, into(&a.Conversations)),
		tw.Chat.Memberships(ctx, actor, only, into(&a.Members)),
		tw.Chat.Cursors(ctx, actor, only, into(&a.Cursors)),
		tw.Chat.GatewayUses(ctx, actor, only, into(&a.Uses)))
	for _, c := range a.Conversations {
		var list []chat.MessageRecord
		err = errors.Join(err, tw.Chat.Messages(ctx, actor, c.ID, 0, into(&list)))
		a.Messages[c.ID] = list
	}
	return a, err
}

func (tw *town) adopt(ctx context.Context, actor core.Actor, a archive) (err error) {
	note := func(e error) { err = errors.Join(err, e) }
	for _, c := range a.Conversations {
		id, e := tw.Chat.AdoptConversation(ctx, actor, c)
		note(e)
		if e == nil && c.ID != 0 && id != c.ID {
			tw.Errorf("conversation %d became %d", c.ID, id)
		}
	}
	for id, list := range a.Messages {
		note(tw.Chat.AdoptMessages(ctx, actor, id, list))
	}
	for _, m := range a.Members {
		note(tw.Chat.AdoptMembership(ctx, actor, m))
	}
	for _, c := range a.Cursors {
		note(tw.Chat.AdoptCursor(ctx, actor, c))
	}
	for _, u := range a.Uses {
		note(tw.Chat.AdoptGatewayUse(ctx, actor, u))
	}
	return err
}

// talked is a town in which something was said everywhere.
func talked(t *testing.T) *town {
	t.Helper()
	tw := settled(t, line.Options{})
	tw.seqs(ann, inRoom(core.Lobby), chat.RetryForever, draft("a1", "hello"))
	tw.seqs(bob, inRoom(core.Lobby), chat.RetryRecent, draft("1", "你好"), draft("2", "second"))
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "no id"))
	tw.seqs(ann, user(bob), chat.RetryForever, draft("a2", "to bob"))
	tw.seqs(bob, user(ann), chat.RetryRecent, draft("1", "to ann"))
	_, err := tw.Chat.Behind(t.Context(), ann, "test")
	tw.Check(err)
	tw.changeAll()
	return tw
}

// changeAll has something of every kind happen to what is there.
func (tw *town) changeAll() {
	tw.Helper()
	ctx, lobby := tw.Context(), core.Lobby
	tw.Exec(`UPDATE conversation SET topic = 'of all', public = 1 WHERE id = 10`)
	tw.Exec(`UPDATE member SET role = 3 WHERE conversation_id = 10 AND user_id = 1001`)
	tw.Exec(`INSERT INTO restriction (conversation_id, user_id, muted_until, shut_out) VALUES (10, 1003, 0, 1), (1, 1002, 77, 0)`)
	tw.seqs(ann, inRoom(room), chat.RetryForever, chat.Draft{Text: "about this, @u1002", ReplyTo: 1})
	_, err := tw.Chat.Edit(ctx, as(ann), lobby, 1, "hello again, @u1002 and @u1003")
	tw.Check(err)
	tw.Check(tw.Chat.Delete(ctx, as(bob), core.Origin{}, lobby, 3))
	tw.Check(tw.Chat.MarkRead(ctx, as(bob), lobby, 2))
	for _, e := range []string{"👍", "❤️"} {
		_, err = tw.Chat.React(ctx, as(bob), lobby, 1, e, true)
		tw.Check(err)
	}
}

// TestTalkComesBackAsItWas moves conversations with all that belongs to them to another server.
func TestTalkComesBackAsItWas(t *testing.T) {
	here, there := talked(t), newTown(t, line.Options{})
	for _, uid := range []core.UserID{ann, bob, cyd} {
		there.Exec(`INSERT INTO "user" (uid, name, name_key, created_at) VALUES (?1, ?1, ?1, 1)`, int64(uid))
	}
	want, err := here.export(operator, 0)
	here.Check(err)
	if len(want.Conversations) != 3 || len(want.Messages[core.Lobby]) != 3 || len(want.Members) != 7 || len(want.Cursors) != 3 || len(want.Uses) != 1 {
		t.Fatalf("%+v", want)
	}
	there.Check(there.DB.Update(t.Context(), func(ctx context.Context) error { return there.adopt(ctx, operator, want) }))
	got, err := there.export(operator, 0)
	there.Check(err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := len(there.published()); n != 0 {
		t.Errorf("%d events", n)
	}
	// The server goes on where the other stood: numbers follow, and what is sent again is recognised.
	if s := there.seqs(ann, inRoom(core.Lobby), chat.RetryForever, draft("a1", "hello")); s[0] != 1 { // it was edited since
		t.Errorf("sent again it is number %d", s[0])
	}
	if s := there.seqs(bob, user(ann), chat.RetryRecent, draft("1", "to ann")); s[0] != 2 {
		t.Errorf("sent again it is number %d", s[0])
	}
	if s := there.seqs(cyd, inRoom(core.Lobby), chat.RetryForever, draft("c1", "new")); s[0] != 4 {
		t.Errorf("the next is number %d", s[0])
	}
}

func TestTalkOfOne(t *testing.T) {
	tw := talked(t)
	a, err := tw.export(operator, cyd)
	tw.Check(err)
	if len(a.Conversations) != 1 || len(a.Members) != 1 || len(a.Cursors) != 0 || len(a.Uses) != 0 {
		t.Errorf("cyd: %+v", a)
	}
	a, err = tw.export(operator, bob)
	tw.Check(err)
	if len(a.Conversations) != 3 || len(a.Members) != 4 || a.Conversations[2].Users != [2]core.UserID{ann, bob} {
		t.Errorf("bob: %+v", a)
	}
	var own []chat.MessageRecord
	tw.Check(tw.Chat.Messages(t.Context(), operator, core.Lobby, ann, into(&own)))
	if len(own) != 1 || own[0].Text != "hello again, @u1002 and @u1003" || own[0].ClientID != "a1" || own[0].Origin != "test" {
		t.Errorf("%+v", own)
	}
}

func TestAdoptedConversationGetsANumber(t *testing.T) {
	tw := settled(t, line.Options{})
	id, err := tw.Chat.AdoptConversation(t.Context(), operator, chat.ConversationRecord{Kind: core.Room, Name: "new", At: time.UnixMilli(5)})
	tw.Check(err)
	if id != room+1 || tw.count(`SELECT count(*) FROM conversation WHERE id = 11 AND name = 'new' AND created_at = 5 AND last_seq = 0`) != 1 {
		t.Errorf("number %d", id)
	}
}

// TestRoomsKnowAfterAMoveSinceWhenTheyArePublic: who came to one after that was shown all files.
func TestRoomsKnowAfterAMoveSinceWhenTheyArePublic(t *testing.T) {
	here := settled(t, line.Options{})
	ctx := t.Context()
	for id, opened := range map[core.ConversationID]time.Time{11: time.UnixMilli(700).UTC(), 12: {}} {
		_, err := here.Chat.AdoptConversation(ctx, operator, chat.ConversationRecord{
			ID: id, Kind: core.Room, Name: "open", Public: true, OpenSeq: 3, Opened: opened, At: time.UnixMilli(5),
		})
		here.Check(err)
	}
	a, err := here.export(operator, 0)
	here.Check(err)
	for _, c := range a.Conversations {
		switch {
		case c.ID == 11 && c.Opened.UnixMilli() != 700, c.ID == 12 && time.Since(c.Opened) > time.Minute, c.ID == room && !c.Opened.IsZero():
			t.Errorf("%+v", c)
		}
	}
	_, err = here.Chat.Join(ctx, as(cyd), 11)
	here.Check(err)
	if since, err := here.Chat.FilesSince(ctx, as(cyd), 11); err != nil || since.UnixMilli() != 700 {
		t.Errorf("%v, %v", since, err)
	}
}

func TestAdoptTalkRefuses(t *testing.T) {
	long := strings.Repeat("x", chat.MaxText+1)
	say := func(m chat.MessageRecord) archive {
		if m.Origin == "" {
			m.Origin = "test"
		}
		return archive{Messages: map[core.ConversationID][]chat.MessageRecord{room: {m}}}
	}
	in := func(id core.ConversationID) archive {
		return archive{Messages: map[core.ConversationID][]chat.MessageRecord{id: {{Seq: 1, Sender: ann, Text: "x", Origin: "test"}}}}
	}
	made := func(c chat.ConversationRecord) archive { return archive{Conversations: []chat.ConversationRecord{c}} }
	member := func(m chat.Membership) archive { return archive{Members: []chat.Membership{m}} }
	cursor := func(c chat.CursorRecord) archive { return archive{Cursors: []chat.CursorRecord{c}} }
	use := func(u chat.GatewayUse) archive { return archive{Uses: []chat.GatewayUse{u}} }
	tw := talked(t)
	before, err := tw.export(operator, 0)
	tw.Check(err)
	direct := before.Conversations[2].ID
	for name, c := range map[string]struct {
		a    archive
		want error
	}{
		"a lobby with messages":  {made(chat.ConversationRecord{ID: core.Lobby, Kind: core.Room}), core.ErrInvalid},
		"a lobby of two":         {made(chat.ConversationRecord{ID: core.Lobby, Kind: core.Direct, Users: [2]core.UserID{ann, cyd}}), core.ErrInvalid},
		"a number twice":         {made(chat.ConversationRecord{ID: room, Kind: core.Room}), core.ErrInvalid},
		"a direct chat twice":    {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{ann, bob}}), core.ErrInvalid},
		"turned round":           {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{cyd, ann}}), core.ErrInvalid},
		"with oneself":           {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{cyd, cyd}}), core.ErrInvalid},
		"with nobody":            {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{ann, nobody}}), core.ErrUserNotFound},
		"no kind":                {made(chat.ConversationRecord{}), core.ErrInvalid},
		"a room of two":          {made(chat.ConversationRecord{Kind: core.Room, Users: [2]core.UserID{ann, cyd}}), core.ErrInvalid},
		"a long name":            {made(chat.ConversationRecord{Kind: core.Room, Name: long}), core.ErrInvalid},
		"a broken name":          {made(chat.ConversationRecord{Kind: core.Room, Name: "\xff"}), core.ErrInvalid},
		"a changed direct chat":  {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{ann, cyd}, Public: true}), core.ErrInvalid},
		"an open direct chat":    {made(chat.ConversationRecord{Kind: core.Direct, Users: [2]core.UserID{ann, cyd}, Opened: time.UnixMilli(5)}), core.ErrInvalid},
		"a long topic":           {made(chat.ConversationRecord{Kind: core.Room, Topic: long}), core.ErrInvalid},
		"negative changes":       {made(chat.ConversationRecord{Kind: core.Room, Change: -1}), core.ErrInvalid},
		"nothing to hold":        {made(chat.ConversationRecord{Kind: core.Room, Restrictions: []chat.Restriction{{User: ann}}}), core.ErrInvalid},
		"nobody held":            {made(chat.ConversationRecord{Kind: core.Room, Restrictions: []chat.Restriction{{User: nobody, ShutOut: true}}}), core.ErrUserNotFound},
		"a negative number":      {made(chat.ConversationRecord{ID: -1, Kind: core.Room}), core.ErrInvalid},
		"a gap":                  {say(chat.MessageRecord{Seq: 4, Sender: ann, Text: "x"}), core.ErrInvalid},
		"a message twice":        {say(chat.MessageRecord{Seq: 1, Sender: ann, Text: "x"}), core.ErrInvalid},
		"nobody's":               {say(chat.MessageRecord{Seq: 3, Sender: nobody, Text: "x"}), core.ErrUserNotFound},
		"no text":                {say(chat.MessageRecord{Seq: 3, Sender: ann}), core.ErrEmptyMessage},
		"a long text":            {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: long}), core.ErrMessageTooLong},
		"a broken text":          {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "\xff"}), core.ErrInvalid},
		"an id twice":            {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", ClientID: "a1"}), core.ErrClientIDReused},
		"no origin":              {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Origin: "\n"}), core.ErrInvalid},
		"a reply to the future":  {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", ReplyTo: 3}), core.ErrInvalid},
		"a mention of nobody":    {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Mentions: []core.UserID{nobody}}), core.ErrUserNotFound},
		"a mention twice":        {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Mentions: []core.UserID{bob, bob}}), core.ErrInvalid},
		"a reaction of nobody":   {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Change: 1, Reactions: []chat.ReactionRecord{{User: nobody, Emoji: "👍"}}}), core.ErrUserNotFound},
		"a reaction in words":    {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Change: 1, Reactions: []chat.ReactionRecord{{User: bob, Emoji: "ok"}}}), core.ErrInvalid},
		"a change that was not":  {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Change: 1, EditedAt: time.UnixMilli(5)}), core.ErrInvalid},
		"a change of no number":  {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", EditedAt: time.UnixMilli(5)}), core.ErrInvalid},
		"deleted with a text":    {say(chat.MessageRecord{Seq: 3, Sender: ann, Text: "x", Change: 1, DeletedAt: time.UnixMilli(5)}), core.ErrInvalid},
		"in no conversation":     {in(99), core.ErrConversationNotFound},
		"a member of nothing":    {member(chat.Membership{User: ann, Conversation: 99}), core.ErrConversationNotFound},
		"nobody a member":        {member(chat.Membership{User: nobody, Conversation: room}), core.ErrUserNotFound},
		"a member twice":         {member(chat.Membership{User: ann, Conversation: room}), core.ErrInvalid},
		"joined in the future":   {member(chat.Membership{User: cyd, Conversation: room, JoinedSeq: 3}), core.ErrInvalid},
		"read in the future":     {member(chat.Membership{User: cyd, Conversation: room, ReadSeq: 3}), core.ErrInvalid},
		"more than an owner":     {member(chat.Membership{User: cyd, Conversation: room, Role: core.Owner + 1}), core.ErrInvalid},
		"joined before the time": {member(chat.Membership{User: cyd, Conversation: room, JoinedSeq: -1}), core.ErrInvalid},
		"a third in a chat":      {member(chat.Membership{User: cyd, Conversation: direct}), core.ErrInvalid},
		"ahead":                  {cursor(chat.CursorRecord{User: cyd, Gateway: "test", Conversation: room, Seq: 3}), core.ErrInvalid},
		"nobody's cursor":        {cursor(chat.CursorRecord{User: nobody, Gateway: "test", Conversation: room}), core.ErrUserNotFound},
		"a cursor in nothing":    {cursor(chat.CursorRecord{User: ann, Gateway: "test", Conversation: 99}), core.ErrConversationNotFound},
		"a cursor twice":         {cursor(chat.CursorRecord{User: ann, Gateway: "test", Conversation: room}), core.ErrInvalid},
		"no gateway":             {cursor(chat.CursorRecord{User: cyd, Conversation: room}), core.ErrInvalid},
		"a use twice":            {use(chat.GatewayUse{User: ann, Gateway: "test"}), core.ErrInvalid},
		"nobody's use":           {use(chat.GatewayUse{User: nobody, Gateway: "test"}), core.ErrUserNotFound},
		"an endless gateway":     {use(chat.GatewayUse{User: cyd, Gateway: core.Gateway(long)}), core.ErrInvalid},
	} {
		err := tw.DB.Update(t.Context(), func(ctx context.Context) error { return tw.adopt(ctx, operator, c.a) })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	after, err := tw.export(operator, 0)
	tw.Check(err)
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("something was changed: %s", d)
	}
}

func TestPortableTalkFromTheWrongSide(t *testing.T) {
	tw := talked(t)
	all, err := tw.export(operator, 0)
	tw.Check(err)
	for who, actor := range map[string]core.Actor{"nobody": {}, "a user": as(ann)} {
		got, err := tw.export(actor, 0)
		if !errors.Is(err, core.ErrForbidden) || len(got.Conversations)+len(got.Members)+len(got.Cursors)+len(got.Uses) > 0 {
			t.Errorf("%s: %v %+v", who, err, got)
		}
		err = tw.Chat.Messages(t.Context(), actor, core.Lobby, 0, func(chat.MessageRecord) error { t.Errorf("%s reads a message", who); return nil })
		if !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%s: %v", who, err)
		}
		err = tw.adopt(t.Context(), actor, all)
		if n := strings.Count(fmt.Sprint(err), core.ErrForbidden.Error()); n != 3+3+7+3+1 {
			t.Errorf("%s: %d acts are refused: %v", who, n, err)
		}
	}
	after, err := tw.export(operator, 0)
	tw.Check(err)
	if d := cmp.Diff(all, after); d != "" {
		t.Errorf("something was changed: %s", d)
	}
}
