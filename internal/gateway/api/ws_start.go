package api

import (
	"context"
	"errors"
	"time"

	"parley/internal/core"
	"parley/internal/session"
)

const (
	// maxChanges is how many changed messages a client is told of that it has missed, and maxChangeBytes how long they may be all
	// together; a conversation beyond that is stale. They wait in memory until the client has read them.
	maxChanges     = 2_000
	maxChangeBytes = 1 << 20
	// chatsPage is how many conversations are read at once.
	chatsPage = 100
)

type startCommand struct {
	Type            string          `json:"type"`
	Ref             string          `json:"ref,omitzero"`
	Positions       []positionShape `json:"positions,omitzero" doc:"of the conversations in which the client has something; the others begin at the present"`
	ContactsVersion *int64          `json:"contacts_version,omitzero" example:"7" doc:"of the contacts that the client has"`
}

// positionShape is what a client has of a conversation.
type positionShape struct {
	ConversationID core.ConversationID `json:"conversation_id" example:"1"`
	Seq            *core.Seq           `json:"seq,omitzero" example:"120" doc:"the newest message it has; absent for the present"`
	Change         *core.Change        `json:"change,omitzero" example:"4" doc:"the newest change it knows of; absent if it need not hear of those that it has missed"`
}

// startAt begins the stream where the client stands.
func (s *socket) startAt(_ context.Context, in startCommand) error {
	if !s.begin(in) {
		return errStarted
	}
	s.ok(in.Ref)
	return nil
}

// begin begins the stream, once: what comes at the same time waits for it.
func (s *socket) begin(in startCommand) (first bool) {
	s.start.Do(func() {
		first = true
		s.hurry()
		ctx, cancel := context.WithTimeout(context.Background(), commandTime)
		defer cancel()
		err := s.register(ctx)
		if err == nil {
			err = s.catchUp(ctx, in)
		}
		switch {
		case err == nil:
		case errors.Is(err, core.ErrNoToken):
			s.session.Close(session.Revoked)
		case !s.session.Closing():
			s.gw.Log.Error("a socket could not be started", "uid", int64(s.actor.User()), "err", err)
			s.session.Close(session.Failed)
		}
	})
	return first
}

// register makes the session hear what happens from now on. It waits until the client has heard what was before.
func (s *socket) register(ctx context.Context) error {
	rooms, err := s.gw.Chat.Rooms(ctx, s.actor)
	if err != nil {
		return err
	}
	ids := make([]core.ConversationID, len(rooms))
	for i := range rooms {
		ids[i] = rooms[i].ID
	}
	return s.gw.Hub.Register(s.session, s.actor, session.Share, ids)
}

// catchUp tells how things are, what was changed since the client was here, and lets the messages follow.
func (s *socket) catchUp(ctx context.Context, in startCommand) error {
	chats, err := s.chats(ctx)
	if err != nil {
		return err
	}
	r := ready{
		Type: "ready", UserID: s.actor.User(), DeviceID: s.actor.Device(), Time: time.Now().UTC(), Conversations: []conversation{},
	}
	byID := make(map[core.ConversationID]core.Chat, len(chats))
	for _, c := range chats {
		c.Last = nil
		byID[c.Conversation.ID] = c
		r.Conversations = append(r.Conversations, s.codec.shapes.conversation(c))
	}
	if r.ContactsVersion, err = s.gw.Contacts.ContactsVersion(ctx, s.actor); err != nil {
		return err
	}
	if r.Online, err = s.onlineFriends(ctx); err != nil {
		return err
	}
	answer := [][]byte{s.codec.frame(r)}
	if in.ContactsVersion != nil && *in.ContactsVersion != r.ContactsVersion {
		answer = append(answer, s.codec.frame(contactsChanged{"contacts.changed", r.ContactsVersion}))
	}
	missed := missed{socket: s}
	for _, p := range in.Positions {
		if c, ok := byID[p.ConversationID]; ok {
			if err := missed.add(ctx, c, p); err != nil {
				return err
			}
			delete(byID, p.ConversationID) // once is enough
		}
	}
	return s.session.StartAt(ctx, missed.positions, append(answer, missed.frames...)...)
}

func (s *socket) chats(ctx context.Context) (all []core.Chat, err error) {
	for after := core.ConversationID(0); ; {
		list, err := s.gw.Chat.Chats(ctx, s.actor, after, chatsPage)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if len(list) < chatsPage {
			return all, nil
		}
		after = list[len(list)-1].Conversation.ID
	}
}

func (s *socket) onlineFriends(ctx context.Context) ([]core.UserID, error) {
	ids, err := s.gw.Contacts.Watched(ctx, s.actor)
	if err != nil {
		return nil, err
	}
	online := []core.UserID{}
	for i, is := range s.gw.Hub.Online(ids) {
		if is {
			online = append(online, ids[i])
		}
	}
	return online, nil
}

// missed gathers what a client has missed: the changes themselves, and where its messages go on.
type missed struct {
	*socket
	positions       []core.Position
	frames          [][]byte
	messages, bytes int
}

// add adds what was missed of a conversation.
func (m *missed) add(ctx context.Context, c core.Chat, p positionShape) error {
	id, last := c.Conversation.ID, c.Conversation.LastSeq
	// A client that is ahead has seen what is no longer there: the database was put back to an earlier day.
	if p.Seq != nil && *p.Seq > last || p.Change != nil && *p.Change > c.LastChange {
		m.stale(id)
		return nil
	}
	upTo := last
	if p.Seq != nil {
		upTo = max(*p.Seq, 0)
		m.positions = append(m.positions, core.Position{Conversation: id, Seq: upTo})
	}
	if p.Change == nil {
		return nil
	}
	var events []any
	texts := 0
	for after := max(*p.Change, 0); after < c.LastChange; {
		list, err := m.gw.Chat.Changes(ctx, m.actor, id, after, chatsPage)
		if err != nil {
			return err
		}
		for _, changed := range list {
			after = changed.Change
			if changed.Seq > upTo {
				continue // it comes whole, as it is now
			}
			events = append(events, messageChanged{Type: "message.changed", Message: m.codec.shapes.message(id, changed)})
			m.messages, m.bytes, texts = m.messages+1, m.bytes+len(changed.Text), texts+len(changed.Text)
		}
		if m.messages > maxChanges || m.bytes > maxChangeBytes {
			m.stale(id)
			return nil
		}
		if len(list) < chatsPage {
			break
		}
	}
	if len(events) == 0 {
		return nil
	}
	frame := m.codec.frame(events...)
	if m.bytes += len(frame) - texts; m.bytes > maxChangeBytes { // names and reactions count as well
		m.stale(id)
		return nil
	}
	m.frames = append(m.frames, frame)
	return nil
}

func (m *missed) stale(id core.ConversationID) {
	m.frames = append(m.frames, m.codec.frame(conversationStale{"conversation.stale", id}))
}
