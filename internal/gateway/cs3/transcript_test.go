package cs3_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the server answers into the transcripts")

// TestTranscripts plays the files in testdata. In them, "name > text" is what a client sends in one piece, "name < text" what
// it gets, "(closed)" that the server has ended the connection; the client called http makes requests, and answers stand
// with their status. Tokens are numbered in the order of their appearance.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := play{world: newWorld(t), clients: map[string]*client{}}
			for line := range strings.Lines(string(b)) {
				p.line(strings.TrimSuffix(line, "\n"))
			}
			if *update {
				if err := os.WriteFile(file, []byte(p.out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// play is one transcript on its way.
type play struct {
	*world
	clients map[string]*client
	tokens  []string
	answer  string // to the last HTTP request
	out     strings.Builder
}

func (p *play) line(line string) {
	p.t.Helper()
	name, text, ok := strings.Cut(line, " > ")
	got := line
	if ok && !strings.HasPrefix(line, "#") {
		p.send(name, text)
	} else if name, text, ok = strings.Cut(line, " < "); ok && !strings.HasPrefix(line, "#") {
		is := p.numbered(p.receive(name))
		if is != text && !*update {
			p.t.Fatalf("%s got\n     %s\nwant %s", name, is, text)
		}
		got = name + " < " + is
	}
	fmt.Fprintln(&p.out, got)
}

func (p *play) send(name, text string) {
	p.t.Helper()
	for i, token := range p.tokens {
		text = strings.ReplaceAll(text, fmt.Sprintf("<token-%d>", i+1), token)
	}
	if name == "http" {
		p.fetch(text)
		return
	}
	if p.clients[name] == nil {
		p.clients[name] = p.dial()
		p.clients[name].name = name
	}
	p.clients[name].send(text)
}

// fetch makes the request "METHOD path [Authorization=token] body".
func (p *play) fetch(text string) {
	p.t.Helper()
	method, rest, _ := strings.Cut(text, " ")
	path, rest, _ := strings.Cut(rest, " ")
	var token string
	if after, ok := strings.CutPrefix(rest, "Authorization="); ok {
		token, rest, _ = strings.Cut(after, " ")
	}
	status, header, body := p.response(method, path, token, rest)
	if got := header.Get("Content-Type"); got != "application/json" && status != http.StatusNotFound {
		p.t.Errorf("%s: content type %q", text, got)
	}
	p.answer = fmt.Sprintf("%d %s", status, body)
}

func (p *play) receive(name string) string {
	p.t.Helper()
	if name == "http" {
		return p.answer
	}
	object, err := p.clients[name].next()
	if errors.Is(err, io.EOF) {
		return "(closed)"
	}
	p.must(err)
	return object
}

var tokenForm = regexp.MustCompile(`"token":"[0-9a-f]{32}"`)

// numbered replaces tokens by their numbers.
func (p *play) numbered(text string) string {
	return tokenForm.ReplaceAllStringFunc(text, func(field string) string {
		token := strings.TrimSuffix(strings.TrimPrefix(field, `"token":"`), `"`)
		at := len(p.tokens)
		for i, known := range p.tokens {
			if known == token {
				at = i
			}
		}
		if at == len(p.tokens) {
			p.tokens = append(p.tokens, token)
		}
		return fmt.Sprintf(`"token":"<token-%d>"`, at+1)
	})
}

// Every type and status of the protocol page's table occurs in a transcript.
func TestTranscriptsAreComplete(t *testing.T) {
	var all strings.Builder
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	got := all.String()
	for _, want := range []string{
		`< {"type":"register_1","error":false`, `< {"type":"register_0","success":false`, `< {"type":"register_-1","error":true`,
		`< {"type":"register_-2","success":false`, `< {"type":"register_-3","success":false`,
		`http < 200 {"type":"register_1"`, `http < 403 {"type":"register_0"`, `http < 400 {"type":"register_0"`,
		`http < 400 {"type":"register_-2"`, `http < 200 {"type":"register_-1"`,
		`http < 200 {"type":"login_1","status":"success"`, `http < 401 {"type":"login_0","status":"error"`,
		`http < 409 {"type":"login","status":"error_0"`,
		`< {"type":"login","status":"success"`, `< {"type":"login","status":"error_0"`, `< {"type":"login","status":"error_-1"`,
		`< {"type":"chat","status":"success"}`, `http < 200 {"type":"chat","status":"success"}`, `http < 401 {"type":"chat","status":"error"}`,
		`http < 400 {"type":"chat","status":"error","message"`,
		`< {"type":"chat","status":"error_Mt"`, `< {"type":"chat","status":"error_It"`, `< {"type":"chat","status":"error_Nli"`,
		`< {"type":"chat","status":"error","message"`, `< {"type":"chat","user":`,
		`< {"type":"heartbeat","status":"success"}`, `< {"type":"heartbeat","status":"error"}`,
		`< {"type":"ping"}`, `< {"type":"error","status":"error","message":"Invalid JSON"}`, `http < 400 {"type":"error"`,
		`< {"status":"error","message"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no transcript has %s", want)
		}
	}
}
