package session

import "parley/internal/core"

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

// Online reports whether the user has a live session through any gateway.
func (h *Hub) Online(user core.UserID) bool {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[user] != nil
}
