package api_test

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the server answers into the transcripts, and the OpenAPI document into docs")

// TestTranscripts plays the files in testdata. In them, "name > METHOD path body" is a request below the prefix, made with the
// token that name has got, and "name < status body" its answer; "name >> command" is one on their socket, and "name << event" the next that they hear, presence aside. "(picture)" is a form with a PNG in it, "(words)" one with
// a text. "name administers" makes an administrator, "name joins" another account, "name and name are friends" says it all, and "name finds word" waits
// until the word is in the index. What
// changes from run to run stands in angle brackets; in a request <refresh> and <device> are the last that name has got, <code ADDRESS>
// is what was mailed there, <link> is the token of the last link that was made, <proof> that of the last link to a file's content, and
// <unsent> is the id of a code that "ADDRESS waits for CODE" has left in the outbox.
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
			p := play{world: newWorld(t), clients: map[string]*client{}, sockets: map[string]*socket{}}
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

// allTranscripts returns them as one text.
func allTranscripts(t *testing.T) string {
	t.Helper()
	files, _ := filepath.Glob("testdata/*.txt")
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// play is one transcript on its way.
type play struct {
	*world
	clients map[string]*client
	sockets map[string]*socket
	files   []string
	link    string
	proof   string
	unsent  string
	last    answer
	out     strings.Builder
}

func (p *play) line(line string) {
	p.t.Helper()
	got := line
	if name, ok := strings.CutSuffix(line, " administers"); ok {
		p.clients[name] = p.admin(name)
	} else if name, ok := strings.CutSuffix(line, " joins"); ok {
		p.clients[name] = p.join(name)
	} else if name, word, ok := strings.Cut(line, " finds "); ok {
		p.clients[name].until("/messages/search?q="+word, func(a answer) bool { return a.at("items/0") != "" })
	} else if to, code, ok := strings.Cut(line, " waits for "); ok {
		p.unsent = p.leave(to, code)
	} else if names, ok := strings.CutSuffix(line, " are friends"); ok {
		one, other, _ := strings.Cut(names, " and ")
		p.clients[one].befriend(p.clients[other])
	} else if name, text, ok := strings.Cut(line, " >> "); ok && !strings.HasPrefix(line, "#") {
		p.command(name, text)
	} else if name, text, ok := strings.Cut(line, " << "); ok && !strings.HasPrefix(line, "#") {
		is := p.steady(string(p.sockets[name].next().JSON))
		if is != text && !*update {
			p.t.Fatalf("%s heard\n     %s\nwant %s", name, is, text)
		}
		got = name + " << " + is
	} else if name, text, ok := strings.Cut(line, " > "); ok && !strings.HasPrefix(line, "#") {
		p.request(name, text)
	} else if name, text, ok := strings.Cut(line, " < "); ok && !strings.HasPrefix(line, "#") {
		is := p.steady(fmt.Sprintf("%d %s", p.last.status, p.last.body))
		if is != text && !*update {
			p.t.Fatalf("%s got\n     %s\nwant %s", name, is, text)
		}
		got = name + " < " + is
	}
	fmt.Fprintln(&p.out, got)
}

// command says something on a client's socket, which is opened for the first.
func (p *play) command(name, text string) {
	p.t.Helper()
	if p.sockets[name] == nil {
		p.sockets[name] = p.clients[name].dial()
	}
	p.sockets[name].say("%s", text)
}

var mailed = regexp.MustCompile(`<code ([^>]+)>`)

func (p *play) request(name, text string) {
	p.t.Helper()
	c := p.clients[name]
	if c == nil {
		c = p.stranger()
		p.clients[name] = c
	}
	text = strings.NewReplacer("<refresh>", c.refresh, "<device>", fmt.Sprint(c.device), "<link>", p.link, "<proof>", p.proof, "<unsent>", p.unsent).Replace(text)
	text = mailed.ReplaceAllStringFunc(text, func(s string) string { return p.mail.code(mailed.FindStringSubmatch(s)[1]) })
	for i, file := range p.files {
		text = strings.ReplaceAll(text, fmt.Sprintf("<file-%d>", i+1), file)
	}
	method, rest, _ := strings.Cut(text, " ")
	path, body, _ := strings.Cut(rest, " ")
	switch body {
	case "(picture)":
		p.last = c.uploadTo(path, "avatar", "me.png", picture(p.t, 300, 200))
	case "(words)":
		p.last = c.uploadTo(path, "avatar", "me.png", []byte("words"))
	default:
		p.last = c.do(method, path, body)
	}
	if m := proofForm.FindStringSubmatch(p.last.body); m != nil {
		p.proof = m[1]
	}
	if strings.HasPrefix(p.last.header.Get("Content-Type"), "image/") {
		p.last.body = p.last.header.Get("Content-Type")
	} else if p.last.status < 300 && strings.Contains(p.last.body, `"refresh_token":`) {
		c.take(p.last)
	} else if m := linkForm.FindStringSubmatch(p.last.body); m != nil {
		p.link = m[1]
	}
}

var linkForm = regexp.MustCompile(`"token":"([\w-]{22})"`)

var proofForm = regexp.MustCompile(`/content\?(expires=\d+&signature=[\w-]+)`)

var fileForm = regexp.MustCompile(`(/avatars/\d+/)([a-z0-9]{26}\.(jpg|png))`)

var unsteady = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "<token>"},
	{regexp.MustCompile(`"ticket":"[\w-]+"`), `"ticket":"<ticket>"`},
	{regexp.MustCompile(`"refresh_token":"[\w-]{64}"`), `"refresh_token":"<refresh>"`},
	{linkForm, `"token":"<link>"`},
	{regexp.MustCompile(`/invite/[\w-]{22}`), "/invite/<link>"},
	{regexp.MustCompile(`"cursor":"[^"]+"`), `"cursor":"<cursor>"`},
	{regexp.MustCompile(`"request_id":"\w+"`), `"request_id":"<id>"`},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`), `"<time>"`},
	{regexp.MustCompile(`http://127.0.0.1:\d+`), "http://host"},
	{regexp.MustCompile(`expires=\d+&signature=[\w-]+`), "<proof>"},
	{regexp.MustCompile(`"code_id":"[^"]+"`), `"code_id":"<unsent>"`},
	{regexp.MustCompile(`"(uptime_s|database_bytes|goroutines|memory_bytes)":\d+`), `"$1":<number>`},
	{regexp.MustCompile(`"device_id":\d+`), `"device_id":<device>`},
}

// steady replaces what changes from run to run.
func (p *play) steady(text string) string {
	for _, u := range unsteady {
		text = u.form.ReplaceAllString(text, u.with)
	}
	return fileForm.ReplaceAllStringFunc(text, func(s string) string {
		m := fileForm.FindStringSubmatch(s)
		at := len(p.files)
		for i, file := range p.files {
			if file == m[2] {
				at = i
			}
		}
		if at == len(p.files) {
			p.files = append(p.files, m[2])
		}
		return fmt.Sprintf("%s<file-%d>", m[1], at+1)
	})
}

func picture(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = 0xff
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
