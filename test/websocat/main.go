// Command websocat stands in for the program of that name where that is not installed: it sends the lines of its input to a WebSocket and
// prints what comes back, as far as the protocol page uses it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// header is the option -H.
type header http.Header

func (h header) String() string { return "" }

// Set adds a header as it is written in HTTP.
func (h header) Set(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return errors.New("a header is a name and a value with a colon between them")
	}
	http.Header(h).Add(name, strings.TrimSpace(value))
	return nil
}

func main() {
	headers := header{}
	flag.Var(headers, "H", "a header of the request")
	flag.Parse()
	if err := run(context.Background(), flag.Arg(0), headers); err != nil {
		fmt.Fprintln(os.Stderr, "websocat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, headers header) error {
	conn, early, _, err := ws.Dialer{Header: ws.HandshakeHeaderHTTP(headers)}.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close()
	var in io.Reader = conn
	if early != nil { // the server was quick
		in = early
	}
	go send(conn)
	for {
		text, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{in, conn})
		var closed wsutil.ClosedError
		switch {
		case errors.As(err, &closed), errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		fmt.Printf("%s\n", text)
	}
}

// send sends the lines of the input, and then that there will be no more.
func send(conn net.Conn) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := wsutil.WriteClientText(conn, lines.Bytes()); err != nil {
			return
		}
	}
	_ = wsutil.WriteClientMessage(conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
}
