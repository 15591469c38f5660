//go:build !linux

package session

import "net"

// unacknowledged is what only Linux tells.
func unacknowledged(net.Conn) (int, bool) { return 0, false }
