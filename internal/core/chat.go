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
	LastSeq Seq
}

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
	ClientID string // the sender's own id for it, "" if the protocol has none
	Text     string
	Origin   Gateway // where it was typed
	At       time.Time
}

// Position is a place in a conversation: everything up to and including Seq.
type Position struct {
	Conversation ConversationID
	Seq          Seq
}
