package line

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"parley/internal/core"
)

// Client is one connection as its client sees it.
type Client struct {
	net.Conn
	r *bufio.Reader
}

// NewClient returns the client's side of a connection.
func NewClient(conn net.Conn) *Client { return &Client{conn, bufio.NewReaderSize(conn, 4096)} }

// Say sends a line.
func (c *Client) Say(format string, args ...any) error {
	_, err := c.Write(fmt.Appendf(nil, format+"\n", args...))
	return err
}

// Hear reads a line.
func (c *Client) Hear() (string, error) {
	text, err := c.r.ReadString('\n')
	return strings.TrimSuffix(text, "\n"), err
}

// Must sends lines and fails the test if that does not work.
func (c *Client) Must(t testing.TB, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if err := c.Say("%s", l); err != nil {
			t.Fatalf("say %q: %v", l, err)
		}
	}
}

// Expect reads lines and fails the test on the first one that is another.
func (c *Client) Expect(t testing.TB, lines ...string) {
	t.Helper()
	for _, want := range lines {
		got, err := c.Hear()
		if err != nil {
			t.Fatalf("heard %v, want %q", err, want)
		}
		if got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

// ExpectEnd fails the test unless the server ends the stream cleanly and says nothing more before.
func (c *Client) ExpectEnd(t testing.TB) {
	t.Helper()
	if got, err := c.Hear(); err == nil || got != "" || err.Error() != "EOF" {
		t.Fatalf("heard %q, %v; want the end", got, err)
	}
}

// Message is a message as a client hears it.
type Message struct {
	Viewer       core.UserID
	Conversation core.ConversationID
	Seq          core.Seq
	Author       core.UserID
	ID, Text     string
}

// ParseMessage reads a msg line; false means that the line is another one.
func ParseMessage(text string) (m Message, ok bool) {
	rest, ok := strings.CutPrefix(text, "msg ")
	if !ok {
		return m, false
	}
	rest = strings.TrimLeft(rest, " ")
	var n [4]int64
	for i := range n {
		var number string
		var err error
		number, rest, _ = strings.Cut(rest, " ")
		if n[i], err = strconv.ParseInt(number, 10, 64); err != nil {
			return m, false
		}
	}
	m.Viewer, m.Conversation, m.Seq, m.Author = core.UserID(n[0]), core.ConversationID(n[1]), core.Seq(n[2]), core.UserID(n[3])
	m.ID, m.Text, ok = strings.Cut(rest, " ")
	return m, ok
}
