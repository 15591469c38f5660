package session

// PutViewer is tested from outside.
var PutViewer = putViewer

// Kept returns how many users and rooms the hub holds sessions of.
func (h *Hub) Kept() (users, rooms int) {
	for i := range h.users {
		users += len(h.users[i].users)
	}
	return users, len(h.rooms)
}
