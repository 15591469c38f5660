package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/core"
)

// Members returns the members of a room or a direct chat by their uids after one; at most limit of them.
func (s *Service) Members(ctx context.Context, actor core.Actor, id core.ConversationID, after core.UserID, limit int) ([]core.Member, error) {
	st, err := s.standing(ctx, actor, id)
	if err == nil {
		err = st.may(toSeeMembers)
	} else if errors.Is(err, core.ErrConversationNotFound) {
		_, err = s.otherOf(ctx, actor.User(), id)
	}
	if err != nil {
		return nil, fmt.Errorf("members of conversation %d: %w", id, err)
	}
	return s.members(ctx, `SELECT m.user_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), m.role, COALESCE(r.muted_until, 0), m.joined_at
		FROM member m LEFT JOIN "user" u ON u.uid = m.user_id
		LEFT JOIN restriction r ON r.conversation_id = m.conversation_id AND r.user_id = m.user_id
		WHERE m.conversation_id = ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?`, int64(id), int64(after), bounded(limit))
}

// Standing returns what the actor is in a room: as a member of it.
func (s *Service) Standing(ctx context.Context, actor core.Actor, id core.ConversationID) (core.Member, error) {
	st, err := s.standing(ctx, actor, id)
	if err == nil {
		err = st.may(toRead)
	}
	if err != nil {
		return core.Member{}, fmt.Errorf("standing in room %d: %w", id, err)
	}
	return s.member(ctx, id, actor.User())
}

func (s *Service) member(ctx context.Context, id core.ConversationID, user core.UserID) (core.Member, error) {
	list, err := s.members(ctx, `SELECT m.user_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), m.role, COALESCE(r.muted_until, 0), m.joined_at
		FROM member m LEFT JOIN "user" u ON u.uid = m.user_id
		LEFT JOIN restriction r ON r.conversation_id = m.conversation_id AND r.user_id = m.user_id
		WHERE m.conversation_id = ? AND m.user_id = ?`, int64(id), int64(user))
	if err != nil {
		return core.Member{}, err
	}
	if len(list) == 0 {
		return core.Member{}, core.ErrMemberNotFound
	}
	return list[0], nil
}

func (s *Service) members(ctx context.Context, query string, args ...any) ([]core.Member, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []core.Member
	for rows.Next() {
		var m core.Member
		var muted, at int64
		if err := rows.Scan(&m.User.ID, &m.User.Name, &m.User.Avatar, &m.Role, &muted, &at); err != nil {
			return nil, err
		}
		if until := moment(muted); time.Now().Before(until) {
			m.MutedUntil = until
		}
		m.At = time.UnixMilli(at)
		list = append(list, m)
	}
	return list, rows.Err()
}

// Bring makes somebody a member of the actor's room: a user whom the actor may write to. Who was removed from it comes back
// only through its admins.
func (s *Service) Bring(ctx context.Context, actor core.Actor, id core.ConversationID, user core.UserID) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toBring); err != nil {
			return err
		}
		if err := s.cfg.Contacts.MayWrite(ctx, actor.User(), user); err != nil {
			return err
		}
		other, err := s.standingOf(ctx, user, id)
		if err != nil || other.role > 0 {
			return err
		}
		if other.shutOut {
			if err := st.may(toRemove); err != nil {
				return core.ErrShutOut
			}
			if err := s.restrict(ctx, id, user, other.mutedUntil, false); err != nil {
				return err
			}
		}
		return s.enter(ctx, st.room, user, core.Plain, actor.User())
	})
	if err != nil {
		return fmt.Errorf("bring %d into room %d: %w", user, id, err)
	}
	return nil
}

// Join makes the actor a member of a public room.
func (s *Service) Join(ctx context.Context, actor core.Actor, id core.ConversationID) (room core.Conversation, err error) {
	if !actor.Known() {
		return room, core.ErrLoginRequired
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		switch {
		case err != nil:
			return err
		case st.role > 0:
		case !st.room.Public:
			return core.ErrConversationNotFound
		case st.shutOut:
			return core.ErrShutOut
		default:
			if err := s.enter(ctx, st.room, actor.User(), core.Plain, actor.User()); err != nil {
				return err
			}
		}
		room = st.room
		return nil
	})
	if err != nil {
		return core.Conversation{}, fmt.Errorf("join room %d: %w", id, err)
	}
	return room, nil
}

// enter makes a user a member of a room from its present position on, within a unit of work. They are not in it yet.
func (s *Service) enter(ctx context.Context, room core.Conversation, user core.UserID, role core.Role, by core.UserID) error {
	var members int
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM member WHERE conversation_id = ?`, []any{int64(room.ID)}, &members); err != nil {
		return err
	}
	var rooms int
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ? AND c.kind = 2`,
		[]any{int64(user)}, &rooms); err != nil {
		return err
	}
	if (members >= maxMembers || rooms >= maxRooms) && room.ID != core.Lobby {
		return core.ErrTooMany
	}
	if err := s.addMember(ctx, room.ID, user); err != nil {
		return err
	}
	if err := s.setRole(ctx, room.ID, user, role); err != nil {
		return err
	}
	m, err := s.member(ctx, room.ID, user)
	if err != nil {
		return err
	}
	s.publishAfter(ctx, core.MemberJoined{Room: room, Member: m, By: by})
	return nil
}

// Leave ends the actor's membership in a room. The owner has to hand it over first, unless nobody else is in it.
func (s *Service) Leave(ctx context.Context, actor core.Actor, id core.ConversationID) error {
	if !actor.Known() {
		return core.ErrLoginRequired
	}
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toLeave); err != nil {
			return err
		}
		others, err := s.hasOthers(ctx, id, actor.User())
		if err != nil {
			return err
		}
		if st.role == core.Owner && others {
			return core.ErrOwnerStays
		}
		if !others { // nobody could let anybody in any more
			if err := s.seal(ctx, id); err != nil {
				return err
			}
		}
		return s.exit(ctx, st.room, actor.User(), actor.User())
	})
	if err != nil {
		return fmt.Errorf("leave room %d: %w", id, err)
	}
	return nil
}

func (s *Service) hasOthers(ctx context.Context, id core.ConversationID, user core.UserID) (others bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM member WHERE conversation_id = ? AND user_id <> ?)`, []any{int64(id), int64(user)}, &others)
	return others, err
}

// seal takes away every way into a room.
func (s *Service) seal(ctx context.Context, id core.ConversationID) error {
	_, err := s.db.Exec(ctx, `UPDATE conversation SET public = 0 WHERE id = ?`, int64(id))
	if err == nil {
		_, err = s.db.Exec(ctx, `DELETE FROM room_link WHERE conversation_id = ?`, int64(id))
	}
	return err
}

// exit ends a membership, within a unit of work.
func (s *Service) exit(ctx context.Context, room core.Conversation, user, by core.UserID) error {
	s.standings.move(ctx)
	m, err := s.member(ctx, room.ID, user)
	if err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM member WHERE user_id = ? AND conversation_id = ?`, int64(user), int64(room.ID)); err != nil {
		return err
	}
	s.publishAfter(ctx, core.MemberLeft{Room: room, User: m.User, By: by})
	return nil
}

// Remove ends somebody else's membership in a room; they come back only through its admins.
func (s *Service) Remove(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID, user core.UserID) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, member, err := s.both(ctx, actor, id, user, toRemove)
		if err != nil {
			return err
		}
		if member.role == core.Owner {
			return core.ErrOwnerStays
		}
		if err := s.restrict(ctx, id, user, member.mutedUntil, true); err != nil {
			return err
		}
		if err := s.exit(ctx, st.room, user, actor.User()); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "room.remove", memberTarget(id, user), "", from)
	})
	if err != nil {
		return fmt.Errorf("remove %d from room %d: %w", user, id, err)
	}
	return nil
}

// both returns what the actor and a member are in a room, if the one may do this to the other.
func (s *Service) both(ctx context.Context, actor core.Actor, id core.ConversationID, user core.UserID, do right) (st, member standing, err error) {
	if st, err = s.standing(ctx, actor, id); err != nil {
		return st, member, err
	}
	if err = st.may(do); err != nil {
		return st, member, err
	}
	if member, err = s.standingOf(ctx, user, id); err != nil {
		return st, member, err
	}
	return st, member, st.mayTo(do, member)
}

// Mute keeps a member of a room from posting until a time; one that has passed lets them post again.
func (s *Service) Mute(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID, user core.UserID, until time.Time) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, member, err := s.both(ctx, actor, id, user, toMute)
		if err != nil {
			return err
		}
		if !time.Now().Before(until) {
			until = time.Time{}
		}
		if err := s.restrict(ctx, id, user, until, member.shutOut); err != nil {
			return err
		}
		if err := s.memberChanged(ctx, st.room, user, actor.User()); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "room.mute", memberTarget(id, user), describeMute(until), from)
	})
	if err != nil {
		return fmt.Errorf("mute %d in room %d: %w", user, id, err)
	}
	return nil
}

// restrict stores what holds for a user in a room.
func (s *Service) restrict(ctx context.Context, id core.ConversationID, user core.UserID, until time.Time, shutOut bool) error {
	s.standings.move(ctx)
	if until.IsZero() && !shutOut {
		_, err := s.db.Exec(ctx, `DELETE FROM restriction WHERE conversation_id = ? AND user_id = ?`, int64(id), int64(user))
		return err
	}
	_, err := s.db.Exec(ctx, `INSERT INTO restriction (conversation_id, user_id, muted_until, shut_out) VALUES (?, ?, ?, ?)
		ON CONFLICT (conversation_id, user_id) DO UPDATE SET muted_until = excluded.muted_until, shut_out = excluded.shut_out`,
		int64(id), int64(user), millis(until), shutOut)
	return err
}

func (s *Service) memberChanged(ctx context.Context, room core.Conversation, user, by core.UserID) error {
	m, err := s.member(ctx, room.ID, user)
	if err != nil {
		return err
	}
	s.publishAfter(ctx, core.MemberChanged{Room: room, Member: m, By: by})
	return nil
}

// Appoint makes a member of a room an admin of it, or a plain member again.
func (s *Service) Appoint(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID, user core.UserID, role core.Role) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, member, err := s.both(ctx, actor, id, user, toAppoint)
		switch {
		case err != nil:
			return err
		case role != core.Plain && role != core.RoomAdmin:
			return core.ErrInvalid
		case member.role == core.Owner:
			return core.ErrOwnerStays
		case member.role == role:
			return nil
		}
		if err := s.setRole(ctx, id, user, role); err != nil {
			return err
		}
		if err := s.memberChanged(ctx, st.room, user, actor.User()); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "room.appoint", memberTarget(id, user), describeRole(role), from)
	})
	if err != nil {
		return fmt.Errorf("appoint %d in room %d: %w", user, id, err)
	}
	return nil
}

// HandOver makes a member the owner of a room. Who owned it becomes an admin of it.
func (s *Service) HandOver(ctx context.Context, actor core.Actor, from core.Origin, id core.ConversationID, user core.UserID) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		st, member, err := s.both(ctx, actor, id, user, toHandOver)
		if err != nil {
			return err
		}
		if member.role == core.Owner {
			return nil
		}
		var owner core.UserID
		err = s.db.QueryRow(ctx, `SELECT user_id FROM member WHERE conversation_id = ? AND role = 3`, []any{int64(id)}, &owner)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if owner != 0 {
			if err := s.setRole(ctx, id, owner, core.RoomAdmin); err != nil {
				return err
			}
			if err := s.memberChanged(ctx, st.room, owner, actor.User()); err != nil {
				return err
			}
		}
		if err := s.setRole(ctx, id, user, core.Owner); err != nil {
			return err
		}
		if err := s.memberChanged(ctx, st.room, user, actor.User()); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "room.hand_over", memberTarget(id, user), "", from)
	})
	if err != nil {
		return fmt.Errorf("hand room %d over to %d: %w", id, user, err)
	}
	return nil
}

func (s *Service) setRole(ctx context.Context, id core.ConversationID, user core.UserID, role core.Role) error {
	_, err := s.db.Exec(ctx, `UPDATE member SET role = ? WHERE user_id = ? AND conversation_id = ?`, int64(role), int64(user), int64(id))
	return err
}

// LeaveAll ends all memberships in rooms of an account that is being deleted, within the unit of work that does it. A room that
// it owns goes to the admin who has been there for longest, else to the member who has.
func (s *Service) LeaveAll(ctx context.Context, user core.UserID) error {
	s.standings.move(ctx) // of its direct chats, too
	rooms, err := s.listRooms(ctx, `SELECT c.id, c.name, c.topic, c.public, c.last_seq FROM member m
		JOIN conversation c ON c.id = m.conversation_id
		WHERE m.user_id = ? AND c.kind = 2 ORDER BY c.id`, int64(user))
	if err != nil {
		return fmt.Errorf("leave all rooms: %w", err)
	}
	for _, r := range rooms {
		if err := s.leaveFor(ctx, r, user); err != nil {
			return fmt.Errorf("leave room %d: %w", r.ID, err)
		}
	}
	return nil
}

// leaveFor ends a membership and gives away what the member owned.
func (s *Service) leaveFor(ctx context.Context, room core.Conversation, user core.UserID) error {
	st, err := s.standingOf(ctx, user, room.ID)
	if err != nil {
		return err
	}
	if err := s.exit(ctx, room, user, user); err != nil || room.ID == core.Lobby {
		return err
	}
	var heir core.UserID
	err = s.db.QueryRow(ctx, `SELECT user_id FROM member WHERE conversation_id = ? ORDER BY role DESC, joined_at, user_id LIMIT 1`,
		[]any{int64(room.ID)}, &heir)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.seal(ctx, room.ID)
	case err != nil || st.role != core.Owner:
		return err
	}
	if err := s.setRole(ctx, room.ID, heir, core.Owner); err != nil {
		return err
	}
	return s.memberChanged(ctx, room, heir, user)
}
