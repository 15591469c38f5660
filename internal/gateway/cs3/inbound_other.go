//go:build !unix

package cs3

import "net"

// inbound is the reading side of a connection. Here it holds a buffer while it waits.
type inbound struct{ conn net.Conn }

func newInbound(conn net.Conn) inbound { return inbound{conn} }

// receive waits for input. The caller puts the buffer back.
func (in *inbound) receive() (*[readBytes]byte, int, error) { return receive(in.conn) }

// discard would throw away what has arrived but was not received; this system does not tell. So text that is not JSON and
// longer than a buffer is answered more than once.
func (in *inbound) discard() {}
