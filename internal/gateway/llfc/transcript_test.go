package llfc

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/core"
)

var update = flag.Bool("update", false, "write what the server answers into the transcripts")

// TestTranscripts plays the transcripts of testdata and compares what the server says with what stands there:
//
//	NAME > ID BODY          NAME's client sends a frame
//	NAME < ID BODY          NAME's client gets it, or "closed"
//	NAME POST /path BODY    an HTTP request, and in the next line
//	NAME = STATUS BODY      its answer
//	NAME connects           a new connection; NAME logs in: one that is logged in, its answer left out; NAME leaves: the end of it
//
// and, to set the scene: "people" makes the users of the original document, "A knows B" makes two users friends, "A blocks B",
// "A says TEXT to B" and "A asks B: TEXT" do so in another family of clients, "disable A", "mail fails", "sql STATEMENT".
// Tokens, codes and ports are written as <token NAME>, <code ADDRESS>, <port>.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			p := &play{world: newWorld(t), clients: map[string]*client{}, tokens: map[string]string{}}
			for i, line := range strings.Split(string(b), "\n") {
				p.line = i + 1
				p.out = append(p.out, p.step(line))
			}
			for _, c := range p.clients {
				c.quiet()
			}
			got := strings.Join(p.out, "\n")
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(strings.Split(string(b), "\n"), p.out); d != "" {
				t.Errorf("-%s +server\n%s", f, d)
			}
		})
	}
}

// play is a transcript that is being played.
type play struct {
	*world
	line    int
	clients map[string]*client
	tokens  map[string]string // by user's name
	answer  string            // the HTTP answer that was not compared yet
	out     []string
}

var placeholder = regexp.MustCompile(`<(token|code) ([^>]+)>`)

func (p *play) step(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	verb, arg, _ := strings.Cut(rest, " ")
	switch {
	case line == "" || name == "#":
	case line == "people":
		p.addDocumented()
	case name == "sql":
		p.update(func(_ context.Context, exec func(string, ...any)) { exec(rest) })
	case line == "mail fails":
		p.must(os.RemoveAll(p.outbox()))
		p.must(os.WriteFile(p.outbox(), nil, 0o600))
	case name == "disable":
		p.must(p.accounts.SetDisabled(context.Background(), p.accounts.Operator(), core.Origin{}, rest, true))
	case verb == "POST" || verb == "GET" || verb == "OPTIONS":
		path, body, _ := strings.Cut(arg, " ")
		a, body := p.request(verb, path, p.fill(body))
		p.answer = fmt.Sprintf("%s = %d %s", name, a.StatusCode, body)
	case verb == "=":
		got := p.normal(name, p.answer)
		p.answer = ""
		return got
	case verb == ">":
		id, body, _ := strings.Cut(arg, " ")
		n, err := strconv.ParseUint(id, 10, 16)
		p.must(err)
		p.clients[name].send(uint16(n), p.fill(body))
	case verb == "<":
		got := p.clients[name].read()
		if got == "closed" {
			delete(p.clients, name)
		}
		return name + " < " + p.normal(name, got)
	default:
		p.scene(name, verb, arg)
	}
	return line
}

func (p *play) scene(name, verb, arg string) {
	ctx := context.Background()
	switch verb {
	case "connects":
		p.clients[name] = p.dial()
	case "logs":
		p.clients[name] = p.online(p.uid(name))
	case "leaves":
		p.clients[name].finish()
		delete(p.clients, name)
	case "knows":
		p.befriend(p.uid(name), p.uid(arg))
	case "blocks":
		p.must(p.contacts.Block(ctx, p.actor(p.uid(name)), p.uid(arg)))
	case "asks":
		who, text, _ := strings.Cut(arg, ": ")
		p.must(p.contacts.Request(ctx, p.actor(p.uid(name)), p.uid(who), text))
	case "says":
		text, who, _ := strings.Cut(arg, " to ")
		to := chat.Target{Room: core.Lobby}
		if who != "lobby" {
			to = chat.Target{User: p.uid(who)}
		}
		p.say(p.uid(name), to, text)
	default:
		p.Fatalf("line %d is no step of a transcript", p.line)
	}
}

func (p *play) uid(name string) (id core.UserID) {
	p.Helper()
	if err := p.db.QueryRow(context.Background(), `SELECT uid FROM "user" WHERE name = ?`, []any{name}, &id); err != nil {
		p.Fatalf("line %d: user %q: %v", p.line, name, err)
	}
	return id
}

// fill replaces placeholders by what they stand for.
func (p *play) fill(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		f := placeholder.FindStringSubmatch(m)
		if f[1] == "code" {
			return p.code(f[2])
		}
		if p.tokens[f[2]] == "" {
			p.tokens[f[2]] = p.token(p.uid(f[2]))
		}
		return p.tokens[f[2]]
	})
}

var (
	tokenField = regexp.MustCompile(`"token":"([0-9a-f]{32})"`)
	portField  = regexp.MustCompile(`"port":"\d+"`)
)

// normal replaces what differs from run to run by placeholders.
func (p *play) normal(name, s string) string {
	if m := tokenField.FindStringSubmatch(s); m != nil {
		p.tokens[name] = m[1]
		s = strings.ReplaceAll(s, m[1], "<token "+name+">")
	}
	return portField.ReplaceAllString(s, `"port":"<port>"`)
}

// TestTranscriptsAreComplete finds every id that the server sends and every error code, over HTTP and in frames, of the
// protocol page's tables in a transcript.
func TestTranscriptsAreComplete(t *testing.T) {
	page, err := os.ReadFile("../../../docs/protocols/llfc.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	said := func(what, pattern string) {
		if !regexp.MustCompile(`(?m)^\S+ ` + pattern).MatchString(all.String()) {
			t.Errorf("no transcript has %s", what)
		}
	}
	ids := regexp.MustCompile(`(?m)^\| (\d+) \| S → C \|`).FindAllSubmatch(page, -1)
	for _, id := range ids {
		said("a frame "+string(id[1]), `< `+string(id[1])+` `)
	}
	codes := regexp.MustCompile(`(?m)^\| (-?\d+) \| \S+ \| ([^|]+) \| ([^|]+) \|$`).FindAllSubmatch(page, -1)
	for _, c := range codes {
		code := `\{"error":` + string(c[1]) + `[,}]`
		if string(c[2]) != "–" {
			said("HTTP error "+string(c[1]), `= \d+ `+code)
		}
		if string(c[3]) != "–" {
			said("error "+string(c[1])+" in a frame", `< \d+ `+code)
		}
	}
	if len(ids) != 10 || len(codes) != 13 {
		t.Errorf("the page's tables have %d ids of the server and %d error codes", len(ids), len(codes))
	}
}
