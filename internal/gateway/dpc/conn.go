package dpc

import (
	"context"
	"errors"
	"io"
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
	in       inbound.Reader
	from     core.Origin
	stream   padded.Splitter

	forgiving bool   // a message that is no request does not end the connection
	prefix    string // of the client ids of what is said here
	said      uint64
	posts     session.Posts
}

func newConn(g *Gateway, nc net.Conn, profile *session.Profile, known commands) *conn {
	return &conn{
		gw: g, commands: known, session: g.Hub.Open(profile, nc), in: inbound.NewReader(nc), from: origin(nc),
		stream: padded.NewSplitter(maxMessage),
	}
}

// turn waits for input, works on it, and leaves the connection to a new goroutine, so that the stack that the work needed does
// not stay with an idle connection.
func (c *conn) turn() {
	more, eof := false, false
	defer func() {
		if more {
			c.gw.Goroutines.Go("dpc connection", c.turn)
			return
		}
		c.session.End(eof)
	}()
	segment, err := c.in.Receive()
	if err != nil {
		eof = errors.Is(err, io.EOF)
		c.posts.Wait(c.session.Closing)
		return
	}
	c.session.Heard()
	c.take(segment.Bytes())
	segment.Release()
	more = true
}

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
