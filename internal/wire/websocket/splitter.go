// Package websocket is the framing of RFC 6455 on a server's side, with the compression of RFC 7692: the messages in what
// clients send, and the frames that are sent to them.
//
// Headers, masks and deflate are those of gobwas/ws. What is here is that a stream may be cut anywhere, and that an idle one
// holds no memory.
package websocket

import (
	"bytes"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// Broken is why a stream cannot go on: it broke the protocol, or is too much.
type Broken struct {
	Code ws.StatusCode // for the frame that closes the connection
	text string
}

func (b *Broken) Error() string { return "websocket: " + b.text }

// Message is a message of a client, or a control frame. Its payload is valid until the next call.
type Message struct {
	Op      ws.OpCode // ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong or ws.OpClose
	Payload []byte
}

// Splitter finds the messages in the segments of a stream, which may be cut anywhere. Between messages it holds no memory.
type Splitter struct {
	limit   int
	deflate bool // messages may be compressed

	in      []byte // fed, not looked at
	head    [ws.MaxHeaderSize]byte
	headLen int // how much of a header has come
	frame   ws.Header
	inFrame bool
	got     int64  // of the frame's payload
	control []byte // the beginning of a control frame's payload that came in earlier segments

	open       bool // a message has begun, and another frame of it follows
	op         ws.OpCode
	compressed wsflate.MessageState
	message    []byte // what has come of a message in earlier frames and segments

	err error
}

// NewSplitter returns a Splitter at a stream's start. Messages may have limit bytes, as they come and as they are inflated.
// deflate says that compressed ones were agreed on.
func NewSplitter(limit int, deflate bool) Splitter { return Splitter{limit: limit, deflate: deflate} }

// Feed adds a segment of the stream. The splitter keeps it, and writes into it, until Next returns ok == false.
func (s *Splitter) Feed(segment []byte) {
	if len(s.in) > 0 {
		segment = append(s.in[:len(s.in):len(s.in)], segment...)
	}
	s.in = segment
}

// Begun reports whether a frame or a message has begun that is not complete. It is asked when Next has returned ok == false.
func (s *Splitter) Begun() bool { return s.headLen > 0 || s.inFrame || s.open }

// Next returns the next message or control frame of what was fed; ok is false if there is none. An error is final, and a *Broken.
func (s *Splitter) Next() (m Message, ok bool, err error) {
	for s.err == nil && (s.inFrame || s.begin()) {
		payload, whole := s.payload()
		if !whole {
			break
		}
		s.inFrame = false
		switch {
		case s.frame.OpCode.IsControl():
			s.control = nil
			m, s.err = Message{s.frame.OpCode, payload}, checkControl(s.frame.OpCode, payload)
		case s.frame.Fin:
			s.open, s.message = false, nil
			m.Op = s.op
			m.Payload, s.err = s.finish(payload)
		default:
			s.open, s.message = true, payload
			continue
		}
		if s.err == nil {
			return m, true, nil
		}
	}
	if s.err != nil {
		*s = Splitter{err: s.err}
		return Message{}, false, s.err
	}
	s.in = nil
	return Message{}, false, nil
}

// begin reads a frame's header and reports whether it is there and good.
func (s *Splitter) begin() bool {
	if !s.gather(ws.MinHeaderSize) || !s.gather(headerSize(s.head[1])) {
		return false
	}
	h, err := ws.ReadHeader(bytes.NewReader(s.head[:s.headLen]))
	s.headLen = 0
	if err == nil {
		err = s.check(&h)
	}
	if err != nil {
		s.err = &Broken{ws.StatusProtocolError, err.Error()}
		return false
	}
	if !h.OpCode.IsControl() && h.Length > int64(s.limit-len(s.message)) {
		s.err = &Broken{ws.StatusMessageTooBig, "the message is too long"}
		return false
	}
	if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
		s.op = h.OpCode
	}
	s.frame, s.inFrame, s.got = h, true, 0
	return true
}

// gather moves input to the header until that has n bytes, and reports whether it has.
func (s *Splitter) gather(n int) bool {
	if s.headLen < n {
		more := copy(s.head[s.headLen:n], s.in)
		s.headLen += more
		s.in = s.in[more:]
	}
	return s.headLen >= n
}

// headerSize returns how long a header is, by its second byte.
func headerSize(second byte) int {
	n := ws.MinHeaderSize
	switch second & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if second&0x80 != 0 {
		n += 4 // the mask
	}
	return n
}

// check says what is wrong with a header, and takes the mark of compression from it.
func (s *Splitter) check(h *ws.Header) (err error) {
	if s.deflate {
		if *h, err = s.compressed.UnsetBits(*h); err != nil {
			return err
		}
	}
	state := ws.StateServerSide
	if s.open {
		state = state.Set(ws.StateFragmented)
	}
	return ws.CheckHeader(*h, state)
}

// payload returns the frame's payload, of a data frame together with what came before it of the message, and whether all of it
// is there. Nothing is copied of what came in one piece.
func (s *Splitter) payload() (payload []byte, whole bool) {
	more := int(min(s.frame.Length-s.got, int64(len(s.in))))
	chunk := s.in[:more:more]
	s.in = s.in[more:]
	ws.Cipher(chunk, s.frame.Mask, int(s.got))
	s.got += int64(more)
	whole = s.got == s.frame.Length
	kept := &s.message
	if s.frame.OpCode.IsControl() {
		kept = &s.control
	}
	if whole && len(*kept) == 0 && (s.frame.Fin || more == 0) {
		return chunk, true
	}
	*kept = append(*kept, chunk...)
	return *kept, whole
}

// finish makes of a message's bytes what the client meant.
func (s *Splitter) finish(payload []byte) ([]byte, error) {
	if s.compressed.IsCompressed() {
		var err error
		if payload, err = inflate(payload, s.limit); err != nil {
			return nil, err
		}
	}
	if s.op == ws.OpText && !utf8.Valid(payload) {
		return nil, &Broken{ws.StatusInvalidFramePayloadData, "the text is no UTF-8"}
	}
	return payload, nil
}

// checkControl says what is wrong with what a control frame says.
func checkControl(op ws.OpCode, payload []byte) error {
	if op != ws.OpClose || len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return &Broken{ws.StatusProtocolError, "the closing has half a code"}
	}
	if err := ws.CheckCloseFrameData(ws.ParseCloseFrameData(payload)); err != nil {
		return &Broken{ws.StatusProtocolError, err.Error()}
	}
	return nil
}
