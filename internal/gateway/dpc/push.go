package dpc

import (
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// codec shows events to this protocol's clients. They know one room; of other things they get a line at most, and never
// the content: docs/protocols/dpc.md#notices.
type codec struct {
	link func(core.File) string
}

// Encode encodes an event for all viewers.
func (k codec) Encode(ev core.Event) []session.Frame {
	switch ev := ev.(type) {
	case core.MessagesPosted:
		if ev.Conversation.ID == core.Lobby {
			return k.said(ev.Messages)
		}
	case core.MessageChanged:
		if ev.Conversation.ID == core.Lobby {
			return changed(ev)
		}
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
func (k codec) said(messages []core.Message) []session.Frame {
	var b []byte
	for i := range messages {
		b = appendNews(b, messages[i].Author.Name, chat.Plain(messages[i], k.link))
	}
	return []session.Frame{{Bytes: b}}
}

// changed encodes what was done to a message of the lobby as something that was said: docs/protocols/dpc.md#changes.
func changed(ev core.MessageChanged) []session.Frame {
	line := chat.PlainChange(ev)
	if line == "" {
		return nil
	}
	return []session.Frame{{Bytes: appendNews(nil, ev.By.Name, line)}}
}

func notice(line string) []session.Frame {
	return []session.Frame{{Bytes: appendNews(nil, chat.NoticeName, line)}}
}
