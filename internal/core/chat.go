package core

import "time"

// ConversationKind tells a direct chat from a room.
type ConversationKind int8

// The kinds of conversation.
const (
	Direct ConversationKind = 1
	Room   ConversationKind = 2
)

// Conversation is where messages go. Its messages are numbered 1 … LastSeq without gaps.
type Conversation struct {
	ID      ConversationID
	Kind    ConversationKind
	Name    string // a room's name, "" for a direct chat
	Topic   string // what a room is about, "" if nobody has said
	Public  bool   // a room that everybody may find and join
	LastSeq Seq
}

// Role is what a member is in a room. Who has a higher one may do all that a lower one allows.
type Role int8

// The roles. A room has one owner, but for the lobby, which has none. The zero Role is that of whoever is no member.
const (
	Plain     Role = 1
	RoomAdmin Role = 2
	Owner     Role = 3
)

// Member is somebody in a conversation.
type Member struct {
	User       Author
	Role       Role
	MutedUntil time.Time // until then they may not post; zero if they may
	At         time.Time // when they joined
}

// RoomLink is a link by which people come into a room. Whoever knows its token may use it; the token itself is not kept.
type RoomLink struct {
	ID      int64
	Room    ConversationID
	By      UserID
	At      time.Time
	Expires time.Time // zero for never
	MaxUses int       // 0 for any number
	Uses    int
}

// Chat is a conversation as one of its members sees it in a list.
type Chat struct {
	Conversation Conversation
	With         Author    // of a direct chat, the other user
	Role         Role      // the member's in a room
	MutedUntil   time.Time // until then the member may not post; zero if they may
	LastChange   Change    // of the conversation's messages, 0 if none was changed
	Last         *Message  // nil if there is none that is theirs to read
	ReadSeq      Seq       // what they have read
	Unread       int       // others' messages after it, at most MaxUnread
	Mentions     int       // those of them that name the member
}

// ReadMark is how far a member has read.
type ReadMark struct {
	User UserID
	Seq  Seq
}

// MaxUnread is where unread messages are counted no further.
const MaxUnread = 1000

// Author is what a message shows of its sender.
type Author struct {
	ID     UserID
	Name   string
	Avatar string // the file name of the picture, "" for the default one
}

// Message is a stored message.
type Message struct {
	Seq      Seq
	Author   Author
	ClientID string  // the sender's own id for it, "" if the protocol has none
	Text     string  // "" once it is deleted
	Origin   Gateway // where it was typed
	At       time.Time
	ReplyTo  Seq      // the message in the same conversation that it answers, 0 if none
	Quote    *Quote   // the beginning of that message, nil if there is none any more, or if it is not for all who see this
	File     *File    // what is attached, nil if nothing is; with FileGone only its ID is known
	FileGone bool     // what was attached is deleted
	Again    bool     // what was just posted was stored before: it is as it was sent, not as it may be now
	Mentions []UserID // members whose names it says, by their uids
	EditedAt time.Time
	Deleted  bool
	// Change is the number of its last change in the conversation, 0 if it is as it was posted.
	Change    Change
	Reactions []Reaction // by emoji, in the order in which each was first given
}

// Quote is what an answer shows of the message that it answers: to those who may read that themselves. What is told to many at once
// shows it only if all of them may.
type Quote struct {
	Author Author
	Text   string // at most MaxQuote characters, "" of a file alone
}

// MaxQuote is how many characters of a message are quoted.
const MaxQuote = 100

// Change is the place of a change among all changes to the messages of a conversation: 1, 2, 3 and so on.
type Change int64

// Reaction is an emoji that users have given to a message.
type Reaction struct {
	Emoji string
	Users []UserID // in the order in which they gave it
}

// The named errors of rooms and their messages.
var (
	ErrInvalidTopic    = newError(Invalid, "the topic is not allowed")
	ErrMuted           = newError(Forbidden, "muted in this room")
	ErrShutOut         = newError(Forbidden, "removed from this room")
	ErrMemberNotFound  = newError(NotFound, "there is no such member")
	ErrMessageNotFound = newError(NotFound, "there is no such message")
	ErrLinkNotFound    = newError(NotFound, "there is no such link, or it is used up")
	ErrOwnerStays      = newError(Conflict, "the owner has to hand the room over first")
	ErrTooMany         = newError(Conflict, "there are too many of them already")
)

// Position is a place in a conversation: everything up to and including Seq.
type Position struct {
	Conversation ConversationID
	Seq          Seq
}
