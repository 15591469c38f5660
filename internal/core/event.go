package core

// Event is something that has happened and is committed. It carries its own audience.
type Event interface {
	Audience() Audience
}

// Audience is who must hear of an event: single users, or everybody who is subscribed to a room.
type Audience struct {
	Users  []UserID
	Room   ConversationID
	Except []UserID // who must not, in the order of their uids
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

// RoomChanged says that a room has another name or topic, or is now public or private.
type RoomChanged struct {
	Room Conversation // as it is now
	By   Author
}

// Audience is the room.
func (e RoomChanged) Audience() Audience { return Audience{Room: e.Room.ID} }

// MemberJoined says that a user is in a room now. Their sessions begin to hear the room with this event.
type MemberJoined struct {
	Room   Conversation
	Member Member
	By     UserID // who brought them in; themselves if nobody did
}

// Audience is the room, the new member included. Who is in the lobby is nobody else's business: it would be a list of all accounts.
func (e MemberJoined) Audience() Audience {
	if e.Room.ID == Lobby {
		return Audience{Users: []UserID{e.Member.User.ID}}
	}
	return Audience{Room: e.Room.ID}
}

// MemberLeft says that a user is no longer in a room. It is the last that their sessions hear of the room.
type MemberLeft struct {
	Room Conversation
	User Author
	By   UserID // who removed them; themselves if they left
	// Closed: the room is no more. All of its members are told so, each of themselves only.
	Closed bool
}

// Audience is the room, the one who left included; of the lobby only they.
func (e MemberLeft) Audience() Audience {
	if e.Closed || e.Room.ID == Lobby {
		return Audience{Users: []UserID{e.User.ID}}
	}
	return Audience{Room: e.Room.ID}
}

// MemberChanged says that a member of a room has another role, or was muted or may speak again.
type MemberChanged struct {
	Room   Conversation
	Member Member // as it is now
	By     UserID
}

// Audience is the room.
func (e MemberChanged) Audience() Audience { return Audience{Room: e.Room.ID} }

// ChangeKind is what was done to a message.
type ChangeKind int8

// The kinds of change.
const (
	Edited  ChangeKind = 1
	Deleted ChangeKind = 2
	Reacted ChangeKind = 3 // or a reaction was taken back
	// FileChanged: what is attached to it was deleted, or has other content.
	FileChanged ChangeKind = 4
)

// MessageChanged says that a message is otherwise than it was. Changes of one conversation come in their order.
type MessageChanged struct {
	Conversation Conversation
	Kind         ChangeKind
	Message      Message  // as it is now; its Change is the change's number
	By           Author   // nobody if its file has changed
	Emoji        string   // of a reaction that was given, "" if it was taken back
	Members      []UserID // of a direct chat: both users; nil for a room
	Hidden       []UserID // who came to the room too late to read the message, in the order of their uids
}

// Audience is both users of a direct chat, or those in the room who may read the message.
func (e MessageChanged) Audience() Audience {
	if e.Conversation.Kind == Direct {
		return Audience{Users: e.Members}
	}
	return Audience{Room: e.Conversation.ID, Except: e.Hidden}
}

// ConversationRead says how far a member has read a conversation.
type ConversationRead struct {
	Conversation Conversation
	User         UserID
	Seq          Seq      // everything up to here
	Members      []UserID // of a direct chat: both users; nil for a room
}

// Audience is both users of a direct chat, or the room: the reader's other clients, and the others. What somebody reads in
// the lobby is nobody else's business, and would be too much for everybody.
func (e ConversationRead) Audience() Audience {
	switch {
	case e.Conversation.Kind == Direct:
		return Audience{Users: e.Members}
	case e.Conversation.ID == Lobby:
		return Audience{Users: []UserID{e.User}}
	}
	return Audience{Room: e.Conversation.ID}
}

// Typing says that a user is writing something in a conversation. It is not stored; whoever misses it has missed nothing.
type Typing struct {
	Conversation Conversation
	User         Author
	Members      []UserID // of a direct chat: both users; nil for a room
}

// Audience is both users of a direct chat, or the room.
func (e Typing) Audience() Audience {
	if e.Conversation.Kind == Direct {
		return Audience{Users: e.Members}
	}
	return Audience{Room: e.Conversation.ID}
}

// ContactsChanged says that somebody's friends, requests, remarks or blocks are otherwise than they were.
type ContactsChanged struct {
	User    UserID
	Version int64 // rises with every such change of the user
}

// Audience is the user whose contacts they are.
func (e ContactsChanged) Audience() Audience { return Audience{Users: []UserID{e.User}} }

// PresenceChanged says that a user came online, or went offline. It is not stored.
type PresenceChanged struct {
	User   UserID
	Online bool
	To     []UserID // their friends
}

// Audience is the user's friends.
func (e PresenceChanged) Audience() Audience { return Audience{Users: e.To} }

// Reported says that somebody has reported a message or a user to those who administer.
type Reported struct {
	Report Report
	To     []UserID // those who administer
}

// Audience is those who administer.
func (e Reported) Audience() Audience { return Audience{Users: e.To} }
