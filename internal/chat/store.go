package chat

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/core"
)

func directKey(a, b core.UserID) string { return fmt.Sprintf("%d:%d", min(a, b), max(a, b)) }

// ensureDirect returns the direct chat of two users, made at its first use.
func (s *Service) ensureDirect(ctx context.Context, a, b core.UserID) (core.ConversationID, error) {
	key := directKey(a, b)
	find := func(ctx context.Context) (id core.ConversationID, err error) {
		err = s.db.QueryRow(ctx, `SELECT id FROM conversation WHERE direct_key = ?`, []any{key}, &id)
		return id, err
	}
	id, err := find(ctx)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if _, err := s.db.Exec(ctx, `INSERT INTO conversation (kind, direct_key, created_at) VALUES (1, ?, ?)
			ON CONFLICT DO NOTHING`, key, time.Now().UnixMilli()); err != nil {
			return err
		}
		if id, err = find(ctx); err != nil {
			return err
		}
		return errors.Join(s.addMember(ctx, id, a), s.addMember(ctx, id, b))
	})
	return id, err
}

// addMember makes a user a member of a conversation from its present position on.
func (s *Service) addMember(ctx context.Context, id core.ConversationID, user core.UserID) error {
	return s.db.Update(ctx, func(ctx context.Context) error {
		_, err := s.db.Exec(ctx, `INSERT INTO member (user_id, conversation_id, joined_seq, joined_at)
			SELECT ?, id, last_seq, ? FROM conversation WHERE id = ?
			ON CONFLICT DO NOTHING`, int64(user), time.Now().UnixMilli(), int64(id))
		return err
	})
}

// conversation returns a conversation and, of a direct chat, its two users.
func (s *Service) conversation(ctx context.Context, id core.ConversationID) (core.Conversation, []core.UserID, error) {
	c := core.Conversation{ID: id}
	var key sql.NullString
	err := s.db.QueryRow(ctx, `SELECT kind, name, last_seq, direct_key FROM conversation WHERE id = ? AND closed = 0`, []any{int64(id)},
		&c.Kind, &c.Name, &c.LastSeq, &key)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil, core.ErrConversationNotFound
	}
	if err != nil || !key.Valid {
		return c, nil, err
	}
	low, high, _ := strings.Cut(key.String, ":")
	a, errA := strconv.ParseInt(low, 10, 64)
	b, errB := strconv.ParseInt(high, 10, 64)
	return c, []core.UserID{core.UserID(a), core.UserID(b)}, errors.Join(errA, errB)
}

// allot gives a conversation its next n sequence numbers and returns the last one before them.
func (s *Service) allot(ctx context.Context, id core.ConversationID, n int) (core.Seq, error) {
	var last core.Seq
	err := s.db.QueryRow(ctx, `UPDATE conversation SET last_seq = last_seq + ? WHERE id = ? RETURNING last_seq`,
		[]any{int64(n), int64(id)}, &last)
	return last - core.Seq(n), err
}

// giveBack returns sequence numbers that were allotted but not used.
func (s *Service) giveBack(ctx context.Context, id core.ConversationID, n int) error {
	_, err := s.db.Exec(ctx, `UPDATE conversation SET last_seq = last_seq - ? WHERE id = ?`, int64(n), int64(id))
	return err
}

// insert stores a message; false means that its sender, client id and retry key stand for a message already.
func (s *Service) insert(ctx context.Context, id core.ConversationID, m core.Message, retry int64) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO message
		(conversation_id, seq, sender_id, client_id, retry, text, origin, created_at, reply_to, file_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (sender_id, client_id, retry) DO NOTHING`, int64(id), int64(m.Seq), int64(m.Author.ID), nullable(m.ClientID),
		retry, m.Text, string(m.Origin), m.At.UnixMilli(), int64(m.ReplyTo), int64(fileOf(&m)))
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.insertMentions(ctx, id, m.Seq, m.Mentions)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// stored is a message that stands under a retry key.
type stored struct {
	conversation core.ConversationID
	seq          core.Seq
	replyTo      core.Seq
	file         core.FileID
	text         string
	changed      bool  // so that the text is not the one that was sent
	sent         int64 // then, the hash of that, or 0 if nobody knows
	at           time.Time
}

// is reports whether it was sent as another message would be.
func (m stored) is(conversation core.ConversationID, other *core.Message) bool {
	if m.conversation != conversation || m.replyTo != other.ReplyTo || m.file != fileOf(other) {
		return false
	}
	if m.changed {
		return m.sent == 0 || m.sent == hashText(other.Text)
	}
	return m.text == other.Text
}

// hashText is never 0.
func hashText(text string) int64 {
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:])>>1) | 1
}

func (s *Service) storedUnder(ctx context.Context, sender core.UserID, clientID string, retry int64) (m stored, err error) {
	var at int64
	err = s.db.QueryRow(ctx, `SELECT conversation_id, seq, reply_to, file_id, text, edited_at + deleted_at > 0, sent_hash, created_at FROM message
		WHERE sender_id = ? AND client_id = ? AND retry = ?`, []any{int64(sender), clientID, retry},
		&m.conversation, &m.seq, &m.replyTo, &m.file, &m.text, &m.changed, &m.sent, &at)
	m.at = time.UnixMilli(at)
	return m, err
}

// releaseRetry moves a message away from its retry key, so that another message can have it.
func (s *Service) releaseRetry(ctx context.Context, m stored, to int64) error {
	_, err := s.db.Exec(ctx, `UPDATE message SET retry = ? WHERE conversation_id = ? AND seq = ?`,
		to, int64(m.conversation), int64(m.seq))
	return err
}
