// Package inbound reads what arrives on a connection, and takes a buffer only when something has.
package inbound

import (
	"io"
	"sync"
)

const (
	segmentBytes = 8 << 10
	// maxDiscard bounds what is thrown away at once.
	maxDiscard = 256 << 10
)

// Segment is what was read at once.
type Segment struct {
	block [segmentBytes]byte
	n     int
}

// Bytes returns the segment's content, which is valid until Release.
func (s *Segment) Bytes() []byte { return s.block[:s.n] }

// Release gives the segment's memory back.
func (s *Segment) Release() { segments.Put(s) }

var segments = sync.Pool{New: func() any { return new(Segment) }}

func receive(conn io.Reader) (*Segment, error) {
	s := segments.Get().(*Segment)
	var err error
	if s.n, err = conn.Read(s.block[:]); s.n > 0 {
		return s, nil
	}
	s.Release()
	return nil, err
}
