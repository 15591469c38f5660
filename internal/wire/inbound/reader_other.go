//go:build !unix

package inbound

import "net"

// Reader is the reading side of a connection. Here it holds a buffer while it waits.
type Reader struct{ stream }

// NewReader returns the reader of a connection.
func NewReader(conn net.Conn) Reader { return Reader{stream{conn: conn}} }

// Receive waits for input. The caller releases it.
func (r *Reader) Receive() (*Segment, error) { return r.receive() }

// Discard would throw away what has arrived but was not received; this system does not tell.
func (r *Reader) Discard() {}
