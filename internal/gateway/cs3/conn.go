package cs3

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/jsonstream"
)

const (
	// maxFaults is how many times in a row a peer may send what is not JSON.
	maxFaults = 5
	// maxPosts is how many messages of one connection may be on their way to the disk.
	maxPosts = 64
)

// conn is one socket connection. It belongs to the goroutine that reads it; only posts is shared.
type conn struct {
	gw      *Gateway
	session *session.Session
	in      inbound
	from    core.Origin
	stream  jsonstream.Splitter
	faults  int // since the last object
	posts   posts
}

func newConn(g *Gateway, nc net.Conn) *conn {
	return &conn{gw: g, session: g.Hub.Open(&g.profile, nc), in: newInbound(nc), from: origin(nc.RemoteAddr().String())}
}

// turn waits for input, works on it, and leaves the connection to a new goroutine, so that the stack that the work
// needed does not stay with an idle connection.
func (c *conn) turn() {
	more, eof := false, false
	defer func() {
		if more {
			c.gw.Goroutines.Go("cs3 connection", c.turn)
			return
		}
		c.session.End(eof)
	}()
	buf, n, err := c.in.receive()
	if err != nil {
		eof = errors.Is(err, io.EOF)
		c.settle()
		return
	}
	c.session.Heard()
	c.take(buf[:n])
	buffers.Put(buf)
	more = true
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
	c.in.discard()
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
func (c *conn) settle() { c.posts.wait(0, c.session.Closing) }

// posts counts the messages of a connection that are on their way to the disk.
type posts struct {
	mu   sync.Mutex // guards both
	n    int
	fell chan struct{} // closed when n falls; nil if nobody waits
}

func (p *posts) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
}

func (p *posts) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n--
	if p.fell != nil {
		close(p.fell)
		p.fell = nil
	}
}

// wait returns when no more than atMost are left. A stop that runs out of time leaves posts that are never done, so it
// looks now and then whether the session is gone.
func (p *posts) wait(atMost int, gone func() bool) {
	for {
		p.mu.Lock()
		if p.n <= atMost {
			p.mu.Unlock()
			return
		}
		if p.fell == nil {
			p.fell = make(chan struct{})
		}
		fell := p.fell
		p.mu.Unlock()
		select {
		case <-fell:
		case <-time.After(time.Second):
			if gone() {
				return
			}
		}
	}
}
