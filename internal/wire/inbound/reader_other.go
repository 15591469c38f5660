//go:build !unix

package inbound

import "net"

// Reader is the reading side of a connection. Here it holds a buffer while it waits.
type Reader struct{ conn net.Conn }

// NewReader returns the reader of a connection.
func NewReader(conn net.Conn) Reader { return Reader{conn} }

// Receive waits for input. The caller releases it.
func (r *Reader) Receive() (*Segment, error) { return receive(r.conn) }

// Discard would throw away what has arrived but was not received; this system does not tell.
func (r *Reader) Discard() {}
