package api

import (
	"net/http"

	"parley/internal/chat"
	"parley/internal/core"
)

type draftRequest struct {
	ClientID string      `json:"client_id,omitzero" example:"6f1c2d3e" doc:"an id that no other message of one's own has: sent again under it, it is the same message"`
	Text     string      `json:"text,omitzero" example:"Hello @user123" doc:"may be empty if there is a file"`
	ReplyTo  core.Seq    `json:"reply_to,omitzero" example:"12" doc:"the message that it answers"`
	FileID   core.FileID `json:"file_id,omitzero" doc:"a file of the same conversation"`
}

func (d draftRequest) draft() chat.Draft {
	return chat.Draft{ClientID: d.ClientID, Text: d.Text, ReplyTo: d.ReplyTo, File: d.FileID}
}

type postRequest struct {
	conversationRequest
	draftRequest
}

// docs/protocols/api.md#messages.
func postMessage(c *call, in postRequest) (message, error) {
	if in.ID == 0 { // which would stand for somebody
		return message{}, core.ErrConversationNotFound
	}
	return c.post(in.ID, in.draft())
}

type directPostRequest struct {
	UserID core.UserID `json:"user_id" example:"1002"`
	draftRequest
}

// postDirectly needs no number of a conversation. docs/protocols/api.md#messages.
func postDirectly(c *call, in directPostRequest) (message, error) {
	id, err := c.gw.Chat.Destination(c.ctx(), c.actor, chat.Target{User: in.UserID})
	if err != nil {
		return message{}, err
	}
	return c.post(id, in.draft())
}

// post stores a message. One that was sent before is answered as it is now, with 200 in place of 201.
func (c *call) post(id core.ConversationID, d chat.Draft) (message, error) {
	type result struct {
		messages []core.Message
		err      error
	}
	done := make(chan result, 1)
	err := c.gw.Chat.Post(c.ctx(), c.actor, chat.Post{To: chat.Target{Room: id}, Origin: gateway, Drafts: []chat.Draft{d}},
		func(list []core.Message, err error) { done <- result{list, err} })
	if err != nil {
		return message{}, err
	}
	var r result
	select {
	case r = <-done:
	case <-c.ctx().Done():
		return message{}, c.ctx().Err()
	}
	if r.err != nil {
		return message{}, r.err
	}
	m := r.messages[0]
	if m.Again {
		c.status = http.StatusOK
		if m, err = c.gw.Chat.Message(c.ctx(), c.actor, id, m.Seq); err != nil {
			return message{}, err
		}
	}
	return c.shapes().message(id, m), nil
}

type messageRequest struct {
	conversationRequest
	Seq core.Seq `json:"-" path:"seq"`
}

// answerMessage writes a message that a service gave.
func (c *call) answerMessage(in messageRequest, m core.Message, err error) (message, error) {
	if err != nil {
		return message{}, err
	}
	return c.shapes().message(in.ID, m), nil
}

// docs/protocols/api.md#messages.
func showMessage(c *call, in messageRequest) (message, error) {
	m, err := c.gw.Chat.Message(c.ctx(), c.actor, in.ID, in.Seq)
	return c.answerMessage(in, m, err)
}

type editRequest struct {
	messageRequest
	Text string `json:"text" example:"Hello again"`
}

// docs/protocols/api.md#messages.
func editMessage(c *call, in editRequest) (message, error) {
	m, err := c.gw.Chat.Edit(c.ctx(), c.actor, in.ID, in.Seq, in.Text)
	return c.answerMessage(in.messageRequest, m, err)
}

// docs/protocols/api.md#messages.
func deleteMessage(c *call, in messageRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.Delete(c.ctx(), c.actor, c.from, in.ID, in.Seq)
}

type reactRequest struct {
	messageRequest
	Emoji string `json:"emoji" example:"👍"`
}

// docs/protocols/api.md#messages.
func react(c *call, in reactRequest) (message, error) {
	m, err := c.gw.Chat.React(c.ctx(), c.actor, in.ID, in.Seq, in.Emoji, true)
	return c.answerMessage(in.messageRequest, m, err)
}

type unreactRequest struct {
	messageRequest
	Emoji string `json:"-" query:"emoji"`
}

// docs/protocols/api.md#messages.
func unreact(c *call, in unreactRequest) (message, error) {
	m, err := c.gw.Chat.React(c.ctx(), c.actor, in.ID, in.Seq, in.Emoji, false)
	return c.answerMessage(in.messageRequest, m, err)
}

type findRequest struct {
	Query        string              `json:"-" query:"q" doc:"words and pieces of text, which all have to be there"`
	Conversation core.ConversationID `json:"-" query:"conversation_id" doc:"only there"`
	User         core.UserID         `json:"-" query:"user_id" doc:"only what they wrote"`
	Cursor       string              `json:"-" query:"cursor" doc:"where to go on, as the answer before said"`
	limit
}

// found is a page of messages that were found.
type found struct {
	Items  []message `json:"items" doc:"the newest first"`
	Cursor string    `json:"cursor,omitzero" doc:"ask again with it; absent if there is nothing more"`
}

// findMessages may find few, or none, and yet have more to look through. docs/protocols/api.md#search.
func findMessages(c *call, in findRequest) (found, error) {
	most, err := in.most()
	if err != nil {
		return found{}, err
	}
	f, err := c.gw.Chat.Search(c.ctx(), c.actor, chat.Search{
		Text: in.Query, Conversation: in.Conversation, Author: in.User, Cursor: in.Cursor, Limit: most,
	})
	s := c.shapes()
	convert := func(h chat.Hit) message { return s.message(h.Conversation, h.Message) }
	return found{listOf(f.Hits, convert).Items, f.Next}, err
}
