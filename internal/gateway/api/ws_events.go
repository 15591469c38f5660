package api

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gobwas/ws"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/websocket"
)

// pageBytes is about how much one frame holds of what a client has missed.
const pageBytes = 32 << 10

// The events, by their types: docs/protocols/api.md#events. Type is what eventKinds says.

type messageNew struct {
	Type    string  `json:"type"`
	Message message `json:"message"`
}

type messageChanged struct {
	Type    string  `json:"type"`
	Kind    string  `json:"kind,omitzero" doc:"edited, deleted, reacted or file; absent of what was missed"`
	By      *author `json:"by,omitzero" doc:"who changed it; absent of what was missed, and of files"`
	Message message `json:"message" doc:"as it is now"`
}

type conversationStale struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id" doc:"what the client has of it is too old to be mended: it is read anew"`
}

type conversationRead struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id"`
	UserID         core.UserID         `json:"user_id"`
	Seq            core.Seq            `json:"seq" doc:"everything up to this message"`
}

type conversationJoined struct {
	Type         string      `json:"type"`
	Conversation room        `json:"conversation" doc:"in which one is from now on"`
	Role         string      `json:"role" doc:"owner, admin or member"`
	By           core.UserID `json:"by_user_id" doc:"who brought one in; oneself if nobody did"`
}

type conversationLeft struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id" doc:"in which one is no longer"`
	By             core.UserID         `json:"by_user_id" doc:"who removed one; oneself if one left"`
}

type roomChanged struct {
	Type         string `json:"type"`
	Conversation room   `json:"conversation" doc:"as it is now"`
	By           author `json:"by"`
}

type memberJoined struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id"`
	Member         member              `json:"member"`
	By             core.UserID         `json:"by_user_id" doc:"who brought them in; themselves if nobody did"`
}

type memberLeft struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id"`
	User           author              `json:"user"`
	By             core.UserID         `json:"by_user_id" doc:"who removed them; themselves if they left"`
}

type memberChanged struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id"`
	Member         member              `json:"member" doc:"as it is now"`
	By             core.UserID         `json:"by_user_id"`
}

type typingEvent struct {
	Type           string              `json:"type"`
	ConversationID core.ConversationID `json:"conversation_id"`
	User           author              `json:"user"`
}

type presenceChanged struct {
	Type   string      `json:"type"`
	UserID core.UserID `json:"user_id"`
	Online bool        `json:"online"`
}

type contactRequested struct {
	Type    string        `json:"type"`
	Request friendRequest `json:"request"`
}

type contactAccepted struct {
	Type string `json:"type"`
	User person `json:"user" doc:"who accepted"`
}

type contactsChanged struct {
	Type    string `json:"type"`
	Version int64  `json:"version"`
}

type reportFiled struct {
	Type   string    `json:"type"`
	Report complaint `json:"report"`
}

type ready struct {
	Type            string         `json:"type"`
	UserID          core.UserID    `json:"user_id"`
	DeviceID        int64          `json:"device_id"`
	Time            time.Time      `json:"time" doc:"the server's"`
	Conversations   []conversation `json:"conversations" doc:"all that one is in, without their messages"`
	ContactsVersion int64          `json:"contacts_version"`
	Online          []core.UserID  `json:"online" doc:"friends who are"`
}

type closing struct {
	Type   string `json:"type"`
	Code   int    `json:"code" doc:"that the connection is closed with"`
	Reason string `json:"reason"`
}

type done struct {
	Type string `json:"type"`
	Ref  string `json:"ref,omitzero"`
}

type sent struct {
	Type           string              `json:"type"`
	Ref            string              `json:"ref,omitzero"`
	ClientID       string              `json:"client_id"`
	ConversationID core.ConversationID `json:"conversation_id"`
	Seq            core.Seq            `json:"seq"`
	CreatedAt      time.Time           `json:"created_at"`
	Again          bool                `json:"again,omitzero" doc:"the message was stored before"`
}

type failed struct {
	Type       string `json:"type"`
	Ref        string `json:"ref,omitzero"`
	Message    string `json:"message"`
	Error      reason `json:"error"`
	RetryAfter int    `json:"retry_after,omitzero" doc:"seconds after which another attempt makes sense"`
}

// eventCodec turns events into frames. One frame holds a list of events, and serves all sessions that take it the same way.
type eventCodec struct {
	shapes  shapes
	deflate bool
}

// Encode encodes an event for everybody who hears of it.
func (k *eventCodec) Encode(ev core.Event) []session.Frame {
	if posted, ok := ev.(core.MessagesPosted); ok {
		return k.EncodePage([]core.MessagesPosted{posted})
	}
	if v := k.event(ev); v != nil {
		return []session.Frame{{Bytes: k.frame(v)}}
	}
	return nil
}

// EncodeFor tells those who come into a room, or leave it, in other words than the others.
func (k *eventCodec) EncodeFor(ev core.Event, viewer core.UserID) ([]session.Frame, bool) {
	var v any
	switch ev := ev.(type) {
	case core.MemberJoined:
		if ev.Member.User.ID == viewer {
			v = conversationJoined{"conversation.joined", roomOf(ev.Room), roleName(ev.Member.Role), ev.By}
		}
	case core.MemberLeft:
		if ev.User.ID == viewer {
			v = conversationLeft{"conversation.left", ev.Room.ID, ev.By}
		}
	}
	if v == nil {
		return nil, false
	}
	return []session.Frame{{Bytes: k.frame(v)}}, true
}

// Skips: nobody is told what they are typing themselves.
func (k *eventCodec) Skips(ev core.Event, viewer core.UserID) bool {
	typing, ok := ev.(core.Typing)
	return ok && typing.User.ID == viewer
}

// EncodePage puts messages into as few frames as is good for who reads them.
func (k *eventCodec) EncodePage(posted []core.MessagesPosted) (frames []session.Frame) {
	var events []any
	bytes := 0
	flush := func() {
		if len(events) > 0 {
			frames = append(frames, session.Frame{Bytes: k.frame(events...)})
		}
		events, bytes = nil, 0
	}
	for _, p := range posted {
		for _, m := range p.Messages {
			events = append(events, messageNew{"message.new", k.shapes.message(p.Conversation.ID, m)})
			if bytes += len(m.Text); bytes >= pageBytes {
				flush()
			}
		}
	}
	flush()
	return frames
}

// changeNames are the kinds of message.changed.
var changeNames = map[core.ChangeKind]string{core.Edited: "edited", core.Deleted: "deleted", core.Reacted: "reacted", core.FileChanged: "file"}

// event returns what an event is on the wire, nil if it has no form there.
func (k *eventCodec) event(ev core.Event) any {
	s := k.shapes
	switch ev := ev.(type) {
	case core.MessageChanged:
		var by *author
		if ev.By.ID != 0 {
			whom := s.author(ev.By)
			by = &whom
		}
		return messageChanged{"message.changed", changeNames[ev.Kind], by, s.message(ev.Conversation.ID, ev.Message)}
	case core.ConversationRead:
		return conversationRead{"conversation.read", ev.Conversation.ID, ev.User, ev.Seq}
	case core.RoomChanged:
		return roomChanged{"room.changed", roomOf(ev.Room), s.author(ev.By)}
	case core.MemberJoined:
		return memberJoined{"member.joined", ev.Room.ID, s.member(ev.Member), ev.By}
	case core.MemberLeft:
		return memberLeft{"member.left", ev.Room.ID, s.author(ev.User), ev.By}
	case core.MemberChanged:
		return memberChanged{"member.changed", ev.Room.ID, s.member(ev.Member), ev.By}
	case core.Typing:
		return typingEvent{"typing", ev.Conversation.ID, s.author(ev.User)}
	case core.PresenceChanged:
		return presenceChanged{"presence", ev.User, ev.Online}
	case core.FriendRequested:
		return contactRequested{"contact.requested", friendRequest{s.person(ev.Request.From), ev.Request.Text, ev.Request.At.UTC()}}
	case core.FriendAccepted:
		return contactAccepted{"contact.accepted", s.person(ev.By)}
	case core.ContactsChanged:
		return contactsChanged{"contacts.changed", ev.Version}
	case core.Reported:
		return reportFiled{"report.filed", s.complaint(ev.Report)}
	}
	return nil
}

// frame makes a frame of events.
func (k *eventCodec) frame(events ...any) []byte {
	// Texts that came from elsewhere need not be sound in all their bytes.
	b, err := json.Marshal(events, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // the types are part of the program
	}
	if k.deflate {
		return websocket.Deflated(b)
	}
	return websocket.Text(b)
}

// closings are the codes with which the server closes connections; the others are those of RFC 6455.
// docs/protocols/api.md#events.
var closings = map[session.Reason]ws.StatusCode{
	session.Stopping: ws.StatusGoingAway,
	session.Failed:   ws.StatusInternalServerError,
	session.Revoked:  4001,
	session.Kicked:   4003,
}

// farewell is what a client is told before the server closes its connection.
func (k *eventCodec) farewell(why session.Reason, _ core.UserID) []byte {
	code, ok := closings[why]
	if !ok {
		return nil
	}
	word := string(why)
	return append(k.frame(closing{"closing", int(code), word}), websocket.Close(code, word)...)
}
