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

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

const (
	dan core.UserID = 1004 // an admin of the server
	eve core.UserID = 1005 // a stranger
)

func root() core.Actor { return core.NewActor(core.User{ID: dan, Name: "root", Admin: true}) }

// housed is a town in which ann owns a room, bob is an admin of it and cyd is in it.
func housed(t testing.TB, opts line.Options) (*town, core.ConversationID) {
	t.Helper()
	tw := newTown(t, opts)
	tw.AddUsers(ann, bob, cyd, dan, eve)
	if opts.Befriends {
		tw.Befriend(as(ann), as(bob))
		tw.Befriend(as(ann), as(cyd))
	}
	r, err := tw.Chat.CreateRoom(t.Context(), as(ann), chat.RoomForm{Name: " the  den ", Topic: "all sorts\n"})
	tw.Check(err)
	if r.Name != "the den" || r.Topic != "all sorts" || r.Public || r.Kind != core.Room {
		t.Fatalf("%+v", r)
	}
	tw.Check(tw.Chat.Bring(t.Context(), as(ann), r.ID, bob))
	tw.Check(tw.Chat.Bring(t.Context(), as(ann), r.ID, cyd))
	tw.Check(tw.Chat.Appoint(t.Context(), as(ann), core.Origin{}, r.ID, bob, core.RoomAdmin))
	tw.happened()
	return tw, r.ID
}

func (tw *town) members(id core.ConversationID) string {
	tw.Helper()
	list, err := tw.Chat.Members(context.Background(), root(), id, 0, 0)
	tw.Check(err)
	var out []string
	for _, m := range list {
		out = append(out, fmt.Sprintf("%d=%d", m.User.ID, m.Role))
	}
	return strings.Join(out, " ")
}

func (tw *town) expectHappened(want ...string) {
	tw.Helper()
	if got := tw.happened(); !slices.Equal(got, want) {
		tw.Errorf("happened: %q, want %q", got, want)
	}
}

func TestLifeOfARoom(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	if got := tw.members(den); got != "1001=3 1002=2 1003=1" {
		t.Error(got)
	}
	name, public := "café", true
	r, err := tw.Chat.EditRoom(ctx, as(ann), den, chat.RoomEdit{Name: &name, Public: &public})
	if err != nil || r.Name != name || r.Topic != "all sorts" || !r.Public {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = tw.Chat.EditRoom(ctx, as(ann), den, chat.RoomEdit{Name: &name}) // no change, no event
	tw.Check(err)
	tw.expectHappened(fmt.Sprintf(`room %d is "café" "all sorts" true by 1001`, den))
	list, err := tw.Chat.PublicRooms(ctx, as(eve), 0, 0)
	if err != nil || len(list) != 2 || list[1].ID != den {
		t.Errorf("%+v, %v", list, err)
	}
	tw.seqs(cyd, inRoom(den), chat.RetryForever, draft("", "hello"))
	_, err = tw.Chat.Join(ctx, as(eve), den)
	tw.Check(err)
	_, err = tw.Chat.Join(ctx, as(eve), den) // she is in it
	tw.Check(err)
	tw.Check(tw.Chat.HandOver(ctx, as(ann), core.Origin{}, den, cyd))
	tw.Check(tw.Chat.Leave(ctx, as(ann), den))
	tw.Check(tw.Chat.Remove(ctx, as(cyd), core.Origin{}, den, eve))
	tw.expectHappened(
		fmt.Sprintf("1005 joined %d as 1 by 1005", den),
		fmt.Sprintf("1001 is 2 in %d muted false by 1001", den), fmt.Sprintf("1003 is 3 in %d muted false by 1001", den),
		fmt.Sprintf("1001 left %d by 1001", den), fmt.Sprintf("1005 left %d by 1003", den))
	if got := tw.members(den); got != "1002=2 1003=3" {
		t.Error(got)
	}
	if _, err := tw.Chat.Join(ctx, as(eve), den); !errors.Is(err, core.ErrShutOut) {
		t.Errorf("who was removed comes back: %v", err)
	}
	tw.Check(tw.Chat.Bring(ctx, as(bob), den, eve)) // by an admin
	_, err = tw.Chat.Join(ctx, as(ann), den)        // she left of her own will
	tw.Check(err)
	tw.Check(tw.Chat.Leave(ctx, as(eve), den))
	tw.Check(tw.Chat.Leave(ctx, as(ann), den))
	tw.Check(tw.Chat.Leave(ctx, as(bob), den))
	tw.Check(tw.Chat.Leave(ctx, as(cyd), den)) // the owner, who is alone
	if _, err := tw.Chat.Join(ctx, as(ann), den); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("an empty room can be joined: %v", err)
	}
}

// TestWhoMayDoWhatInARoom goes through all acts from every side.
func TestWhoMayDoWhatInARoom(t *testing.T) {
	nowhere := core.ErrConversationNotFound
	no := core.ErrForbidden
	// What becomes of it for: nobody, a stranger, a member, an admin of the room, its owner, an admin of the server.
	acts := []struct {
		name string
		do   func(tw *town, a core.Actor, id core.ConversationID) error
		want [6]error
	}{
		{"see the room", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, err := tw.Chat.Room(tw.Context(), a, id)
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nowhere}},
		{"see one's standing", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, err := tw.Chat.Standing(tw.Context(), a, id)
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nowhere}},
		{"post", func(tw *town, a core.Actor, id core.ConversationID) error {
			done := make(chan error, 1)
			err := tw.Chat.Post(tw.Context(), a, chat.Post{To: inRoom(id), Origin: "test", Drafts: []chat.Draft{draft("", "x")}},
				func(_ []core.Message, err error) { done <- err })
			if err != nil {
				return err
			}
			return <-done
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nowhere}},
		{"see the members", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, err := tw.Chat.Members(tw.Context(), a, id, 0, 0)
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nil}},
		{"rename it", func(tw *town, a core.Actor, id core.ConversationID) error {
			name := "x"
			_, err := tw.Chat.EditRoom(tw.Context(), a, id, chat.RoomEdit{Name: &name})
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nil}},
		{"make it public", func(tw *town, a core.Actor, id core.ConversationID) error {
			public := true
			_, err := tw.Chat.EditRoom(tw.Context(), a, id, chat.RoomEdit{Public: &public})
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, nil, nowhere}},
		{"bring somebody", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Bring(tw.Context(), a, id, 1007)
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nowhere}},
		{"make a link", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, _, err := tw.Chat.CreateLink(tw.Context(), a, id, chat.LinkForm{})
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nowhere}},
		{"see the links", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, err := tw.Chat.Links(tw.Context(), a, id)
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nil}},
		{"revoke a link", func(tw *town, a core.Actor, id core.ConversationID) error {
			l, _, err := tw.Chat.CreateLink(tw.Context(), as(ann), id, chat.LinkForm{})
			tw.Check(err)
			return tw.Chat.RevokeLink(tw.Context(), a, id, l.ID)
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nil}},
		{"mute a member", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Mute(tw.Context(), a, core.Origin{}, id, 1006, time.Now().Add(time.Hour))
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nil}},
		{"mute an admin", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Mute(tw.Context(), a, core.Origin{}, id, bob, time.Now().Add(time.Hour))
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, nil, nil}},
		{"mute the owner", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Mute(tw.Context(), a, core.Origin{}, id, ann, time.Now().Add(time.Hour))
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, no, nil}},
		{"remove a member", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Remove(tw.Context(), a, core.Origin{}, id, 1006)
		}, [6]error{core.ErrLoginRequired, nowhere, no, nil, nil, nil}},
		{"remove the owner", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Remove(tw.Context(), a, core.Origin{}, id, ann)
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, no, core.ErrOwnerStays}},
		{"appoint an admin", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Appoint(tw.Context(), a, core.Origin{}, id, 1006, core.RoomAdmin)
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, nil, nil}},
		{"hand it over", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.HandOver(tw.Context(), a, core.Origin{}, id, 1006)
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, nil, nil}},
		{"close it", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.CloseRoom(tw.Context(), a, core.Origin{}, id)
		}, [6]error{core.ErrLoginRequired, nowhere, no, no, nil, nil}},
		{"join a private room", func(tw *town, a core.Actor, id core.ConversationID) error {
			_, err := tw.Chat.Join(tw.Context(), a, id)
			return err
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, nil, nowhere}},
		{"leave", func(tw *town, a core.Actor, id core.ConversationID) error {
			return tw.Chat.Leave(tw.Context(), a, id)
		}, [6]error{core.ErrLoginRequired, nowhere, nil, nil, core.ErrOwnerStays, nowhere}},
	}
	actors := [6]core.Actor{{}, as(eve), as(cyd), as(bob), as(ann), root()}
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob, cyd, dan, eve, 1006, 1007)
	for _, act := range acts {
		for i, actor := range actors {
			tw.AddRoom(room, ann, bob, cyd, 1006)
			tw.Exec(`UPDATE member SET role = 1004 - user_id WHERE conversation_id = 10 AND user_id < 1004`)
			before := tw.count(`SELECT count(*) FROM message`)
			err := act.do(tw, actor, room)
			if !errors.Is(err, act.want[i]) || act.want[i] == nil && err != nil {
				t.Errorf("%s by %d (%d): %v, want %v", act.name, actor.User(), i, err, act.want[i])
			}
			happened := tw.happened()
			if err != nil && (len(happened) > 0 || tw.count(`SELECT count(*) FROM message`) != before) {
				t.Errorf("%s by %d was refused, and happened: %q", act.name, actor.User(), happened)
			}
			for _, table := range []string{"member", "restriction", "room_link", "message"} {
				tw.Exec(`DELETE FROM ` + table + ` WHERE conversation_id = 10`)
			}
			tw.Exec(`DELETE FROM conversation WHERE id = 10`)
		}
	}
}

func TestTheLobbyIsSpecial(t *testing.T) {
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob, cyd, dan, eve)
	ctx := t.Context()
	topic := "be kind"
	for name, err := range map[string]error{
		"leave":    tw.Chat.Leave(ctx, as(ann), core.Lobby),
		"bring":    tw.Chat.Bring(ctx, as(ann), core.Lobby, bob),
		"remove":   tw.Chat.Remove(ctx, root(), core.Origin{}, core.Lobby, bob),
		"appoint":  tw.Chat.Appoint(ctx, root(), core.Origin{}, core.Lobby, bob, core.RoomAdmin),
		"handover": tw.Chat.HandOver(ctx, root(), core.Origin{}, core.Lobby, bob),
		"mute":     tw.Chat.Mute(ctx, as(ann), core.Origin{}, core.Lobby, bob, time.Now().Add(time.Hour)),
		"members":  func() error { _, err := tw.Chat.Members(ctx, as(ann), core.Lobby, 0, 0); return err }(),
		"topic": func() error {
			_, err := tw.Chat.EditRoom(ctx, as(ann), core.Lobby, chat.RoomEdit{Topic: &topic})
			return err
		}(),
		"hide": func() error {
			private := false
			_, err := tw.Chat.EditRoom(ctx, root(), core.Lobby, chat.RoomEdit{Public: &private})
			return err
		}(),
		"link":  func() error { _, _, err := tw.Chat.CreateLink(ctx, as(ann), core.Lobby, chat.LinkForm{}); return err }(),
		"close": tw.Chat.CloseRoom(ctx, root(), core.Origin{}, core.Lobby),
	} {
		if !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tw.expectHappened()
	_, err := tw.Chat.EditRoom(ctx, root(), core.Lobby, chat.RoomEdit{Topic: &topic})
	tw.Check(err)
	tw.Check(tw.Chat.Mute(ctx, root(), core.Origin{}, core.Lobby, bob, time.Now().Add(time.Hour)))
	if _, err := tw.say(bob, inRoom(core.Lobby), chat.RetryForever, draft("", "x")); !errors.Is(err, core.ErrMuted) {
		t.Errorf("the muted posts: %v", err)
	}
	if len(tw.members(core.Lobby)) == 0 {
		t.Error("no members")
	}
}

func TestMuting(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.Check(tw.Chat.Mute(ctx, as(bob), core.Origin{}, den, cyd, time.Now().Add(time.Hour)))
	muted := func(want error) {
		t.Helper()
		if _, err := tw.say(cyd, inRoom(den), chat.RetryForever, draft("", "x")); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	muted(core.ErrMuted)
	// Leaving and coming back changes nothing.
	tw.Check(tw.Chat.Leave(ctx, as(cyd), den))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, cyd))
	muted(core.ErrMuted)
	tw.Check(tw.Chat.Mute(ctx, as(bob), core.Origin{}, den, cyd, time.Time{}))
	muted(nil)
	tw.Exec(`INSERT INTO restriction (conversation_id, user_id, muted_until) VALUES (?, ?, ?)`, int64(den), int64(cyd), time.Now().Add(-time.Second).UnixMilli())
	muted(nil) // the time has passed
}

// A post that was accepted before its author was muted or removed, and is stored after, is refused.
func TestAPostThatWaitsIsCheckedAgain(t *testing.T) {
	tw, den := housed(t, line.Options{})
	for _, c := range []struct {
		want error
		act  func() error
	}{
		{core.ErrMuted, func() error {
			return tw.Chat.Mute(context.Background(), as(ann), core.Origin{}, den, cyd, time.Now().Add(time.Hour))
		}},
		{core.ErrConversationNotFound, func() error { return tw.Chat.Remove(context.Background(), as(ann), core.Origin{}, den, cyd) }},
	} {
		release := tw.holdCommits()
		acted := make(chan error, 1)
		before := tw.DB.QueueLength()
		go func() { acted <- c.act() }()
		for tw.DB.QueueLength() == before {
			time.Sleep(time.Millisecond)
		}
		done := make(chan error, 1)
		err := tw.Chat.Post(t.Context(), as(cyd), chat.Post{To: inRoom(den), Origin: "test", Drafts: []chat.Draft{draft("", "late")}},
			func(_ []core.Message, err error) { done <- err })
		release()
		tw.Check(err)
		tw.Check(<-acted)
		if err := <-done; !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
		tw.Exec(`DELETE FROM restriction`)
	}
	if n := tw.count(`SELECT count(*) FROM message`) + tw.count(`SELECT last_seq FROM conversation WHERE id = ?`, int64(den)); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestOnlyThoseWhomOneMayWriteToAreBrought(t *testing.T) {
	tw, den := housed(t, line.Options{Befriends: true})
	if err := tw.Chat.Bring(t.Context(), as(bob), den, eve); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("a stranger: %v", err)
	}
	if err := tw.Chat.Bring(t.Context(), as(bob), den, nobody); !errors.Is(err, core.ErrUserNotFound) {
		t.Errorf("nobody: %v", err)
	}
	tw.Befriend(as(bob), as(eve))
	tw.Check(tw.Chat.Bring(t.Context(), as(bob), den, eve))
	tw.Check(tw.Chat.Remove(t.Context(), as(bob), core.Origin{}, den, eve))
	tw.Befriend(as(cyd), as(eve))
	if err := tw.Chat.Bring(t.Context(), as(cyd), den, eve); !errors.Is(err, core.ErrShutOut) {
		t.Errorf("a plain member brings back who was removed: %v", err)
	}
}

func TestRoomsAreRefused(t *testing.T) {
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann)
	for name, form := range map[string]chat.RoomForm{
		"no name":        {Name: "  "},
		"a long name":    {Name: strings.Repeat("长", 65)},
		"a broken name":  {Name: "a\xff"},
		"a bidi name":    {Name: "a\u202eb"},
		"a long topic":   {Name: "x", Topic: strings.Repeat("长", 1001)},
		"a broken topic": {Name: "x", Topic: "\xff"},
		"a bell":         {Name: "x", Topic: "a\x07"},
	} {
		if _, err := tw.Chat.CreateRoom(t.Context(), as(ann), form); core.KindOf(err) != core.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tw.Chat.CreateRoom(t.Context(), core.Actor{}, chat.RoomForm{Name: "x"}); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := tw.Chat.PublicRooms(t.Context(), core.Actor{}, 0, 0); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody: %v", err)
	}
	var err error
	n := 0
	for ; err == nil && n < 200; n++ {
		_, err = tw.Chat.CreateRoom(t.Context(), as(ann), chat.RoomForm{Name: "x"})
	}
	if !errors.Is(err, core.ErrTooMany) || n != 101 {
		t.Errorf("%d rooms, %v", n, err)
	}
}

func TestLinksIntoARoom(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	l, token, err := tw.Chat.CreateLink(ctx, as(bob), den, chat.LinkForm{MaxUses: 1})
	tw.Check(err)
	if len(token) != 22 || l.ID == 0 || l.By != bob || tw.count(`SELECT count(*) FROM room_link WHERE instr(hash, ?)`, token) != 0 {
		t.Errorf("%q %+v", token, l)
	}
	if r, err := tw.Chat.LinkedRoom(ctx, token); err != nil || r.ID != den || r.Name != "the den" {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = tw.Chat.JoinByLink(ctx, as(cyd), token) // she is in it: it is not used up
	tw.Check(err)
	if r, err := tw.Chat.JoinByLink(ctx, as(eve), token); err != nil || r.ID != den {
		t.Errorf("%+v, %v", r, err)
	}
	refused := func(what, token string, want error) {
		t.Helper()
		if _, err := tw.Chat.JoinByLink(ctx, as(dan), token); !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("used up", token, core.ErrLinkNotFound)
	refused("guessed", "AAAAAAAAAAAAAAAAAAAAAA", core.ErrLinkNotFound)
	refused("empty", "", core.ErrLinkNotFound)
	if _, err := tw.Chat.JoinByLink(ctx, core.Actor{}, token); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody: %v", err)
	}
	l, token, err = tw.Chat.CreateLink(ctx, as(bob), den, chat.LinkForm{Expires: time.Now().Add(time.Hour)})
	tw.Check(err)
	list, err := tw.Chat.Links(ctx, as(ann), den)
	if err != nil || len(list) != 1 || list[0] != l {
		t.Errorf("%+v, %v; want %+v", list, err, l)
	}
	tw.Exec(`UPDATE room_link SET expires_at = ?`, time.Now().UnixMilli())
	refused("expired", token, core.ErrLinkNotFound)
	l, token, err = tw.Chat.CreateLink(ctx, as(bob), den, chat.LinkForm{})
	tw.Check(err)
	if err := tw.Chat.RevokeLink(ctx, as(ann), core.Lobby, l.ID); err == nil {
		t.Error("revoked through another room")
	}
	tw.Check(tw.Chat.RevokeLink(ctx, as(ann), den, l.ID))
	refused("revoked", token, core.ErrLinkNotFound)
	if err := tw.Chat.RevokeLink(ctx, as(ann), den, l.ID); !errors.Is(err, core.ErrLinkNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	for name, form := range map[string]chat.LinkForm{"fewer than none": {MaxUses: -1}, "expired": {Expires: time.Now().Add(-time.Second)}, "endless": {MaxUses: 1e9}} {
		if _, _, err := tw.Chat.CreateLink(ctx, as(bob), den, form); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, token, err = tw.Chat.CreateLink(ctx, as(bob), den, chat.LinkForm{})
	tw.Check(err)
	tw.Check(tw.Chat.Remove(ctx, as(bob), core.Origin{}, den, eve))
	if _, err := tw.Chat.JoinByLink(ctx, as(eve), token); !errors.Is(err, core.ErrShutOut) {
		t.Errorf("who was removed comes back: %v", err)
	}
}

// A link that admits one admits one, however many come at once.
func TestALinkIsNotUsedMoreOftenThanItMay(t *testing.T) {
	tw, den := housed(t, line.Options{})
	_, token, err := tw.Chat.CreateLink(t.Context(), as(ann), den, chat.LinkForm{MaxUses: 3})
	tw.Check(err)
	var uids []core.UserID
	for uid := core.UserID(2000); uid < 2020; uid++ {
		uids = append(uids, uid)
	}
	tw.AddUsers(uids...)
	var wg sync.WaitGroup
	for _, uid := range uids {
		wg.Go(func() {
			if _, err := tw.Chat.JoinByLink(context.Background(), as(uid), token); err != nil && !errors.Is(err, core.ErrLinkNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := tw.count(`SELECT count(*) FROM member WHERE conversation_id = ?`, int64(den)); n != 3+3 {
		t.Errorf("%d members", n)
	}
}

func TestADeletedAccountLeavesItsRooms(t *testing.T) {
	tw, den := housed(t, line.Options{})
	alone, err := tw.Chat.CreateRoom(t.Context(), as(ann), chat.RoomForm{Name: "alone", Public: true})
	tw.Check(err)
	tw.happened()
	tw.Check(tw.DB.Update(t.Context(), func(ctx context.Context) error { return tw.Chat.LeaveAll(ctx, ann) }))
	tw.expectHappened("1001 left 1 by 1001", fmt.Sprintf("1001 left %d by 1001", den), fmt.Sprintf("1002 is 3 in %d muted false by 1001", den),
		fmt.Sprintf("1001 left %d by 1001", alone.ID))
	if got := tw.members(den); got != "1002=3 1003=1" {
		t.Error(got)
	}
	if list, err := tw.Chat.PublicRooms(t.Context(), as(bob), 0, 0); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// Who comes back gets nothing of what was said while they were away.
func TestWhatWasSaidWhileSomebodyWasAwayIsNotTheirs(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "1"))
	tw.behind(cyd, "g")
	tw.Check(tw.Chat.Leave(ctx, as(cyd), den))
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "2"))
	page, err := tw.Chat.Page(ctx, cyd, den, 0, false)
	if err != nil || len(page.Events) != 0 || page.More {
		t.Errorf("%+v, %v", page, err)
	}
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, cyd))
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "3"))
	page, err = tw.Chat.Page(ctx, cyd, den, 0, false)
	if err != nil || len(page.Events) != 1 || page.Events[0].First() != 3 || page.Events[0].Last() != 3 || page.End != 3 {
		t.Errorf("%+v, %v", page, err)
	}
	if at, ok := tw.behind(cyd, "g")[den]; !ok || at != 2 {
		t.Errorf("behind at %d", at)
	}
}

// A post that was checked before its author's account was deleted was stored after it.
func TestAPostOfADeletedAccountIsNotStored(t *testing.T) {
	tw, den := housed(t, line.Options{})
	release := tw.holdCommits()
	left := make(chan error, 1)
	go func() {
		left <- tw.DB.Update(context.Background(), func(ctx context.Context) error { return tw.Chat.LeaveAll(ctx, cyd) })
	}()
	for tw.DB.QueueLength() == 0 {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error, 1)
	err := tw.Chat.Post(t.Context(), as(cyd), chat.Post{To: inRoom(den), Origin: "test", Drafts: []chat.Draft{draft("", "late")}},
		func(_ []core.Message, err error) { done <- err })
	tw.Check(err)
	release()
	tw.Check(<-left)
	if err := <-done; !errors.Is(err, core.ErrConversationNotFound) {
		t.Error(err)
	}
	if n := tw.count(`SELECT count(*) FROM message WHERE text = 'late'`); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// Whoever made a private room public gave away all that was ever said in it, and an admin of the server could do so to any.
func TestAPublicRoomKeepsWhatWasSaidWhenItWasPrivate(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	yes, no := true, false
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "secret one"))
	if _, err := tw.Chat.EditRoom(ctx, root(), den, chat.RoomEdit{Public: &yes}); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("an admin of the server opens it: %v", err)
	}
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "secret two"))
	_, err := tw.Chat.EditRoom(ctx, as(ann), den, chat.RoomEdit{Public: &yes})
	tw.Check(err)
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "secret no more"))
	_, err = tw.Chat.Join(ctx, root(), den)
	tw.Check(err)
	tw.indexed()
	for who, want := range map[core.UserID]int{ann: 3, cyd: 3, eve: 2, dan: 1} {
		list, err := tw.Chat.History(ctx, as(who), den, chat.Window{})
		if err != nil || len(list) != want {
			t.Errorf("%d reads %d, %v", who, len(list), err)
		}
		if n := len(strings.Fields(tw.finds(who, chat.Search{Text: "secret"}))); n != want {
			t.Errorf("%d finds %d", who, n)
		}
		if n := len(strings.Fields(tw.finds(who, chat.Search{Text: "secret", Conversation: den}))); n != want {
			t.Errorf("%d finds %d there", who, n)
		}
	}
	_, err = tw.Chat.EditRoom(ctx, root(), den, chat.RoomEdit{Public: &no})
	tw.Check(err)
}

// Nothing bounded how many rooms one user was in, all of which a login, a search and a catch-up look at.
func TestAUserIsInSoManyRoomsAtMost(t *testing.T) {
	tw, den := housed(t, line.Options{})
	tw.Exec(`WITH RECURSIVE n(i) AS (SELECT 100000 UNION ALL SELECT i + 1 FROM n WHERE i < 100997)
		INSERT INTO conversation (id, kind, name, created_at) SELECT i, 2, 'x', 1 FROM n`)
	tw.Exec(`INSERT INTO member (user_id, conversation_id, joined_seq, joined_at) SELECT ?, id, 0, 1 FROM conversation WHERE id >= 100000`, int64(eve))
	tw.Check(tw.Chat.Bring(t.Context(), as(ann), den, eve)) // the lobby is one, too
	if _, err := tw.Chat.CreateRoom(t.Context(), as(eve), chat.RoomForm{Name: "one more"}); !errors.Is(err, core.ErrTooMany) {
		t.Error(err)
	}
}
