package session

import (
	"slices"
	"sync"
	"time"

	"parley/internal/core"
)

// movesKept is how long it is remembered that a user joined or left a room, for logins that read the user's rooms before.
const movesKept = time.Minute

// room is the set of sessions that are subscribed to a conversation.
type room struct {
	id      core.ConversationID
	mu      sync.RWMutex // guards members
	members []*Session
}

// membership is a session's place in a room.
type membership struct {
	room  *room
	index int
}

// move is that a user joined or left a room.
type move struct {
	room   core.ConversationID
	joined bool
	at     time.Time
}

// enterRoom makes those sessions of a user hear a room which hear all of the user's rooms.
func (h *Hub) enterRoom(user core.UserID, id core.ConversationID) {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	for _, s := range h.moved(user, move{id, true, time.Now()}) {
		h.joinAll(s, []core.ConversationID{id})
	}
}

// quitRoom makes the user's sessions hear a room no more. Messages come in commit order, so all that was said before the
// user left has been handed to them; what the store still has for one that is behind is no longer theirs.
func (h *Hub) quitRoom(user core.UserID, id core.ConversationID) {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	for _, s := range h.moved(user, move{id, false, time.Now()}) {
		if h.leave(s, id) {
			s.forget(id)
		}
	}
}

// moved takes note of a move and returns the sessions that it concerns. h.roomsMu is held.
func (h *Hub) moved(user core.UserID, m move) (sessions []*Session) {
	sh := h.userShard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for u, moves := range sh.moves {
		if m.at.Sub(moves[len(moves)-1].at) > movesKept {
			delete(sh.moves, u)
		}
	}
	// Only the last move in each room counts.
	before := slices.DeleteFunc(sh.moves[user], func(b move) bool { return b.room == m.room || m.at.Sub(b.at) > movesKept })
	sh.moves[user] = append(before, m)
	for s := sh.users[user]; s != nil; s = s.peer {
		if s.viewer.Load() != 0 && s.profile.AllRooms {
			sessions = append(sessions, s)
		}
	}
	return sessions
}

// afterMoves returns the user's rooms as they are after the moves of late: the list may have been read before them.
func (h *Hub) afterMoves(user core.UserID, rooms []core.ConversationID) []core.ConversationID {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, m := range sh.moves[user] {
		at := slices.Index(rooms, m.room)
		switch {
		case m.joined && at < 0:
			rooms = append(slices.Clone(rooms), m.room)
		case !m.joined && at >= 0:
			rooms = slices.Delete(slices.Clone(rooms), at, at+1)
		}
	}
	return rooms
}

// joinAll subscribes a session to those of the rooms that it does not hear yet. h.roomsMu is held.
func (h *Hub) joinAll(s *Session, rooms []core.ConversationID) {
	if s.subscription == nil && len(rooms) > 0 {
		s.subscription = make([]membership, 0, len(rooms))
	}
	for _, id := range rooms {
		if !slices.ContainsFunc(s.subscription, func(m membership) bool { return m.room.id == id }) {
			h.join(s, id)
		}
	}
}

// join subscribes a session to a room. h.roomsMu is held.
func (h *Hub) join(s *Session, id core.ConversationID) {
	r := h.rooms[id]
	if r == nil {
		r = &room{id: id}
		h.rooms[id] = r
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.subscription = append(s.subscription, membership{r, len(r.members)})
	r.members = append(r.members, s)
}

// leave ends a session's subscription to a room, if it has one, and reports whether it had. h.roomsMu is held.
func (h *Hub) leave(s *Session, id core.ConversationID) bool {
	i := slices.IndexFunc(s.subscription, func(m membership) bool { return m.room.id == id })
	if i < 0 {
		return false
	}
	m := s.subscription[i]
	s.subscription = slices.Delete(s.subscription, i, i+1)
	if m.room.remove(s, m.index) == 0 {
		delete(h.rooms, id)
	}
	return true
}

// leaveRooms ends a session's subscriptions. h.roomsMu is held.
func (h *Hub) leaveRooms(s *Session) {
	for _, m := range s.subscription {
		if m.room.remove(s, m.index) == 0 {
			delete(h.rooms, m.room.id)
		}
	}
	s.subscription = nil
}

// remove swaps the last member into the place of s and returns how many are left. The hub's roomsMu is held.
func (r *room) remove(s *Session, at int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.members) - 1
	moved := r.members[last]
	r.members[at], r.members[last] = moved, nil
	r.members = r.members[:last]
	if moved != s {
		i := slices.IndexFunc(moved.subscription, func(m membership) bool { return m.room == r })
		moved.subscription[i].index = at
	}
	return last
}
