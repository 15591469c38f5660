package client

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// maxFrame bounds what is read from the server at once.
const maxFrame = 64 << 20

// Events is a client of the events of the API.
type Events struct {
	Conn net.Conn
	// Closed is what the server closed the connection with, 0 as long as it has not.
	Closed ws.StatusCode
	// Frames counts the frames with events.
	Frames int

	in      *bufio.Reader
	deflate bool
	waiting []Event // of a frame that was read
}

// Event is one of them.
type Event struct {
	Type string
	JSON jsontext.Value
}

// Read fills in from the event.
func (e Event) Read(in any) error {
	if err := json.Unmarshal(e.JSON, in); err != nil {
		return fmt.Errorf("%s: %w", e.JSON, err)
	}
	return nil
}

// EventsOptions are how a client connects.
type EventsOptions struct {
	Token, Ticket string
	Header        http.Header
	Protocols     []string
	Deflate       bool // compressed messages are offered
	Dialer        ws.Dialer
}

// DialEvents connects to a server, whose URL begins with http: or https:.
func DialEvents(ctx context.Context, url string, o EventsOptions) (*Events, error) {
	header := o.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if o.Token != "" {
		header.Set("Authorization", "Bearer "+o.Token)
	}
	d := o.Dialer
	d.Header, d.Protocols, d.Timeout = ws.HandshakeHeaderHTTP(header), o.Protocols, timeout
	if o.Deflate {
		d.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	url = "ws" + strings.TrimPrefix(url, "http") + "/ws/events"
	if o.Ticket != "" {
		url += "?ticket=" + o.Ticket
	}
	conn, r, hs, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = bufio.NewReader(conn)
	}
	return &Events{Conn: conn, in: r, deflate: len(hs.Extensions) > 0}, nil
}

// Say sends a command.
func (e *Events) Say(command any) error {
	b, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return e.Frame(ws.NewTextFrame(b))
}

// Frame sends a frame, compressed if that was agreed on.
func (e *Events) Frame(f ws.Frame) (err error) {
	if e.deflate && f.Header.OpCode == ws.OpText && f.Header.Fin && f.Header.Rsv == 0 {
		if f, err = wsflate.CompressFrame(f); err != nil {
			return err
		}
	}
	_, err = e.Conn.Write(ws.MustCompileFrame(ws.MaskFrame(f)))
	return err
}

// Next returns the next event. Pings are answered on the way. io.EOF stands for a closing in good order.
func (e *Events) Next(within time.Duration) (Event, error) {
	for len(e.waiting) == 0 {
		if err := e.Conn.SetReadDeadline(time.Now().Add(within)); err != nil {
			return Event{}, err
		}
		if err := e.read(); err != nil {
			return Event{}, err
		}
	}
	next := e.waiting[0]
	e.waiting = e.waiting[1:]
	return next, nil
}

func (e *Events) read() error {
	h, err := ws.ReadHeader(e.in)
	if err != nil {
		return err
	}
	state := ws.StateClientSide
	if e.deflate {
		state |= ws.StateExtended
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return err
	}
	if h.Length > maxFrame || !h.Fin {
		return fmt.Errorf("a frame of %d bytes, the last one: %v", h.Length, h.Fin)
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(e.in, f.Payload); err != nil {
		return err
	}
	switch h.OpCode {
	case ws.OpPing:
		return e.Frame(ws.NewPongFrame(f.Payload))
	case ws.OpPong:
		return nil
	case ws.OpClose:
		e.Closed, _ = ws.ParseCloseFrameData(f.Payload)
		return io.EOF
	}
	if f, err = wsflate.DecompressFrame(f); err != nil {
		return err
	}
	return e.take(f.Payload)
}

// take takes the events of a frame.
func (e *Events) take(payload []byte) error {
	e.Frames++
	var list []jsontext.Value
	if err := json.Unmarshal(bytes.Clone(payload), &list); err != nil {
		return fmt.Errorf("%q: %w", payload, err)
	}
	for _, v := range list {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(v, &head); err != nil {
			return err
		}
		e.waiting = append(e.waiting, Event{head.Type, v})
	}
	return nil
}

// Hangup closes the connection as a client should.
func (e *Events) Hangup() error {
	if err := e.Frame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))); err != nil {
		return err
	}
	for {
		if _, err := e.Next(timeout); err != nil {
			return e.Conn.Close()
		}
	}
}
