package chat

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"parley/internal/core"
)

const (
	// tokenBytes is how random a link is.
	tokenBytes = 16
	// maxRoomLinks is how many live links a room may have.
	maxRoomLinks = 100
	// maxUses is how many uses a link may be limited to.
	maxUses = 1_000_000
)

// LinkForm says how long a link shall work.
type LinkForm struct {
	Expires time.Time // zero for never
	MaxUses int       // 0 for any number
}

// CreateLink makes a link into a room. Its token is shown this once.
func (s *Service) CreateLink(ctx context.Context, actor core.Actor, id core.ConversationID, form LinkForm) (link core.RoomLink, token string, err error) {
	var random [tokenBytes]byte
	_, _ = rand.Read(random[:]) // it never fails
	token = base64.RawURLEncoding.EncodeToString(random[:])
	now := time.Now().Truncate(time.Millisecond)
	link = core.RoomLink{Room: id, By: actor.User(), At: now, Expires: moment(millis(form.Expires)), MaxUses: form.MaxUses}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toLink); err != nil {
			return err
		}
		switch {
		case form.MaxUses < 0 || form.MaxUses > maxUses:
			return core.Because(core.ErrInvalid, fmt.Sprintf("A link may be good for 0 to %d uses; 0 is any number", maxUses))
		case !form.Expires.IsZero() && !now.Before(form.Expires):
			return core.Because(core.ErrInvalid, "The link would have expired already")
		}
		if _, err := s.db.Exec(ctx, `DELETE FROM room_link WHERE conversation_id = ? AND
			(expires_at > 0 AND expires_at <= ? OR max_uses > 0 AND uses >= max_uses)`, int64(id), now.UnixMilli()); err != nil {
			return err
		}
		var live int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM room_link WHERE conversation_id = ?`, []any{int64(id)}, &live); err != nil {
			return err
		}
		if live >= maxRoomLinks {
			return core.ErrTooMany
		}
		return s.db.QueryRow(ctx, `INSERT INTO room_link (conversation_id, hash, created_by, created_at, expires_at, max_uses)
			VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			[]any{int64(id), hashToken(token), int64(actor.User()), now.UnixMilli(), millis(form.Expires), form.MaxUses}, &link.ID)
	})
	if err != nil {
		return core.RoomLink{}, "", fmt.Errorf("make a link into room %d: %w", id, err)
	}
	return link, token, nil
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Links returns the links into a room that work, the oldest first.
func (s *Service) Links(ctx context.Context, actor core.Actor, id core.ConversationID) (list []core.RoomLink, err error) {
	st, err := s.standing(ctx, actor, id)
	if err == nil {
		err = st.may(toSeeLinks)
	}
	if err != nil {
		return nil, fmt.Errorf("links into room %d: %w", id, err)
	}
	rows, err := s.db.Query(ctx, `SELECT id, created_by, created_at, expires_at, max_uses, uses FROM room_link
		WHERE conversation_id = ? AND (expires_at = 0 OR expires_at > ?) AND (max_uses = 0 OR uses < max_uses) ORDER BY id`,
		int64(id), time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l := core.RoomLink{Room: id}
		var at, expires int64
		if err := rows.Scan(&l.ID, &l.By, &at, &expires, &l.MaxUses, &l.Uses); err != nil {
			return nil, err
		}
		l.At, l.Expires = time.UnixMilli(at), moment(expires)
		list = append(list, l)
	}
	return list, rows.Err()
}

// RevokeLink makes a link into a room work no more.
func (s *Service) RevokeLink(ctx context.Context, actor core.Actor, id core.ConversationID, link int64) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toSeeLinks); err != nil {
			return err
		}
		n, err := s.db.Exec(ctx, `DELETE FROM room_link WHERE id = ? AND conversation_id = ?`, link, int64(id))
		if err == nil && n == 0 {
			err = core.ErrLinkNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke link %d: %w", link, err)
	}
	return nil
}

// LinkedRoom returns the room that a link leads into. Whoever has the token may know that: they need not be anybody yet.
func (s *Service) LinkedRoom(ctx context.Context, token string) (room core.Conversation, err error) {
	_, room, err = s.link(ctx, token)
	return room, err
}

// Invitation returns the room that a link leads into, and how many are in it. It is as open as LinkedRoom.
func (s *Service) Invitation(ctx context.Context, token string) (room core.Conversation, members int, err error) {
	if room, err = s.LinkedRoom(ctx, token); err != nil {
		return room, 0, fmt.Errorf("invitation: %w", err)
	}
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM member WHERE conversation_id = ?`, []any{int64(room.ID)}, &members)
	return room, members, err
}

// link finds a link that works.
func (s *Service) link(ctx context.Context, token string) (id int64, room core.Conversation, err error) {
	room.Kind = core.Room
	err = s.db.QueryRow(ctx, `SELECT l.id, c.id, c.name, c.topic, c.public, c.last_seq FROM room_link l JOIN conversation c ON c.id = l.conversation_id
		WHERE l.hash = ? AND (l.expires_at = 0 OR l.expires_at > ?) AND (l.max_uses = 0 OR l.uses < l.max_uses)`,
		[]any{hashToken(token), time.Now().UnixMilli()}, &id, &room.ID, &room.Name, &room.Topic, &room.Public, &room.LastSeq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, core.Conversation{}, core.ErrLinkNotFound
	}
	return id, room, err
}

// JoinByLink makes the actor a member of the room that a link leads into. Who is in it already uses nothing up.
func (s *Service) JoinByLink(ctx context.Context, actor core.Actor, token string) (core.Conversation, error) {
	if !actor.Known() {
		return core.Conversation{}, core.ErrLoginRequired
	}
	return s.admit(ctx, actor.User(), token, false)
}

// Admit makes a user a member of the room that a link leads into. Within the unit of work that makes an account it has no
// actor yet: then it is the same that JoinLobby is for the lobby. It is always a use of the link, also of one into the lobby,
// in which the new account is already.
func (s *Service) Admit(ctx context.Context, user core.UserID, token string) (core.Conversation, error) {
	return s.admit(ctx, user, token, true)
}

func (s *Service) admit(ctx context.Context, user core.UserID, token string, counts bool) (room core.Conversation, err error) {
	err = s.db.Update(ctx, func(ctx context.Context) error {
		var link int64
		if link, room, err = s.link(ctx, token); err != nil {
			return err
		}
		st, err := s.standingOf(ctx, user, room.ID)
		isIn := st.role > 0
		switch {
		case err != nil:
			return err
		case st.shutOut:
			return core.ErrShutOut
		case isIn && !counts:
			return nil
		}
		if _, err := s.db.Exec(ctx, `UPDATE room_link SET uses = uses + 1 WHERE id = ?`, link); err != nil || isIn {
			return err
		}
		return s.enter(ctx, room, user, core.Plain, user)
	})
	if err != nil {
		return core.Conversation{}, fmt.Errorf("join by a link: %w", err)
	}
	return room, nil
}
