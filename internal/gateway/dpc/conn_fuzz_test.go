package dpc_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"parley/internal/gateway/dpc"
	"parley/internal/obs"
	"parley/internal/wire/padded"
)

// FuzzConn sends arbitrary bytes to each port. Whatever they are, nothing panics, and the connection ends when the client is
// through; what the chat and auth ports say is a sequence of whole messages.
func FuzzConn(f *testing.F) {
	for _, b := range dpc.Documented(f) {
		for port := range uint8(3) {
			f.Add(b, port)
			f.Add(padded.Append(nil, b), port)
			f.Add(append(padded.Append(nil, b), padded.Append(nil, b)...), port)
		}
	}
	w := newWorld(f, options{listen: dpc.ListenStrict})
	w.add("alice", "bob")
	w.must(up(w.user("alice"), "note.txt", []byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte, port uint8) {
		name := []string{"auth", "chat", "file"}[port%3]
		c := w.dialIn(t, name)
		defer c.Close()
		go func() {
			_, _ = c.Conn.Write(b) // the server may close first
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}()
		var err error
		if name == "file" {
			_ = c.Conn.SetReadDeadline(time.Now().Add(patience))
			_, err = io.Copy(io.Discard, c.Conn)
		} else {
			for err == nil {
				_, err = c.Receive()
			}
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the connection does not end")
		}
		if errors.Is(err, padded.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if n := obs.Panics(); n > 0 {
			t.Fatalf("%d panics", n)
		}
	})
}
