package chat_test

import (
	"errors"
	"fmt"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestFellows(t *testing.T) {
	tw, _ := housed(t, line.Options{})
	all := []core.UserID{ann, bob, cyd, dan, eve, nobody}
	for who, want := range map[core.UserID]string{ann: "[1002 1003]", cyd: "[1001 1002]", eve: "[]"} { // all are in the lobby
		if got, err := tw.Chat.Fellows(t.Context(), as(who), all); err != nil || fmt.Sprint(got) != want {
			t.Errorf("fellows of %d: %v, %v", who, got, err)
		}
	}
	if got, err := tw.Chat.Fellows(t.Context(), as(ann), []core.UserID{cyd, cyd}); err != nil || fmt.Sprint(got) != "[1003]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := tw.Chat.Fellows(t.Context(), core.Actor{}, all); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := tw.Chat.Fellows(t.Context(), as(ann), make([]core.UserID, 201)); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
}

// TestADirectChatByItsNumber can be written to by the two whose it is, as long as they may.
func TestADirectChatByItsNumber(t *testing.T) {
	tw := settled(t, line.Options{Befriends: true})
	tw.Befriend(as(ann), as(bob))
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "1"))
	id := tw.directOf(ann, bob)
	if got := tw.seqs(bob, inRoom(id), chat.RetryForever, draft("", "2")); got[0] != 2 {
		t.Errorf("%v", got)
	}
	ev := tw.published()[1]
	if ev.Conversation.Kind != core.Direct || ev.Conversation.ID != id || fmt.Sprint(ev.Members) != "[1002 1001]" && fmt.Sprint(ev.Members) != "[1001 1002]" {
		t.Errorf("%+v", ev)
	}
	if _, err := tw.say(cyd, inRoom(id), chat.RetryForever, draft("", "3")); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := tw.say(cyd, inRoom(999), chat.RetryForever, draft("", "3")); !errors.Is(err, core.ErrConversationNotFound) {
		t.Errorf("none: %v", err)
	}
	tw.Check(tw.Contacts.Block(t.Context(), as(ann), bob))
	if _, err := tw.say(bob, inRoom(id), chat.RetryForever, draft("", "3")); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("who is blocked: %v", err)
	}
}

// TestWhatIsPostedAgainIsToldSo to whoever posts it, and nobody hears of it.
func TestWhatIsPostedAgainIsToldSo(t *testing.T) {
	tw := settled(t, line.Options{})
	for i, again := range []bool{false, true, true} {
		m, err := tw.say(ann, inRoom(room), chat.RetryForever, draft("a", "one"))
		if err != nil || m[0].Again != again || m[0].Seq != 1 {
			t.Errorf("time %d: %+v, %v", i+1, m, err)
		}
	}
	if list := tw.published(); len(list) != 1 || list[0].Messages[0].Again {
		t.Errorf("%+v", list)
	}
}

func TestAnInvitationSaysHowManyAreThere(t *testing.T) {
	tw, den := housed(t, line.Options{})
	_, token, err := tw.Chat.CreateLink(t.Context(), as(ann), den, chat.LinkForm{})
	tw.Check(err)
	if r, n, err := tw.Chat.Invitation(t.Context(), token); err != nil || r.Name != "the den" || n != 3 {
		t.Errorf("%+v, %d, %v", r, n, err)
	}
	if _, _, err := tw.Chat.Invitation(t.Context(), "guessed"); !errors.Is(err, core.ErrLinkNotFound) {
		t.Errorf("a guessed one: %v", err)
	}
}
