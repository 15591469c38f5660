package llfc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// client is a client of the framed protocol. It knows nothing of the gateway's own encoding.
type client struct {
	testing.TB
	conn *net.TCPConn
	in   *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

func encode(id uint16, body string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func (c *client) write(b []byte) {
	c.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.Fatal(err)
	}
}

func (c *client) send(id uint16, body string) {
	c.Helper()
	c.write(encode(id, body))
}

func (c *client) next() (id uint16, body string, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, "", err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[2:]))
	_, err = io.ReadFull(c.in, b)
	return binary.BigEndian.Uint16(head[:]), string(b), err
}

// read returns the next frame as transcripts show it.
func (c *client) read() string {
	c.Helper()
	id, body, err := c.next()
	if errors.Is(err, io.EOF) {
		return "closed"
	}
	if err != nil {
		c.Fatal(err)
	}
	return fmt.Sprint(id, " ", body)
}

func (c *client) expect(want string) {
	c.Helper()
	if got := c.read(); got != want {
		c.Fatalf("got  %.2000s\nwant %.2000s", got, want)
	}
}

// quiet checks that nothing had been sent to the client before its heartbeat is answered.
func (c *client) quiet() {
	c.Helper()
	c.send(1023, `{}`)
	c.expect(`1024 {"error":0}`)
}

// confirm confirms everything that the client has read: when the first heartbeat is answered, the server has taken note
// of all that it had written before, so the second finds it acknowledged.
func (c *client) confirm() {
	c.Helper()
	c.quiet()
	c.quiet()
}

// finish closes the sending side and expects the server to close its own.
func (c *client) finish() {
	c.Helper()
	if err := c.conn.CloseWrite(); err != nil {
		c.Fatal(err)
	}
	c.expect("closed")
}

// cut breaks the connection: the server gets a reset.
func (c *client) cut() {
	_ = c.conn.SetLinger(0)
	_ = c.conn.Close()
}
