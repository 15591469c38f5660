package llfc

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/obs"
)

// FuzzConn sends arbitrary bytes to a live connection, logged in or not. Whatever they are, nothing panics, the answer is
// a sequence of whole frames with the server's ids, and the connection ends when the client is through.
func FuzzConn(f *testing.F) {
	for _, b := range documented(f) {
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Add([]byte("\x03\xed\xff\xff{"), false)
	w := newWorld(f)
	w.addDocumented()
	w.befriend(sqy, ocz)
	token := w.token(sqy)
	f.Fuzz(func(t *testing.T, b []byte, in bool) {
		c := dial(t, w.addr)
		if in {
			c.send(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, token))
		}
		go func() {
			// The server may close first, after a newer login.
			_, _ = c.conn.Write(b)
			_ = c.conn.CloseWrite()
		}()
		for {
			id, _, err := c.next()
			if err == io.EOF { //nolint:errorlint // a stream that ends in the middle of a frame is something else
				break
			}
			if err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // as it comes from the connection
					t.Fatal("the connection does not end")
				}
				break
			}
			if id < 1006 || id > 1024 {
				t.Fatalf("frame with id %d", id)
			}
		}
		_ = c.conn.SetDeadline(time.Now())
		if n := obs.Panics(); n > 0 {
			t.Fatalf("%d panics", n)
		}
	})
}

// documented returns the frames that clients send in the transcripts, and all of a transcript's together.
func documented(tb testing.TB) (frames [][]byte) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		var all []byte
		for line := range strings.Lines(string(b)) {
			f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
			if len(f) < 3 || f[1] != ">" {
				continue
			}
			id, err := strconv.ParseUint(f[2], 10, 16)
			if err != nil {
				tb.Fatal(err)
			}
			frames = append(frames, encode(uint16(id), strings.Join(f[3:], "")))
			all = append(all, frames[len(frames)-1]...)
		}
		frames = append(frames, all)
	}
	return frames
}
