package chat

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"parley/internal/core"
)

// position is the place of a message among those of all conversations, by the time at which it was posted.
//
// Its time is the message's own, as long as the messages of its conversation have times in the order of their numbers. A clock
// that was set back, or messages that were brought along from elsewhere, may have mixed them. A number is then found by
// bisection as if they were in order, and the time is where the bisection turns. So there is one order of all messages in which
// those of one conversation come by their numbers, and a page of hits ends exactly where the next one begins.
type position struct {
	at           int64 // in milliseconds
	conversation core.ConversationID
	seq          core.Seq
}

// newer sorts positions from the newest to the oldest.
func newer(a, b position) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.conversation, a.conversation), cmp.Compare(b.seq, a.seq))
}

func (p position) String() string { return fmt.Sprintf("%d-%d-%d", p.at, p.conversation, p.seq) }

var errPosition = core.Because(core.ErrInvalid, "That is no cursor of an answer")

// parsePosition reads what String has made. An empty text is the zero position.
func parsePosition(text string) (p position, err error) {
	if text == "" {
		return p, nil
	}
	var n [3]int64
	parts := strings.Split(text, "-")
	if len(parts) != len(n) {
		return p, errPosition
	}
	for i, part := range parts {
		if n[i], err = strconv.ParseInt(part, 10, 64); err != nil || n[i] < 0 {
			return p, errPosition
		}
	}
	p = position{n[0], core.ConversationID(n[1]), core.Seq(n[2])}
	if p.conversation == 0 || p.seq == 0 {
		return p, errPosition
	}
	return p, nil
}

// firstBit is where a bisection of a conversation begins: the highest bit of its last number.
func (c stretch) firstBit() int64 {
	if c.last == 0 {
		return 0
	}
	return 1 << (bits.Len64(uint64(c.last)) - 1)
}

// position returns the position of a message. The bisection for a time gets as far as the message if it takes each node on
// the way to it, or some node beyond it after those on the way there.
func (s *Service) position(ctx context.Context, c stretch, seq core.Seq) (position, error) {
	p := position{conversation: c.id, seq: seq}
	err := s.db.QueryRow(ctx, `WITH RECURSIVE way (bit, at, need, least) AS (
			SELECT ?1, 0, 0, ?2
			UNION ALL
			SELECT w.bit / 2,
				CASE WHEN ?3 & w.bit THEN w.at + w.bit ELSE w.at END,
				CASE WHEN ?3 & w.bit THEN max(w.need, m.created_at) ELSE w.need END,
				CASE WHEN ?3 & w.bit OR m.seq IS NULL THEN w.least ELSE min(w.least, max(w.need, m.created_at)) END
			FROM way w LEFT JOIN message m ON m.conversation_id = ?4 AND m.seq = w.at + w.bit WHERE w.bit > 0)
		SELECT min(need, least) FROM way WHERE bit = 0`, []any{c.firstBit(), int64(maxTime), int64(seq), int64(c.id)}, &p.at)
	return p, err
}

// maxTime is later than all messages.
const maxTime = 1 << 62

// below returns the last number of a conversation whose position is older than another one. Older than the zero position are
// all.
func (s *Service) below(ctx context.Context, c stretch, than position) (core.Seq, error) {
	switch {
	case than == position{}:
		return c.last, nil
	case c.id == than.conversation:
		return min(c.last, than.seq-1), nil
	case c.id > than.conversation:
		than.at-- // those of the same time come before it
	}
	var seq core.Seq
	err := s.db.QueryRow(ctx, `WITH RECURSIVE way (bit, at) AS (
			SELECT ?1, 0
			UNION ALL
			SELECT w.bit / 2, CASE WHEN m.created_at <= ?2 THEN w.at + w.bit ELSE w.at END
			FROM way w LEFT JOIN message m ON m.conversation_id = ?3 AND m.seq = w.at + w.bit WHERE w.bit > 0)
		SELECT max(at) FROM way`, []any{c.firstBit(), than.at, int64(c.id)}, &seq)
	return seq, err
}
