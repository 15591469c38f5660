package chat

import (
	"time"

	"parley/internal/core"
)

const (
	// NoticeName is the name that notices come from. No account can have it: it has a space.
	NoticeName = "parley notice"
	// NoticeAge is how old a direct message may be to be worth a notice.
	NoticeAge = time.Minute
)

// Notice returns the line that people get whose client knows one room, for an event that it cannot show; "" if the event
// is worth none. It never tells the content.
func Notice(ev core.Event) string {
	switch ev := ev.(type) {
	case core.MessagesPosted:
		last := ev.Messages[len(ev.Messages)-1]
		if ev.Conversation.Kind == core.Direct && time.Since(last.At) < NoticeAge {
			return last.Author.Name + " sent you a direct message; this client cannot show it"
		}
	case core.FriendRequested:
		return ev.Request.From.Name + " asks to be your friend; this client cannot answer"
	}
	return ""
}

// SkipsNotice reports whether a viewer is not told: they wrote the direct message themselves.
func SkipsNotice(ev core.Event, viewer core.UserID) bool {
	p, ok := ev.(core.MessagesPosted)
	return ok && p.Conversation.Kind == core.Direct && p.Messages[0].Author.ID == viewer
}
