package dpc

import (
	"time"

	"parley/internal/core"
	"parley/internal/session"
)

const (
	// noticeUser is the name that notices come from. No account can have it: it has a space.
	noticeUser = "parley notice"
	// noticeAge is how old a direct message may be to be worth a notice.
	noticeAge = time.Minute
)

// codec shows events to this protocol's clients. They know one room; of other things they get a line at most, and never
// the content: docs/protocols/dpc.md#notices.
type codec struct{}

// Encode encodes an event for all viewers.
func (codec) Encode(ev core.Event) []session.Frame {
	switch ev := ev.(type) {
	case core.MessagesPosted:
		if ev.Conversation.ID == core.Lobby {
			return said(ev.Messages)
		}
		last := ev.Messages[len(ev.Messages)-1]
		if ev.Conversation.Kind == core.Direct && time.Since(last.At) < noticeAge {
			return notice(last.Author.Name + " sent you a direct message; this client cannot show it")
		}
	case core.FriendRequested:
		return notice(ev.Request.From.Name + " asks to be your friend; this client cannot answer")
	}
	return nil
}

// Skips reports what a viewer is not told: that they wrote a direct message themselves. What was said on a connection itself is
// left out by the session.
func (codec) Skips(ev core.Event, viewer core.UserID) bool {
	p, ok := ev.(core.MessagesPosted)
	return ok && p.Conversation.Kind == core.Direct && p.Messages[0].Author.ID == viewer
}

// said encodes what somebody said in the lobby: docs/protocols/dpc.md#news.
func said(messages []core.Message) []session.Frame {
	var b []byte
	for i := range messages {
		b = appendNews(b, messages[i].Author.Name, messages[i].Text)
	}
	return []session.Frame{{Bytes: b}}
}

func notice(line string) []session.Frame {
	return []session.Frame{{Bytes: appendNews(nil, noticeUser, line)}}
}
