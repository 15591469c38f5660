package chat

import (
	"fmt"
	"time"

	"parley/internal/core"
)

// What the audit log calls things, and what it says of them.

func roomTarget(id core.ConversationID) string { return fmt.Sprintf("room %d", id) }

func memberTarget(id core.ConversationID, user core.UserID) string {
	return fmt.Sprintf("user %d in room %d", user, id)
}

func messageTarget(id core.ConversationID, seq core.Seq) string {
	return fmt.Sprintf("message %d of room %d", seq, id)
}

func describeMute(until time.Time) string {
	if until.IsZero() {
		return "may speak again"
	}
	return "until " + until.UTC().Format(time.RFC3339)
}

func describeRole(role core.Role) string {
	if role == core.RoomAdmin {
		return "admin"
	}
	return "plain member"
}
