package chat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

// directOf returns the direct chat of two users, who have talked.
func (tw *town) directOf(a, b core.UserID) core.ConversationID {
	tw.Helper()
	return core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE direct_key = ?`, fmt.Sprintf("%d:%d", a, b)))
}

// one reads the first change after another.
func (tw *town) changes(who core.UserID, id core.ConversationID, after core.Change) []core.Message {
	tw.Helper()
	list, err := tw.Chat.Changes(context.Background(), as(who), id, after, 0)
	tw.Check(err)
	return list
}

func TestMessagesChange(t *testing.T) {
	for _, direct := range []bool{true, false} {
		tw, id := housed(t, line.Options{})
		ctx := t.Context()
		to := inRoom(id)
		if direct {
			to = user(bob)
		}
		tw.seqs(ann, to, chat.RetryForever, draft("a1", "first"))
		if direct {
			id = tw.directOf(ann, bob)
		}
		tw.seqs(ann, to, chat.RetryForever, draft("a2", "second"))
		m, err := tw.Chat.Edit(ctx, as(ann), id, 1, "better")
		if err != nil || m.Text != "better" || m.EditedAt.IsZero() || m.Change != 1 || m.Seq != 1 || m.ClientID != "a1" {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err = tw.Chat.Edit(ctx, as(ann), id, 1, "better"); err != nil || m.Change != 1 {
			t.Errorf("the same again: %+v, %v", m, err)
		}
		for _, u := range []core.UserID{bob, ann} {
			_, err = tw.Chat.React(ctx, as(u), id, 1, "👍", true)
			tw.Check(err)
		}
		if m, err = tw.Chat.React(ctx, as(bob), id, 1, "❤️", true); err != nil ||
			fmt.Sprint(m.Reactions) != "[{👍 [1002 1001]} {❤️ [1002]}]" && fmt.Sprint(m.Reactions) != "[{👍 [1001 1002]} {❤️ [1002]}]" {
			t.Errorf("%+v, %v", m.Reactions, err)
		}
		_, err = tw.Chat.React(ctx, as(bob), id, 1, "❤️", true) // it is there already
		tw.Check(err)
		_, err = tw.Chat.React(ctx, as(bob), id, 1, "👍", false)
		tw.Check(err)
		tw.Check(tw.Chat.Delete(ctx, as(ann), core.Origin{}, id, 2))
		tw.Check(tw.Chat.Delete(ctx, as(ann), core.Origin{}, id, 2)) // again
		list := tw.changes(bob, id, 0)
		if len(list) != 2 || list[0].Seq != 1 || list[0].Change != 5 || list[0].Text != "better" || fmt.Sprint(list[0].Reactions) != "[{👍 [1001]} {❤️ [1002]}]" ||
			list[1].Seq != 2 || list[1].Change != 6 || !list[1].Deleted || list[1].Text != "" {
			t.Errorf("%+v", list)
		}
		if list := tw.changes(bob, id, 5); len(list) != 1 || list[0].Seq != 2 {
			t.Errorf("%+v", list)
		}
		if last, err := tw.Chat.LastChange(ctx, as(bob), id); err != nil || last != 6 {
			t.Errorf("%d, %v", last, err)
		}
		var kinds []core.ChangeKind
		for i, e := range tw.changed() {
			kinds = append(kinds, e.Kind)
			if e.Message.Change != core.Change(i+1) || e.Message.Seq == 0 || e.Conversation.ID != id || direct != (len(e.Audience().Users) == 2) {
				t.Errorf("%+v", e)
			}
		}
		if fmt.Sprint(kinds) != fmt.Sprint([]core.ChangeKind{core.Edited, core.Reacted, core.Reacted, core.Reacted, core.Reacted, core.Deleted}) {
			t.Errorf("%v", kinds)
		}
		// What is sent again is recognised although it is not what is stored any more, and is not stored again.
		if s := tw.seqs(ann, to, chat.RetryForever, draft("a1", "first")); s[0] != 1 {
			t.Errorf("sent again it is number %d", s[0])
		}
		if s := tw.seqs(ann, to, chat.RetryForever, draft("a2", "second")); s[0] != 2 {
			t.Errorf("sent again it is number %d", s[0])
		}
		if n := tw.count(`SELECT count(*) FROM message WHERE text IN ('first', 'second')`); n != 0 {
			t.Errorf("%d old texts are left", n)
		}
	}
}

// changed returns the changes of messages that were published.
func (tw *town) changed() (out []core.MessageChanged) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	for _, e := range tw.others {
		if c, ok := e.(core.MessageChanged); ok {
			out = append(out, c)
		}
	}
	return out
}

func TestWhoMayChangeWhichMessage(t *testing.T) {
	no, none, nowhere := core.ErrForbidden, core.ErrMessageNotFound, core.ErrConversationNotFound
	acts := map[string]func(tw *town, a core.Actor, id core.ConversationID, seq core.Seq) error{
		"edit": func(tw *town, a core.Actor, id core.ConversationID, seq core.Seq) error {
			_, err := tw.Chat.Edit(tw.Context(), a, id, seq, fmt.Sprint("new ", time.Now().UnixNano()))
			return err
		},
		"delete": func(tw *town, a core.Actor, id core.ConversationID, seq core.Seq) error {
			return tw.Chat.Delete(tw.Context(), a, core.Origin{}, id, seq)
		},
		"react": func(tw *town, a core.Actor, id core.ConversationID, seq core.Seq) error {
			_, err := tw.Chat.React(tw.Context(), a, id, seq, "👍", true)
			return err
		},
	}
	for _, c := range []struct {
		who               string
		actor             core.Actor
		in                string // whose conversation
		seq               core.Seq
		edit, drop, react error
	}{
		{"nobody", core.Actor{}, "room", 1, core.ErrLoginRequired, core.ErrLoginRequired, core.ErrLoginRequired},
		{"a stranger", as(eve), "room", 1, nowhere, nowhere, nowhere},
		{"an admin of the server", root(), "room", 1, nowhere, nowhere, nowhere},
		{"another member", as(1006), "room", 1, no, no, nil},
		{"its author", as(cyd), "room", 1, nil, nil, nil},
		{"an admin of the room", as(bob), "room", 1, no, nil, nil},
		{"its owner", as(ann), "room", 1, no, nil, nil},
		{"a number that is not", as(cyd), "room", 5, none, none, none},
		{"a number below all", as(cyd), "room", 0, none, none, none},
		{"what was before", as(1007), "room", 1, none, none, none},
		{"its author, muted", as(1008), "room", 2, core.ErrMuted, nil, core.ErrMuted},
		{"nobody in a chat", core.Actor{}, "direct", 1, core.ErrLoginRequired, core.ErrLoginRequired, core.ErrLoginRequired},
		{"a third", as(cyd), "direct", 1, nowhere, nowhere, nowhere},
		{"the other", as(bob), "direct", 1, no, no, nil},
		{"who said it", as(ann), "direct", 1, nil, nil, nil},
		{"who was blocked", as(dan), "blocked", 1, core.ErrNotFriends, nil, core.ErrNotFriends},
		{"a member of the lobby", as(ann), "lobby", 1, no, no, nil},
		{"an admin in the lobby", root(), "lobby", 1, no, nil, nil},
		{"no conversation", as(ann), "none", 1, nowhere, nowhere, nowhere},
	} {
		for name, want := range map[string]error{"edit": c.edit, "delete": c.drop, "react": c.react} {
			tw := newTown(t, line.Options{})
			tw.AddUsers(ann, bob, cyd, dan, eve, 1006, 1007, 1008)
			tw.AddRoom(room, ann, bob, cyd, 1006, 1008)
			tw.Exec(`UPDATE member SET role = 1004 - user_id WHERE conversation_id = 10 AND user_id < 1004`)
			tw.seqs(cyd, inRoom(room), chat.RetryForever, draft("", "in the room"))
			tw.seqs(1008, inRoom(room), chat.RetryForever, draft("", "and muted"))
			tw.Exec(`INSERT INTO member (user_id, conversation_id, joined_seq, joined_at) VALUES (1007, 10, 2, 1)`)
			tw.Check(tw.Chat.Mute(t.Context(), as(ann), core.Origin{}, room, 1008, time.Now().Add(time.Hour)))
			tw.seqs(ann, user(bob), chat.RetryForever, draft("", "to bob"))
			tw.seqs(dan, user(ann), chat.RetryForever, draft("", "to ann"))
			tw.Check(tw.Contacts.Block(t.Context(), as(ann), dan))
			tw.seqs(cyd, inRoom(core.Lobby), chat.RetryForever, draft("", "to all"))
			id := map[string]core.ConversationID{
				"room": room, "direct": tw.directOf(ann, bob), "blocked": tw.directOf(ann, dan), "lobby": core.Lobby, "none": 99,
			}[c.in]
			tw.happened()
			err := acts[name](tw, c.actor, id, c.seq)
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s, %s: %v, want %v", c.who, name, err, want)
			}
			if n := len(tw.changed()); (n == 0) != (err != nil) {
				t.Errorf("%s, %s: %v, and %d events", c.who, name, err, n)
			}
			tw.Stop()
		}
	}
}

func TestChangesAreRefused(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "1"))
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "2"))
	tw.Check(tw.Chat.Delete(ctx, as(cyd), core.Origin{}, den, 2))
	for text, want := range map[string]error{"": core.ErrEmptyMessage, strings.Repeat("x", chat.MaxText+1): core.ErrMessageTooLong} {
		if _, err := tw.Chat.Edit(ctx, as(cyd), den, 1, text); !errors.Is(err, want) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	if _, err := tw.Chat.Edit(ctx, as(cyd), den, 2, "back"); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("a deleted one: %v", err)
	}
	if _, err := tw.Chat.React(ctx, as(bob), den, 2, "👍", true); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("a deleted one: %v", err)
	}
	for _, e := range []string{"", "a", "hello", "1", "👍 ", "👍a", "<b>", "\xff", "\u202e", "\u200d", strings.Repeat("👍", 20), "好"} {
		if _, err := tw.Chat.React(ctx, as(bob), den, 1, e, true); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%q: %v", e, err)
		}
	}
	for _, e := range []string{"👍", "👍🏽", "❤️", "❤", "👨‍👩‍👧‍👦", "🇨🇳", "1️⃣", "©", "‼️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"} {
		if _, err := tw.Chat.React(ctx, as(bob), den, 1, e, true); err != nil {
			if !errors.Is(err, core.ErrTooMany) || e == "👍" {
				t.Errorf("%q: %v", e, err)
			}
		}
	}
	if n := tw.count(`SELECT count(*) FROM reaction`); n != 8 {
		t.Errorf("%d reactions of one user", n)
	}
	if _, err := tw.Chat.Changes(ctx, as(eve), den, 0, 0); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := tw.Chat.LastChange(ctx, core.Actor{}, den); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody: %v", err)
	}
}

func TestReplies(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "a question"))
	tw.seqs(bob, inRoom(den), chat.RetryForever, chat.Draft{Text: "an answer", ReplyTo: 1})
	for seq, want := range map[core.Seq]error{3: core.ErrMessageNotFound, 99: core.ErrMessageNotFound, -1: core.ErrInvalid} {
		if _, err := tw.say(bob, inRoom(den), chat.RetryRecent, draft("", "before"), chat.Draft{Text: "x", ReplyTo: seq}); !errors.Is(err, want) {
			t.Errorf("to %d: %v", seq, err)
		}
	}
	last := tw.published()
	if m := last[len(last)-1].Messages[0]; m.Text != "an answer" || m.ReplyTo != 1 {
		t.Errorf("%+v", m)
	}
	if n := tw.count(`SELECT count(*) FROM message WHERE conversation_id = ?`, int64(den)); n != 2 {
		t.Errorf("%d messages", n)
	}
	if n := tw.count(`SELECT reply_to FROM message WHERE conversation_id = ? AND seq = 2`, int64(den)); n != 1 {
		t.Errorf("it answers %d", n)
	}
}

func TestMentions(t *testing.T) {
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob, cyd, dan, eve)
	tw.Exec(`UPDATE "user" SET name = '小明', name_key = '小明' WHERE uid = 1002`)
	tw.Exec(`UPDATE "user" SET name = '小明明', name_key = '小明明' WHERE uid = 1003`)
	tw.Exec(`UPDATE "user" SET name = 'Ann', name_key = 'ann' WHERE uid = 1001`)
	tw.AddRoom(room, ann, bob, cyd)
	for text, want := range map[string][]core.UserID{
		"@ann":                             {ann},
		"hello @ANN!":                      {ann},
		"你好@小明你好":                          {bob},
		"@小明明，@小明 @Ann":                    {ann, bob, cyd},
		"@ann @ann":                        {ann},
		"mail ann@ann.example":             nil,
		"@":                                nil,
		"@@ann":                            {ann},
		"@ ann":                            nil,
		"@u1005":                           nil, // not in the room
		"@nobody":                          nil,
		strings.Repeat("@", 1000):          nil,
		strings.Repeat("@x ", 25) + "@ann": nil, // too many names
		"@" + strings.Repeat("x", 5000):    nil,
	} {
		before := len(tw.published())
		tw.seqs(cyd, inRoom(room), chat.RetryForever, draft("", text))
		if got := tw.published()[before].Messages[0].Mentions; !slices.Equal(got, want) {
			t.Errorf("%.40q mentions %v, want %v", text, got, want)
		}
	}
	seq := tw.seqs(cyd, inRoom(room), chat.RetryForever, draft("c", "@ann and @小明"))[0]
	tw.seqs(cyd, inRoom(room), chat.RetryForever, draft("c", "@ann and @小明")) // again
	mentions := func() int {
		return tw.count(`SELECT COALESCE(sum(user_id), 0) FROM mention WHERE conversation_id = 10 AND seq = ?`, int64(seq))
	}
	if n := mentions(); n != 2003 {
		t.Error(n)
	}
	m, err := tw.Chat.Edit(t.Context(), as(cyd), room, seq, "only @小明 now")
	if err != nil || !slices.Equal(m.Mentions, []core.UserID{bob}) || mentions() != 1002 {
		t.Errorf("%+v %v", m, err)
	}
	tw.Check(tw.Chat.Delete(t.Context(), as(cyd), core.Origin{}, room, seq))
	if n := mentions(); n != 0 {
		t.Error(n)
	}
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "dear @小明, dear @ann, dear @u1005"))
	events := tw.published()
	if got := events[len(events)-1].Messages[0].Mentions; !slices.Equal(got, []core.UserID{ann, bob}) {
		t.Errorf("in a direct chat: %v", got)
	}
}

// What was deleted is delivered to nobody any more, and holds up nothing.
func TestADeletedMessageIsNotDelivered(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.fill(ann, inRoom(room), 600)
	for seq := core.Seq(1); seq <= 600; seq++ {
		if seq%3 != 0 || seq > 590 || seq > 200 && seq < 500 {
			tw.Check(tw.Chat.Delete(t.Context(), as(ann), core.Origin{}, room, seq))
		}
	}
	var got []core.Seq
	after, pages := core.Seq(0), 0
	for {
		p, err := tw.Chat.Page(t.Context(), bob, room, after, false)
		tw.Check(err)
		for _, ev := range p.Events {
			for i, m := range ev.Messages {
				if m.Seq != ev.First()+core.Seq(i) || m.Text == "" || m.Deleted {
					t.Errorf("%+v in an event from %d", m, ev.First())
				}
				got = append(got, m.Seq)
			}
		}
		if pages++; !p.More || p.End <= after {
			after = p.End
			break
		}
		after = p.End
	}
	if len(got) != 66+30 || after != 600 || pages > 10 {
		t.Errorf("%d messages up to %d in %d pages", len(got), after, pages)
	}
}

// Changes of one conversation are published in the order of their numbers, which have no gaps.
func TestChangesComeInOrder(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.fill(ann, inRoom(den), 8)
	tw.happened()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				if _, err := tw.Chat.Edit(context.Background(), as(ann), den, core.Seq(i+1), fmt.Sprint("edit ", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, e := range tw.changed() {
		if e.Message.Change != core.Change(i+1) {
			t.Fatalf("change %d comes as number %d", e.Message.Change, i+1)
		}
	}
	// Who catches up in small steps ends with the same.
	seen := map[core.Seq]string{}
	for after := core.Change(0); ; {
		list, err := tw.Chat.Changes(t.Context(), as(bob), den, after, 3)
		tw.Check(err)
		for _, m := range list {
			seen[m.Seq], after = m.Text, m.Change
		}
		if len(list) < 3 {
			break
		}
	}
	want := map[core.Seq]string{}
	for seq := core.Seq(1); seq <= 8; seq++ {
		want[seq] = "edit 9"
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Error(d)
	}
}

// With more than a few keys SQLite went through all members of the room.
func TestNamesAreLookedUpByTheirIndex(t *testing.T) {
	tw := settled(t, line.Options{})
	all := tw.plan(chat.NamedQuery, 1, `["a","b"]`)
	if !strings.HasPrefix(all, "SEARCH u USING") || !strings.Contains(all, "SEARCH m USING") || strings.Contains(strings.ReplaceAll(all, "SCAN json_each", ""), "SCAN") {
		t.Error(all)
	}
	if all := tw.plan(chat.MentionsQuery, `[1,9]`, 1); !strings.Contains(all, "mention_message (conversation_id=? AND seq=?)") {
		t.Error(all)
	}
}

// plan returns how a query is carried out.
func (tw *town) plan(query string, args ...any) string {
	tw.Helper()
	rows, err := tw.DB.Query(context.Background(), `EXPLAIN QUERY PLAN `+query, args...)
	tw.Check(err)
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var a, b, c int
		var step string
		tw.Check(rows.Scan(&a, &b, &c, &step))
		plan = append(plan, step)
	}
	tw.Check(rows.Err())
	return strings.Join(plan, "\n")
}

// Each draft of a post was looked up for itself, and no bound held for all of them.
func TestAPostNamesSoManyAtMost(t *testing.T) {
	tw := settled(t, line.Options{})
	drafts := make([]chat.Draft, 70)
	for i := range drafts {
		drafts[i].Text = fmt.Sprintf("@%s", tw.name(bob))
	}
	m, err := tw.say(ann, inRoom(room), chat.RetryRecent, drafts...)
	tw.Check(err)
	named := 0
	for _, m := range m {
		named += len(m.Mentions)
	}
	if named != 64 {
		t.Errorf("%d mentions", named)
	}
}

func (tw *town) name(u core.UserID) (name string) {
	tw.Helper()
	tw.Check(tw.DB.QueryRow(context.Background(), `SELECT name FROM "user" WHERE uid = ?`, []any{int64(u)}, &name))
	return name
}

// Other content under the client id of a message that had been changed was acknowledged, and not stored.
func TestAClientIDStandsForWhatWasPostedFirst(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("a", "one"))
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("b", "two"))
	for _, text := range []string{"better", "best"} {
		_, err := tw.Chat.Edit(t.Context(), as(ann), room, 1, text)
		tw.Check(err)
	}
	tw.Check(tw.Chat.Delete(t.Context(), as(ann), core.Origin{}, room, 2))
	for _, d := range []chat.Draft{draft("a", "other"), draft("a", "best"), draft("b", "other")} {
		if _, err := tw.say(ann, inRoom(room), chat.RetryForever, d); !errors.Is(err, core.ErrClientIDReused) {
			t.Errorf("%v: %v", d, err)
		}
	}
	tw.Check(tw.Chat.Delete(t.Context(), as(ann), core.Origin{}, room, 1))
	for i, d := range []chat.Draft{draft("a", "one"), draft("b", "two")} {
		if s := tw.seqs(ann, inRoom(room), chat.RetryForever, d); s[0] != core.Seq(i+1) {
			t.Errorf("%v is number %d", d, s[0])
		}
	}
}

// Who had left and come back could not take back what they had said, nor could a new admin what others had.
func TestOldMessagesCanBeTakenBack(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.fill(cyd, inRoom(den), 2)
	tw.Check(tw.Chat.Leave(ctx, as(cyd), den))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, cyd))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	_, err := tw.Chat.Edit(ctx, as(cyd), den, 1, "mine")
	tw.Check(err)
	if err := tw.Chat.Delete(ctx, as(eve), core.Origin{}, den, 2); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("a member deletes it: %v", err)
	}
	tw.Check(tw.Chat.Appoint(ctx, as(ann), core.Origin{}, den, eve, core.RoomAdmin))
	tw.Check(tw.Chat.Delete(ctx, as(eve), core.Origin{}, den, 2))
	if _, err := tw.Chat.React(ctx, as(eve), den, 1, "👍", true); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("an admin reacts to what they may not read: %v", err)
	}
	tw.Check(tw.Chat.Delete(ctx, as(cyd), core.Origin{}, den, 1))
}

// TestALongerNameMentionsNobodyElse: whoever was called by the beginning of another word was told of it.
func TestALongerNameMentionsNobodyElse(t *testing.T) {
	tw, den := housed(t, line.Options{})
	long := strings.Repeat("n", 32)
	for user, name := range map[core.UserID]string{ann: "pubc", bob: long} {
		tw.Exec(`UPDATE "user" SET name = ?1, name_key = ?1 WHERE uid = ?2`, name, int64(user))
	}
	for text, want := range map[string][]core.UserID{
		"@pubcx":            nil,
		"@pubc_":            nil,
		"@pubc7":            nil,
		"@pubcя":            nil,
		"@pubcω":            nil,
		"@pubcc\u0301":      nil,
		"@" + long + "n":    nil,
		"@" + long:          {bob},
		"@" + long + ", hi": {bob},
		"@pubc":             {ann},
		"@pubc你好":           {ann},
		"@pubcさん":           {ann},
		"@pubcครับ":         {ann},
		"@pubc, @pubcx":     {ann},
		"@pubc.":            {ann},
		"@pubc@pubcx":       {ann},
		"@pubc's":           {ann},
	} {
		m, err := tw.say(cyd, inRoom(den), chat.RetryForever, draft("", text))
		tw.Check(err)
		if !slices.Equal(m[0].Mentions, want) {
			t.Errorf("%q mentions %v, not %v", text, m[0].Mentions, want)
		}
	}
}
