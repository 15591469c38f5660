package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"time"
)

// The message ids of docs/protocols/llfc.md that occur here.
const (
	loginReq     = 1005
	loginRsp     = 1006
	textReq      = 1017
	textRsp      = 1018
	textPush     = 1019
	heartbeatReq = 1023
	heartbeatRsp = 1024
)

const (
	headerSize  = 4
	largestBody = 65535
	// lobbyContact is the lobby's uid as a contact of llfc clients.
	lobbyContact = 1_500_000_001
	loginWithin  = 30 * time.Second
)

func appendFrame(dst []byte, id uint16, body string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(body)))
	return append(dst, body...)
}

// client is one connection. One goroutine reads it.
type client struct {
	conn      net.Conn
	account   account
	heartbeat []byte
	events    bool // it is a WebSocket of the API, else of the llfc family

	buf      []byte
	from, to int // what is read but not taken yet
}

var dialer = net.Dialer{KeepAlive: -1}

// connect opens a connection and logs in. It reads into buf while that is large enough.
func connect(ctx context.Context, s *server, a account, buf []byte) (*client, error) {
	conn, err := dialer.DialContext(ctx, "tcp", s.llfc)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, account: a, buf: buf}
	c.heartbeat = appendFrame(nil, heartbeatReq, `{"fromuid":`+strconv.FormatInt(a.uid, 10)+`}`)
	if err := c.login(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("login of %d: %w", a.uid, err)
	}
	return c, nil
}

func (c *client) login() error {
	if err := c.conn.SetDeadline(time.Now().Add(loginWithin)); err != nil {
		return err
	}
	req := appendFrame(c.buf[:0], loginReq, `{"uid":`+strconv.FormatInt(c.account.uid, 10)+`,"token":"`+c.account.token+`"}`)
	if _, err := c.conn.Write(req); err != nil {
		return err
	}
	for {
		if err := c.fill(); err != nil {
			return err
		}
		if id, body, ok := c.next(); ok {
			if id != loginRsp {
				return fmt.Errorf("frame %d instead of %d", id, loginRsp)
			}
			if err := refusal(body); err != nil {
				return err
			}
			return c.conn.SetDeadline(time.Time{})
		}
	}
}

// fill waits for more bytes.
func (c *client) fill() error {
	if c.from > 0 {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.buf) {
		c.buf = append(c.buf, make([]byte, max(len(c.buf), 512))...)
	}
	n, err := c.conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	return err
}

// next takes a frame from what is read; the body is valid until the next fill.
func (c *client) next() (id uint16, body []byte, ok bool) {
	if c.events {
		return c.nextEvents()
	}
	b := c.buf[c.from:c.to]
	if len(b) < headerSize {
		return 0, nil, false
	}
	end := headerSize + int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < end {
		return 0, nil, false
	}
	c.from += end
	return binary.BigEndian.Uint16(b), b[headerSize:end], true
}

// cut ends the connection at once, so that its port is free again.
func (c *client) cut() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.Close()
}

func (c *client) beat() error {
	_, err := c.conn.Write(c.heartbeat)
	return err
}

var errorField = []byte(`"error":`)

// refused returns what an answer says against it. A WebSocket's refusals are no answers.
func (c *client) refused(body []byte) error {
	if c.events {
		return nil
	}
	return refusal(body)
}

// refusal returns the error that an answer carries, nil if it is 0.
func refusal(body []byte) error {
	if i := bytes.Index(body, errorField); i >= 0 {
		if rest := bytes.TrimLeft(body[i+len(errorField):], " \t\r\n"); len(rest) > 1 && rest[0] == '0' && (rest[1] == ',' || rest[1] == '}') {
			return nil
		}
	}
	return fmt.Errorf("the server answered %.200s", body)
}
