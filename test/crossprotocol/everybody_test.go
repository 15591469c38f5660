package crossprotocol

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"parley/test/client"
	"parley/test/program"
)

const rounds = 20

// mouth says something in the lobby.
type mouth func(text string) error

// ear returns the next thing that it hears, as it was typed: who wrote it is checked against what is said. "" is
// something else.
type ear func() (author, text string, err error)

// person is one connection of somebody.
type person struct {
	name, family string
	say          mouth
	hear         ear
	ownWords     bool // its protocol sends people's own words back
}

// key is how a connection signs what it says.
func (p *person) key() string { return p.name + "@" + p.family }

func llfcPerson(t *testing.T, s *program.Server, name string) (*person, *client.LLFC) {
	t.Helper()
	c, _, err := client.Login(s.HTTP, name, "secret")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	return &person{name: name, family: "llfc", say: func(text string) error {
		n++
		return c.Say(lobby, fmt.Sprint(n), text)
	}, hear: func() (string, string, error) {
		f, err := c.Wait(1019)
		if err != nil {
			return "", "", err
		}
		got, err := f.Texts()
		if err != nil || len(got.Texts) != 1 {
			return "", "", fmt.Errorf("%s: %w", f.Body, err)
		}
		if got.From != lobby {
			return "", "direct " + got.Texts[0].Content, nil
		}
		author, text, _ := strings.Cut(got.Texts[0].Content, ": ")
		return author, text, nil
	}}, c
}

func cs3Person(t *testing.T, s *program.Server, name string, register bool) *person {
	t.Helper()
	c, err := client.LoginCS3(s.CS3, name, "secret", register)
	if err != nil {
		t.Fatal(err)
	}
	return &person{name: name, family: "cs3", say: c.Say, hear: c.WaitMessage, ownWords: true}
}

func dpcUser(s *program.Server, name string) client.DPC {
	return client.DPC{Auth: s.DPC.Auth, Chat: s.DPC.Chat, Files: s.DPC.Files, Name: name, Password: "secret"}
}

// dpcPerson logs in, and then listens: when it returns, the connection hears the lobby.
func dpcPerson(t *testing.T, s *program.Server, name, socket string) *person {
	t.Helper()
	d := dpcUser(s, name)
	if test, err := d.Login(); test != 0 || err != nil {
		t.Fatal(test, err)
	}
	c, err := d.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Probe(); err != nil {
		t.Fatal(err)
	}
	return &person{name: name, family: "dpc" + socket, say: func(text string) error { return d.Say(c, text) }, hear: func() (string, string, error) {
		author, news, err := c.Hear()
		if err == nil && !strings.HasPrefix(news, author+":") {
			err = fmt.Errorf("%s says %q", author, news)
		}
		return author, strings.TrimPrefix(news, author+":"), err
	}}
}

// apiPerson speaks and listens over a WebSocket of the API.
func apiPerson(t *testing.T, s *program.Server, name string, deflate bool) *person {
	t.Helper()
	a := apiClient(s)
	if _, err := a.Enter("/auth/login", name, "secret"); err != nil {
		t.Fatal(err)
	}
	e, err := client.DialEvents(t.Context(), a.URL, client.EventsOptions{Token: a.Token, Deflate: deflate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Conn.Close() })
	next := func(kind string) (ev client.Event, err error) {
		for ev.Type != kind && err == nil {
			ev, err = e.Next(20 * time.Second)
		}
		return ev, err
	}
	if err := e.Say(map[string]any{"type": "start"}); err != nil {
		t.Fatal(err)
	}
	if _, err := next("ready"); err != nil {
		t.Fatal(err)
	}
	return &person{name: name, family: "api", ownWords: true, say: func(text string) error {
		return e.Say(map[string]any{"type": "send", "conversation_id": 1, "text": text})
	}, hear: func() (string, string, error) {
		var in struct {
			Message struct {
				Conversation int    `json:"conversation_id"`
				Text         string `json:"text"`
				Sender       struct {
					Name string `json:"username"`
				} `json:"sender"`
			} `json:"message"`
		}
		ev, err := next("message.new")
		if err == nil {
			err = ev.Read(&in)
		}
		if m := in.Message; m.Conversation == 1 || err != nil {
			return m.Sender.Name, m.Text, err
		}
		return "", "direct " + in.Message.Text, nil
	}}
}

var code = regexp.MustCompile(`\d{4}`)

// registerDPC makes an account with a code that comes by SMS.
func registerDPC(t *testing.T, s *program.Server, name, phone string) {
	t.Helper()
	d := dpcUser(s, name)
	if test, err := d.SendCode(phone); test != 0 || err != nil {
		t.Fatal(test, err)
	}
	files, err := filepath.Glob(filepath.Join(s.Dir, "outbox", "*.sms"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d text messages, %v", len(files), err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if test, err := d.Register(phone, code.FindString(string(b)), ""); test != 0 || err != nil {
		t.Fatalf("register: %d %v", test, err)
	}
}

// heard is what one connection has heard.
type heard struct {
	lobby  map[string][]string // texts by the key of who said them
	direct []string
	notice int
}

// listen hears everything up to the last words.
func (p *person) listen(last string) (heard, error) {
	h := heard{lobby: map[string][]string{}}
	for {
		author, text, err := p.hear()
		if err != nil {
			return h, fmt.Errorf("%s, after %v: %w", p.key(), h, err)
		}
		key, n, _ := strings.Cut(text, " ")
		switch {
		case text == last:
			return h, nil
		case key == "direct":
			h.direct = append(h.direct, n)
		case author == "parley notice":
			h.notice++
		case !strings.HasPrefix(key, author+"@"):
			return h, fmt.Errorf("%s hears from %q: %q", p.key(), author, text)
		default:
			h.lobby[key] = append(h.lobby[key], n)
		}
	}
}

// TestEverybodyHearsEverything lets clients of all families talk at once. Each message reaches every client that should
// have it, in its protocol, once and in order; direct chats stay among the two.
func TestEverybodyHearsEverything(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	bertUID := s.AddUser("bert")
	s.AddUser("ann")
	registerDPC(t, s, "dora", "13800138000")
	ann, annConn := llfcPerson(t, s, "ann")
	bert, bertConn := llfcPerson(t, s, "bert")
	if err := client.Befriend(annConn, bertConn); err != nil {
		t.Fatal(err)
	}
	people := []*person{
		ann, bert, cs3Person(t, s, "carl", true), cs3Person(t, s, "bert", false),
		dpcPerson(t, s, "dora", "1"), dpcPerson(t, s, "dora", "2"), dpcPerson(t, s, "ann", ""),
		apiPerson(t, s, "bert", false), apiPerson(t, s, "carl", true),
	}
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(func() {
			for i := range rounds {
				if err := p.say(fmt.Sprint(p.key(), " ", i)); err != nil {
					t.Errorf("%s: %v", p.key(), err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			if err := annConn.Say(bertUID, fmt.Sprint("d", i), fmt.Sprint(i)); err != nil {
				t.Errorf("direct: %v", err)
			}
		}
	})
	results := make([]heard, len(people))
	const last = "carl@cs3 that is all"
	for i, p := range people {
		wg.Go(func() {
			var err error
			if results[i], err = p.listen(last); err != nil {
				t.Error(err)
			}
		})
	}
	everythingIsStored(t, s, len(people)*rounds+rounds)
	if err := people[2].say(last); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for i, p := range people {
		check(t, p, people, results[i])
	}
}

// open opens the running server's database to look at it.
func open(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// everythingIsStored waits for that: what is said afterwards comes last.
func everythingIsStored(t *testing.T, s *program.Server, n int) {
	t.Helper()
	db := open(t, filepath.Join(s.Dir, "parley.db"))
	program.Until(t, "everything is stored", func() bool {
		var got int
		if err := db.QueryRow(`SELECT count(*) FROM message`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		return got == n
	})
}

func check(t *testing.T, p *person, people []*person, got heard) {
	t.Helper()
	var all []string
	for i := range rounds {
		all = append(all, fmt.Sprint(i))
	}
	for _, speaker := range people {
		var want []string
		if speaker != p || p.ownWords {
			want = all
		}
		if g := got.lobby[speaker.key()]; fmt.Sprint(g) != fmt.Sprint(want) {
			t.Errorf("%s hears from %s %v, want %v", p.key(), speaker.key(), g, want)
		}
		delete(got.lobby, speaker.key())
	}
	if len(got.lobby) > 0 {
		t.Errorf("%s hears %v", p.key(), got.lobby)
	}
	var direct []string
	if p.key() == "bert@llfc" || p.key() == "bert@api" {
		direct = all
	}
	if fmt.Sprint(got.direct) != fmt.Sprint(direct) {
		t.Errorf("%s gets the direct messages %v, want %v", p.key(), got.direct, direct)
	}
	if notices := p.key() == "bert@cs3"; notices != (got.notice > 0) {
		t.Errorf("%s gets %d notices", p.key(), got.notice)
	}
}

// TestEveryAccountWorksEverywhere logs each account in through each family.
func TestEveryAccountWorksEverywhere(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	cs3Person(t, s, "carl", true)
	registerDPC(t, s, "dora", "13800138000")
	for _, name := range []string{"ann", "carl", "dora", "ann@example.org", "13800138000"} {
		if _, _, err := client.Login(s.HTTP, name, "secret"); err != nil {
			t.Errorf("llfc, %s: %v", name, err)
		}
		d := dpcUser(s, name)
		if test, err := d.Login(); test != 0 || err != nil {
			t.Errorf("DPC, %s: %d %v", name, test, err)
		}
		if _, err := d.List(); err != nil {
			t.Errorf("DPC files, %s: %v", name, err)
		}
		d.Password = "wrong"
		if _, err := d.List(); err == nil {
			t.Errorf("DPC files, %s: a wrong password lists the files", name)
		}
	}
	for _, name := range []string{"ann", "dora"} { // carl is there already
		if _, err := client.LoginCS3(s.CS3, name, "secret", false); err != nil {
			t.Errorf("CS3, %s: %v", name, err)
		}
	}
}
