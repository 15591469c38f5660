package cs3

import (
	"io"
	"sync"
)

const (
	readBytes = 8 << 10
	// maxDiscard bounds what is thrown away at once.
	maxDiscard = 256 << 10
)

// buffers are held only while there is something in them.
var buffers = sync.Pool{New: func() any { return new([readBytes]byte) }}

func receive(conn io.Reader) (*[readBytes]byte, int, error) {
	buf := buffers.Get().(*[readBytes]byte)
	n, err := conn.Read(buf[:])
	if n > 0 {
		return buf, n, nil
	}
	buffers.Put(buf)
	return nil, 0, err
}
