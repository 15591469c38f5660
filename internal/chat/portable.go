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
	maxRoomName   = 255          // bytes
	maxTopicBytes = 4 * maxTopic // bytes
	maxGateway    = 32           // bytes

	// maxID bounds the numbers of adopted conversations. Some clients show a room under a number of 32 bits that its own
	// is added to.
	maxID = 600_000_000
)

// ConversationRecord is a conversation as it moves from one server to another.
type ConversationRecord struct {
	ID      core.ConversationID
	Kind    core.ConversationKind
	Name    string         // of a room
	Topic   string         // of a room
	Public  bool           // of a room; the lobby always is
	OpenSeq core.Seq       // what was said before the room was made public
	Opened  time.Time      // when that was, zero if it always was public
	Users   [2]core.UserID // of a direct chat, the lower uid first
	LastSeq core.Seq
	Change  core.Change // the last change to one of its messages
	At      time.Time   // when it was made
	// Restrictions is what holds for users in a room, by their uids.
	Restrictions []Restriction
}

// Restriction is what holds for a user in a room, whether they are in it or not, as it moves from one server to another.
type Restriction struct {
	User       core.UserID
	MutedUntil time.Time // zero if they may post
	ShutOut    bool      // they were removed, and need an admin to come back
}

// Membership says that a user is in a conversation, as it moves from one server to another.
type Membership struct {
	User         core.UserID
	Conversation core.ConversationID
	Role         core.Role // 0 means core.Plain
	JoinedSeq    core.Seq  // what came before is not theirs to be delivered
	ReadSeq      core.Seq  // what they have read
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

	ReplyTo   core.Seq      // 0 if it answers none
	File      core.FileID   // what is attached: 0 if nothing is, GoneFile if it is deleted
	FileOwner core.UserID   // whose it is; nothing is adopted of it
	EditedAt  time.Time     // zero if it was not
	DeletedAt time.Time     // zero if it was not, else there is no text
	Change    core.Change   // its last change, 0 if there was none
	Mentions  []core.UserID // by their uids
	Reactions []ReactionRecord
}

// GoneFile stands for a file that was attached and is deleted.
const GoneFile core.FileID = -1

// ReactionRecord is a reaction to a message as it moves from one server to another.
type ReactionRecord struct {
	User  core.UserID
	Emoji string
	At    time.Time
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

// Conversations yields all conversations by their ids, those that only is a member of if it is not 0; then they have that
// user's restrictions only.
func (s *Service) Conversations(ctx context.Context, actor core.Actor, only core.UserID, yield func(ConversationRecord) error) error {
	return s.export(ctx, actor, "conversations", func(scan func(...any) error) error {
		var c ConversationRecord
		var key string
		var at, opened int64
		if err := scan(&c.ID, &c.Kind, &c.Name, &c.Topic, &c.Public, &c.OpenSeq, &opened, &key, &c.LastSeq, &c.Change, &at); err != nil {
			return err
		}
		if c.Kind == core.Direct {
			if _, err := fmt.Sscanf(key, "%d:%d", &c.Users[0], &c.Users[1]); err != nil {
				return fmt.Errorf("the users of conversation %d: %w", c.ID, err)
			}
		}
		c.At, c.Opened = time.UnixMilli(at).UTC(), utc(opened)
		var err error
		if c.Restrictions, err = s.restrictions(ctx, c.ID, only); err != nil {
			return err
		}
		return yield(c)
	}, `SELECT c.id, c.kind, c.name, c.topic, c.public, c.open_seq, c.opened_at, COALESCE(c.direct_key, ''),
			c.last_seq, c.change_seq, c.created_at FROM conversation c
		WHERE c.closed = 0 AND (?1 = 0 OR EXISTS (SELECT 1 FROM member m WHERE m.user_id = ?1 AND m.conversation_id = c.id)) ORDER BY c.id`, int64(only))
}

func (s *Service) restrictions(ctx context.Context, id core.ConversationID, only core.UserID) (list []Restriction, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var r Restriction
		var until int64
		err := scan(&r.User, &until, &r.ShutOut)
		r.MutedUntil = utc(until)
		list = append(list, r)
		return err
	}, `SELECT user_id, muted_until, shut_out FROM restriction
		WHERE conversation_id = ?1 AND ?2 IN (0, user_id) ORDER BY user_id`, int64(id), int64(only))
	return list, err
}

// Memberships yields all memberships by user and conversation. If only is not 0: that user's, and those of the others in
// that user's direct chats.
func (s *Service) Memberships(ctx context.Context, actor core.Actor, only core.UserID, yield func(Membership) error) error {
	return s.export(ctx, actor, "members", func(scan func(...any) error) error {
		var m Membership
		var at int64
		if err := scan(&m.User, &m.Conversation, &m.Role, &m.JoinedSeq, &m.ReadSeq, &at); err != nil {
			return err
		}
		m.At = time.UnixMilli(at).UTC()
		return yield(m)
	}, `SELECT user_id, conversation_id, role, joined_seq, read_seq, joined_at FROM member
		WHERE ?1 IN (0, user_id) OR conversation_id IN (
			SELECT c.id FROM member me JOIN conversation c ON c.id = me.conversation_id WHERE me.user_id = ?1 AND c.kind = 1)
		ORDER BY user_id, conversation_id`, int64(only))
}

// Messages yields the messages of a conversation by their numbers, those that by has sent if it is not 0.
func (s *Service) Messages(ctx context.Context, actor core.Actor, id core.ConversationID, by core.UserID, yield func(MessageRecord) error) error {
	return s.export(ctx, actor, "messages", func(scan func(...any) error) error {
		var m MessageRecord
		var at, edited, deleted int64
		var mentions, reactions bool
		if err := scan(&m.Seq, &m.Sender, &m.ClientID, &m.Retry, &m.Text, &m.Origin, &at, &m.ReplyTo, &m.File, &m.FileOwner, &edited, &deleted, &m.Change,
			&mentions, &reactions); err != nil {
			return err
		}
		m.At, m.EditedAt, m.DeletedAt = time.UnixMilli(at).UTC(), utc(edited), utc(deleted)
		if mentions || reactions {
			if err := s.recordExtras(ctx, id, &m); err != nil {
				return err
			}
		}
		return yield(m)
	}, `SELECT m.seq, m.sender_id, COALESCE(m.client_id, ''), m.retry, m.text, m.origin, m.created_at, m.reply_to,
			CASE WHEN m.file_id = 0 OR m.deleted_at > 0 THEN 0 ELSE COALESCE(f.id, -1) END, COALESCE(f.owner_id, 0),
			m.edited_at, m.deleted_at, COALESCE(ch.change_seq, 0),
			EXISTS (SELECT 1 FROM mention x WHERE x.conversation_id = m.conversation_id AND x.seq = m.seq),
			EXISTS (SELECT 1 FROM reaction x WHERE x.conversation_id = m.conversation_id AND x.seq = m.seq)
		FROM message m LEFT JOIN message_change ch ON ch.conversation_id = m.conversation_id AND ch.seq = m.seq
			LEFT JOIN file f ON f.id = m.file_id AND f.conversation_id = m.conversation_id
		WHERE m.conversation_id = ?1 AND ?2 IN (0, m.sender_id) ORDER BY m.seq`, int64(id), int64(by))
}

// utc is moment in UTC.
func utc(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// recordExtras fills in who is mentioned in a message and who reacted to it.
func (s *Service) recordExtras(ctx context.Context, id core.ConversationID, m *MessageRecord) error {
	err := s.each(ctx, func(scan func(...any) error) error {
		var u core.UserID
		err := scan(&u)
		m.Mentions = append(m.Mentions, u)
		return err
	}, `SELECT user_id FROM mention WHERE conversation_id = ? AND seq = ? ORDER BY user_id`, int64(id), int64(m.Seq))
	if err != nil {
		return err
	}
	return s.each(ctx, func(scan func(...any) error) error {
		var r ReactionRecord
		var at int64
		err := scan(&r.User, &r.Emoji, &at)
		r.At = utc(at)
		m.Reactions = append(m.Reactions, r)
		return err
	}, `SELECT user_id, emoji, created_at FROM reaction WHERE conversation_id = ? AND seq = ? ORDER BY created_at, user_id, emoji`,
		int64(id), int64(m.Seq))
}

// Cursors yields what the users' clients have got, by user, gateway and conversation; those of only if it is not 0.
func (s *Service) Cursors(ctx context.Context, actor core.Actor, only core.UserID, yield func(CursorRecord) error) error {
	return s.export(ctx, actor, "cursors", func(scan func(...any) error) error {
		var c CursorRecord
		if err := scan(&c.User, &c.Gateway, &c.Conversation, &c.Seq); err != nil {
			return err
		}
		return yield(c)
	}, `SELECT user_id, gateway, conversation_id, seq FROM cursor
		WHERE ?1 IN (0, user_id) AND conversation_id NOT IN (SELECT id FROM conversation WHERE closed > 0)
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
	case c.ID < 0, c.ID > maxID, c.Change < 0, c.OpenSeq < 0, len(c.Name) > maxRoomName, clean(c.Name) != c.Name,
		len(c.Topic) > maxTopicBytes, clean(c.Topic) != c.Topic:
		return 0, core.ErrInvalid
	case c.Kind == core.Room && c.Users == [2]core.UserID{}:
	case c.Kind == core.Direct && c.Name == "" && c.Topic == "" && !c.Public && c.OpenSeq == 0 && c.Opened.IsZero() && len(c.Restrictions) == 0 && c.Users[0] < c.Users[1] && c.ID != core.Lobby:
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
		n, err := s.db.Exec(ctx, `UPDATE conversation SET name = ?, topic = ?, change_seq = ?, created_at = ? WHERE id = ? AND last_seq = 0`,
			c.Name, c.Topic, int64(c.Change), c.At.UnixMilli(), int64(c.ID))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: the lobby has messages already", core.ErrInvalid)
		}
		return c.ID, errors.Join(err, s.adoptRestrictions(ctx, c))
	}
	var id any
	if c.ID > 0 {
		id = int64(c.ID)
	}
	if c.OpenSeq > 0 && c.Opened.IsZero() {
		c.Opened = time.Now() // an older archive does not say; nobody who comes now shall see too much
	}
	err := s.db.QueryRow(ctx, `INSERT INTO conversation (id, kind, name, topic, public, open_seq, opened_at, direct_key, change_seq, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		[]any{id, int(c.Kind), c.Name, c.Topic, c.Public, int64(c.OpenSeq), millis(c.Opened), key, int64(c.Change), c.At.UnixMilli()}, &c.ID)
	if err != nil {
		return 0, unlessTwice(err)
	}
	return c.ID, s.adoptRestrictions(ctx, c)
}

func (s *Service) adoptRestrictions(ctx context.Context, c ConversationRecord) error {
	for _, r := range c.Restrictions {
		if r.MutedUntil.IsZero() && !r.ShutOut {
			return core.ErrInvalid
		}
		if err := s.userExists(ctx, r.User); err != nil {
			return err
		}
		if err := s.restrict(ctx, c.ID, r.User, r.MutedUntil, r.ShutOut); err != nil {
			return err
		}
	}
	return nil
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
			if err := s.usersOf(ctx, m, known); err != nil {
				return fmt.Errorf("message %d: %w", m.Seq, err)
			}
			if err := s.adoptMessage(ctx, id, m); err != nil {
				return fmt.Errorf("message %d: %w", m.Seq, err)
			}
		}
		store.AfterCommit(ctx, func() { s.indexer.note(id) })
		return nil
	})
	if err != nil {
		return fmt.Errorf("adopt messages of conversation %d: %w", id, err)
	}
	return nil
}

// usersOf checks that those exist whom a message names, and remembers them.
func (s *Service) usersOf(ctx context.Context, m MessageRecord, known map[core.UserID]bool) error {
	users := append([]core.UserID{m.Sender}, m.Mentions...)
	for _, r := range m.Reactions {
		users = append(users, r.User)
	}
	for _, u := range users {
		if known[u] {
			continue
		}
		if err := s.userExists(ctx, u); err != nil {
			return err
		}
		known[u] = true
	}
	return nil
}

func (s *Service) adoptMessage(ctx context.Context, id core.ConversationID, m MessageRecord) error {
	if err := m.check(); err != nil {
		return err
	}
	stored := core.Message{
		Seq: m.Seq, Author: core.Author{ID: m.Sender}, ClientID: m.ClientID, Text: m.Text, Origin: m.Origin, At: m.At,
		ReplyTo: m.ReplyTo, Mentions: m.Mentions,
	}
	if m.File != 0 {
		stored.File = &core.File{ID: GoneFile}
	}
	fresh, err := s.insert(ctx, id, stored, m.Retry)
	if err == nil && !fresh {
		err = core.ErrClientIDReused
	}
	if err != nil {
		return unlessTwice(err)
	}
	for _, r := range m.Reactions {
		if _, err := s.db.Exec(ctx, `INSERT INTO reaction (conversation_id, seq, user_id, emoji, created_at) VALUES (?, ?, ?, ?, ?)`,
			int64(id), int64(m.Seq), int64(r.User), r.Emoji, r.At.UnixMilli()); err != nil {
			return unlessTwice(err)
		}
	}
	if m.Change == 0 {
		return nil
	}
	n, err := s.db.Exec(ctx, `INSERT INTO message_change (conversation_id, change_seq, seq)
		SELECT id, ?1, ?2 FROM conversation WHERE id = ?3 AND change_seq >= ?1`, int64(m.Change), int64(m.Seq), int64(id))
	if err == nil && n == 0 {
		err = core.ErrInvalid
	}
	if err != nil {
		return unlessTwice(err)
	}
	_, err = s.db.Exec(ctx, `UPDATE message SET edited_at = ?, deleted_at = ? WHERE conversation_id = ? AND seq = ?`,
		millis(m.EditedAt), millis(m.DeletedAt), int64(id), int64(m.Seq))
	return err
}

// check checks what a message may be like. One that was deleted has no text and nothing else that was about it.
func (m MessageRecord) check() error {
	p := Post{Drafts: []Draft{{ClientID: m.ClientID, Text: m.Text, ReplyTo: m.ReplyTo}}}
	if !m.DeletedAt.IsZero() {
		if m.Text != "" || m.File != 0 || len(m.Mentions)+len(m.Reactions) > 0 {
			return core.ErrInvalid
		}
		p.Drafts[0].Text = "deleted"
	}
	if m.File != 0 { // it stands for a text
		p.Drafts[0].File = 1
	}
	if err := check(&p); err != nil {
		return err
	}
	changed := !m.EditedAt.IsZero() || !m.DeletedAt.IsZero() || len(m.Reactions) > 0
	switch {
	case m.Text != "" && p.Drafts[0].Text != m.Text, p.Drafts[0].ClientID != m.ClientID, checkGateway(m.Origin) != nil,
		m.ReplyTo >= m.Seq, m.File < GoneFile, m.Change < 0, changed && m.Change == 0:
		return core.ErrInvalid
	}
	for _, r := range m.Reactions {
		if !isEmoji(r.Emoji) {
			return core.ErrInvalid
		}
	}
	return nil
}

// AdoptAttachment gives a message back what was attached to it: a file of its conversation, which is here by now.
func (s *Service) AdoptAttachment(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq, file core.FileID) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE message SET file_id = ?1 WHERE conversation_id = ?2 AND seq = ?3 AND file_id = -1
			AND EXISTS (SELECT 1 FROM file f WHERE f.id = ?1 AND f.conversation_id = ?2 AND f.kind = 1)`, int64(file), int64(id), int64(seq))
		if err == nil && n == 0 {
			err = core.ErrFileNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("adopt what is attached to message %d of conversation %d: %w", seq, id, err)
	}
	return nil
}

// AdoptMembership makes a user a member of a conversation; of a direct chat only its two users can be.
func (s *Service) AdoptMembership(ctx context.Context, actor core.Actor, m Membership) error {
	err := s.adopt(ctx, actor, func(ctx context.Context) error {
		c, users, err := s.conversation(ctx, m.Conversation)
		if err != nil {
			return err
		}
		m.Role = max(m.Role, core.Plain)
		switch {
		case m.JoinedSeq < 0, m.JoinedSeq > c.LastSeq, m.ReadSeq < 0, m.ReadSeq > c.LastSeq, m.Role > core.Owner, m.Role > core.Plain && c.Kind == core.Direct,
			c.Kind == core.Direct && m.User != users[0] && m.User != users[1]:
			return core.ErrInvalid
		}
		if err := s.userExists(ctx, m.User); err != nil {
			return err
		}
		_, err = s.db.Exec(ctx, `INSERT INTO member (user_id, conversation_id, role, joined_seq, read_seq, joined_at)
			VALUES (?, ?, ?, ?, ?, ?)`, int64(m.User), int64(m.Conversation), int64(m.Role), int64(m.JoinedSeq), int64(m.ReadSeq), m.At.UnixMilli())
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
