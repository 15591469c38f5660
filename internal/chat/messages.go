package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// place is a conversation as somebody who may do something in it sees it.
type place struct {
	conversation core.Conversation
	members      []core.UserID // of a direct chat
	standing     standing      // in a room
	floor        core.Seq      // what came up to here is not theirs to read
}

// place returns a conversation in which the actor may do something. In a private room people read what was said since they
// came; what was said since a room is public is everybody's.
func (s *Service) place(ctx context.Context, actor core.Actor, id core.ConversationID, do right) (p place, err error) {
	if !actor.Known() {
		return p, core.ErrLoginRequired
	}
	if p.conversation, p.members, err = s.conversation(ctx, id); err != nil {
		return p, err
	}
	if p.conversation.Kind == core.Room {
		if p.standing, err = s.standing(ctx, actor, id); err != nil {
			return p, err
		}
		p.floor = p.standing.floor()
		p.conversation = p.standing.room
		return p, p.standing.may(do)
	}
	if !slices.Contains(p.members, actor.User()) {
		return p, core.ErrConversationNotFound
	}
	if do == toPost {
		other := p.members[0]
		if other == actor.User() {
			other = p.members[1]
		}
		err = s.cfg.Contacts.MayWrite(ctx, actor.User(), other)
	}
	return p, err
}

// placeOfAll returns a conversation as nobody in particular sees it.
func (s *Service) placeOfAll(ctx context.Context, id core.ConversationID) (p place, err error) {
	if p.conversation, p.members, err = s.conversation(ctx, id); err != nil || p.conversation.Kind != core.Room {
		return p, err
	}
	p.standing, err = s.standingOf(ctx, 0, id)
	p.conversation = p.standing.room
	return p, err
}

// What a message is read from, and its columns.
const (
	postedColumns = `m.seq, m.sender_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), COALESCE(m.client_id, ''), m.text, m.origin,
		m.created_at, m.reply_to, m.file_id, m.edited_at, m.deleted_at > 0`
	postedTables   = `message m LEFT JOIN "user" u ON u.uid = m.sender_id`
	messageColumns = postedColumns + `, COALESCE(ch.change_seq, 0)`
	messageTables  = postedTables + ` LEFT JOIN message_change ch ON ch.conversation_id = m.conversation_id AND ch.seq = m.seq`
)

func scanMessage(scan func(...any) error) (m core.Message, err error) {
	var at, edited int64
	var file core.FileID
	err = scan(&m.Seq, &m.Author.ID, &m.Author.Name, &m.Author.Avatar, &m.ClientID, &m.Text, &m.Origin, &at, &m.ReplyTo, &file, &edited,
		&m.Deleted, &m.Change)
	m.At, m.EditedAt = time.UnixMilli(at), moment(edited)
	if file != 0 && !m.Deleted {
		m.File = &core.File{ID: max(file, 0)} // GoneFile has no number
	}
	return m, err
}

// messages reads whole messages of a conversation, in the order of the query, for somebody who may read what comes after floor.
func (s *Service) messages(ctx context.Context, id core.ConversationID, floor core.Seq, query string, args ...any) ([]core.Message, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []core.Message
	for rows.Next() {
		m, err := scanMessage(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(list) == 0 {
		return nil, err
	}
	return list, s.addExtras(ctx, id, floor, list)
}

// message reads one message for somebody who may read what comes after floor.
func (s *Service) message(ctx context.Context, id core.ConversationID, seq, floor core.Seq) (core.Message, error) {
	list, err := s.messages(ctx, id, floor, `SELECT `+messageColumns+` FROM `+messageTables+` WHERE m.conversation_id = ? AND m.seq = ?`, int64(id), int64(seq))
	if err != nil {
		return core.Message{}, err
	}
	if len(list) == 0 {
		return core.Message{}, core.ErrMessageNotFound
	}
	return list[0], nil
}

// mentionsQuery goes from the messages to who is mentioned, not through all mentions of the conversation.
const mentionsQuery = `SELECT x.seq, x.user_id FROM json_each(?) j CROSS JOIN mention x ON x.conversation_id = ? AND x.seq = j.value
	ORDER BY x.seq, x.user_id`

// addExtras fills in the mentions, reactions, quotes and files of messages.
func (s *Service) addExtras(ctx context.Context, id core.ConversationID, floor core.Seq, list []core.Message) error {
	if err := s.addAttachments(ctx, id, floor, list); err != nil {
		return err
	}
	bySeq := make(map[core.Seq]*core.Message, len(list))
	seqs := make([]core.Seq, len(list))
	for i := range list {
		bySeq[list[i].Seq], seqs[i] = &list[i], list[i].Seq
	}
	which, err := json.Marshal(seqs) // they may be far apart
	if err != nil {
		return err
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		var seq core.Seq
		var user core.UserID
		if err := scan(&seq, &user); err != nil {
			return err
		}
		if m := bySeq[seq]; m != nil {
			m.Mentions = append(m.Mentions, user)
		}
		return nil
	}, mentionsQuery, string(which), int64(id))
	if err != nil {
		return err
	}
	return s.each(ctx, func(scan func(...any) error) error {
		var seq core.Seq
		var user core.UserID
		var emoji string
		if err := scan(&seq, &user, &emoji); err != nil {
			return err
		}
		if m := bySeq[seq]; m != nil {
			m.Reactions = addReaction(m.Reactions, emoji, user)
		}
		return nil
	}, `SELECT seq, user_id, emoji FROM reaction WHERE conversation_id = ? AND seq IN (SELECT value FROM json_each(?))
		ORDER BY seq, created_at, user_id, emoji`, int64(id), string(which))
}

func addReaction(list []core.Reaction, emoji string, user core.UserID) []core.Reaction {
	i := slices.IndexFunc(list, func(r core.Reaction) bool { return r.Emoji == emoji })
	if i < 0 {
		return append(list, core.Reaction{Emoji: emoji, Users: []core.UserID{user}})
	}
	list[i].Users = append(list[i].Users, user)
	return list
}

// each runs a query and hands on its rows.
func (s *Service) each(ctx context.Context, row func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Edit gives the actor's own message another text; the old one is gone.
func (s *Service) Edit(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq, text string) (m core.Message, err error) {
	text = clean(text)
	mentions, err := s.mentionsOfEdit(ctx, actor, id, text)
	if err != nil {
		return core.Message{}, fmt.Errorf("edit message %d of conversation %d: %w", seq, id, err)
	}
	err = s.alter(ctx, actor, id, seq, toPost, core.MessageChanged{Kind: core.Edited}, func(ctx context.Context, _ place, m *core.Message) (bool, error) {
		switch {
		case m.Author.ID != actor.User():
			return false, core.ErrForbidden
		case m.Deleted:
			return false, core.ErrMessageNotFound
		case text == "" && m.File == nil:
			return false, core.ErrEmptyMessage
		case m.Text == text:
			return false, nil
		}
		if _, err := s.db.Exec(ctx, `UPDATE message SET text = ?, edited_at = ?, sent_hash = CASE edited_at WHEN 0 THEN ? ELSE sent_hash END
			WHERE conversation_id = ? AND seq = ?`, text, time.Now().UnixMilli(), hashText(m.Text), int64(id), int64(seq)); err != nil {
			return false, err
		}
		return true, errors.Join(s.clearMentions(ctx, id, seq), s.insertMentions(ctx, id, seq, mentions), s.reindex(ctx, id, seq, m.Text, text))
	}, &m)
	if err != nil {
		return core.Message{}, fmt.Errorf("edit message %d of conversation %d: %w", seq, id, err)
	}
	return m, nil
}

// mentionsOfEdit checks the new text of a message and returns whom it names: outside of the unit of work that stores it, which
// others wait for.
func (s *Service) mentionsOfEdit(ctx context.Context, actor core.Actor, id core.ConversationID, text string) ([]core.UserID, error) {
	_, err := s.place(ctx, actor, id, toPost)
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxText:
		return nil, core.ErrMessageTooLong
	}
	all, err := s.mentionsOf(ctx, id, []Draft{{Text: text}})
	if err != nil || all == nil {
		return nil, err
	}
	return all[0], nil
}

// Delete takes a message's text away, for everybody: the actor's own, or anybody's in a room where the actor may. What its author
// had attached goes with it, unless another message shows it too. Its number stays.
func (s *Service) Delete(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID, seq core.Seq) error {
	err := s.alter(ctx, actor, id, seq, toRead, core.MessageChanged{Kind: core.Deleted}, func(ctx context.Context, p place, m *core.Message) (bool, error) {
		if m.Author.ID != actor.User() {
			if p.conversation.Kind == core.Direct {
				return false, core.ErrForbidden
			}
			if err := p.standing.may(toDelete); err != nil {
				return false, err
			}
		}
		if m.Deleted {
			return false, nil
		}
		if _, err := s.db.Exec(ctx, `UPDATE message SET text = '', deleted_at = ?, sent_hash = CASE edited_at WHEN 0 THEN ? ELSE sent_hash END
			WHERE conversation_id = ? AND seq = ?`, time.Now().UnixMilli(), hashText(m.Text), int64(id), int64(seq)); err != nil {
			return false, err
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM reaction WHERE conversation_id = ? AND seq = ?`, int64(id), int64(seq)); err != nil {
			return false, err
		}
		err := errors.Join(s.clearMentions(ctx, id, seq), s.reindex(ctx, id, seq, m.Text, ""), s.detach(ctx, m))
		if err == nil && m.Author.ID != actor.User() {
			err = s.cfg.Audit.Record(ctx, actor, "message.delete", messageTarget(id, seq), fmt.Sprintf("of user %d", m.Author.ID), from)
		}
		return true, err
	}, nil)
	if err != nil {
		return fmt.Errorf("delete message %d of conversation %d: %w", seq, id, err)
	}
	return nil
}

func (s *Service) clearMentions(ctx context.Context, id core.ConversationID, seq core.Seq) error {
	_, err := s.db.Exec(ctx, `DELETE FROM mention WHERE conversation_id = ? AND seq = ?`, int64(id), int64(seq))
	return err
}

// alter changes a message in a unit of work, numbers the change and tells of it; what has its kind. do reports whether it changed anything; what
// the message is then goes to out, unless that is nil.
func (s *Service) alter(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq, need right, what core.MessageChanged,
	do func(ctx context.Context, p place, m *core.Message) (bool, error), out *core.Message,
) error {
	return s.db.Update(ctx, func(ctx context.Context) error {
		p, err := s.place(ctx, actor, id, need)
		if err != nil {
			return err
		}
		m, err := s.message(ctx, id, seq, p.floor)
		if err != nil {
			return err
		}
		// Their own is theirs wherever it stands, and who keeps order in a room need not have been there when it was lost.
		keepsOrder := what.Kind == core.Deleted && p.conversation.Kind == core.Room && p.standing.may(toDelete) == nil
		if seq <= p.floor && m.Author.ID != actor.User() && !keepsOrder {
			return core.ErrMessageNotFound
		}
		changed, err := do(ctx, p, &m)
		if err != nil {
			return err
		}
		if changed {
			what.By = authorOf(actor)
			if err := s.changed(ctx, p, seq, what); err != nil {
				return err
			}
			if m, err = s.message(ctx, id, seq, p.floor); err != nil {
				return err
			}
		}
		if out != nil {
			*out = m
		}
		return nil
	})
}

// changed numbers the change of a message and tells everybody of it who may read the message. The event shows what the message answers
// only if all of them may read that, too.
func (s *Service) changed(ctx context.Context, p place, seq core.Seq, what core.MessageChanged) error {
	id := p.conversation.ID
	err := s.numberChange(ctx, id, seq)
	if err != nil {
		return err
	}
	if what.Hidden, err = s.hiddenFrom(ctx, p, seq); err != nil {
		return err
	}
	if what.Message, err = s.message(ctx, id, seq, 0); err != nil {
		return err
	}
	if what.Message.Quote != nil {
		hidden, err := s.hiddenFrom(ctx, p, what.Message.ReplyTo)
		if err != nil {
			return err
		}
		if len(hidden) > len(what.Hidden) {
			what.Message.Quote = nil
		}
	}
	what.Conversation, what.Members = p.conversation, p.members
	s.publishAfter(ctx, what)
	return nil
}

// hiddenQuery finds those who came later by their index.
const hiddenQuery = `SELECT user_id FROM member WHERE conversation_id = ? AND joined_seq >= ? ORDER BY user_id`

// hiddenFrom returns the members of a conversation who came too late to read a message.
func (s *Service) hiddenFrom(ctx context.Context, p place, seq core.Seq) (users []core.UserID, err error) {
	if p.conversation.Kind == core.Direct || p.conversation.Public && seq > p.standing.opened {
		return nil, nil
	}
	return users, s.each(ctx, func(scan func(...any) error) error {
		var u core.UserID
		err := scan(&u)
		users = append(users, u)
		return err
	}, hiddenQuery, int64(p.conversation.ID), int64(seq))
}

// numberChange gives a message that was changed the next number of a change.
func (s *Service) numberChange(ctx context.Context, id core.ConversationID, seq core.Seq) error {
	var change int64
	if err := s.db.QueryRow(ctx, `UPDATE conversation SET change_seq = change_seq + 1 WHERE id = ? RETURNING change_seq`, []any{int64(id)}, &change); err != nil {
		return err
	}
	_, err := s.db.Exec(ctx, `INSERT INTO message_change (conversation_id, change_seq, seq) VALUES (?, ?, ?)
		ON CONFLICT (conversation_id, seq) DO UPDATE SET change_seq = excluded.change_seq`, int64(id), change, int64(seq))
	return err
}

// Changes returns messages of a conversation that were changed after a change that the caller knows of, as they are now, by
// their last changes. The last one's Change is where to go on; fewer than limit are all there are.
func (s *Service) Changes(ctx context.Context, actor core.Actor, id core.ConversationID, after core.Change, limit int) ([]core.Message, error) {
	p, err := s.place(ctx, actor, id, toRead)
	if err != nil {
		return nil, fmt.Errorf("changes of conversation %d: %w", id, err)
	}
	return s.messages(ctx, id, p.floor, `SELECT `+messageColumns+` FROM message_change ch
		JOIN message m ON m.conversation_id = ch.conversation_id AND m.seq = ch.seq
		LEFT JOIN "user" u ON u.uid = m.sender_id
		WHERE ch.conversation_id = ? AND ch.change_seq > ? AND m.seq > ? ORDER BY ch.change_seq LIMIT ?`,
		int64(id), int64(after), int64(p.floor), bounded(limit))
}

// LastChange returns the number of the last change in a conversation: what is read after it needs no changes from before.
func (s *Service) LastChange(ctx context.Context, actor core.Actor, id core.ConversationID) (last core.Change, err error) {
	if _, err := s.place(ctx, actor, id, toRead); err != nil {
		return 0, fmt.Errorf("last change of conversation %d: %w", id, err)
	}
	err = s.db.QueryRow(ctx, `SELECT change_seq FROM conversation WHERE id = ?`, []any{int64(id)}, &last)
	if errors.Is(err, sql.ErrNoRows) {
		err = core.ErrConversationNotFound
	}
	return last, err
}
