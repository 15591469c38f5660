package chat

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"parley/internal/core"
	"parley/internal/store"
)

// right is something that not everybody may do in a room.
type right uint8

const (
	toRead right = iota
	toPost
	toLeave
	toSeeMembers
	toBring      // others into the room
	toLink       // make links into it
	toSeeLinks   // and take them back
	toName       // the room and its topic
	toMute       // members of a lower role
	toRemove     // members of a lower role
	toDelete     // others' messages
	toOpen       // make the room public
	toClose      // make the room private
	toAppoint    // and dismiss admins
	toHandOver   // the room to another owner
	toEnd        // close the room for everybody
	numberRights // how many there are
)

// never is a role that nobody has.
const never core.Role = 100

// rights says who may do what: the least role in a room and in the lobby, and whether the server's admins may do it in any
// room, whether they are in it or not. In the lobby, which nobody owns, they are admins. A muted member may do nothing that
// others would read.
var rights = [numberRights]struct {
	room, lobby core.Role
	admins      bool
}{
	toRead:       {core.Plain, core.Plain, false},
	toPost:       {core.Plain, core.Plain, false},
	toLeave:      {core.Plain, never, false},
	toSeeMembers: {core.Plain, core.RoomAdmin, true}, // of the lobby it would be a list of all accounts
	toBring:      {core.Plain, never, false},
	toLink:       {core.RoomAdmin, core.RoomAdmin, false}, // or they could let themselves in
	toSeeLinks:   {core.RoomAdmin, core.RoomAdmin, true},
	toName:       {core.RoomAdmin, core.RoomAdmin, true},
	toMute:       {core.RoomAdmin, core.RoomAdmin, true},
	toRemove:     {core.RoomAdmin, never, true},
	toDelete:     {core.RoomAdmin, core.RoomAdmin, false},
	toOpen:       {core.Owner, never, false},
	toClose:      {core.Owner, never, true},
	toAppoint:    {core.Owner, never, true},
	toHandOver:   {core.Owner, never, true},
	toEnd:        {core.Owner, never, true},
}

// standing is what somebody is in a room.
type standing struct {
	room       core.Conversation
	role       core.Role // 0 for who is not in it
	admin      bool      // of the server
	joined     core.Seq
	opened     core.Seq // what was said before the room was made public
	joinedAt   time.Time
	openedAt   time.Time // zero if the room always was public
	mutedUntil time.Time
	shutOut    bool
}

// standing returns what the actor is in a room, core.ErrConversationNotFound if there is no such room.
func (s *Service) standing(ctx context.Context, actor core.Actor, room core.ConversationID) (standing, error) {
	if !actor.Known() && !actor.Operator() {
		return standing{}, core.ErrLoginRequired
	}
	st, err := s.standingOf(ctx, actor.User(), room)
	st.admin = actor.Admin()
	return st, err
}

// standingOf is standing without what the server's admins are beside.
func (s *Service) standingOf(ctx context.Context, user core.UserID, room core.ConversationID) (standing, error) {
	st := standing{room: core.Conversation{ID: room, Kind: core.Room}}
	var until, joined, opened int64
	err := s.db.QueryRow(ctx, `SELECT c.name, c.topic, c.public, c.last_seq, c.open_seq, c.opened_at,
			COALESCE(m.role, 0), COALESCE(m.joined_seq, 0), COALESCE(m.joined_at, 0), COALESCE(r.muted_until, 0), COALESCE(r.shut_out, 0)
		FROM conversation c
		LEFT JOIN member m ON m.user_id = ?1 AND m.conversation_id = c.id
		LEFT JOIN restriction r ON r.conversation_id = c.id AND r.user_id = ?1
		WHERE c.id = ?2 AND c.kind = 2 AND c.closed = 0`, []any{int64(user), int64(room)},
		&st.room.Name, &st.room.Topic, &st.room.Public, &st.room.LastSeq, &st.opened, &opened,
		&st.role, &st.joined, &joined, &until, &st.shutOut)
	if errors.Is(err, sql.ErrNoRows) {
		return st, core.ErrConversationNotFound
	}
	st.mutedUntil, st.joinedAt, st.openedAt = moment(until), moment(joined), moment(opened)
	return st, err
}

// floor returns up to where the messages of the room are not theirs to read: what was said before they came, but for what was
// said since the room is public.
func (st standing) floor() core.Seq {
	if st.room.Public {
		return min(st.joined, st.opened)
	}
	return st.joined
}

// since is floor for what was shared in the room: from when on it is theirs to see, the zero time for all of it. The lobby's is everybody's.
func (st standing) since() time.Time {
	switch {
	case st.room.ID == core.Lobby:
		return time.Time{}
	case st.room.Public && st.openedAt.Before(st.joinedAt):
		return st.openedAt
	}
	return st.joinedAt
}

// may returns nil, core.ErrForbidden, core.ErrMuted, or core.ErrConversationNotFound for who may not know of the room.
func (st standing) may(do right) error {
	role, least := st.role, rights[do].room
	if st.room.ID == core.Lobby {
		least = rights[do].lobby
		if st.admin && role > 0 {
			role = max(role, core.RoomAdmin)
		}
	}
	switch {
	case least == never:
		return core.ErrForbidden
	case rights[do].admins && st.admin:
		return nil
	case role == 0:
		return core.ErrConversationNotFound
	case role < least:
		return core.ErrForbidden
	case do == toPost && time.Now().Before(st.mutedUntil):
		return core.ErrMuted
	}
	return nil
}

// mayTo is may for what is done to a member, who must have a lower role.
func (st standing) mayTo(do right, member standing) error {
	if err := st.may(do); err != nil {
		return err
	}
	switch {
	case member.role == 0:
		return core.ErrMemberNotFound
	case !st.admin && member.role >= st.role:
		return core.ErrForbidden
	}
	return nil
}

// moment turns stored milliseconds into a time, 0 into the zero time.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// millis is the opposite of moment.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fence tells whether what was read before a unit of work still holds in it, without reading it again: it does if no
// change had begun that was not settled before the reading. Units run one after the other, so that a unit sees every
// change that could have been committed before it.
type fence struct {
	begun, settled atomic.Int64
}

// mark is taken before the reading.
func (f *fence) mark() int64 { return f.settled.Load() }

// holds is asked in the unit.
func (f *fence) holds(mark int64) bool { return f.begun.Load() == mark }

// move is called in a unit of work that changes what others may have read.
func (f *fence) move(ctx context.Context) {
	f.begun.Add(1)
	settle := func() { f.settled.Add(1) }
	store.AfterCommit(ctx, settle)
	store.AfterRollback(ctx, settle)
}
