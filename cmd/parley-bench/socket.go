package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The first bytes of the frames of RFC 6455 that occur here.
const (
	frameText  = 0x81
	frameClose = 0x88
	framePing  = 0x89
	framePong  = 0x8a
	masked     = 0x80
)

// appendCommand appends a client's frame. Its mask is 0, which changes nothing.
func appendCommand(dst []byte, body string) []byte {
	if len(body) < 126 {
		dst = append(dst, frameText, masked|byte(len(body)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, frameText, masked|126), uint16(len(body)))
	}
	return append(append(dst, 0, 0, 0, 0), body...)
}

// connectEvents opens a WebSocket and waits until it is ready. It reads into buf while that is large enough.
func connectEvents(ctx context.Context, s *server, a account, buf []byte) (*client, error) {
	conn, err := dialer.DialContext(ctx, "tcp", s.http)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, account: a, buf: buf, events: true, heartbeat: []byte{framePing, masked, 0, 0, 0, 0}}
	if err := c.upgrade(s.http); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("WebSocket of %d: %w", a.uid, err)
	}
	return c, nil
}

func (c *client) upgrade(host string) error {
	if err := c.conn.SetDeadline(time.Now().Add(loginWithin)); err != nil {
		return err
	}
	request := fmt.Appendf(nil, "GET /ws/events HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", host, c.account.access)
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	end := -1
	for end < 0 {
		if err := c.fill(); err != nil {
			return err
		}
		end = bytes.Index(c.buf[:c.to], []byte("\r\n\r\n"))
	}
	if !bytes.HasPrefix(c.buf, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("the server answered %.300s", c.buf[:c.to])
	}
	c.from = end + 4
	if _, err := c.conn.Write(appendCommand(nil, `{"type":"start"}`)); err != nil {
		return err
	}
	for {
		if id, body, ok := c.next(); ok {
			if id != loginRsp {
				return fmt.Errorf("the first event is %.200s", body)
			}
			return c.conn.SetDeadline(time.Time{})
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// eventNames are the events by the message ids of what they stand for.
var eventNames = []struct {
	begin []byte
	id    uint16
}{
	{[]byte(`[{"type":"message.new"`), textPush},
	{[]byte(`[{"type":"sent"`), textRsp},
	{[]byte(`[{"type":"ready"`), loginRsp},
}

var (
	presence = []byte(`[{"type":"presence"`)
	pong     = []byte{framePong, masked, 0, 0, 0, 0}
)

// nextEvents takes the events of a frame from what is read. Pings are answered, and who is online is passed over.
func (c *client) nextEvents() (id uint16, body []byte, ok bool) {
	for {
		kind, payload, ok := c.nextFrame()
		switch {
		case !ok:
			return 0, nil, false
		case kind == framePing:
			if _, err := c.conn.Write(pong); err != nil {
				return 0, []byte(err.Error()), true
			}
			continue
		case kind == framePong:
			return heartbeatRsp, payload, true
		case kind != frameText:
			return 0, payload, true
		case bytes.HasPrefix(payload, presence):
			continue
		}
		for _, e := range eventNames {
			if bytes.HasPrefix(payload, e.begin) {
				return e.id, payload, true
			}
		}
		return 0, payload, true
	}
}

var errFrame = errors.New("a frame that is too long")

// nextFrame takes a frame from what is read.
func (c *client) nextFrame() (kind byte, payload []byte, ok bool) {
	b := c.buf[c.from:c.to]
	if len(b) < 2 {
		return 0, nil, false
	}
	at, n := 2, int(b[1])
	switch {
	case n == 126 && len(b) >= 4:
		at, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		at, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	case n > 125:
		return 0, nil, false
	}
	if n > maxSocketFrame {
		return frameClose, []byte(errFrame.Error()), true
	}
	if len(b) < at+n {
		return 0, nil, false
	}
	c.from += at + n
	return b[0], b[at : at+n], true
}

// maxSocketFrame is more than the server puts into one.
const maxSocketFrame = 16 << 20
