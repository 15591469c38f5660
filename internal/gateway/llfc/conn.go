package llfc

import (
	"context"
	"errors"
	"io"
	"net"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/frame"
)

// postLimit is how much of a connection's texts may be on the way to the disk before its reader waits. The bytes and what may be
// queued when another request is read must stay below the session's overflow: an acknowledgement repeats its text.
var postLimit = session.PostLimit{Posts: 256, Bytes: 256 << 10}

// conn is one client. Its reading goroutine owns it, but for posts. An idle one holds no buffer, and little stack: what
// the login took of that is left behind with the goroutine that did it.
type conn struct {
	gw      *Gateway
	in      frame.Reader
	session *session.Session
	fresh   bool // the login is done; a new goroutine shall go on reading
	posts   session.Posts
}

func (g *Gateway) open(nc net.Conn) {
	c := &conn{gw: g, in: frame.NewReader(nc), session: g.cfg.Hub.Open(&g.profile, nc)}
	g.cfg.Goroutines.Go("llfc reader", c.read)
}

// read is the reading goroutine.
func (c *conn) read() {
	eof := false
	defer func() {
		if c.fresh {
			c.fresh = false
			c.gw.cfg.Goroutines.Go("llfc reader", c.read)
			return
		}
		c.session.End(eof)
	}()
	for !c.fresh {
		burst, err := c.in.Read()
		if err != nil {
			if eof = errors.Is(err, io.EOF); eof {
				c.posts.Wait(c.session.Closing) // a client that has only finished sending still gets its acknowledgements
			}
			return
		}
		c.handle(burst)
	}
}

// handle handles what was read at once: some whole frames.
func (c *conn) handle(burst []byte) {
	if c.gw.cfg.Hub.Stopping() || c.session.Closing() {
		return
	}
	c.session.Heard()
	n := 0
	for ; len(burst) > 0; n++ {
		var id uint16
		var body []byte
		id, body, burst = frame.Cut(burst)
		if !c.session.Ready() {
			break
		}
		if id == msgHeartbeat {
			c.session.Send(heartbeatAnswer)
			continue
		}
		c.request(id, body)
	}
	c.gw.framesIn.Add(float64(n))
}

// request carries out a request and answers it. Unknown ids are skipped.
func (c *conn) request(id uint16, body []byte) {
	cmd, ok := commands[id]
	if !ok {
		return
	}
	if cmd.needLogin && !c.session.Actor().Known() {
		c.session.Send(refusal(cmd.answer, codeOf(core.ErrLoginRequired, internalFrames)))
		return
	}
	cmd.run(c, cmd.answer, body)
}

// handler makes a command's function of one that takes a request and returns what its answer says beside error 0.
func handler[In any, Out fields](fn func(*conn, context.Context, In) (Out, error)) func(*conn, uint16, []byte) {
	return func(c *conn, answer uint16, body []byte) {
		var in In
		var out Out
		err := decode(body, &in)
		if err == nil {
			out, err = fn(c, context.Background(), in)
		}
		if err != nil {
			c.session.Send(refusal(answer, c.code(answer, err)))
			return
		}
		c.session.Send(success(answer, out))
	}
}

// code returns the code of an error, and logs one that the client did not cause.
func (c *conn) code(answer uint16, err error) int {
	if err != nil && core.KindOf(err) == core.Internal {
		c.gw.cfg.Log.Error("a request failed", "gateway", Name, "uid", int64(c.session.Actor().User()), "answer", answer, "err", err)
	}
	return codeOf(err, internalFrames)
}

// own checks that the uid in a request is the session's: a session speaks for nobody else.
func (c *conn) own(uid core.UserID) error {
	if uid != c.session.Actor().User() {
		return core.ErrForbidden
	}
	return nil
}
