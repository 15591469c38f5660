package core

// Event is something that has happened and is committed. It carries its own audience.
type Event interface {
	Audience() Audience
}

// Audience is who must hear of an event: single users, or everybody who is subscribed to a room.
type Audience struct {
	Users []UserID
	Room  ConversationID
}

// MessagesPosted says that messages with consecutive sequence numbers, all by one author, are in a conversation.
type MessagesPosted struct {
	Conversation Conversation
	Messages     []Message // at least one
	Members      []UserID  // of a direct chat: both users; nil for a room
}

// Audience is both users of a direct chat, or the room.
func (e MessagesPosted) Audience() Audience {
	if e.Conversation.Kind == Direct {
		return Audience{Users: e.Members}
	}
	return Audience{Room: e.Conversation.ID}
}

// First returns the position of the first message, Last of the last one.
func (e MessagesPosted) First() Seq { return e.Messages[0].Seq }

// Last returns the sequence number of the last message.
func (e MessagesPosted) Last() Seq { return e.Messages[len(e.Messages)-1].Seq }

// FriendRequested says that somebody asked To to become a friend.
type FriendRequested struct {
	Request FriendRequest
}

// Audience is the user who was asked.
func (e FriendRequested) Audience() Audience { return Audience{Users: []UserID{e.Request.To}} }

// FriendAccepted says that By accepted the friend request of To.
type FriendAccepted struct {
	By User // as others may see it
	To UserID
}

// Audience is the user whose request was accepted.
func (e FriendAccepted) Audience() Audience { return Audience{Users: []UserID{e.To}} }
