package cs3

import (
	"context"
	"errors"
	"net"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/inbound"
	"parley/internal/wire/jsonstream"
)

// maxFaults is how many times in a row a peer may send what is not JSON.
const maxFaults = 5

// postLimit is how many messages of one connection may be on their way to the disk.
var postLimit = session.PostLimit{Posts: 64}

// conn is one socket connection. It belongs to the goroutine that reads it; only posts is shared.
type conn struct {
	gw      *Gateway
	session *session.Session
	turns   session.Turns
	from    core.Origin
	stream  jsonstream.Splitter
	faults  int // since the last object
	posts   session.Posts
}

func newConn(g *Gateway, nc net.Conn) *conn {
	c := &conn{gw: g, session: g.Hub.Open(&g.profile, nc), from: origin(nc.RemoteAddr().String())}
	c.turns = session.Turns{Session: c.session, In: inbound.NewReader(nc), Take: c.take, Settle: c.settle}
	return c
}

// take works on a segment. Once the connection or the server is closing, what arrives is thrown away.
func (c *conn) take(segment []byte) {
	c.stream.Feed(segment)
	for c.session.Ready() && !c.gw.Hub.Stopping() {
		object, ok, err := c.stream.Next()
		switch {
		case err != nil:
			c.fault(err)
		case !ok:
			return
		default:
			c.faults = 0
			c.gw.objects.Inc()
			c.obey(object)
		}
	}
	c.stream = jsonstream.Splitter{}
}

// fault answers text that is not JSON: docs/protocols/cs3.md#stream.
func (c *conn) fault(err error) {
	c.turns.In.Discard()
	c.answer(invalidJSON)
	if c.faults++; c.faults == maxFaults || errors.Is(err, jsonstream.ErrTooLong) {
		c.session.Close(session.Misbehaved)
	}
}

// obey runs the command of an object. One of an unknown type is not answered.
func (c *conn) obey(object []byte) {
	cmd, ok := commands[typeOf(object)]
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	if b := cmd(ctx, c, object); b != nil {
		c.answer(b)
	}
}

// answer sends an answer after those of the earlier requests.
func (c *conn) answer(b []byte) {
	c.settle()
	c.session.Send(b)
}

// settle waits until every post is answered, or the session ends.
func (c *conn) settle() { c.posts.Wait(c.session.Closing) }
