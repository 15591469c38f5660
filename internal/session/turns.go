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

// Begin is the first turn: it works on what was read before the stream came here, which may be nothing.
func (t *Turns) Begin(early []byte) {
	t.turn(func() (bool, bool) {
		if len(early) > 0 {
			t.Session.Heard()
			t.Take(early)
		}
		return true, false
	})
}

// Next waits for a segment, works on it, and leaves the rest to a new goroutine.
func (t *Turns) Next() {
	t.turn(func() (more, eof bool) {
		segment, err := t.In.Receive()
		if err != nil {
			t.Settle()
			return false, errors.Is(err, io.EOF)
		}
		t.Session.Heard()
		t.Take(segment.Bytes())
		segment.Release()
		return true, false
	})
}

// turn ends the session unless work leaves something to do for the next one.
func (t *Turns) turn(work func() (more, eof bool)) {
	more, eof := false, false
	defer func() {
		if more {
			p := t.Session.profile
			p.hub.goroutines.Go(string(p.Gateway)+" connection", t.Next)
			return
		}
		t.Session.End(eof)
	}()
	more, eof = work()
}
