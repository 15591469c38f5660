package session

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/core"
)

// Frame is an encoded piece of a gateway's stream. Many sessions may share its bytes, so nobody writes into them.
type Frame struct {
	Bytes []byte
	// ViewerAt is the offset of a slot of ViewerWidth bytes that each session fills with its user's id on the way out,
	// in decimal, padded with spaces on the left. 0 means that there is none.
	ViewerAt int
}

// ViewerWidth is the width of the slot for the viewer's id.
const ViewerWidth = 10

// Codec turns events into a gateway's wire form.
type Codec interface {
	// Encode encodes an event once for all sessions of the gateway. No frames: the gateway has no form for it.
	Encode(core.Event) []Frame
	// Skips reports whether this viewer is not shown the event, such as their own words.
	Skips(ev core.Event, viewer core.UserID) bool
}

// PageCodec is a Codec for which a whole page of messages takes fewer frames than its events do one by one.
type PageCodec interface {
	Codec
	// EncodePage encodes events in their order for one session. None of them is one that the viewer is not shown.
	EncodePage(page []core.MessagesPosted) []Frame
}

// PersonalCodec is a Codec that tells of some events in other words to one of those who hear of them.
type PersonalCodec interface {
	Codec
	// EncodeFor returns what this viewer is told of an event that is no message; false: what everybody is told.
	EncodeFor(ev core.Event, viewer core.UserID) ([]Frame, bool)
}

// Reason is why a connection ended.
type Reason string

// The reasons.
const (
	Ended      Reason = "ended"      // the peer closed or broke the connection
	Silent     Reason = "silent"     // nothing was heard for the gateway's limit
	Replaced   Reason = "replaced"   // the user logged in elsewhere
	Revoked    Reason = "revoked"    // the account's password changed, it was disabled, or the device was logged out
	Stuck      Reason = "stuck"      // the peer took nothing for WriteTimeout
	Overflow   Reason = "overflow"   // more was waiting than the queue may hold
	Misbehaved Reason = "misbehaved" // the peer broke its protocol beyond repair
	Failed     Reason = "failed"     // the server could not go on with it
	Kicked     Reason = "kicked"     // somebody who administers closed it
	Stopping   Reason = "stopping"   // the server stops
)

// Profile is how the connections of one gateway behave, or some of them: a gateway may have several. It must not change
// once the hub knows it.
type Profile struct {
	Gateway core.Gateway
	Codec   Codec
	// Silence is how long a connection may say nothing; 0 for no limit.
	Silence time.Duration
	// LoginWithin is how long a connection may stay without a login; 0 for no limit.
	LoginWithin time.Duration
	// CatchUp: sessions start behind, get what their gateway's cursors say they have missed, and move the cursors.
	CatchUp bool
	// AllRooms: sessions hear all of their user's rooms, also those that the user joins while they are connected.
	AllRooms bool
	// Whole: what sessions have missed is shown as it is now, what was deleted as such, with all that belongs to a message.
	Whole bool
	// QueueBytes bounds what waits for a session that is at the head. Default 256 KiB.
	QueueBytes int
	// Farewell encodes what a user is told before the connection is closed for a reason; empty: nothing.
	Farewell func(Reason, core.UserID) []byte
	// Ping is sent to a session that is logged in and was silent for PingEvery, so that a peer which lives answers before
	// Silence. Empty: nothing.
	Ping      []byte
	PingEvery time.Duration
	// Presence: the gateway's clients are told who of the user's friends is online.
	Presence bool

	deliveries, lagging prometheus.Counter
	connections, online prometheus.Gauge
	hub                 *Hub
}

// Page is a stretch of a conversation.
type Page struct {
	Events []core.MessagesPosted
	End    core.Seq // the position after the page
	More   bool     // there is more behind End
}

// Source is where sessions read what they have missed.
type Source interface {
	// Behind returns, for each conversation with messages that the user's clients of this gateway have not got,
	// the position they have. The first call for a gateway pins where its clients start.
	Behind(ctx context.Context, user core.UserID, gateway core.Gateway) ([]core.Position, error)
	// Heads returns where each of the user's conversations ends.
	Heads(ctx context.Context, user core.UserID) ([]core.Position, error)
	// Page reads what follows a position and is for the viewer: nothing, of a room that they are not in. A session that
	// only listens has no viewer, and hears what its gateway lets it hear. A whole page has what was deleted, too, and all
	// that belongs to its messages; another one has only what is still to be read, with quotes and files.
	Page(ctx context.Context, viewer core.UserID, conversation core.ConversationID, after core.Seq, whole bool) (Page, error)
	// Confirm takes note of what the user's clients of this gateway have got. It must not block.
	Confirm(user core.UserID, gateway core.Gateway, got []core.Position)
}
