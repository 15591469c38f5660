package session

import (
	"errors"
	"net"
	"time"

	"parley/internal/core"
)

// Between attempts to accept while the system has no resources for another connection.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Accept hands every connection of a listener to open, until the listener is closed.
func (h *Hub) Accept(ln net.Listener, gateway core.Gateway, open func(net.Conn)) error {
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			// Most often there are no files left to open. Those who leave make room.
			pause = min(max(2*pause, shortestPause), longestPause)
			h.log.Warn("a connection could not be accepted", "gateway", gateway, "err", err, "pause", pause)
			time.Sleep(pause)
		default:
			pause = 0
			open(conn)
		}
	}
}
