package session

import (
	"errors"
	"io"

	"parley/internal/wire/inbound"
)

// Turns is how a gateway reads a stream without a goroutine whose stack, or a buffer, stays with an idle connection: each
// segment is worked on by another goroutine.
type Turns struct {
	Session *Session
	In      inbound.Reader
	Take    func(segment []byte)
	Settle  func() // called at the end of the stream, before the session ends
}

// Next waits for a segment, works on it, and leaves the rest to a new goroutine.
func (t *Turns) Next() {
	more, eof := false, false
	defer func() {
		if more {
			p := t.Session.profile
			p.hub.goroutines.Go(string(p.Gateway)+" connection", t.Next)
			return
		}
		t.Session.End(eof)
	}()
	segment, err := t.In.Receive()
	if err != nil {
		eof = errors.Is(err, io.EOF)
		t.Settle()
		return
	}
	t.Session.Heard()
	t.Take(segment.Bytes())
	segment.Release()
	more = true
}
