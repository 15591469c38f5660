package inbound

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// pair returns the two ends of a connection through the kernel.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err == nil {
		server, err = ln.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// receiveAll reads to the end of the stream.
func receiveAll(r *Reader) (got string, err error) {
	for {
		s, err := r.Receive()
		if err != nil {
			return got, err
		}
		got += string(s.Bytes())
		s.Release()
	}
}

func TestEverythingArrives(t *testing.T) {
	client, server := pair(t)
	a, b := net.Pipe() // no socket of the kernel
	t.Cleanup(func() { b.Close() })
	sent := strings.Repeat("0123456789abcde", 10_000)
	for name, conn := range map[string]struct{ from, to net.Conn }{"socket": {client, server}, "pipe": {a, b}} {
		go func() { _, _ = io.WriteString(conn.from, sent); conn.from.Close() }()
		_ = conn.to.SetReadDeadline(time.Now().Add(patience))
		r := NewReader(conn.to)
		got, err := receiveAll(&r)
		if got != sent || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(sent), err)
		}
		if _, err := r.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the end: %v", name, err)
		}
	}
}

func TestDeadlineEndsTheWait(t *testing.T) {
	_, server := pair(t)
	r := NewReader(server)
	_ = server.SetReadDeadline(time.Now())
	if _, err := r.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// TestAWaitHoldsLittle where it has to hold a buffer.
func TestAWaitHoldsLittle(t *testing.T) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	r := NewReader(b)
	for i, tt := range []struct{ sent, read int }{
		{100, 100}, {smallBytes, smallBytes}, {3 * segmentBytes, segmentBytes}, {0, segmentBytes}, {0, segmentBytes}, {10, 10}, {1000, smallBytes}, {0, 1000 - smallBytes},
	} {
		if tt.sent > 0 {
			go func() { _, _ = io.WriteString(a, strings.Repeat("x", tt.sent)) }()
		}
		_ = b.SetReadDeadline(time.Now().Add(patience))
		s, err := r.Receive()
		if err != nil || len(s.Bytes()) != tt.read {
			t.Fatalf("read %d: %v, want %d bytes", i, err, tt.read)
		}
		s.Release()
	}
}
