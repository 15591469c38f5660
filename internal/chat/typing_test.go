package chat_test

import (
	"errors"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestTyping(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "x"))
	direct := tw.directOf(ann, bob)
	for range 3 { // told once in a while
		for _, id := range []core.ConversationID{den, direct, core.Lobby} {
			tw.Check(tw.Chat.Typing(ctx, as(ann), id))
		}
	}
	tw.Check(tw.Chat.Typing(ctx, as(bob), den))
	tw.expectHappened("core.Typing", "core.Typing", "core.Typing")
	tw.Check(tw.Chat.Mute(ctx, as(ann), core.Origin{}, den, cyd, time.Now().Add(time.Hour)))
	tw.Check(tw.Contacts.Block(ctx, as(bob), ann))
	tw.happened()
	for name, c := range map[string]struct {
		actor core.Actor
		id    core.ConversationID
		want  error
	}{
		"nobody":      {core.Actor{}, den, core.ErrLoginRequired},
		"a stranger":  {as(eve), den, core.ErrConversationNotFound},
		"a third":     {as(cyd), direct, core.ErrConversationNotFound},
		"the muted":   {as(cyd), den, core.ErrMuted},
		"the blocked": {as(ann), direct, core.ErrNotFriends},
	} {
		if err := tw.Chat.Typing(ctx, c.actor, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	tw.expectHappened()
	if a := (core.Typing{Conversation: core.Conversation{ID: den, Kind: core.Room}}).Audience(); a.Room != den {
		t.Errorf("%+v", a)
	}
}
