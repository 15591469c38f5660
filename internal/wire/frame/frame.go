// Package frame is the framing of the llfc protocol: a message id and a length, 16 bits each and big-endian, and as
// many bytes of body as the length says.
package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

const (
	// HeaderSize is the length of a header in bytes.
	HeaderSize = 4
	// MaxBody is the length of the longest body in bytes.
	MaxBody = 1<<16 - 1
	// blockSize is how much one read takes at most, but for a longer frame.
	blockSize = 16 << 10
)

// Begin appends the header of a frame whose body the caller appends next. End completes it.
func Begin(dst []byte, id uint16) []byte {
	return append(dst, byte(id>>8), byte(id), 0, 0)
}

// End fills in the length of the frame that was begun at b[at:] and reaches to the end of b. It panics if the body is
// longer than MaxBody: a wrong length would make garbage of everything behind it.
func End(b []byte, at int) []byte {
	n := len(b) - at - HeaderSize
	if n > MaxBody {
		panic("frame: the body is too long")
	}
	binary.BigEndian.PutUint16(b[at+2:], uint16(n))
	return b
}

// Append appends a whole frame.
func Append(dst []byte, id uint16, body []byte) []byte {
	at := len(dst)
	return End(append(Begin(dst, id), body...), at)
}

// Cut returns the first of some whole frames, as Read returns them, and the rest.
func Cut(b []byte) (id uint16, body, rest []byte) {
	end := length(b)
	return binary.BigEndian.Uint16(b), b[HeaderSize:end:end], b[end:]
}

// length returns the length of the frame whose header b begins with.
func length(b []byte) int { return HeaderSize + int(binary.BigEndian.Uint16(b[2:])) }

// whole returns how many bytes of b are whole frames.
func whole(b []byte) (n int) {
	for len(b)-n >= HeaderSize {
		l := length(b[n:])
		if l > len(b)-n {
			break
		}
		n += l
	}
	return n
}

// Reader reads frames. While it waits for a frame to begin it holds no buffer.
type Reader struct {
	src   io.Reader
	block *[blockSize]byte // buf's array, unless a long frame needed a larger one
	buf   []byte           // what has arrived, nil on a frame's boundary
	taken int              // how much of buf Read has returned
	head  [HeaderSize]byte
}

var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// NewReader returns a Reader from src.
func NewReader(src io.Reader) Reader { return Reader{src: src} }

// Read waits for a frame to be there as a whole and returns it with the whole frames that arrived behind it. They are valid until the
// next call. The error is io.EOF only if the stream ended where a frame ends.
func (r *Reader) Read() ([]byte, error) {
	if r.taken == len(r.buf) {
		r.release()
		if _, err := io.ReadFull(r.src, r.head[:]); err != nil {
			return nil, err
		}
		if length(r.head[:]) == HeaderSize {
			return r.head[:], nil
		}
		r.block = blocks.Get().(*[blockSize]byte)
		r.buf = append(r.block[:0], r.head[:]...)
	} else {
		r.buf = r.buf[:copy(r.buf, r.buf[r.taken:])]
	}
	r.taken = 0
	for r.taken = whole(r.buf); r.taken == 0; r.taken = whole(r.buf) {
		if err := r.fill(); err != nil {
			r.release()
			return nil, err
		}
	}
	return r.buf[:r.taken], nil
}

// fill reads what is there into the buffer.
func (r *Reader) fill() error {
	if len(r.buf) == cap(r.buf) {
		r.buf = append(make([]byte, 0, length(r.buf)), r.buf...)
	}
	n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) release() {
	if r.block != nil {
		blocks.Put(r.block)
	}
	r.block, r.buf, r.taken = nil, nil, 0
}
