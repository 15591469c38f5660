package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/core"
	"parley/internal/store"
)

// RoomInfo is a room as those see it who administer the server. It tells nothing of what is said there.
type RoomInfo struct {
	Conversation core.Conversation
	Members      int
	Messages     int64
	Owner        core.Author // nobody of the lobby, and of a room that all have left
	CreatedAt    time.Time
}

// AllRooms returns all rooms by their ids after one, for those who administer the server; at most limit of them.
func (s *Service) AllRooms(ctx context.Context, actor core.Actor, after core.ConversationID, limit int) (list []RoomInfo, err error) {
	if err := administers(actor); err != nil {
		return nil, fmt.Errorf("all rooms: %w", err)
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		r := RoomInfo{Conversation: core.Conversation{Kind: core.Room}}
		c := &r.Conversation
		var at int64
		err := scan(&c.ID, &c.Name, &c.Topic, &c.Public, &c.LastSeq, &at, &r.Members, &r.Owner.ID, &r.Owner.Name, &r.Owner.Avatar)
		r.Messages, r.CreatedAt = int64(c.LastSeq), time.UnixMilli(at)
		list = append(list, r)
		return err
	}, `SELECT c.id, c.name, c.topic, c.public, c.last_seq, c.created_at, (SELECT count(*) FROM member m WHERE m.conversation_id = c.id),
			COALESCE(u.uid, 0), COALESCE(u.name, ''), COALESCE(u.avatar, '')
		FROM conversation c LEFT JOIN "user" u ON u.uid = (SELECT user_id FROM member m WHERE m.conversation_id = c.id AND m.role = ?)
		WHERE c.kind = 2 AND c.closed = 0 AND c.id > ? ORDER BY c.id LIMIT ?`, int64(core.Owner), int64(after), bounded(limit))
	if err != nil {
		return nil, fmt.Errorf("all rooms: %w", err)
	}
	return list, nil
}

func administers(actor core.Actor) error {
	switch {
	case actor.Operator() || actor.Known() && actor.Admin():
		return nil
	case !actor.Known():
		return core.ErrLoginRequired
	}
	return core.ErrForbidden
}

// Counts is how much there is of everything.
type Counts struct {
	Conversations int64 // direct chats and rooms
	Rooms         int64
	Messages      int64 // what was deleted counts
}

// Counts returns how much there is of everything, for those who administer the server.
func (s *Service) Counts(ctx context.Context, actor core.Actor) (n Counts, err error) {
	if err := administers(actor); err != nil {
		return n, fmt.Errorf("counts: %w", err)
	}
	err = s.db.QueryRow(ctx, `SELECT count(*), COALESCE(sum(kind = 2), 0), COALESCE(sum(last_seq), 0) FROM conversation WHERE closed = 0`, nil,
		&n.Conversations, &n.Rooms, &n.Messages)
	return n, err
}

// The stages of a room's end.
const (
	closing = 1 // nobody is in it any more, and what was said and shared there is being deleted
	closed  = 2 // it is deleted
)

// CloseRoom ends a room: everybody is out of it at once, and what was said and shared there is deleted after that. Its
// number stays taken.
func (s *Service) CloseRoom(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toEnd); err != nil {
			return err
		}
		if err := s.putOut(ctx, st.room, actor.User()); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "room.close", roomTarget(id), fmt.Sprintf("name %q", st.room.Name), from)
	})
	if err != nil {
		return fmt.Errorf("close room %d: %w", id, err)
	}
	return nil
}

// putOut ends a room for everybody in it.
func (s *Service) putOut(ctx context.Context, room core.Conversation, by core.UserID) error {
	s.standings.move(ctx)
	err := s.each(ctx, func(scan func(...any) error) error {
		left := core.MemberLeft{Room: room, By: by, Closed: true}
		if err := scan(&left.User.ID, &left.User.Name, &left.User.Avatar); err != nil {
			return err
		}
		s.publishAfter(ctx, left)
		return nil
	}, `SELECT m.user_id, COALESCE(u.name, ''), COALESCE(u.avatar, '') FROM member m LEFT JOIN "user" u ON u.uid = m.user_id
		WHERE m.conversation_id = ? ORDER BY m.user_id`, int64(room.ID))
	if err != nil {
		return err
	}
	for _, query := range []string{
		`UPDATE conversation SET public = 0, closed = 1 WHERE id = ?`,
		`DELETE FROM member WHERE conversation_id = ?`,
		`DELETE FROM restriction WHERE conversation_id = ?`,
		`DELETE FROM room_link WHERE conversation_id = ?`,
	} {
		if _, err := s.db.Exec(ctx, query, int64(room.ID)); err != nil {
			return err
		}
	}
	store.AfterCommit(ctx, func() { s.indexer.note(room.ID) })
	return nil
}

// OnClose has fn called for a room that is closed, in units of work of their own, until it reports that nothing of the room
// is left. It must be called before the service is used.
func (s *Service) OnClose(fn func(ctx context.Context, room core.ConversationID) (more bool, err error)) {
	s.closing = append(s.closing, fn)
}

// ResumeClosing goes on with the rooms that were being deleted when the server was stopped. It is called once, after the last
// OnClose: what somebody keeps of a room whose end they are not told of would stay for ever.
func (s *Service) ResumeClosing(ctx context.Context) error {
	if err := s.indexer.find(ctx, `SELECT id FROM conversation WHERE closed = ?`, closing); err != nil {
		return fmt.Errorf("rooms that are being closed: %w", err)
	}
	return nil
}

// purgeRows is how many messages of a closed room are deleted in one unit of work at most.
const purgeRows = 100

// purge deletes the next messages of a closed room with all that belongs to them, and then what others keep of it. It returns
// how much work it was and whether there is more. The last message may go beyond atMost.
func (s *Service) purge(ctx context.Context, id core.ConversationID, atMost int) (work int, more bool, err error) {
	var list []core.Message
	err = s.each(ctx, func(scan func(...any) error) error {
		var m core.Message
		if err := scan(&m.Seq, &m.Text); err != nil {
			return err
		}
		list = append(list, m)
		if work += 1 + len(termsOf(m.Text)); work >= atMost {
			return errEnough
		}
		return nil
	}, `SELECT seq, text FROM message WHERE conversation_id = ? ORDER BY seq LIMIT ?`, int64(id), purgeRows)
	if more = len(list) == purgeRows || errors.Is(err, errEnough); err != nil && !more {
		return 0, false, err
	}
	for _, m := range list {
		if err := s.purgeMessage(ctx, id, m); err != nil {
			return 0, false, err
		}
	}
	if more {
		return work, true, nil
	}
	for _, fn := range s.closing {
		if more, err = fn(ctx, id); more || err != nil {
			return work + purgeRows, more, err
		}
	}
	_, err = s.db.Exec(ctx, `UPDATE conversation SET name = '', topic = '', closed = ? WHERE id = ?`, closed, int64(id))
	return work, false, err
}

func (s *Service) purgeMessage(ctx context.Context, id core.ConversationID, m core.Message) error {
	if err := s.reindex(ctx, id, m.Seq, m.Text, ""); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM reaction WHERE conversation_id = ? AND seq = ?`,
		`DELETE FROM mention WHERE conversation_id = ? AND seq = ?`,
		`DELETE FROM message_change WHERE conversation_id = ? AND seq = ?`,
		`DELETE FROM message WHERE conversation_id = ? AND seq = ?`,
	} {
		if _, err := s.db.Exec(ctx, query, int64(id), int64(m.Seq)); err != nil {
			return err
		}
	}
	return nil
}
