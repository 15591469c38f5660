package dpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"parley/internal/core"
	"parley/internal/wire/padded"
)

const (
	// writeCheck is how often a write that waits looks whether the peer has taken something.
	writeCheck = 5 * time.Second
	// After our side is closed, what a peer still sends is thrown away for a moment: closing the socket while input is unread
	// would make its TCP throw away what it has not read of ours.
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 20
)

var (
	// errBroken says that a connection can be used no more.
	errBroken = errors.New("the connection broke")
	// errEnded says that the server wants no further request on a connection. That is no good end: the client may be sending an
	// upload already.
	errEnded = errors.New("the connection is ended")
)

// fileConn is a connection of the file port. One goroutine reads it and writes to it.
type fileConn struct {
	gw   *Gateway
	conn net.Conn // as it is, so that the kernel may copy files to it
	in   *bufio.Reader
	from core.Origin
	wait time.Duration // for the next byte
	due  time.Time     // when the request that has begun must be there; zero while none has
	fail error         // of the last read, io.EOF included
	// allowed ends when what the last request's password has proved is void; forbid ends it.
	allowed context.Context
	forbid  context.CancelFunc
	// inFolder: the files of a folder are coming; the client ends that by closing its side.
	inFolder bool
}

func (g *Gateway) openFiles(nc net.Conn) {
	c := &fileConn{gw: g, conn: nc, from: origin(nc)}
	c.allowed, c.forbid = context.WithCancel(context.Background())
	c.breakable(true)
	if !g.transfers.add(c) {
		c.cut()
		return
	}
	c.in = bufio.NewReader(c)
	g.connections.Inc()
	g.Goroutines.Go("dpc file connection", c.serve)
}

// Read reads from the socket; a peer that sends something of a file within each wait is slow, not gone. A request has no such time.
func (c *fileConn) Read(b []byte) (n int, err error) {
	deadline := c.due
	if deadline.IsZero() {
		deadline = time.Now().Add(c.wait)
	}
	if err = c.conn.SetReadDeadline(deadline); err == nil {
		n, err = c.conn.Read(b)
	}
	c.fail = err
	return n, err
}

// serve carries out request after request: docs/protocols/dpc.md#files. At a clean end the peer sees the end of the stream; what
// breaks off, it sees as a broken connection, since the end of the stream is how this protocol says that all is well.
func (c *fileConn) serve() {
	clean := false
	defer func() {
		if clean {
			c.hangUp()
		} else {
			c.cut()
		}
		c.forbid()
		c.gw.transfers.remove(c)
		c.gw.connections.Dec()
	}()
	for more := true; more; {
		message, err := c.next()
		if err == nil {
			more, err = c.obey(message)
		}
		if err != nil {
			clean = errors.Is(err, io.EOF) && !errors.Is(err, errBroken)
			return
		}
	}
	clean = true
}

// next waits for a request. The error is io.EOF only if the client has ended its side, or what came is no request, which is
// answered here.
func (c *fileConn) next() ([]byte, error) {
	c.wait = c.gw.Silence
	if !c.inFolder && !c.gw.transfers.mark(c, true) {
		return nil, errEnded
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	if !c.gw.transfers.mark(c, false) {
		return nil, errEnded
	}
	c.wait, c.due = c.gw.Stall, time.Now().Add(c.gw.MessageTime)
	message, err := padded.Read(c.in, maxMessage)
	c.due = time.Time{}
	if errors.Is(err, padded.ErrHeader) || errors.Is(err, padded.ErrTooLong) {
		err = errors.Join(c.send(result(0, codeRefused)), io.EOF)
	}
	return message, err
}

// obey carries out a request and reports whether another one may follow.
func (c *fileConn) obey(message []byte) (more bool, err error) {
	c.gw.messages.Inc()
	var in fileRequest
	op, ok := opOf(message)
	run, known := fileCommands[op]
	if !ok || !known || decode(message, &in) != nil {
		return false, c.send(result(op, codeRefused))
	}
	return run(c, in)
}

// send writes a message.
func (c *fileConn) send(b []byte) error {
	return c.push(func() (int64, error) {
		n, err := c.conn.Write(b)
		b = b[n:]
		return int64(n), err
	})
}

// copyFile writes a file. The kernel does it, where it can.
func (c *fileConn) copyFile(r io.ReadSeeker, size int64) error {
	var sent int64
	return c.push(func() (int64, error) {
		n, err := io.CopyN(c.conn, r, size-sent)
		sent += n
		if err != nil { // more may have been read than the peer has taken
			if _, failed := r.Seek(sent, io.SeekStart); failed != nil {
				err = failed
			}
		}
		return n, err
	})
}

// push writes until it is done. A peer that takes something within each Stall is slow, not gone.
func (c *fileConn) push(write func() (int64, error)) error {
	for taken := time.Now(); ; {
		_ = c.conn.SetWriteDeadline(time.Now().Add(min(writeCheck, c.gw.Stall)))
		n, err := write()
		if n > 0 {
			taken = time.Now()
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded), time.Since(taken) >= c.gw.Stall:
			return errors.Join(errBroken, err)
		}
	}
}

// breakable makes the system tell the peer that the connection broke, however it comes to an end, unless that is turned
// off again: also when the server is killed while it still has to store what the peer has sent.
func (c *fileConn) breakable(on bool) {
	seconds := -1
	if on {
		seconds = 0
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(seconds)
	}
}

// hangUp ends the connection so that the peer sees the end of the stream.
func (c *fileConn) hangUp() {
	c.breakable(false)
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.conn, lingerBytes)
	}
	_ = c.conn.Close()
}

// cut ends the connection so that the peer sees that it broke.
func (c *fileConn) cut() { _ = c.conn.Close() }
