package core

import "time"

// FileID names a stored file or folder. Valid ids are positive.
type FileID int64

// FileKind tells a file from a folder.
type FileKind int8

// The kinds of stored things.
const (
	PlainFile FileKind = 1
	Folder    FileKind = 2
)

// File is an entry of a conversation's shared files. Its names are for people: no bytes are kept under them.
type File struct {
	ID     FileID
	Area   ConversationID // whose files it belongs to
	Parent FileID         // the folder it is in, 0 at the top
	Owner  Author
	Kind   FileKind
	Name   string
	Wanted string // the name that its owner gave it, if somebody else had that; "" if it is Name
	// Sent is, of a file inside a folder, its path below the topmost folder as its sender wrote it, separators included.
	Sent   string
	Size   int64    // in bytes; of a folder 0
	SHA256 [32]byte // of a folder zero
	Type   string   // the media type, "" of a folder
	At     time.Time
}
