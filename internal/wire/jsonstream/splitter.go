// Package jsonstream splits a byte stream into the JSON objects that follow one another in it without delimiters.
//
// The stream may be cut anywhere, also inside a UTF-8 character. Text that cannot become an object, however it goes on,
// is reported at the byte that decides it. Every byte is looked at once.
package jsonstream

import "errors"

const (
	// MaxObject is how many bytes an object may have.
	MaxObject = 64 << 10
	// MaxDepth is how deep objects and arrays may be nested, the outermost object included.
	MaxDepth = 64
)

// The errors of Next.
var (
	ErrMalformed = errors.New("jsonstream: the text cannot become a JSON object")
	ErrTooLong   = errors.New("jsonstream: the object has no end")
)

// Splitter finds the objects of one stream. The zero Splitter is at a stream's start. Between objects it holds no memory.
type Splitter struct {
	in      []byte // fed, not looked at
	partial []byte // the beginning of an object that started in an earlier segment
	given   bool   // partial is the object that Next has just returned
	scanner scanner
}

// Feed adds a segment of the stream. The splitter keeps it, without a copy, until Next returns ok == false.
func (s *Splitter) Feed(segment []byte) {
	if len(s.in) > 0 {
		segment = append(s.in[:len(s.in):len(s.in)], segment...)
	}
	s.in = segment
}

// Next returns the next complete object of what was fed. It is valid until the next call; ok is false if there is none.
// After an error everything that was fed is gone, and the stream begins anew with the next segment.
//
// Next checks the syntax of JSON, but lets bytes that are not UTF-8 pass inside strings.
func (s *Splitter) Next() (object []byte, ok bool, err error) {
	if s.given {
		s.partial, s.given = nil, false
	}
	if s.scanner.n == 0 {
		s.skipSpace()
	}
	before := s.scanner.n
	for i, c := range s.in {
		if !s.scanner.step(c) {
			s.drop()
			return nil, false, ErrMalformed
		}
		if s.scanner.depth == 0 {
			return s.take(before, i+1), true, nil
		}
		if s.scanner.n == MaxObject {
			s.drop()
			return nil, false, ErrTooLong
		}
	}
	s.keep(s.in)
	s.in = nil
	return nil, false, nil
}

// Idle reports whether the stream is between two objects.
func (s *Splitter) Idle() bool { return s.scanner.n == 0 && len(s.in) == 0 }

func (s *Splitter) skipSpace() {
	i := 0
	for i < len(s.in) && isSpace(s.in[i]) {
		i++
	}
	s.in = s.in[i:]
}

// take returns the object that ends at the given offset of the input, of which before bytes came earlier.
func (s *Splitter) take(before, end int) []byte {
	object := s.in[:end]
	s.in = s.in[end:]
	s.scanner = scanner{}
	if before > 0 {
		s.keep(object)
		object, s.given = s.partial, true
	}
	return object
}

// keep appends to the partial object; its memory never exceeds MaxObject.
func (s *Splitter) keep(b []byte) {
	if need := len(s.partial) + len(b); need > cap(s.partial) {
		grown := make([]byte, len(s.partial), min(max(need, 2*cap(s.partial)), MaxObject))
		copy(grown, s.partial)
		s.partial = grown
	}
	s.partial = append(s.partial, b...)
}

func (s *Splitter) drop() { *s = Splitter{} }
