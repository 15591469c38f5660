package cs3

import (
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// codec shows events to this protocol's clients. They know one room; of other things they get a line at most, and never
// the content: docs/protocols/cs3.md#lobby.
type codec struct{}

// Encode encodes an event for all viewers.
func (codec) Encode(ev core.Event) []session.Frame {
	if posted, ok := ev.(core.MessagesPosted); ok && posted.Conversation.ID == core.Lobby {
		return said(posted.Messages)
	}
	if line := chat.Notice(ev); line != "" {
		return notice(line)
	}
	return nil
}

// Skips reports what a viewer is not told.
func (codec) Skips(ev core.Event, viewer core.UserID) bool { return chat.SkipsNotice(ev, viewer) }

// said encodes what somebody said in the lobby.
func said(messages []core.Message) []session.Frame {
	var b []byte
	for i := range messages {
		b = appendChat(b, messages[i].Author, messages[i].Text)
	}
	return []session.Frame{{Bytes: b}}
}

func notice(line string) []session.Frame {
	b := []byte(`{"type":"chat","user":"` + chat.NoticeName + `","message":`)
	return []session.Frame{{Bytes: appendAvatar(appendString(b, line), "default", "")}}
}
