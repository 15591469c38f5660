package core

// UserID names an account; it is the uid that people see. Valid ids are positive.
type UserID int64

// ConversationID names a conversation: a direct chat of two people or a room.
type ConversationID int64

// Seq is the place of a message in its conversation: 1, 2, 3 … without gaps.
type Seq int64

// Lobby is the one public room that every account can read and write.
const Lobby ConversationID = 1

// Gateway names the family of clients a connection or a message came through, as in the config keys.
// The core does not know which exist.
type Gateway string
