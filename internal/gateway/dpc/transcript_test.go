package dpc_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/chat"
)

var update = flag.Bool("update", false, "write what the server answers into the transcripts")

// TestTranscripts plays the files in testdata. In them
//
//	auth1 > {…}    is a message that a client sends; the name begins with the port: auth, chat or file
//	auth1 < {…}    is the next message that it gets
//	file1 >> "…"   are raw bytes that it sends, file1 << "…" raw bytes that it gets
//	auth1 > (end)  says that it ends its side
//	auth1 < (end)  says that the server has ended the connection, (reset) that it broke off
//	! …            is something that happens elsewhere
//
// A chat connection that occurs for the first time has been listening before, if it may.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p := play{world: newWorld(t, options{}), conns: map[string]*wire{}}
			for line := range strings.Lines(string(b)) {
				p.line(strings.TrimSuffix(line, "\n"))
			}
			if *update {
				if err := os.WriteFile(name, []byte(p.out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// wire is a connection whose bytes are looked at as they are.
type wire struct {
	*conn
	in *bufio.Reader
}

// play is one transcript on its way.
type play struct {
	*world
	conns map[string]*wire
	out   strings.Builder
}

var lineForm = regexp.MustCompile(`^(\w+) (>>?|<<?) (.*)$`)

func (p *play) line(line string) {
	p.t.Helper()
	got := line
	m := lineForm.FindStringSubmatch(line)
	switch {
	case strings.HasPrefix(line, "! "):
		p.happen(strings.Fields(line)[1:])
	case m != nil && m[2][0] == '>':
		p.say(p.open(m[1]), m[2], p.codes(m[3]))
	case m != nil:
		is := p.hear(p.open(m[1]), m[2], m[3])
		if is != m[3] && !*update {
			p.t.Fatalf("%s got\n     %s\nwant %s", m[1], is, m[3])
		}
		got = m[1] + " " + m[2] + " " + is
	case line != "" && line[0] != '#':
		p.t.Fatalf("what does this mean? %s", line)
	}
	fmt.Fprintln(&p.out, got)
}

// happen lets something happen elsewhere.
func (p *play) happen(words []string) {
	p.t.Helper()
	text := strings.Join(words[min(2, len(words)):], " ")
	switch words[1] {
	case "exists":
		p.add(words[0])
	case "says":
		p.post(words[0], text)
	case "writes":
		p.send(words[0], chat.Target{User: p.actors[words[3]].User()}, strings.Join(words[4:], " "))
	case "befriends":
		p.befriend(words[0], words[2])
	case "asks":
		p.must(p.contacts.Request(context.Background(), p.actors[words[0]], p.actors[words[2]].User(), ""))
	case "disabled":
		p.disable(words[0])
	default:
		p.t.Fatalf("what does this mean? %q", words)
	}
}

func (p *play) open(name string) *wire {
	p.t.Helper()
	if p.conns[name] == nil {
		port := name[:4]
		var c *conn
		if port == "chat" {
			c = p.connect(name)
		} else {
			c = p.dial(port)
		}
		c.name = name
		p.conns[name] = &wire{c, bufio.NewReader(c.Conn)}
	}
	return p.conns[name]
}

var codeForm = regexp.MustCompile(`<code-(\d+)>`)

// codes fills in the codes that phones got.
func (p *play) codes(text string) string {
	return codeForm.ReplaceAllStringFunc(text, func(s string) string { return p.texts.code(codeForm.FindStringSubmatch(s)[1]) })
}

func (p *play) say(c *wire, how, text string) {
	p.t.Helper()
	switch {
	case how == ">>":
		raw, err := strconv.Unquote(text)
		p.must(err)
		c.raw(raw)
	case text == "(end)":
		c.half()
	case text != "(connect)":
		c.send(text)
	}
}

// hear returns what comes: as many raw bytes as are expected, or a message whose header is well-formed.
func (p *play) hear(c *wire, how, want string) string {
	p.t.Helper()
	p.must(c.Conn.SetReadDeadline(time.Now().Add(patience)))
	if how == "<<" {
		raw, err := strconv.Unquote(want)
		p.must(err)
		b := make([]byte, len(raw))
		_, err = io.ReadFull(c.in, b)
		p.must(err)
		return strconv.Quote(string(b))
	}
	header := make([]byte, 15)
	switch _, err := io.ReadFull(c.in, header); {
	case err == io.EOF: //nolint:errorlint // an orderly end
		return "(end)"
	case errors.Is(err, syscall.ECONNRESET):
		return "(reset)"
	case err != nil:
		p.t.Fatalf("%s: %v, want %s", c.name, err, want)
	}
	n, err := strconv.Atoi(strings.TrimRight(string(header), " "))
	p.must(err)
	b := make([]byte, n)
	_, err = io.ReadFull(c.in, b)
	p.must(err)
	return times.ReplaceAllString(string(b), `"<time>"`)
}

var times = regexp.MustCompile(`"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"?`)

// Every answer of the protocol page occurs in a transcript.
func TestTranscriptsAreComplete(t *testing.T) {
	var all strings.Builder
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	got := all.String()
	for _, want := range []string{
		`auth\d* < {"op":0,"test":0}`, `auth\d* < {"op":0,"test":1}`,
		`auth\d* < {"op":1,"test":0}`, `auth\d* < {"op":1,"test":1}`, `auth\d* < {"op":1,"test":2}`, `auth\d* < {"op":1,"test":3}`,
		`auth\d* < {"op":2,"test":0}`, `auth\d* < {"op":2,"test":1}`, `auth\d* < {"op":2,"test":2}`, `auth\d* < {"op":2,"test":3}`,
		`chat\d* < {"op":0,"test":1}`, `chat\d* < {"op":0,"args":{"name":"alice"},"news":"alice:`, `chat\d* < {"op":0,"args":{"name":"parley notice"}`,
		`file\d* < {"op":0,"test":1}`, `file\d* < {"op":1,"test":1}`, `file\d* < {"op":1,"exist_file":0}`, `file\d* < {"op":1,"exist_file":\[\[`,
		`"文件"`, `"文件夹"`, `file\d* < {"op":1,"file_name":400}`, `file\d* < {"op":1,"file_name":"[^"]+","file_type":0,"file_size":"\d+"}`,
		`file\d* < {"op":1,"file_name":"[^"]+","file_type":1,"file_size":"\d+","file_dirname":"[^"]+"}`, `file\d* < \(end\)`, `file\d* < \(reset\)`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no transcript has %s", want)
		}
	}
}
