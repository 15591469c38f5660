package dpc

import (
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// codec shows events to this protocol's clients. They know one room; of other things they get a line at most, and never
// the content: docs/protocols/dpc.md#notices.
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

// Skips reports what a viewer is not told. What was said on a connection itself is
// left out by the session.
func (codec) Skips(ev core.Event, viewer core.UserID) bool { return chat.SkipsNotice(ev, viewer) }

// said encodes what somebody said in the lobby: docs/protocols/dpc.md#news.
func said(messages []core.Message) []session.Frame {
	var b []byte
	for i := range messages {
		b = appendNews(b, messages[i].Author.Name, messages[i].Text)
	}
	return []session.Frame{{Bytes: b}}
}

func notice(line string) []session.Frame {
	return []session.Frame{{Bytes: appendNews(nil, chat.NoticeName, line)}}
}
