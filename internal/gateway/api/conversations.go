package api

import (
	"parley/internal/chat"
	"parley/internal/core"
)

type conversationRequest struct {
	ID core.ConversationID `json:"-" path:"conversation_id"`
}

// conversations is a list that goes on behind the last one's number. docs/protocols/api.md#conversations.
func conversations(c *call, in span) (part[conversation], error) {
	return partOf(in, c.shapes().conversation, func(most int) ([]core.Chat, error) {
		return c.gw.Chat.Chats(c.ctx(), c.actor, core.ConversationID(in.After), most)
	})
}

// docs/protocols/api.md#conversations.
func showConversation(c *call, in conversationRequest) (conversation, error) {
	return c.conversation(in.ID)
}

// conversation is one of the actor's.
func (c *call) conversation(id core.ConversationID) (conversation, error) {
	v, err := c.gw.Chat.Chat(c.ctx(), c.actor, id)
	if err != nil {
		return conversation{}, err
	}
	return c.shapes().conversation(v), nil
}

type withRequest struct {
	UserID core.UserID `json:"user_id" example:"1002"`
}

// openDirect makes the chat if it is not there yet. docs/protocols/api.md#conversations.
func openDirect(c *call, in withRequest) (conversation, error) {
	v, err := c.gw.Chat.OpenDirect(c.ctx(), c.actor, in.UserID)
	if err != nil {
		return conversation{}, err
	}
	return c.shapes().conversation(v), nil
}

type readRequest struct {
	conversationRequest
	Seq core.Seq `json:"seq" example:"12" doc:"everything up to here"`
}

// docs/protocols/api.md#reading.
func markRead(c *call, in readRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.MarkRead(c.ctx(), c.actor, in.ID, in.Seq)
}

type conversationSpan struct {
	conversationRequest
	span
}

// readMark is how far somebody has read.
type readMark struct {
	UserID core.UserID `json:"user_id"`
	Seq    core.Seq    `json:"seq"`
}

// docs/protocols/api.md#reading.
func readers(c *call, in conversationSpan) (part[readMark], error) {
	convert := func(r core.ReadMark) readMark { return readMark{r.User, r.Seq} }
	return partOf(in.span, convert, func(most int) ([]core.ReadMark, error) {
		return c.gw.Chat.Readers(c.ctx(), c.actor, in.ID, core.UserID(in.After), most)
	})
}

// docs/protocols/api.md#reading.
func typing(c *call, in conversationRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.Typing(c.ctx(), c.actor, in.ID)
}

// docs/protocols/api.md#messages.
func changes(c *call, in conversationSpan) (part[message], error) {
	s := c.shapes()
	convert := func(m core.Message) message { return s.message(in.ID, m) }
	return partOf(in.span, convert, func(most int) ([]core.Message, error) {
		return c.gw.Chat.Changes(c.ctx(), c.actor, in.ID, core.Change(in.After), most)
	})
}

type historyRequest struct {
	conversationRequest
	Before core.Seq  `json:"-" query:"before" doc:"the messages before this one"`
	After  *core.Seq `json:"-" query:"after" doc:"the messages after this one; after 0 come the oldest"`
	Around core.Seq  `json:"-" query:"around" doc:"this one and those before and after it"`
	limit
}

// stretch is a piece of a conversation, the oldest message first.
type stretch struct {
	Items    []message `json:"items"`
	HasOlder *bool     `json:"has_older,omitzero" doc:"absent where after was asked for"`
	HasNewer *bool     `json:"has_newer,omitzero" doc:"absent where before was asked for"`
}

// history asks for more than it gives, and so knows whether there is more. docs/protocols/api.md#messages.
func history(c *call, in historyRequest) (stretch, error) {
	most, err := in.most()
	if err != nil {
		return stretch{}, err
	}
	w := chat.Window{Before: in.Before, After: in.After, Around: in.Around, Limit: most + 1}
	if in.Around > 0 {
		w.Limit++
	}
	list, err := c.gw.Chat.History(c.ctx(), c.actor, in.ID, w)
	if err != nil {
		return stretch{}, err
	}
	var older, newer bool
	switch {
	case in.Around > 0:
		list, older, newer = surrounded(list, in.Around, most)
	case in.After != nil:
		if newer = len(list) > most; newer {
			list = list[:most]
		}
	default:
		if older = len(list) > most; older {
			list = list[1:]
		}
	}
	out := stretch{Items: c.shapes().messages(in.ID, list)}
	if in.After == nil {
		out.HasOlder = &older
	}
	if in.Before == 0 {
		out.HasNewer = &newer
	}
	return out, nil
}

// surrounded cuts what was read around a message, with two more than wanted, to what was wanted. Half of it, that message
// included, is as old as it or older, unless there is not so much.
func surrounded(list []core.Message, around core.Seq, most int) (cut []core.Message, older, newer bool) {
	before := 0
	for before < len(list) && list[before].Seq <= around {
		before++
	}
	if before == (most+3)/2 {
		list, older = list[1:], true
	}
	if len(list) > most {
		list, newer = list[:most], true
	}
	return list, older, newer
}
