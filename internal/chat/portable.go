package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	maxRoomName = 255 // bytes
	maxGateway  = 32  // bytes

	// maxID bounds the numbers of adopted conversations. Some clients show a room under a number of 32 bits that its own
	// is added to.
	maxID = 600_000_000
)

// ConversationRecord is a conversation as it moves from one server to another.
type ConversationRecord struct {
	ID      core.ConversationID
	Kind    core.ConversationKind
	Name    string         // of a room
	Users   [2]core.UserID // of a direct chat, the lower uid first
	LastSeq core.Seq
	At      time.Time // when it was made
}

// Membership says that a user is in a conversation, as it moves from one server to another.
type Membership struct {
	User         core.UserID
	Conversation core.ConversationID
	JoinedSeq    core.Seq // what came before is not theirs to be delivered
	At           time.Time
}

// MessageRecord is a message as it moves from one server to another.
type MessageRecord struct {
	Seq      core.Seq
	Sender   core.UserID
	ClientID string // "" if the protocol has none
	Retry    int64  // what makes a message with that client id the same one sent again
	Text     string
	Origin   core.Gateway
	At       time.Time
}

// CursorRecord says what a user's clients of a gateway have got, as it moves from one server to another.
type CursorRecord struct {
	User         core.UserID
	Gateway      core.Gateway
	Conversation core.ConversationID
	Seq          core.Seq
}

// GatewayUse says since when a user has used a gateway, as it moves from one server to another.
type GatewayUse struct {
	User    core.UserID
	Gateway core.Gateway
	Since   time.Time
}

// Conversations yields all conversations by their ids, those that only is a member of if it is not 0.
func (s *Service) Conversations(ctx context.Context, actor core.Actor, only core.UserID, yield func(ConversationRecord) error) error {
	return s.export(ctx, actor, "conversations", func(scan func(...any) error) error {
		var c ConversationRecord
		var key string
		var at int64
		if err := scan(&c.ID, &c.Kind, &c.Name, &key, &c.LastSeq, &at); err != nil {
			return err
		}
		if c.Kind == core.Direct {
			if _, err := fmt.Sscanf(key, "%d:%d", &c.Users[0], &c.Users[1]); err != nil {
				return fmt.Errorf("the users of conversation %d: %w", c.ID, err)
			}
		}
		c.At = time.UnixMilli(at).UTC()
		return yield(c)
	}, `SELECT c.id, c.kind, c.name, COALESCE(c.direct_key, ''), c.last_seq, c.created_at FROM conversation c
		WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM member m WHERE m.user_id = ?1 AND m.conversation_id = c.id) ORDER BY c.id`, int64(only))
}

// Memberships yields all memberships by user and conversation. If only is not 0: that user's, and those of the others in
// that user's direct chats.
func (s *Service) Memberships(ctx context.Context, actor core.Actor, only core.UserID, yield func(Membership) error) error {
	return s.export(ctx, actor, "members", func(scan func(...any) error) error {
		var m Membership
		var at int64
		if err := scan(&m.User, &m.Conversation, &m.JoinedSeq, &at); err != nil {
			return err
		}
		m.At = time.UnixMilli(at).UTC()
		return yield(m)
	}, `SELECT user_id, conversation_id, joined_seq, joined_at FROM member
		WHERE ?1 IN (0, user_id) OR conversation_id IN (
			SELECT c.id FROM member me JOIN conversation c ON c.id = me.conversation_id WHERE me.user_id = ?1 AND c.kind = 1)
		ORDER BY user_id, conversation_id`, int64(only))
}

// Messages yields the messages of a conversation by their numbers, those that by has sent if it is not 0.
func (s *Service) Messages(ctx context.Context, actor core.Actor, id core.ConversationID, by core.UserID, yield func(MessageRecord) error) error {
	return s.export(ctx, actor, "messages", func(scan func(...any) error) error {
		var m MessageRecord
		var at int64
		if err := scan(&m.Seq, &m.Sender, &m.ClientID, &m.Retry, &m.Text, &m.Origin, &at); err != nil {
			return err
		}
		m.At = time.UnixMilli(at).UTC()
		return yield(m)
	}, `SELECT seq, sender_id, COALESCE(client_id, ''), retry, text, origin, created_at FROM message
		WHERE conversation_id = ?1 AND ?2 IN (0, sender_id) ORDER BY seq`, int64(id), int64(by))
}

// Cursors yields what the users' clients have got, by user, gateway and conversation; those of only if it is not 0.
func (s *Service) Cursors(ctx context.Context, actor core.Actor, only core.UserID, yield func(CursorRecord) error) error {
	return s.export(ctx, actor, "cursors", func(scan func(...any) error) error {
		var c CursorRecord
		if err := scan(&c.User, &c.Gateway, &c.Conversation, &c.Seq); err != nil {
			return err
		}
		return yield(c)
	}, `SELECT user_id, gateway, conversation_id, seq FROM cursor WHERE ?1 IN (0, user_id)
		ORDER BY user_id, gateway, conversation_id`, int64(only))
}

// GatewayUses yields who has used which gateway, by user and gateway; those of only if it is not 0.
func (s *Service) GatewayUses(ctx context.Context, actor core.Actor, only core.UserID, yield func(GatewayUse) error) error {
	return s.export(ctx, actor, "gateway uses", func(scan func(...any) error) error {
		var u GatewayUse
		var at int64
		if err := scan(&u.User, &u.Gateway, &at); err != nil {
			return err
		}
		u.Since = time.UnixMilli(at).UTC()
		return yield(u)
	}, `SELECT user_id, gateway, since FROM gateway_use WHERE ?1 IN (0, user_id) ORDER BY user_id, gateway`, int64(only))
}

func (s *Service) export(ctx context.Context, actor core.Actor, what string, each func(scan func(...any) error) error, query string, args ...any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("export %s: %w", what, err)
		}
	}()
	if !actor.Operator() && !actor.Admin() {
		return core.ErrForbidden
	}
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AdoptConversation makes an empty conversation and returns its id: the record's own, or the next one if that is 0. The
// lobby takes the record's name and date as long as it is empty. Messages and members are adopted after it; LastSeq is
// what the messages make it.
func (s *Service) AdoptConversation(ctx context.Context, actor core.Actor, c ConversationRecord) (core.ConversationID, error) {
	err := s.adopt(ctx, actor, func(ctx context.Context) (err error) {
		c.ID, err = s.adoptConversation(ctx, c)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("adopt conversation %d: %w", c.ID, err)
	}
	return c.ID, nil
}

func (s *Service) adoptConversation(ctx context.Context, c ConversationRecord) (core.ConversationID, error) {
	var key any
	switch {
	case c.ID < 0, c.ID > maxID, len(c.Name) > maxRoomName, clean(c.Name) != c.Name:
		return 0, core.ErrInvalid
	case c.Kind == core.Room && c.Users == [2]core.UserID{}:
	case c.Kind == core.Direct && c.Name == "" && c.Users[0] < c.Users[1] && c.ID != core.Lobby:
		key = directKey(c.Users[0], c.Users[1])
		for _, u := range c.Users {
			if err := s.userExists(ctx, u); err != nil {
				return 0, err
			}
		}
	default:
		return 0, core.ErrInvalid
	}
	if c.ID == core.Lobby {
		n, err := s.db.Exec(ctx, `UPDATE conversation SET name = ?, created_at = ? WHERE id = ? AND last_seq = 0`, c.Name, c.At.UnixMilli(), int64(c.ID))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: the lobby has messages already", core.ErrInvalid)
		}
		return c.ID, err
	}
	var id any
	if c.ID > 0 {
		id = int64(c.ID)
	}
	err := s.db.QueryRow(ctx, `INSERT INTO conversation (id, kind, name, direct_key, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id`,
		[]any{id, int(c.Kind), c.Name, key, c.At.UnixMilli()}, &c.ID)
	if store.IsUnique(err) {
		err = fmt.Errorf("%w: there is one already", core.ErrInvalid)
	}
	return c.ID, err
}

// AdoptMessages appends messages to a conversation. Their numbers must follow its last one without a gap. Nobody is told
// of them: who is connected gets them along with the next message. A unit of work in which it failed must not be committed.
func (s *Service) AdoptMessages(ctx context.Context, actor core.Actor, id core.ConversationID, messages []MessageRecord) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		last, err := s.allot(ctx, id, len(messages))
		if errors.Is(err, sql.ErrNoRows) {
			return core.ErrConversationNotFound
		}
		if err != nil {
			return err
		}
		known := map[core.UserID]bool{}
		for _, m := range messages {
			last++
			if m.Seq != last {
				return fmt.Errorf("message %d follows %d: %w", m.Seq, last-1, core.ErrInvalid)
			}
			if !known[m.Sender] {
				if err := s.userExists(ctx, m.Sender); err != nil {
					return fmt.Errorf("message %d: %w", m.Seq, err)
				}
				known[m.Sender] = true
			}
			if err := s.adoptMessage(ctx, id, m); err != nil {
				return fmt.Errorf("message %d: %w", m.Seq, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adopt messages of conversation %d: %w", id, err)
	}
	return nil
}

func (s *Service) adoptMessage(ctx context.Context, id core.ConversationID, m MessageRecord) error {
	p := Post{Drafts: []Draft{{ClientID: m.ClientID, Text: m.Text}}}
	if err := check(&p); err != nil {
		return err
	}
	if p.Drafts[0].Text != m.Text || p.Drafts[0].ClientID != m.ClientID || checkGateway(m.Origin) != nil {
		return core.ErrInvalid
	}
	fresh, err := s.insert(ctx, id, core.Message{
		Seq: m.Seq, Author: core.Author{ID: m.Sender}, ClientID: m.ClientID, Text: m.Text, Origin: m.Origin, At: m.At,
	}, m.Retry)
	if err == nil && !fresh {
		err = core.ErrClientIDReused
	}
	return err
}

// AdoptMembership makes a user a member of a conversation; of a direct chat only its two users can be.
func (s *Service) AdoptMembership(ctx context.Context, actor core.Actor, m Membership) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		c, users, err := s.conversation(ctx, m.Conversation)
		if err != nil {
			return err
		}
		if m.JoinedSeq < 0 || m.JoinedSeq > c.LastSeq || c.Kind == core.Direct && m.User != users[0] && m.User != users[1] {
			return core.ErrInvalid
		}
		if err := s.userExists(ctx, m.User); err != nil {
			return err
		}
		_, err = s.db.Exec(ctx, `INSERT INTO member (user_id, conversation_id, joined_seq, joined_at) VALUES (?, ?, ?, ?)`,
			int64(m.User), int64(m.Conversation), int64(m.JoinedSeq), m.At.UnixMilli())
		return unlessTwice(err)
	})
	if err != nil {
		return fmt.Errorf("adopt member %d of conversation %d: %w", m.User, m.Conversation, err)
	}
	return nil
}

// AdoptCursor stores what a user's clients of a gateway have got.
func (s *Service) AdoptCursor(ctx context.Context, actor core.Actor, r CursorRecord) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		c, _, err := s.conversation(ctx, r.Conversation)
		if err != nil {
			return err
		}
		if r.Seq < 0 || r.Seq > c.LastSeq {
			return core.ErrInvalid
		}
		if err := errors.Join(checkGateway(r.Gateway), s.userExists(ctx, r.User)); err != nil {
			return err
		}
		_, err = s.db.Exec(ctx, `INSERT INTO cursor (user_id, gateway, conversation_id, seq) VALUES (?, ?, ?, ?)`,
			int64(r.User), string(r.Gateway), int64(r.Conversation), int64(r.Seq))
		return unlessTwice(err)
	})
	if err != nil {
		return fmt.Errorf("adopt a cursor of %d in conversation %d: %w", r.User, r.Conversation, err)
	}
	return nil
}

// AdoptGatewayUse stores since when a user has used a gateway.
func (s *Service) AdoptGatewayUse(ctx context.Context, actor core.Actor, u GatewayUse) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		if err := errors.Join(checkGateway(u.Gateway), s.userExists(ctx, u.User)); err != nil {
			return err
		}
		_, err := s.db.Exec(ctx, `INSERT INTO gateway_use (user_id, gateway, since) VALUES (?, ?, ?)`, int64(u.User), string(u.Gateway), u.Since.UnixMilli())
		return unlessTwice(err)
	})
	if err != nil {
		return fmt.Errorf("adopt that %d uses a gateway: %w", u.User, err)
	}
	return nil
}

func (s *Service) adopt(ctx context.Context, actor core.Actor, fn func(context.Context) error) error {
	if !actor.Operator() && !actor.Admin() {
		return core.ErrForbidden
	}
	return s.db.Update(ctx, fn)
}

func (s *Service) userExists(ctx context.Context, user core.UserID) error {
	var n int
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM "user" WHERE uid = ?`, []any{int64(user)}, &n)
	if err == nil && n == 0 {
		err = core.ErrUserNotFound
	}
	return err
}

func checkGateway(g core.Gateway) error {
	if g == "" || len(g) > maxGateway || !utf8.ValidString(string(g)) || strings.ContainsFunc(string(g), func(r rune) bool { return r < ' ' }) {
		return core.ErrInvalid
	}
	return nil
}

func unlessTwice(err error) error {
	if store.IsUnique(err) {
		return fmt.Errorf("%w: there is one already", core.ErrInvalid)
	}
	return err
}
