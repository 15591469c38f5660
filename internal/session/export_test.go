package session

import (
	"slices"

	"parley/internal/core"
)

// PutViewer is tested from outside.
var PutViewer = putViewer

// Kept returns how many users and rooms the hub holds sessions of.
func (h *Hub) Kept() (users, rooms int) {
	h.roomsMu.RLock()
	defer h.roomsMu.RUnlock()
	for i := range h.users {
		h.users[i].mu.RLock()
		users += len(h.users[i].users)
		h.users[i].mu.RUnlock()
	}
	return users, len(h.rooms)
}

// Heard returns the rooms that a session is subscribed to.
func (h *Hub) Heard(s *Session) (rooms []core.ConversationID) {
	h.roomsMu.RLock()
	defer h.roomsMu.RUnlock()
	for _, m := range s.subscription {
		rooms = append(rooms, m.room.id)
	}
	slices.Sort(rooms)
	return rooms
}
