package chat

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	// typingEvery is how often others are told that somebody is writing.
	typingEvery = 2 * time.Second
	// maxTypists is how many are remembered who are writing.
	maxTypists = 10_000
)

// typing remembers when others were last told that somebody is writing.
type typing struct {
	mu   sync.Mutex // guards last
	last map[typist]time.Time
}

type typist struct {
	user         core.UserID
	conversation core.ConversationID
}

// due reports whether it is time to tell again, and takes note that it is told.
func (t *typing) due(who typist, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.last[who]; ok && now.Sub(last) < typingEvery {
		return false
	}
	if len(t.last) >= maxTypists {
		clear(t.last)
	}
	t.last[who] = now
	return true
}

// Typing tells the others in a conversation that the actor is writing something. Nobody is told so of the lobby, where it would
// be one crowd's noise to another.
func (s *Service) Typing(ctx context.Context, actor core.Actor, id core.ConversationID) error {
	p, err := s.place(ctx, actor, id, toPost)
	if err != nil {
		return fmt.Errorf("typing in conversation %d: %w", id, err)
	}
	if id != core.Lobby && s.typing.due(typist{actor.User(), id}, time.Now()) {
		s.cfg.Publish(core.Typing{Conversation: p.conversation, User: authorOf(actor), Members: p.members})
	}
	return nil
}
