package chat

import (
	"context"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/core"
)

const (
	// maxEmoji is how long an emoji may be, in bytes: families and flags are several characters.
	maxEmoji = 48
	// maxOwnReactions is how many emoji one user may give to a message, maxReactions how many different ones it may have.
	maxOwnReactions = 8
	maxReactions    = 40
)

// React gives an emoji to a message, or takes it back.
func (s *Service) React(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq, emoji string, give bool) (m core.Message, err error) {
	what := core.MessageChanged{Kind: core.Reacted}
	if give {
		what.Emoji = emoji
	}
	err = s.alter(ctx, actor, id, seq, toPost, what, func(ctx context.Context, _ place, m *core.Message) (bool, error) {
		switch {
		case !isEmoji(emoji):
			return false, core.Because(core.ErrInvalid, "That is no emoji")
		case m.Deleted:
			return false, core.ErrMessageNotFound
		case !give:
			n, err := s.db.Exec(ctx, `DELETE FROM reaction WHERE conversation_id = ? AND seq = ? AND user_id = ? AND emoji = ?`,
				int64(id), int64(seq), int64(actor.User()), emoji)
			return n > 0, err
		}
		if err := mayReact(m.Reactions, actor.User(), emoji); err != nil {
			return false, err
		}
		n, err := s.db.Exec(ctx, `INSERT INTO reaction (conversation_id, seq, user_id, emoji, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, int64(id), int64(seq), int64(actor.User()), emoji, time.Now().UnixMilli())
		return n > 0, err
	}, &m)
	if err != nil {
		return core.Message{}, fmt.Errorf("react to message %d of conversation %d: %w", seq, id, err)
	}
	return m, nil
}

// mayReact refuses one emoji too many.
func mayReact(list []core.Reaction, user core.UserID, emoji string) error {
	own, known := 0, false
	for _, r := range list {
		known = known || r.Emoji == emoji
		for _, u := range r.Users {
			if u == user {
				if r.Emoji == emoji {
					return nil // it is there already
				}
				own++
			}
		}
	}
	if own >= maxOwnReactions || !known && len(list) >= maxReactions {
		return core.ErrTooMany
	}
	return nil
}

// isEmoji tells emoji from words: symbols, what joins and varies them, and the digits of keycaps.
func isEmoji(s string) bool {
	if len(s) > maxEmoji || !utf8.ValidString(s) {
		return false
	}
	symbols := 0
	for _, r := range s {
		switch {
		case r >= 0x2000 && unicode.IsSymbol(r), r == '\u00a9', r == '\u00ae', r == '\u203c', r == '\u2049', r == '\u20e3':
			symbols++
		case r == '\u200d', r == '\ufe0f', r == '#', r == '*', '0' <= r && r <= '9', 0xe0020 <= r && r <= 0xe007f:
		default:
			return false
		}
	}
	return symbols > 0
}
