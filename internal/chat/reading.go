package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/core"
)

// unreadRows is among how many of the newest messages those are counted that somebody has not read: who writes a lot and never says
// what they have read must not make each list of theirs slow.
const unreadRows = 5 * core.MaxUnread

// Window asks for a stretch of a conversation. At most one of Before, After and Around is set; without one it is the newest.
type Window struct {
	Before core.Seq  // messages before this one
	After  *core.Seq // messages after this one; after 0 come the oldest
	Around core.Seq  // this one, with those before and after it
	Limit  int       // 0 for as many as a list may hold
}

func (w Window) check() error {
	set := 0
	for _, is := range []bool{w.Before != 0, w.After != nil, w.Around != 0} {
		if is {
			set++
		}
	}
	switch {
	case set > 1:
		return core.Because(core.ErrInvalid, "Only one of before, after and around can be asked for")
	case w.Before < 0, w.Around < 0, w.After != nil && *w.After < 0:
		return core.Because(core.ErrInvalid, "Messages are numbered from 1")
	}
	return nil
}

// History returns messages that the actor may read, the oldest first. What was deleted is there without its text.
func (s *Service) History(ctx context.Context, actor core.Actor, id core.ConversationID, w Window) ([]core.Message, error) {
	list, err := s.history(ctx, actor, id, w)
	if err != nil {
		return nil, fmt.Errorf("history of conversation %d: %w", id, err)
	}
	return list, nil
}

func (s *Service) history(ctx context.Context, actor core.Actor, id core.ConversationID, w Window) ([]core.Message, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	p, err := s.place(ctx, actor, id, toRead)
	if err != nil {
		return nil, err
	}
	limit := bounded(w.Limit)
	switch {
	case w.After != nil:
		return s.messagesAfter(ctx, id, *w.After, p.floor, limit)
	case w.Around > 0:
		older, err := s.messagesBefore(ctx, id, w.Around+1, p.floor, (limit+1)/2)
		if err != nil {
			return nil, err
		}
		newer, err := s.messagesAfter(ctx, id, w.Around, p.floor, limit-len(older))
		return append(older, newer...), err
	case w.Before > 0:
		return s.messagesBefore(ctx, id, w.Before, p.floor, limit)
	}
	return s.messagesBefore(ctx, id, p.conversation.LastSeq+1, p.floor, limit)
}

func (s *Service) messagesAfter(ctx context.Context, id core.ConversationID, after, floor core.Seq, limit int) ([]core.Message, error) {
	return s.messages(ctx, id, floor, `SELECT `+messageColumns+` FROM `+messageTables+`
		WHERE m.conversation_id = ? AND m.seq > ? ORDER BY m.seq LIMIT ?`, int64(id), int64(max(after, floor)), limit)
}

func (s *Service) messagesBefore(ctx context.Context, id core.ConversationID, before, floor core.Seq, limit int) ([]core.Message, error) {
	list, err := s.messages(ctx, id, floor, `SELECT `+messageColumns+` FROM `+messageTables+`
		WHERE m.conversation_id = ? AND m.seq < ? AND m.seq > ? ORDER BY m.seq DESC LIMIT ?`, int64(id), int64(before), int64(floor), limit)
	slices.Reverse(list)
	return list, err
}

// Message returns one message that the actor may read.
func (s *Service) Message(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq) (m core.Message, err error) {
	p, err := s.place(ctx, actor, id, toRead)
	if err == nil && seq <= p.floor {
		err = core.ErrMessageNotFound
	}
	if err == nil {
		m, err = s.message(ctx, id, seq, p.floor)
	}
	if err != nil {
		return core.Message{}, fmt.Errorf("message %d of conversation %d: %w", seq, id, err)
	}
	return m, nil
}

// Chats returns the conversations that the actor is in, by their ids after one; at most limit of them.
func (s *Service) Chats(ctx context.Context, actor core.Actor, after core.ConversationID, limit int) (chats []core.Chat, err error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	err = s.db.View(ctx, func(ctx context.Context) error { // the counts belong to the messages
		chats, err = s.chats(ctx, actor.User(), after, bounded(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chats: %w", err)
	}
	return chats, nil
}

// Chat returns one conversation as Chats does.
func (s *Service) Chat(ctx context.Context, actor core.Actor, id core.ConversationID) (core.Chat, error) {
	list, err := s.Chats(ctx, actor, id-1, 1)
	if err == nil && (len(list) == 0 || list[0].Conversation.ID != id) {
		err = core.ErrConversationNotFound
	}
	if err != nil {
		return core.Chat{}, fmt.Errorf("chat %d: %w", id, err)
	}
	return list[0], nil
}

// chats reads conversations. Who the other one is, it asks in a way in which SQLite does not go through all members of a room.
func (s *Service) chats(ctx context.Context, user core.UserID, after core.ConversationID, limit int) (chats []core.Chat, err error) {
	var floors []core.Seq
	err = s.each(ctx, func(scan func(...any) error) error {
		var c core.Chat
		var joined, opened core.Seq
		var muted int64
		v := &c.Conversation
		if err := scan(&v.ID, &v.Kind, &v.Name, &v.Topic, &v.Public, &v.LastSeq, &c.LastChange, &c.Role, &joined, &opened, &c.ReadSeq,
			&muted, &c.With.ID, &c.With.Name, &c.With.Avatar); err != nil {
			return err
		}
		if until := moment(muted); time.Now().Before(until) {
			c.MutedUntil = until
		}
		c.ReadSeq = max(c.ReadSeq, joined) // what was before counts as read
		if v.Public {
			joined = min(joined, opened)
		}
		chats, floors = append(chats, c), append(floors, joined)
		return nil
	}, `SELECT c.id, c.kind, c.name, c.topic, c.public, c.last_seq, c.change_seq, m.role, m.joined_seq, c.open_seq, m.read_seq,
			COALESCE(r.muted_until, 0), COALESCE(o.user_id, 0), COALESCE(u.name, ''), COALESCE(u.avatar, '')
		FROM member m JOIN conversation c ON c.id = m.conversation_id
		LEFT JOIN restriction r ON r.conversation_id = c.id AND r.user_id = m.user_id
		LEFT JOIN member o ON o.conversation_id = CASE c.kind WHEN 1 THEN c.id END AND o.user_id <> m.user_id
		LEFT JOIN "user" u ON u.uid = o.user_id
		WHERE m.user_id = ? AND c.id > ? ORDER BY c.id LIMIT ?`, int64(user), int64(after), limit)
	for i := range chats {
		if err == nil {
			err = s.addCounts(ctx, &chats[i], floors[i], user)
		}
	}
	return chats, err
}

// addCounts fills in what changes with every message.
func (s *Service) addCounts(ctx context.Context, c *core.Chat, floor core.Seq, user core.UserID) error {
	id := c.Conversation.ID
	last, err := s.messagesBefore(ctx, id, c.Conversation.LastSeq+1, floor, 1)
	if err != nil {
		return err
	}
	if len(last) > 0 {
		c.Last = &last[0]
	}
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM (
			SELECT sender_id, deleted_at FROM message WHERE conversation_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?)
		WHERE sender_id <> ? AND deleted_at = 0 LIMIT ?)`,
		[]any{int64(id), int64(c.ReadSeq), unreadRows, int64(user), core.MaxUnread}, &c.Unread)
	return errors.Join(err, s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM mention x
		JOIN message m ON m.conversation_id = x.conversation_id AND m.seq = x.seq
		WHERE x.conversation_id = ?1 AND x.user_id = ?2 AND x.seq > ?3 AND m.sender_id <> ?2 LIMIT ?4)`,
		[]any{int64(id), int64(user), int64(c.ReadSeq), core.MaxUnread}, &c.Mentions))
}

// MarkRead takes note that the actor has read a conversation up to a message, and tells the actor's other clients and the
// others. Reading does not go backwards.
func (s *Service) MarkRead(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		p, err := s.place(ctx, actor, id, toRead)
		if err != nil {
			return err
		}
		if seq < 0 || seq > p.conversation.LastSeq {
			return core.ErrMessageNotFound
		}
		n, err := s.db.Exec(ctx, `UPDATE member SET read_seq = ?1 WHERE user_id = ?2 AND conversation_id = ?3 AND ?1 > max(read_seq, joined_seq)`,
			int64(seq), int64(actor.User()), int64(id))
		if err != nil || n == 0 {
			return err
		}
		told, err := s.toldOfReading(ctx, actor.User(), p)
		s.publishAfter(ctx, core.ConversationRead{Conversation: p.conversation, User: actor.User(), Seq: seq, Members: told})
		return err
	})
	if err != nil {
		return fmt.Errorf("mark conversation %d as read: %w", id, err)
	}
	return nil
}

// toldOfReading returns who of a direct chat hears that the reader has read on: the reader, and the other one as long as they may
// write to the reader. A block keeps that from them.
func (s *Service) toldOfReading(ctx context.Context, reader core.UserID, p place) ([]core.UserID, error) {
	if p.conversation.Kind != core.Direct {
		return nil, nil
	}
	told := []core.UserID{reader}
	for _, other := range p.members {
		if other == reader {
			continue
		}
		may, err := s.mayWrite(ctx, other, reader)
		if err != nil {
			return nil, err
		}
		if may {
			told = append(told, other)
		}
	}
	return told, nil
}

// mayWrite is the contacts' answer where a no is no error.
func (s *Service) mayWrite(ctx context.Context, from, to core.UserID) (bool, error) {
	err := s.cfg.Contacts.MayWrite(ctx, from, to)
	if errors.Is(err, core.ErrNotFriends) || errors.Is(err, core.ErrUserNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Readers returns how far the members of a conversation have read it, by their uids after one; at most limit of them. In the
// lobby that is known to its admins only, like who its members are. In a direct chat nobody is shown how far somebody has read to whom
// they may not write.
func (s *Service) Readers(ctx context.Context, actor core.Actor, id core.ConversationID, after core.UserID, limit int) (list []core.ReadMark, err error) {
	p, err := s.place(ctx, actor, id, toRead)
	if err == nil && p.conversation.Kind == core.Room {
		err = p.standing.may(toSeeMembers)
	}
	if err == nil {
		err = s.each(ctx, func(scan func(...any) error) error {
			var r core.ReadMark
			err := scan(&r.User, &r.Seq)
			list = append(list, r)
			return err
		}, `SELECT user_id, max(read_seq, joined_seq) FROM member WHERE conversation_id = ? AND user_id > ? ORDER BY user_id LIMIT ?`,
			int64(id), int64(after), bounded(limit))
	}
	if err == nil && p.conversation.Kind == core.Direct {
		list, err = s.shownReaders(ctx, actor.User(), list)
	}
	if err != nil {
		return nil, fmt.Errorf("readers of conversation %d: %w", id, err)
	}
	return list, nil
}

// shownReaders leaves out whom the viewer may not write to.
func (s *Service) shownReaders(ctx context.Context, viewer core.UserID, list []core.ReadMark) (shown []core.ReadMark, err error) {
	for _, r := range list {
		may := r.User == viewer
		if !may {
			if may, err = s.mayWrite(ctx, viewer, r.User); err != nil {
				return nil, err
			}
		}
		if may {
			shown = append(shown, r)
		}
	}
	return shown, nil
}
