//go:build unix

package inbound

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reader is the reading side of a connection.
type Reader struct {
	stream
	raw syscall.RawConn // nil if the connection is not a kernel's socket
}

// NewReader returns the reader of a connection.
func NewReader(conn net.Conn) Reader {
	r := Reader{stream: stream{conn: conn}}
	if sc, ok := conn.(syscall.Conn); ok {
		r.raw, _ = sc.SyscallConn()
	}
	return r
}

// Receive waits for input. The caller releases it.
func (r *Reader) Receive() (*Segment, error) {
	if r.raw == nil {
		return r.receive()
	}
	return r.read(true)
}

// Discard throws away what has arrived but was not received.
func (r *Reader) Discard() {
	for total := 0; r.raw != nil && total < maxDiscard; {
		s, err := r.read(false)
		if err != nil || s == nil {
			return
		}
		total += s.n
		s.Release()
	}
}

// read reads what is there. If nothing is, it waits, or returns nil. The end of the stream is seen again by a later read.
func (r *Reader) read(wait bool) (s *Segment, err error) {
	failed := r.raw.Read(func(fd uintptr) bool {
		s = segments.Get().(*Segment)
		for {
			if s.n, err = unix.Read(int(fd), s.block); err != unix.EINTR {
				break
			}
		}
		if err == nil && s.n > 0 {
			return true
		}
		if err == nil {
			err = io.EOF
		}
		s.Release()
		s = nil
		if err != unix.EAGAIN {
			return true
		}
		return !wait
	})
	if failed != nil {
		return nil, failed
	}
	return s, err
}
