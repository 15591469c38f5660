package padded

// Splitter finds the messages in the segments of a stream, which may be cut anywhere. Between messages it holds no memory.
type Splitter struct {
	limit   int
	in      []byte // fed, not looked at
	partial []byte // the beginning of a message that started in an earlier segment
	given   bool   // partial is the message that Next has just returned
	err     error
}

// NewSplitter returns a Splitter at a stream's start. Bodies may have limit bytes.
func NewSplitter(limit int) Splitter { return Splitter{limit: limit} }

// Feed adds a segment of the stream. The splitter keeps it, without a copy, until Next returns ok == false.
func (s *Splitter) Feed(segment []byte) {
	if len(s.in) > 0 {
		segment = append(s.in[:len(s.in):len(s.in)], segment...)
	}
	s.in = segment
}

// Begun reports whether a message has begun that is not complete. It is asked when Next has returned ok == false.
func (s *Splitter) Begun() bool { return len(s.partial) > 0 }

// Next returns the body of the next complete message of what was fed. It is valid until the next call; ok is false if there is
// none. An error is final.
func (s *Splitter) Next() (body []byte, ok bool, err error) {
	if s.given {
		s.partial, s.given = nil, false
	}
	if s.err == nil {
		body, ok = s.next()
	}
	if s.err != nil {
		s.in, s.partial = nil, nil
		return nil, false, s.err
	}
	return body, ok, nil
}

func (s *Splitter) next() (body []byte, ok bool) {
	if len(s.partial) == 0 && len(s.in) >= HeaderSize { // nothing need be copied if all of it is there
		n, err := length(s.in[:HeaderSize], s.limit)
		if err != nil {
			s.err = err
			return nil, false
		}
		if end := HeaderSize + n; len(s.in) >= end {
			body, s.in = s.in[HeaderSize:end:end], s.in[end:]
			return body, true
		}
	}
	if !s.gather(HeaderSize) {
		return nil, false
	}
	n, err := length(s.partial[:HeaderSize], s.limit)
	if err != nil {
		s.err = err
		return nil, false
	}
	if !s.gather(HeaderSize + n) {
		return nil, false
	}
	s.given = true
	return s.partial[HeaderSize:], true
}

// gather moves input to partial until that has n bytes, and reports whether it has. The memory of partial grows with what
// arrives, not with what a header announces.
func (s *Splitter) gather(n int) bool {
	if more := min(n-len(s.partial), len(s.in)); more > 0 {
		s.partial = append(s.partial, s.in[:more]...)
		s.in = s.in[more:]
	}
	if len(s.in) == 0 {
		s.in = nil
	}
	return len(s.partial) >= n
}
