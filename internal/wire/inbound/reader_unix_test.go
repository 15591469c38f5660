//go:build unix

package inbound

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDiscard(t *testing.T) {
	client, server := pair(t)
	r := NewReader(server)
	r.Discard() // there is nothing, and it does not wait
	_, _ = io.WriteString(client, strings.Repeat("x", 3*segmentBytes))
	s, err := r.Receive()
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	for end := time.Now().Add(patience); ; { // until all of it has arrived and is gone
		r.Discard()
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := r.Receive(); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not end")
		}
	}
	_, _ = io.WriteString(client, "after")
	client.Close()
	_ = server.SetReadDeadline(time.Now().Add(patience))
	if got, err := receiveAll(&r); got != "after" || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %v", got, err)
	}
	r.Discard() // at the end of the stream
	if _, err := r.Receive(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
