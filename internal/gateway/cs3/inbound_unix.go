//go:build unix

package cs3

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// inbound is the reading side of a connection. It takes a buffer when something has arrived, not before.
type inbound struct {
	conn net.Conn
	raw  syscall.RawConn // nil if conn is not a kernel's socket
}

func newInbound(conn net.Conn) inbound {
	in := inbound{conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		in.raw, _ = sc.SyscallConn()
	}
	return in
}

// receive waits for input. The caller puts the buffer back.
func (in *inbound) receive() (*[readBytes]byte, int, error) {
	if in.raw == nil {
		return receive(in.conn)
	}
	return in.read(true)
}

// discard throws away what has arrived but was not received.
func (in *inbound) discard() {
	for total := 0; in.raw != nil && total < maxDiscard; {
		buf, n, err := in.read(false)
		if err != nil || n == 0 {
			return
		}
		buffers.Put(buf)
		total += n
	}
}

// read reads what is there. If nothing is, it waits, or returns 0. The end of the stream is seen again by a later read.
func (in *inbound) read(wait bool) (buf *[readBytes]byte, n int, err error) {
	failed := in.raw.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[readBytes]byte)
		for {
			if n, err = unix.Read(int(fd), buf[:]); err != unix.EINTR {
				break
			}
		}
		if err == nil && n > 0 {
			return true
		}
		buffers.Put(buf)
		buf, n = nil, max(n, 0)
		if err == nil {
			err = io.EOF
		}
		if err != unix.EAGAIN {
			return true
		}
		return !wait
	})
	if failed != nil {
		return nil, 0, failed
	}
	return buf, n, err
}
