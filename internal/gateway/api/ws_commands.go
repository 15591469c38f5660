package api

import (
	"context"
	"math"
	"reflect"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

// maxRef is how long a command's ref may be, in bytes.
const maxRef = 64

// command is what a client may ask for on a socket.
type command struct {
	name, summary string
	in            reflect.Type
	run           func(s *socket, ctx context.Context, ref string, body []byte) error
}

// take makes a command's function of a handler that takes In.
func take[In any](name, summary string, fn func(*socket, context.Context, In) error) command {
	return command{name, summary, reflect.TypeFor[In](), func(s *socket, ctx context.Context, _ string, body []byte) error {
		var in In
		if err := unmarshal(body, &in); err != nil {
			return err
		}
		return fn(s, ctx, in)
	}}
}

// commands are all of them: docs/protocols/api.md#events.
func commands() []command {
	return []command{
		take("start", "Say where one stands. It comes first, and once.", (*socket).startAt),
		take("send", "Send a message to a conversation, or to somebody.", (*socket).send),
		take("typing", "Tell the others in a conversation that one is writing something.", (*socket).tellTyping),
		take("read", "Say up to which message one has read a conversation.", (*socket).read),
		take("ping", "Have the server answer.", (*socket).pong),
	}
}

var commandsByName = func() map[string]command {
	m := map[string]command{}
	for _, c := range commands() {
		m[c.name] = c
	}
	return m
}()

type sendCommand struct {
	Type           string              `json:"type"`
	Ref            string              `json:"ref,omitzero" example:"1" doc:"comes back with the answer"`
	ConversationID core.ConversationID `json:"conversation_id,omitzero" example:"1"`
	UserID         core.UserID         `json:"user_id,omitzero" doc:"in place of conversation_id: somebody to whom one may write"`
	ClientID       string              `json:"client_id,omitzero" example:"7e57d004-2b97-4e7a-b45f-5387367791cd" doc:"the client's own id for the message, which it never uses again but for this one"`
	Text           string              `json:"text,omitzero" example:"Hello!" doc:"may be absent with a file"`
	ReplyTo        core.Seq            `json:"reply_to,omitzero" doc:"the message in the same conversation that it answers"`
	FileID         core.FileID         `json:"file_id,omitzero" doc:"a file of the same conversation"`
}

// send posts a message. The answer comes from the group commit, so that many can be on their way to the disk at once.
func (s *socket) send(ctx context.Context, in sendCommand) (err error) {
	if (in.ConversationID == 0) == (in.UserID == 0) {
		return because(errBody, "Either conversation_id or user_id says where it goes")
	}
	to := in.ConversationID
	if to == 0 {
		if to, err = s.gw.Chat.Destination(ctx, s.actor, chat.Target{User: in.UserID}); err != nil {
			return err
		}
	}
	size := len(in.Text)
	s.posts.Begin(size, socketPosts, s.session.Closing)
	err = s.gw.Chat.Post(context.WithoutCancel(ctx), s.actor, chat.Post{
		To: chat.Target{Room: to}, Origin: gateway,
		Drafts: []chat.Draft{{ClientID: in.ClientID, Text: in.Text, ReplyTo: in.ReplyTo, File: in.FileID}},
	}, func(stored []core.Message, err error) {
		defer s.posts.End(size)
		if err != nil {
			s.refuse(in.Ref, err)
			return
		}
		m := stored[0]
		s.tell(sent{"sent", in.Ref, in.ClientID, to, m.Seq, m.At.UTC().Truncate(time.Millisecond), m.Again})
	})
	if err != nil {
		s.posts.End(size)
	}
	return err
}

type typingCommand struct {
	Type           string              `json:"type"`
	Ref            string              `json:"ref,omitzero"`
	ConversationID core.ConversationID `json:"conversation_id" example:"1"`
}

func (s *socket) tellTyping(ctx context.Context, in typingCommand) error {
	if err := s.gw.Chat.Typing(ctx, s.actor, in.ConversationID); err != nil {
		return err
	}
	s.ok(in.Ref)
	return nil
}

type readCommand struct {
	Type           string              `json:"type"`
	Ref            string              `json:"ref,omitzero"`
	ConversationID core.ConversationID `json:"conversation_id" example:"1"`
	Seq            core.Seq            `json:"seq" example:"120"`
}

func (s *socket) read(ctx context.Context, in readCommand) error {
	if err := s.gw.Chat.MarkRead(ctx, s.actor, in.ConversationID, in.Seq); err != nil {
		return err
	}
	s.ok(in.Ref)
	return nil
}

type pingCommand struct {
	Type string `json:"type"`
	Ref  string `json:"ref,omitzero"`
}

func (s *socket) pong(_ context.Context, in pingCommand) error {
	s.tell(done{"pong", in.Ref})
	return nil
}

// ok answers a command that asked to be answered.
func (s *socket) ok(ref string) {
	if ref != "" {
		s.tell(done{"ok", ref})
	}
}

// retrySeconds is the wait that makes sense after an error, 0 for none.
func retrySeconds(err error) int { return int(math.Ceil(core.RetryAfter(err).Seconds())) }
