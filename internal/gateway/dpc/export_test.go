package dpc

import (
	"bufio"
	"context"
	"strings"

	"parley/internal/file"
)

// The bounds on connections from one address.
const (
	MaxAuthIP      = maxAuthIP
	MaxChatIP      = maxChatIP
	MaxTransfersIP = maxTransfersIP
)

// Documented returns what clients send in the transcripts.
var Documented = documented

// ReceiveRevoked is what happens to an upload whose user is shut out after its last byte has come.
func ReceiveRevoked(w *file.Writer, content string) error {
	c := &fileConn{in: bufio.NewReader(strings.NewReader(content))}
	c.allowed, c.forbid = context.WithCancel(context.Background())
	c.forbid()
	return c.receive(w, int64(len(content)))
}
