package llfc

import (
	"strconv"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/frame"
)

// codec turns events into frames.
type codec struct {
	rooms bool
	link  func(core.File) string
}

// Encode encodes an event.
func (k codec) Encode(ev core.Event) []session.Frame {
	switch ev := ev.(type) {
	case core.MessagesPosted:
		if ev.Conversation.Kind == core.Room && !k.rooms {
			return nil
		}
		return encodePosted(ev, k.link)
	case core.MessageChanged:
		if ev.Conversation.Kind == core.Room && !k.rooms {
			return nil
		}
		return encodeChanged(ev)
	case core.FriendRequested:
		return []session.Frame{{Bytes: appendRequestPush(nil, ev.Request)}}
	case core.FriendAccepted:
		return []session.Frame{{Bytes: appendAcceptedPush(nil, ev)}}
	case core.MemberJoined:
		if k.rooms {
			return []session.Frame{encodeRoomPush(ev.Room)}
		}
	}
	return nil
}

// Skips: users are not shown their own words, but for those that they wrote to a room in another family of clients.
// Of those who come into a room only they themselves are told: the room is a new contact of theirs.
func (k codec) Skips(ev core.Event, viewer core.UserID) bool {
	if joined, ok := ev.(core.MemberJoined); ok {
		return joined.Member.User.ID != viewer
	}
	if changed, ok := ev.(core.MessageChanged); ok { // it was done in another family of clients
		return changed.By.ID == viewer && changed.Conversation.Kind == core.Direct
	}
	posted, ok := ev.(core.MessagesPosted)
	if !ok {
		return false
	}
	own := posted.Messages[0].Author.ID == viewer
	if posted.Conversation.Kind == core.Room {
		return !k.rooms || own && posted.Messages[0].Origin == Name
	}
	return own
}

// farewell is what users are told when their session ends without their doing: docs/protocols/llfc.md#offline-notice.
func farewell(why session.Reason, user core.UserID) []byte {
	switch why {
	case session.Replaced, session.Revoked, session.Kicked, session.Stopping:
		if user != 0 {
			return offlineNotice(user)
		}
	}
	return nil
}

// appendRequestPush appends 1011: docs/protocols/llfc.md#add-friend.
func appendRequestPush(b []byte, r core.FriendRequest) []byte {
	at := len(b)
	b = appendInt(frame.Begin(b, msgFriendRequested), `{"error":0,"applyuid":`, r.From.ID)
	b = appendText(b, `,"name":`, r.From.Name)
	b = appendText(b, `,"desc":`, requestDesc(r))
	b = appendText(b, `,"icon":`, r.From.Icon)
	b = appendInt(b, `,"sex":`, r.From.Sex)
	b = appendText(b, `,"nick":`, r.From.Nick)
	return frame.End(append(b, '}'), at)
}

// requestDesc is what a request says: the words that came with it, else what its sender says of themselves.
func requestDesc(r core.FriendRequest) string {
	if r.Text != "" {
		return r.Text
	}
	return r.From.Desc
}

// appendAcceptedPush appends 1015: docs/protocols/llfc.md#accept-friend.
func appendAcceptedPush(b []byte, ev core.FriendAccepted) []byte {
	at := len(b)
	return frame.End(append(appendAccepted(b, ev.By, ev.To), '}'), at)
}

// encodeRoomPush returns the 1015 by which a room becomes a contact: docs/protocols/llfc.md#rooms.
func encodeRoomPush(r core.Conversation) session.Frame {
	u := roomContact(r)
	b := appendInt(frame.Begin(nil, msgFriendAccepted), `{"error":0,"fromuid":`, u.ID)
	b = append(b, `,"touid":`...)
	f := session.Frame{ViewerAt: len(b)}
	b = append(b, "          "[:session.ViewerWidth]...)
	b = appendText(b, `,"name":`, u.Name)
	b = appendText(b, `,"nick":`, u.Nick)
	b = append(b, `,"icon":"","sex":0}`...)
	f.Bytes = frame.End(b, 0)
	return f
}

// appendFriendPush appends the 1015 that brings a friend for whom the login's answer had no room.
func appendFriendPush(b []byte, f core.Friend, to core.UserID) []byte {
	at := len(b)
	b = appendAccepted(b, f.User, to)
	b = appendText(b, `,"desc":`, f.User.Desc)
	b = appendText(b, `,"back":`, f.Remark)
	return frame.End(append(b, '}'), at)
}

func appendAccepted(b []byte, by core.User, to core.UserID) []byte {
	b = appendInt(frame.Begin(b, msgFriendAccepted), `{"error":0,"fromuid":`, by.ID)
	b = appendInt(b, `,"touid":`, to)
	b = appendText(b, `,"name":`, by.Name)
	b = appendText(b, `,"nick":`, by.Nick)
	b = appendText(b, `,"icon":`, by.Icon)
	return appendInt(b, `,"sex":`, by.Sex)
}

// encodePosted encodes messages as 1019: docs/protocols/llfc.md#text.
func encodePosted(ev core.MessagesPosted, link func(core.File) string) []session.Frame {
	p := pusher{ev: ev}
	for _, m := range ev.Messages {
		p.expect += len(m.ClientID) + len(m.Text) + 48
	}
	for _, m := range ev.Messages {
		id := clip(m.ClientID, maxMsgID)
		if id == "" {
			id = madeUpID(ev.Conversation.ID, m.Seq)
		}
		p.say(id, m.Author, chat.Plain(m, link))
		p.expect -= len(m.ClientID) + len(m.Text) + 48
	}
	p.close()
	return p.frames
}

// encodeChanged encodes what was done to a message as a 1019 of who did it: docs/protocols/llfc.md#changes.
func encodeChanged(ev core.MessageChanged) []session.Frame {
	text := chat.PlainChange(ev)
	if text == "" {
		return nil
	}
	as := core.Message{Author: ev.By}
	p := pusher{ev: core.MessagesPosted{Conversation: ev.Conversation, Messages: []core.Message{as}, Members: ev.Members}, expect: len(text) + 48}
	p.say(madeUpID(ev.Conversation.ID, ev.Message.Seq)+"-"+strconv.FormatInt(int64(ev.Message.Change), 10), ev.By, text)
	p.close()
	return p.frames
}

// madeUpID is the id of a message whose sender gave it none.
func madeUpID(c core.ConversationID, seq core.Seq) string {
	return strconv.FormatInt(int64(c), 10) + "-" + strconv.FormatInt(int64(seq), 10)
}

// pusher packs messages into frames, several into one while they fit.
type pusher struct {
	ev       core.MessagesPosted
	expect   int // about how many bytes are still to come
	frames   []session.Frame
	b        []byte // the frame being filled
	viewerAt int
	items    int // in b
}

// say appends what somebody says; in a room it begins with their name.
func (p *pusher) say(id string, by core.Author, text string) {
	if p.ev.Conversation.Kind == core.Room {
		text = by.Name + ": " + text
	}
	p.add(id, text)
}

// add appends a text, or the pieces of one that a frame alone does not hold; they have the same id.
func (p *pusher) add(id, text string) {
	if p.append(id, text) {
		return
	}
	if p.items > 0 {
		p.close()
		p.add(id, text)
		return
	}
	// Alone it can only be a text of many bytes: an id is short.
	half := len(clip(text, len(text)/2))
	p.add(id, text[:half])
	p.add(id, text[half:])
}

// append appends a text to the frame being filled, if there is room.
func (p *pusher) append(id, text string) bool {
	if p.b == nil {
		p.open()
	}
	b := p.b
	if p.items > 0 {
		b = append(b, ',')
	}
	b = appendQuoted(append(b, `{"msgid":`...), id)
	b = appendQuoted(append(b, `,"content":`...), text)
	b = append(b, '}')
	if len(b)+len("]}") > frame.HeaderSize+frame.MaxBody {
		return false
	}
	p.b = b
	p.items++
	return true
}

func (p *pusher) open() {
	b := frame.Begin(make([]byte, 0, min(p.expect+96, frame.HeaderSize+frame.MaxBody)), msgTextPosted)
	author := p.ev.Messages[0].Author.ID
	if p.ev.Conversation.Kind == core.Room {
		b = appendInt(b, `{"error":0,"fromuid":`, roomUID(p.ev.Conversation.ID))
		b = append(b, `,"touid":`...)
		p.viewerAt = len(b)
		b = append(b, "          "[:session.ViewerWidth]...)
	} else {
		b = appendInt(b, `{"error":0,"fromuid":`, author)
		b = appendInt(b, `,"touid":`, other(p.ev.Members, author))
	}
	p.b = append(b, `,"text_array":[`...)
	p.items = 0
}

// close completes the frame being filled.
func (p *pusher) close() {
	p.frames = append(p.frames, session.Frame{Bytes: frame.End(append(p.b, `]}`...), 0), ViewerAt: p.viewerAt})
	p.b, p.items = nil, 0
}

// other returns the one of the two users of a direct chat who is not user.
func other(members []core.UserID, user core.UserID) core.UserID {
	for _, m := range members {
		if m != user {
			return m
		}
	}
	return user
}
