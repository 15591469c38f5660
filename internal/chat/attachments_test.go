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

// sharedAt is when files were shared in tests: after everybody came.
const sharedAt = 4_000_000_000_000

// addFile stores a file of a conversation, or a folder.
func (tw *town) addFile(id core.FileID, area core.ConversationID, owner core.UserID, kind core.FileKind, name string) core.FileID {
	tw.Helper()
	tw.Exec(`INSERT INTO file (id, conversation_id, owner_id, kind, name, size, sha256, type, blob, created_at) VALUES (?, ?, ?, ?, ?, 1234, zeroblob(32), 'image/png', ?, ?)`,
		int64(id), int64(area), int64(owner), int64(kind), name, name, sharedAt)
	return id
}

func withFile(id, text string, file core.FileID) chat.Draft {
	return chat.Draft{ClientID: id, Text: text, File: file}
}

func answer(id, text string, to core.Seq) chat.Draft {
	return chat.Draft{ClientID: id, Text: text, ReplyTo: to}
}

// newest returns the newest message of a conversation as somebody reads it.
func (tw *town) newest(who core.UserID, id core.ConversationID) core.Message {
	tw.Helper()
	list, err := tw.Chat.History(tw.Context(), as(who), id, chat.Window{Limit: 1})
	tw.Check(err)
	if len(list) != 1 {
		tw.Fatalf("%d messages", len(list))
	}
	return list[0]
}

func TestMessagesHaveFiles(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.addFile(7, den, ann, core.PlainFile, "cat.png")
	for _, d := range []chat.Draft{withFile("a", "", 7), withFile("b", "look", 7)} {
		m, err := tw.say(bob, inRoom(den), chat.RetryForever, d)
		tw.Check(err)
		live := tw.published()[len(tw.published())-1].Messages[0]
		read := tw.newest(cyd, den)
		want := &core.File{
			ID: 7, Area: den, Owner: core.Author{ID: ann, Name: "u1001"}, Kind: core.PlainFile, Name: "cat.png", Size: 1234, Type: "image/png", At: time.UnixMilli(sharedAt),
		}
		for where, f := range map[string]*core.File{"acknowledged": m[0].File, "live": live.File, "read": read.File} {
			if diff := cmp.Diff(want, f); diff != "" {
				t.Errorf("%s: %s", where, diff)
			}
		}
	}
	tw.Exec(`DELETE FROM file WHERE id = 7`)
	if m := tw.newest(cyd, den); !m.FileGone || m.File == nil || m.File.ID != 7 || m.File.Name != "" || m.Text != "look" {
		t.Errorf("when the file is deleted: %+v", m)
	}
	tw.Check(tw.Chat.Delete(t.Context(), as(bob), core.Origin{}, den, 2))
	if m := tw.newest(cyd, den); m.File != nil || m.FileGone {
		t.Errorf("when the message is deleted: %+v", m)
	}
}

func TestOnlyFilesOfTheConversationAreAttached(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.addFile(7, core.Lobby, ann, core.PlainFile, "elsewhere")
	tw.addFile(8, den, ann, core.Folder, "folder")
	for name, file := range map[string]core.FileID{"another room's": 7, "a folder": 8, "no such": 9} {
		if _, err := tw.say(ann, inRoom(den), chat.RetryForever, withFile(name, "x", file)); !errors.Is(err, core.ErrFileNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tw.say(ann, inRoom(den), chat.RetryForever, withFile("n", "x", -1)); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a negative number: %v", err)
	}
	if n := tw.count(`SELECT count(*) + (SELECT last_seq FROM conversation WHERE id = ?) FROM message`, int64(den)); n != 0 {
		t.Errorf("%d messages or numbers are left of what was refused", n)
	}
}

// TestAMessageWithAFileSentAgain is the same one only with the same file and the same answer, and stays it when those are gone.
func TestAMessageWithAFileSentAgain(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.addFile(7, den, ann, core.PlainFile, "one")
	tw.addFile(8, den, ann, core.PlainFile, "two")
	tw.seqs(bob, inRoom(den), chat.RetryForever, draft("q", "what?"))
	first := chat.Draft{ClientID: "a", Text: "this", File: 7, ReplyTo: 1}
	if got := tw.seqs(ann, inRoom(den), chat.RetryForever, first); got[0] != 2 {
		t.Fatal(got)
	}
	for name, d := range map[string]chat.Draft{
		"another file":   {ClientID: "a", Text: "this", File: 8, ReplyTo: 1},
		"no file":        {ClientID: "a", Text: "this", ReplyTo: 1},
		"no answer":      {ClientID: "a", Text: "this", File: 7},
		"another text":   {ClientID: "a", Text: "that", File: 7, ReplyTo: 1},
		"without a text": {ClientID: "a", File: 7, ReplyTo: 1},
	} {
		if _, err := tw.say(ann, inRoom(den), chat.RetryForever, d); !errors.Is(err, core.ErrClientIDReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tw.Exec(`DELETE FROM file`)
	m, err := tw.say(ann, inRoom(den), chat.RetryForever, first)
	if err != nil || m[0].Seq != 2 || !m[0].Again {
		t.Errorf("sent again when the file is gone: %+v, %v", m, err)
	}
	if n := len(tw.published()); n != 2 {
		t.Errorf("%d posts were told of", n)
	}
	if _, err := tw.say(ann, inRoom(den), chat.RetryForever, withFile("b", "this", 7)); !errors.Is(err, core.ErrFileNotFound) {
		t.Errorf("another message with the file that is gone: %v", err)
	}
}

// Among recent ones what has other files or answers is another message.
func TestRecentMessagesWithFilesAreToldApart(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.addFile(7, den, ann, core.PlainFile, "one")
	for i, d := range []chat.Draft{draft("1", "x"), withFile("1", "x", 7), answer("1", "x", 1)} {
		for range 2 {
			if got := tw.seqs(ann, inRoom(den), chat.RetryRecent, d); got[0] != core.Seq(i+1) {
				t.Errorf("draft %d: %v", i, got)
			}
		}
	}
}

func TestTheTextBesideAFileMayGo(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.addFile(7, den, ann, core.PlainFile, "one")
	tw.seqs(ann, inRoom(den), chat.RetryForever, withFile("a", "caption", 7))
	if m, err := tw.Chat.Edit(t.Context(), as(ann), den, 1, ""); err != nil || m.Text != "" || m.File == nil || m.File.Name != "one" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAnswersQuote(t *testing.T) {
	tw, den := housed(t, line.Options{})
	long := strings.Repeat("会", 150)
	tw.seqs(bob, inRoom(den), chat.RetryForever, draft("1", long))
	m, err := tw.say(ann, inRoom(den), chat.RetryForever, answer("2", "yes", 1))
	tw.Check(err)
	want := &core.Quote{Author: core.Author{ID: bob, Name: "u1002"}, Text: long[:300]}
	live := tw.published()[1].Messages[0]
	for where, q := range map[string]*core.Quote{"acknowledged": m[0].Quote, "live": live.Quote, "read": tw.newest(cyd, den).Quote} {
		if diff := cmp.Diff(want, q); diff != "" {
			t.Errorf("%s: %s", where, diff)
		}
	}
	_, err = tw.Chat.Edit(t.Context(), as(bob), den, 1, "short")
	tw.Check(err)
	if q := tw.newest(cyd, den).Quote; q == nil || q.Text != "short" {
		t.Errorf("of what was edited: %+v", q)
	}
	tw.Check(tw.Chat.Delete(t.Context(), as(bob), core.Origin{}, den, 1))
	if m := tw.newest(cyd, den); m.Quote != nil || m.ReplyTo != 1 {
		t.Errorf("of what was deleted: %+v", m)
	}
	if m, err := tw.say(ann, inRoom(den), chat.RetryForever, answer("3", "hm", 1)); err != nil || m[0].Quote != nil {
		t.Errorf("an answer to what was deleted: %+v, %v", m, err)
	}
}

func TestNobodyAnswersWhatTheyCannotRead(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("1", "before eve came"))
	tw.Check(tw.Chat.Bring(t.Context(), as(ann), den, eve))
	for name, c := range map[string]struct {
		who core.UserID
		to  core.Seq
	}{"what was before": {eve, 1}, "what is not": {ann, 2}, "itself": {ann, 2}, "far ahead": {ann, 1 << 40}} {
		if _, err := tw.say(c.who, inRoom(den), chat.RetryForever, answer(name, "x", c.to)); !errors.Is(err, core.ErrMessageNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	yes := true
	_, err := tw.Chat.EditRoom(t.Context(), as(ann), den, chat.RoomEdit{Public: &yes})
	tw.Check(err)
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("2", "for all"))
	tw.Check(tw.Chat.Leave(t.Context(), as(eve), den))
	_, err = tw.Chat.Join(t.Context(), as(eve), den)
	tw.Check(err)
	if _, err := tw.say(eve, inRoom(den), chat.RetryForever, answer("3", "x", 2)); err != nil {
		t.Errorf("what was said since the room is public: %v", err)
	}
	if _, err := tw.say(eve, inRoom(den), chat.RetryForever, answer("4", "x", 1)); !errors.Is(err, core.ErrMessageNotFound) {
		t.Errorf("what was said before: %v", err)
	}
}

// TestNobodyHearsOfChangesToWhatTheyCannotRead looks at who is left out of the audience.
func TestNobodyHearsOfChangesToWhatTheyCannotRead(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("1", "secret"))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, dan))
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("2", "open"))
	change := func(seq core.Seq) {
		t.Helper()
		_, err := tw.Chat.Edit(ctx, as(cyd), den, seq, fmt.Sprint("edited ", seq))
		tw.Check(err)
		_, err = tw.Chat.React(ctx, as(bob), den, seq, "👍", true)
		tw.Check(err)
		_, err = tw.Chat.React(ctx, as(bob), den, seq, "👍", false)
		tw.Check(err)
		tw.Check(tw.Chat.Delete(ctx, as(cyd), core.Origin{}, den, seq))
	}
	tw.happened()
	change(1)
	change(2)
	for i, ev := range tw.changed() {
		a, want := ev.Audience(), "[1004 1005]"
		if ev.Message.Seq == 2 {
			want = "[]"
		}
		if a.Room != den || fmt.Sprint(a.Except) != want {
			t.Errorf("change %d: %+v, want all but %s", i, a, want)
		}
		if emoji := map[int]string{1: "👍", 5: "👍"}[i]; ev.Emoji != emoji {
			t.Errorf("change %d: %q was given", i, ev.Emoji)
		}
	}
}

// TestOfAPublicRoomEverybodyHears what was said since it is one.
func TestOfAPublicRoomEverybodyHears(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx, yes := t.Context(), true
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("1", "secret"))
	_, err := tw.Chat.EditRoom(ctx, as(ann), den, chat.RoomEdit{Public: &yes})
	tw.Check(err)
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("2", "for all"))
	_, err = tw.Chat.Join(ctx, as(eve), den)
	tw.Check(err)
	tw.seqs(cyd, inRoom(core.Lobby), chat.RetryForever, draft("3", "in the lobby"))
	tw.happened()
	for _, c := range []struct {
		in   core.ConversationID
		seq  core.Seq
		want string
	}{{den, 1, "[1005]"}, {den, 2, "[]"}, {core.Lobby, 1, "[]"}} {
		_, err := tw.Chat.Edit(ctx, as(cyd), c.in, c.seq, "other")
		tw.Check(err)
		evs := tw.changed()
		if len(evs) != 1 || fmt.Sprint(evs[0].Hidden) != c.want {
			t.Errorf("%d:%d: %+v", c.in, c.seq, evs)
		}
		tw.happened()
	}
}

// None of these may go through a whole table, or sort more than it returns.
func TestQueriesGoByTheirIndexes(t *testing.T) {
	tw := settled(t, line.Options{})
	for name, c := range map[string]struct {
		plan string
		want string
	}{
		"quotes": {tw.plan(chat.QuotesQuery, 100, `[1,9]`, 1), "SEARCH m USING PRIMARY KEY (conversation_id=? AND seq=?)"},
		"files":  {tw.plan(chat.FilesQuery, `[1,9]`), "SEARCH f USING INTEGER PRIMARY KEY (rowid=?)"},
		"shows":  {tw.plan(chat.ShowingQuery, `[1,9]`), "SEARCH m USING INDEX message_file (file_id=?)"},
		"hidden": {tw.plan(chat.HiddenQuery, 1, 5), "member_joined (conversation_id=? AND joined_seq>?)"},
		"hits":   {tw.plan(chat.LookByTerm, 1, 0, 99, 32, "x"), "SEARCH t USING PRIMARY KEY (term=? AND conversation_id=? AND seq>? AND seq<?)"},
		"all":    {tw.plan(chat.LookAtAll, 1, 0, 99, 32), "SEARCH m USING PRIMARY KEY (conversation_id=? AND seq>? AND seq<?)"},
		"list": {
			tw.plan(`SELECT user_id FROM member WHERE conversation_id = ? AND user_id > ? ORDER BY user_id LIMIT 5`, 1, 5),
			"member_conversation (conversation_id=? AND user_id>?)",
		},
	} {
		if !strings.Contains(c.plan, c.want) || name != "hidden" && strings.Contains(c.plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, c.plan)
		}
	}
}

// TestNobodyIsQuotedWhatTheyMayNotRead: an answer showed everybody the beginning of what it answers, with later edits, also those who came
// after that.
func TestNobodyIsQuotedWhatTheyMayNotRead(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	secret := tw.seqs(ann, inRoom(den), chat.RetryForever, draft("a", "a secret"))[0]
	tw.Exec(`DELETE FROM member WHERE conversation_id = ? AND user_id = ?`, int64(den), int64(cyd))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, cyd))
	m, err := tw.say(bob, inRoom(den), chat.RetryForever, answer("b", "indeed", secret))
	tw.Check(err)
	if m[0].Quote == nil || m[0].Quote.Text != "a secret" {
		t.Errorf("the author is answered %+v", m[0])
	}
	reply := m[0].Seq
	if live := tw.published()[len(tw.published())-1].Messages[0]; live.Quote != nil || live.ReplyTo != secret {
		t.Errorf("all are told %+v", live)
	}
	_, err = tw.Chat.React(ctx, as(bob), den, reply, "👍", true)
	tw.Check(err)
	tw.Check(tw.DB.Update(ctx, func(context.Context) error { return nil }))
	if ev := tw.lastChange(); ev.Message.Quote != nil || len(ev.Hidden) != 0 {
		t.Errorf("all are told %+v", ev)
	}
	for who, quoted := range map[core.UserID]bool{ann: true, bob: true, cyd: false} {
		check := func(how string, list ...core.Message) {
			t.Helper()
			if len(list) == 0 || list[len(list)-1].Seq != reply {
				t.Fatalf("%s by %d: %+v", how, who, list)
			}
			if got := list[len(list)-1].Quote != nil; got != quoted {
				t.Errorf("%s by %d: a quote %t, not %t", how, who, got, quoted)
			}
		}
		check("history", tw.newest(who, den))
		before := reply - 1
		after, err := tw.Chat.History(ctx, as(who), den, chat.Window{After: &before})
		tw.Check(err)
		check("history after", after...)
		one, err := tw.Chat.Message(ctx, as(who), den, reply)
		tw.Check(err)
		check("message", one)
		found, err := tw.Chat.Search(ctx, as(who), chat.Search{Text: "indeed"})
		tw.Check(err)
		for _, h := range found.Hits {
			check("search", h.Message)
		}
		changes, err := tw.Chat.Changes(ctx, as(who), den, 0, 10)
		tw.Check(err)
		check("changes", changes...)
		c, err := tw.Chat.Chat(ctx, as(who), den)
		tw.Check(err)
		check("list", *c.Last)
		for _, whole := range []bool{true, false} {
			page, err := tw.Chat.Page(ctx, who, den, reply-1, whole)
			tw.Check(err)
			check("page", page.Events[0].Messages...)
		}
	}

	// Once it is for all of them, all are told.
	m, err = tw.say(cyd, inRoom(den), chat.RetryForever, answer("c", "what?", reply))
	tw.Check(err)
	if live := tw.published()[len(tw.published())-1].Messages[0]; live.Quote == nil || live.Quote.Text != "indeed" {
		t.Errorf("all are told %+v", live)
	}
	_, err = tw.Chat.React(ctx, as(bob), den, m[0].Seq, "👍", true)
	tw.Check(err)
	tw.Check(tw.DB.Update(ctx, func(context.Context) error { return nil }))
	if ev := tw.lastChange(); ev.Message.Quote == nil {
		t.Errorf("all are told %+v", ev)
	}
}

// lastChange returns what was last told of a message that changed.
func (tw *town) lastChange() (last core.MessageChanged) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	for _, e := range tw.others {
		if c, ok := e.(core.MessageChanged); ok {
			last = c
		}
	}
	return last
}
