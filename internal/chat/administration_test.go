package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestAllRooms(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "x"))
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "x"))
	for _, actor := range []core.Actor{root(), operator} {
		list, err := tw.Chat.AllRooms(t.Context(), actor, 0, 0)
		tw.Check(err)
		var got []string
		for _, r := range list {
			got = append(got, fmt.Sprintf("%d %q %d members %d messages of %q", r.Conversation.ID, r.Conversation.Name, r.Members, r.Messages, r.Owner.Name))
			if r.Conversation.Kind != core.Room || r.CreatedAt.IsZero() {
				t.Errorf("%+v", r)
			}
		}
		want := []string{`1 "lobby" 5 members 0 messages of ""`, fmt.Sprintf(`%d "the den" 3 members 1 messages of "u1001"`, den)}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q, want %q", got, want)
		}
		if list, err := tw.Chat.AllRooms(t.Context(), actor, core.Lobby, 1); err != nil || len(list) != 1 || list[0].Conversation.ID != den {
			t.Errorf("after the lobby: %+v, %v", list, err)
		}
		if n, err := tw.Chat.Counts(t.Context(), actor); err != nil || n != (chat.Counts{Conversations: 3, Rooms: 2, Messages: 2}) {
			t.Errorf("%+v, %v", n, err)
		}
	}
	for name, c := range map[string]struct {
		actor core.Actor
		want  error
	}{"nobody": {core.Actor{}, core.ErrLoginRequired}, "an owner": {as(ann), core.ErrForbidden}} {
		if _, err := tw.Chat.AllRooms(t.Context(), c.actor, 0, 0); !errors.Is(err, c.want) {
			t.Errorf("rooms, %s: %v", name, err)
		}
		if _, err := tw.Chat.Counts(t.Context(), c.actor); !errors.Is(err, c.want) {
			t.Errorf("counts, %s: %v", name, err)
		}
	}
}

// awaitPurge waits until nothing is left of the rooms that were closed.
func (tw *town) awaitPurge() {
	tw.Helper()
	for end := time.Now().Add(20 * time.Second); tw.count(`SELECT count(*) FROM conversation WHERE closed = 1`) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tw.Fatal("the closed room is never deleted")
		}
	}
}

func TestAClosedRoomIsGone(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	var asked int
	tw.Chat.OnClose(func(_ context.Context, room core.ConversationID) (bool, error) {
		if room != den {
			t.Errorf("room %d is closed", room)
		}
		asked++
		return asked < 3, nil
	})
	var drafts []chat.Draft
	for i := range 250 {
		drafts = append(drafts, draft("", fmt.Sprintf("secret number %d for @u1003", i)))
	}
	tw.seqs(ann, inRoom(den), chat.RetryRecent, drafts...)
	_, err := tw.Chat.React(ctx, as(bob), den, 5, "👍", true)
	tw.Check(err)
	tw.seqs(ann, inRoom(core.Lobby), chat.RetryForever, draft("", "secret for all"))
	tw.indexed()
	tw.Check(tw.Chat.Mute(ctx, as(ann), core.Origin{}, den, cyd, time.Now().Add(time.Hour)))
	_, token, err := tw.Chat.CreateLink(ctx, as(ann), den, chat.LinkForm{})
	tw.Check(err)
	tw.happened()

	tw.Check(tw.Chat.CloseRoom(ctx, root(), core.Origin{}, den))
	tw.mu.Lock()
	for i, e := range tw.others {
		left, ok := e.(core.MemberLeft)
		if want := []core.UserID{ann, bob, cyd}[i]; !ok || left.User.ID != want || left.By != dan || fmt.Sprint(left.Audience()) != fmt.Sprint(core.Audience{Users: []core.UserID{want}}) {
			t.Errorf("%+v", e)
		}
	}
	if len(tw.others) != 3 {
		t.Errorf("%d events", len(tw.others))
	}
	tw.others = nil
	tw.mu.Unlock()
	for what, err := range map[string]error{
		"reads": func() error { _, err := tw.Chat.History(ctx, as(ann), den, chat.Window{}); return err }(),
		"posts": func() error { _, err := tw.say(ann, inRoom(den), chat.RetryForever, draft("", "x")); return err }(),
		"joins": func() error { _, err := tw.Chat.Join(ctx, as(eve), den); return err }(),
		"sees":  func() error { _, err := tw.Chat.Members(ctx, root(), den, 0, 0); return err }(),
		"ends":  tw.Chat.CloseRoom(ctx, root(), core.Origin{}, den),
		"opens": func() error {
			yes := true
			_, err := tw.Chat.EditRoom(ctx, root(), den, chat.RoomEdit{Public: &yes})
			return err
		}(),
	} {
		if !errors.Is(err, core.ErrConversationNotFound) {
			t.Errorf("somebody %s: %v", what, err)
		}
	}
	if _, err := tw.Chat.JoinByLink(ctx, as(eve), token); !errors.Is(err, core.ErrLinkNotFound) {
		t.Errorf("by the link: %v", err)
	}
	if p, err := tw.Chat.Page(ctx, 0, den, 0, true); err != nil || len(p.Events) > 0 {
		t.Errorf("%+v, %v", p, err)
	}

	tw.awaitPurge()
	for _, table := range []string{"message", "reaction", "mention", "message_change", "search_term", "member", "restriction", "room_link"} {
		if n := tw.count(`SELECT count(*) FROM `+table+` WHERE conversation_id = ?`, int64(den)); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if asked != 3 {
		t.Errorf("who keeps more of the room was asked %d times", asked)
	}
	if got := tw.finds(ann, chat.Search{Text: "secret"}); got != "1:1" {
		t.Errorf("found %q", got)
	}
	a, err := tw.export(operator, 0)
	if err != nil || strings.Contains(fmt.Sprint(a.Conversations), fmt.Sprint("{", den)) {
		t.Errorf("exported: %+v, %v", a.Conversations, err)
	}
	r, err := tw.Chat.CreateRoom(ctx, as(ann), chat.RoomForm{Name: "next"})
	if err != nil || r.ID <= den {
		t.Errorf("the number is given again: %+v, %v", r, err)
	}
}

// A hundred long messages of a closed room were deleted in one unit of work, which posts wait for.
func TestClosingARoomHoldsNobodyUp(t *testing.T) {
	tw, den := housed(t, line.Options{})
	var words strings.Builder
	for i := range chat.MaxTerms + 10 {
		fmt.Fprintf(&words, "%d ", i)
	}
	for range 8 {
		tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", words.String()))
	}
	tw.indexed()
	tw.Check(tw.DB.Update(t.Context(), func(ctx context.Context) error {
		count := func() (n int) {
			tw.Check(tw.DB.QueryRow(ctx, `SELECT count(*) FROM search_term`, nil, &n))
			return n
		}
		_, err := tw.DB.Exec(ctx, `UPDATE conversation SET closed = 1 WHERE id = ?`, int64(den))
		tw.Check(err)
		left := []core.ConversationID{den}
		for n := 0; len(left) > 0; n++ {
			had := count()
			left, err = tw.Chat.IndexOnce(ctx, left)
			tw.Check(err)
			if took := had - count(); took > chat.IndexWork+chat.MaxTerms || n > 10 {
				t.Fatalf("unit %d: %d terms, %v left", n, took, left)
			}
		}
		if n := count(); n != 0 {
			t.Errorf("%d terms are left", n)
		}
		return nil
	}))
}

// TestClosingGoesOnAfterARestart interrupts it before anything is deleted.
func TestClosingGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	tw, den := housed(t, line.Options{Dir: dir})
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "x"))
	tw.Exec(`UPDATE conversation SET closed = 1 WHERE id = ?`, int64(den))
	tw.Stop()
	tw = newTown(t, line.Options{Dir: dir})
	// It did not wait until those were known who keep more of the room.
	time.Sleep(300 * time.Millisecond)
	if n := tw.count(`SELECT count(*) FROM conversation WHERE closed = 1`); n != 1 {
		t.Error("it began by itself")
	}
	asked := false
	tw.Chat.OnClose(func(context.Context, core.ConversationID) (bool, error) { asked = true; return false, nil })
	tw.Check(tw.Chat.ResumeClosing(t.Context()))
	tw.awaitPurge()
	if !asked {
		t.Error("who keeps more of the room was not asked")
	}
	if n := tw.count(`SELECT count(*) FROM message WHERE conversation_id = ?`, int64(den)); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// A post that waits when its room is closed is not stored.
func TestAPostIntoARoomThatIsBeingClosed(t *testing.T) {
	tw, den := housed(t, line.Options{})
	release := tw.holdCommits()
	closing := make(chan error, 1)
	go func() { closing <- tw.Chat.CloseRoom(context.Background(), as(ann), core.Origin{}, den) }()
	for tw.DB.QueueLength() == 0 {
		time.Sleep(time.Millisecond)
	}
	result := make(chan error, 1)
	tw.Check(tw.Chat.Post(t.Context(), as(bob), chat.Post{To: inRoom(den), Origin: "test", Drafts: []chat.Draft{draft("", "x")}},
		func(_ []core.Message, err error) { result <- err }))
	release()
	tw.Check(<-closing)
	if err := <-result; !errors.Is(err, core.ErrConversationNotFound) {
		t.Error(err)
	}
}

// A post to somebody that waits when its author's account is deleted is not stored, even where strangers may write.
func TestADirectPostOfADeletedAccountIsNotStored(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "before"))
	release := tw.holdCommits()
	deleting := make(chan error, 1)
	go func() {
		deleting <- tw.DB.Update(context.Background(), func(ctx context.Context) error {
			_, err := tw.DB.Exec(ctx, `UPDATE "user" SET disabled = 1 WHERE uid = ?`, int64(ann))
			return errors.Join(err, tw.Chat.LeaveAll(ctx, ann))
		})
	}()
	for tw.DB.QueueLength() == 0 {
		time.Sleep(time.Millisecond)
	}
	result := make(chan error, 1)
	tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: user(bob), Origin: "test", Drafts: []chat.Draft{draft("", "after")}},
		func(_ []core.Message, err error) { result <- err }))
	release()
	tw.Check(<-deleting)
	if err := <-result; !errors.Is(err, core.ErrUserNotFound) {
		t.Error(err)
	}
	if n := tw.count(`SELECT count(*) FROM message`); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestOpeningADirectChat(t *testing.T) {
	tw := newTown(t, line.Options{Befriends: true})
	tw.AddUsers(ann, bob, cyd)
	tw.Befriend(as(ann), as(bob))
	ctx := t.Context()
	for _, who := range []core.UserID{ann, bob, ann} {
		other := ann + bob - who
		c, err := tw.Chat.OpenDirect(ctx, as(who), other)
		if err != nil || c.Conversation.Kind != core.Direct || c.With.ID != other || c.Conversation.ID != tw.directOf(ann, bob) {
			t.Errorf("%+v, %v", c, err)
		}
	}
	for name, c := range map[string]struct {
		actor core.Actor
		user  core.UserID
		want  error
	}{
		"nobody": {core.Actor{}, bob, core.ErrLoginRequired}, "with a stranger": {as(ann), cyd, core.ErrNotFriends},
		"with oneself": {as(ann), ann, core.ErrUserNotFound}, "with nobody": {as(ann), nobody, core.ErrUserNotFound},
	} {
		if _, err := tw.Chat.OpenDirect(ctx, c.actor, c.user); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := tw.count(`SELECT count(*) FROM conversation WHERE kind = 1`); n != 1 {
		t.Errorf("%d direct chats", n)
	}
	direct := tw.directOf(ann, bob)
	list, err := tw.Chat.Members(ctx, as(ann), direct, 0, 0)
	if err != nil || len(list) != 2 || list[0].User.ID != ann || list[1].User.ID != bob {
		t.Errorf("members: %+v, %v", list, err)
	}
	for _, actor := range []core.Actor{as(cyd), root(), operator} {
		if _, err := tw.Chat.Members(ctx, actor, direct, 0, 0); !errors.Is(err, core.ErrConversationNotFound) {
			t.Errorf("members for %d: %v", actor.User(), err)
		}
	}
}

func TestWhoMayReadAndPost(t *testing.T) {
	tw := settled(t, line.Options{})
	ctx := t.Context()
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "x"))
	direct := tw.directOf(ann, bob)
	tw.Check(tw.Contacts.Block(ctx, as(bob), ann))
	tw.Exec(`INSERT INTO restriction (conversation_id, user_id, muted_until) VALUES (10, 1002, ?)`, time.Now().Add(time.Hour).UnixMilli())
	nowhere := core.ErrConversationNotFound
	for name, c := range map[string]struct {
		actor      core.Actor
		in         core.ConversationID
		read, post error
	}{
		"a member":             {as(ann), room, nil, nil},
		"a muted member":       {as(bob), room, nil, core.ErrMuted},
		"a stranger":           {as(cyd), room, nowhere, nowhere},
		"an administrator":     {root(), room, nowhere, nowhere},
		"nobody":               {core.Actor{}, room, core.ErrLoginRequired, core.ErrLoginRequired},
		"one who is blocked":   {as(ann), direct, nil, core.ErrNotFriends},
		"a third":              {as(cyd), direct, nowhere, nowhere},
		"somewhere else":       {as(ann), 99, nowhere, nowhere},
		"everybody, the lobby": {as(cyd), core.Lobby, nil, nil},
	} {
		if _, err := tw.Chat.FilesSince(ctx, c.actor, c.in); !errors.Is(err, c.read) || c.read == nil && err != nil {
			t.Errorf("%s reads: %v", name, err)
		}
		if err := tw.Chat.MayPost(ctx, c.actor, c.in); !errors.Is(err, c.post) || c.post == nil && err != nil {
			t.Errorf("%s posts: %v", name, err)
		}
	}
}

func TestAdministratorsMakeLinksIntoTheLobby(t *testing.T) {
	tw, _ := housed(t, line.Options{})
	ctx := t.Context()
	l, token, err := tw.Chat.CreateLink(ctx, root(), core.Lobby, chat.LinkForm{MaxUses: 2})
	tw.Check(err)
	for range 3 { // one is in it already
		if r, err := tw.Chat.JoinByLink(ctx, as(eve), token); err != nil || r.ID != core.Lobby {
			t.Errorf("%+v, %v", r, err)
		}
	}
	for i, want := range []error{nil, nil, core.ErrLinkNotFound} { // who registers by it uses it up, though they are in the lobby, too
		_, err := tw.Chat.Admit(ctx, eve, token)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("account %d: %v", i, err)
		}
	}
	if list, err := tw.Chat.Links(ctx, as(ann), core.Lobby); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("links for everybody: %v, %v", list, err)
	}
	tw.Check(tw.Chat.RevokeLink(ctx, root(), core.Lobby, l.ID))
}

func TestWhatIsDoneToMembersIsKept(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	from := core.Origin{Gateway: "api", IP: netip.MustParseAddr("192.0.2.7")}
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "1"))
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "2"))
	tw.Exec(`DELETE FROM audit`)
	until := time.Now().Add(time.Hour)
	tw.Check(tw.Chat.Delete(ctx, as(cyd), from, den, 1)) // one's own
	tw.Check(tw.Chat.Delete(ctx, as(bob), from, den, 2))
	tw.Check(tw.Chat.Delete(ctx, as(bob), from, den, 2)) // again
	tw.Check(tw.Chat.Mute(ctx, as(ann), from, den, cyd, until))
	tw.Check(tw.Chat.Mute(ctx, as(ann), from, den, cyd, time.Time{}))
	tw.Check(tw.Chat.Appoint(ctx, as(ann), from, den, cyd, core.RoomAdmin))
	tw.Check(tw.Chat.Appoint(ctx, as(ann), from, den, cyd, core.Plain))
	tw.Check(tw.Chat.HandOver(ctx, as(ann), from, den, bob))
	tw.Check(tw.Chat.Remove(ctx, root(), from, den, cyd))
	tw.Check(tw.Chat.CloseRoom(ctx, root(), from, den))
	if err := tw.Chat.Mute(ctx, as(cyd), from, den, bob, until); err == nil {
		t.Error("muted by a stranger")
	}
	var got []string
	rows, err := tw.DB.Query(ctx, `SELECT actor_id || ' ' || action || ' ' || target || ' ' || detail || ' ' || gateway || ' ' || ip FROM audit ORDER BY id`)
	tw.Check(err)
	defer rows.Close()
	for rows.Next() {
		var s string
		tw.Check(rows.Scan(&s))
		got = append(got, s)
	}
	tw.Check(rows.Err())
	in := fmt.Sprint("room ", den)
	want := []string{
		"1002 message.delete message 2 of " + in + " of user 1003 api 192.0.2.7",
		"1001 room.mute user 1003 in " + in + " until " + until.UTC().Format(time.RFC3339) + " api 192.0.2.7",
		"1001 room.mute user 1003 in " + in + " may speak again api 192.0.2.7",
		"1001 room.appoint user 1003 in " + in + " admin api 192.0.2.7",
		"1001 room.appoint user 1003 in " + in + " plain member api 192.0.2.7",
		"1001 room.hand_over user 1002 in " + in + "  api 192.0.2.7",
		"1004 room.remove user 1003 in " + in + "  api 192.0.2.7",
		"1004 room.close " + in + ` name "the den" api 192.0.2.7`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
