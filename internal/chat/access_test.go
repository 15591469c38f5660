package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestWhoMayPostWhere(t *testing.T) {
	tw := settled(t, line.Options{Befriends: true})
	tw.AddUsers(1004, 1005)
	tw.Befriend(as(ann), as(bob))
	tw.Befriend(as(ann), as(1004))
	tw.Check(tw.Contacts.Block(t.Context(), as(1004), ann))
	tw.Befriend(as(ann), as(1005))
	tw.Exec(`UPDATE "user" SET disabled = 1 WHERE uid = 1005`)
	tw.seqs(ann, user(bob), chat.RetryRecent, draft("", "x"))
	direct := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	stored := tw.count(`SELECT count(*) FROM message`)
	for name, c := range map[string]struct {
		from core.UserID
		to   chat.Target
		want error
	}{
		"nobody":               {0, inRoom(core.Lobby), core.ErrLoginRequired},
		"to a stranger":        {ann, user(cyd), core.ErrNotFriends},
		"from a stranger":      {cyd, user(ann), core.ErrNotFriends},
		"to who blocked":       {ann, user(1004), core.ErrNotFriends},
		"to whom one blocked":  {1004, user(ann), core.ErrNotFriends},
		"to the disabled":      {ann, user(1005), core.ErrUserNotFound},
		"to the unknown":       {ann, user(nobody), core.ErrUserNotFound},
		"to a negative uid":    {ann, user(-5), core.ErrUserNotFound},
		"to no one":            {ann, chat.Target{}, core.ErrUserNotFound},
		"to oneself":           {ann, user(ann), core.ErrUserNotFound},
		"a room one is not in": {cyd, inRoom(room), core.ErrConversationNotFound},
		"a room that is not":   {ann, inRoom(77), core.ErrConversationNotFound},
		"others' direct chat":  {cyd, inRoom(direct), core.ErrConversationNotFound},
	} {
		if _, err := tw.say(c.from, c.to, chat.RetryRecent, draft("", "x")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := tw.Chat.Rooms(t.Context(), core.Actor{}); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("rooms of nobody: %v", err)
	}
	if _, err := tw.Chat.Room(t.Context(), core.Actor{}, core.Lobby); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("a room for nobody: %v", err)
	}
	if _, err := tw.Chat.Room(t.Context(), as(cyd), room); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("a room for who is not in it: %v", err)
	}
	if n := tw.count(`SELECT count(*) FROM message`); n != stored {
		t.Errorf("%d messages of what was refused are stored", n-stored)
	}
	if n := tw.count(`SELECT count(*) FROM conversation WHERE kind = 1`); n != 1 {
		t.Errorf("%d direct chats were made for what was refused", n-1)
	}
}

func TestRooms(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, inRoom(room), chat.RetryRecent, draft("", "x"))
	tw.seqs(ann, user(cyd), chat.RetryRecent, draft("", "x"))
	rooms, err := tw.Chat.Rooms(t.Context(), as(ann))
	tw.Check(err)
	want := []core.Conversation{{ID: core.Lobby, Kind: core.Room, Name: "lobby", Public: true}, {ID: room, Kind: core.Room, Name: "room10", LastSeq: 1}}
	if fmt.Sprint(rooms) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", rooms, want)
	}
	one, err := tw.Chat.Room(t.Context(), as(ann), room)
	if err != nil || one != want[1] {
		t.Errorf("got %v, %v", one, err)
	}
}

func TestTwoWhoWriteAtOnceShareOneConversation(t *testing.T) {
	tw := settled(t, line.Options{})
	var wg sync.WaitGroup
	for i := range 40 {
		from, to := ann, bob
		if i%2 == 0 {
			from, to = to, from
		}
		wg.Go(func() { tw.seqs(from, user(to), chat.RetryRecent, draft("", "x")) })
	}
	wg.Wait()
	if n := tw.count(`SELECT count(*) FROM conversation WHERE kind = 1 AND last_seq = 40`); n != 1 {
		t.Errorf("%d conversations have everything", n)
	}
	if n := tw.count(`SELECT count(*) FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE kind = 1`); n != 2 {
		t.Errorf("%d members", n)
	}
}

func TestAChangeOfContactsIsEffectiveAtOnce(t *testing.T) {
	tw := settled(t, line.Options{Befriends: true})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 { // they keep the answer in the memory, and renew it while it changes
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = tw.say(ann, user(bob), chat.RetryRecent, draft("", "noise"))
				}
			}
		})
	}
	for i := range 40 {
		tw.Befriend(as(ann), as(bob))
		if _, err := tw.say(ann, user(bob), chat.RetryRecent, draft("", "friends")); err != nil {
			t.Errorf("round %d: friends: %v", i, err)
		}
		tw.Check(tw.Contacts.Block(context.Background(), as(bob), ann))
		for range 5 {
			if _, err := tw.say(ann, user(bob), chat.RetryRecent, draft("", "blocked")); !errors.Is(err, core.ErrNotFriends) {
				t.Errorf("round %d: blocked: %v", i, err)
			}
		}
		tw.Check(tw.Contacts.Unblock(context.Background(), as(bob), ann))
		tw.Exec(`DELETE FROM friend_apply`) // the limits on requests are not the matter here
	}
	close(stop)
	wg.Wait()
}

func TestStrangersThatAreKeptOutAreKeptOutAtOnce(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, user(bob), chat.RetryRecent, draft("", "hello"))
	tw.Contacts.SetStrangers(false)
	if _, err := tw.say(ann, user(bob), chat.RetryRecent, draft("", "still here?")); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("a stranger writes: %v", err)
	}
	tw.Contacts.SetStrangers(true)
	tw.seqs(ann, user(bob), chat.RetryRecent, draft("", "hello again"))
}
