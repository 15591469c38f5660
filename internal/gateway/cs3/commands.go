package cs3

import (
	"context"

	"parley/internal/core"
	"parley/internal/session"
)

// command works on one object and returns its answer; nil if that comes later or has left already.
type command func(ctx context.Context, c *conn, object []byte) []byte

var commands = map[string]command{
	"register":  handle((*conn).register, socketRegister), // docs/protocols/cs3.md#socket-register
	"login":     handle((*conn).login, socketLogin),       // docs/protocols/cs3.md#socket-login
	"chat":      handle((*conn).chat, socketChat),         // docs/protocols/cs3.md#socket-chat
	"heartbeat": handle((*conn).heartbeat, heartbeat),     // docs/protocols/cs3.md#heartbeat
}

func handle[T any](run func(*conn, context.Context, T) ([]byte, error), codes table) command {
	return func(ctx context.Context, c *conn, object []byte) []byte {
		var in T
		if decode(object, &in) != nil {
			return wrongField
		}
		out, err := run(c, ctx, in)
		if err != nil {
			return c.gw.refuse(codes, err).object
		}
		return out
	}
}

func (c *conn) register(ctx context.Context, in registerRequest) ([]byte, error) {
	return registered, c.gw.register(ctx, c.from, in)
}

// login starts the session: its answer leaves before anything that is pushed.
func (c *conn) login(ctx context.Context, in loginRequest) ([]byte, error) {
	user, actor, err := c.gw.authenticate(ctx, c.from, in)
	if err != nil {
		return nil, err
	}
	if c.session.Actor().Known() {
		return nil, core.ErrAlreadyOnline
	}
	if err := c.gw.makeWay(user.ID); err != nil {
		return nil, err
	}
	token, err := c.gw.Accounts.IssueToken(ctx, actor, tokens)
	if err != nil {
		return nil, err
	}
	if err := c.gw.enter(ctx, c.session, actor); err != nil {
		return nil, err
	}
	c.settle()
	if err := c.session.Start(ctx, loggedIn(user, token)); err != nil {
		c.session.Send(c.gw.refuse(socketLogin, err).object)
		c.session.Close(session.Failed)
	}
	return nil, nil
}

// chat is answered once the message is stored and everybody else has been told.
func (c *conn) chat(ctx context.Context, in chatRequest) ([]byte, error) {
	actor, err := c.gw.speaker(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	c.posts.Begin(0, postLimit, c.session.Closing)
	err = c.gw.post(ctx, actor, in.Message, func(err error) {
		if err != nil {
			c.session.Send(c.gw.refuse(socketChat, err).object)
		} else {
			c.session.Send(posted)
		}
		c.posts.End(0)
	})
	if err != nil {
		c.posts.End(0)
	}
	return nil, err
}

func (c *conn) heartbeat(ctx context.Context, in heartbeatRequest) ([]byte, error) {
	_, err := c.gw.speaker(ctx, in.Token)
	return beating, err
}
