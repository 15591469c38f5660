package dpc

import (
	"context"
	"net"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/inbound"
	"parley/internal/wire/padded"
)

// conn is a connection for accounts or for chat. It belongs to the goroutine that reads it; only posts is shared. An idle one
// holds no buffer.
type conn struct {
	gw       *Gateway
	commands commands
	session  *session.Session
	turns    session.Turns
	from     core.Origin
	stream   padded.Splitter

	forgiving bool   // a message that is no request does not end the connection
	prefix    string // of the client ids of what is said here
	said      uint64
	posts     session.Posts
}

func newConn(g *Gateway, nc net.Conn, profile *session.Profile, known commands) *conn {
	c := &conn{gw: g, commands: known, session: g.Hub.Open(profile, nc), from: origin(nc), stream: padded.NewSplitter(maxMessage)}
	c.turns = session.Turns{Session: c.session, In: inbound.NewReader(nc), Take: c.take, Settle: c.settle}
	return c
}

// settle waits until every message is posted, or the session ends.
func (c *conn) settle() { c.posts.Wait(c.session.Closing) }

// take works on a segment. Once the connection or the server is closing, what arrives is thrown away.
func (c *conn) take(segment []byte) {
	c.stream.Feed(segment)
	for c.session.Ready() && !c.gw.Hub.Stopping() {
		message, ok, err := c.stream.Next()
		switch {
		case err != nil:
			c.session.Send(result(0, codeRefused))
			c.session.Close(session.Misbehaved)
		case !ok:
			return
		default:
			c.gw.messages.Inc()
			c.obey(message)
		}
	}
	c.stream = padded.NewSplitter(maxMessage)
}

// obey carries out a request and answers it.
func (c *conn) obey(message []byte) {
	op, ok := opOf(message)
	cmd, known := c.commands[op]
	if !ok || !known {
		c.refuse(op)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	if answer := cmd(ctx, c, message); answer != nil {
		c.session.Send(answer)
	}
}

// refuse answers what is no request: docs/protocols/dpc.md#framing.
func (c *conn) refuse(op int) {
	c.session.Send(result(op, codeRefused))
	if !c.forgiving {
		c.session.Close(session.Misbehaved)
	}
}
