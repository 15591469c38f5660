package dpc

import (
	"context"
	"net"
	"time"

	"parley/internal/account"
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
	longest  int // message, in bytes
	stream   padded.Splitter
	whole    patience

	forgiving bool   // a message that is no request does not end the connection
	prefix    string // of the client ids of what is said here
	said      uint64
	pass      account.Pass // who sent the last good credentials
	posts     session.Posts
}

func newConn(g *Gateway, nc net.Conn, profile *session.Profile, known commands, longest int) *conn {
	c := &conn{
		gw: g, commands: known, session: g.Hub.Open(profile, nc), from: origin(nc),
		longest: longest, stream: padded.NewSplitter(longest),
	}
	c.whole.left = g.MessageTime
	c.turns = session.Turns{Session: c.session, In: inbound.NewReader(nc), Take: c.take, Settle: c.settle}
	return c
}

// patience is how long the message that has begun may still take. The time in which the server does not read does not count.
type patience struct {
	left  time.Duration
	since time.Time
	timer *time.Timer // nil if no message has begun, or one is being worked on
}

// hold stops the time.
func (p *patience) hold() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer, p.left = nil, p.left-time.Since(p.since)
	}
}

// run lets the time go on.
func (p *patience) run(over func()) {
	p.since, p.timer = time.Now(), time.AfterFunc(max(p.left, 0), over)
}

// settle waits until every message is posted, or the session ends.
func (c *conn) settle() {
	c.whole.hold()
	c.posts.Wait(c.session.Closing)
}

// take works on a segment. Once the connection or the server is closing, what arrives is thrown away.
func (c *conn) take(segment []byte) {
	c.whole.hold()
	c.stream.Feed(segment)
	for c.session.Ready() && !c.gw.Hub.Stopping() {
		message, ok, err := c.stream.Next()
		switch {
		case err != nil:
			c.session.Send(result(0, codeRefused))
			c.session.Close(session.Misbehaved)
		case !ok:
			if c.stream.Begun() {
				c.whole.run(c.late)
			}
			return
		default:
			c.whole.left = c.gw.MessageTime
			c.gw.messages.Inc()
			c.obey(message)
		}
	}
	c.stream = padded.NewSplitter(c.longest)
}

// late ends a connection whose message does not get whole.
func (c *conn) late() { c.session.Close(session.Misbehaved) }

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
