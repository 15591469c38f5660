package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/obs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) } // one test panics

// echo answers a command with what it was given.
type echo struct {
	begun chan struct{} // closed when a command waits for its end
}

func (e echo) Export(ctx context.Context, in Export, progress func(Progress)) (Exported, error) {
	switch in.User {
	case "wait":
		close(e.begun)
		<-ctx.Done()
		return Exported{}, ctx.Err()
	case "panic":
		progress(Progress{What: "part"})
		panic("the source has no columns")
	case "fail":
		return Exported{}, errors.New("it went wrong")
	}
	for i := range 1000 {
		progress(Progress{What: "part", Done: int64(i), Total: 1000})
	}
	return Exported{File: in.File, Size: 7, Counts: []Count{{"things", 3}}}, nil
}

func (echo) Restore(context.Context, Restore, func(Progress)) (Restored, error) {
	return Restored{Notes: []string{strings.Repeat("a long note, ", 100_000)}}, nil
}

// clients are a client in this process and one behind a socket, of a gateway that stops at the end of the test at the latest.
func clients(t *testing.T, e echo) (all map[string]*Client, stop func()) {
	t.Helper()
	g := New(nil, slog.New(slog.DiscardHandler))
	g.ServeArchives(e)
	path := filepath.Join(t.TempDir(), "parley.sock")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, path) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	for {
		c, err := Dial(t.Context(), path)
		if err == nil {
			return map[string]*Client{"here": Local(g.Handler()), "socket": c}, cancel
		}
		select {
		case err := <-served:
			t.Fatal(err)
		default:
		}
	}
}

func TestLongCommands(t *testing.T) {
	all, _ := clients(t, echo{})
	for name, c := range all {
		said := 0
		out, err := c.Export(t.Context(), Export{File: "/a"}, func(p Progress) {
			said++
			if p.What != "part" || p.Total != 1000 {
				t.Errorf("%s: %+v", name, p)
			}
		})
		if err != nil || out.File != "/a" || out.Size != 7 || len(out.Counts) != 1 || said < 1 || said > 100 {
			t.Errorf("%s: %v %+v, %d times progress", name, err, out, said)
		}
		if _, err := c.Export(t.Context(), Export{User: "fail"}, func(Progress) {}); err == nil || err.Error() != "it went wrong" {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := c.Restore(t.Context(), Restore{}, func(Progress) {}); err != nil || len(out.Notes) != 1 || len(out.Notes[0]) != 1_300_000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLongCommandEndsWithWhoeverGaveIt(t *testing.T) {
	for _, name := range []string{"here", "socket"} {
		e := echo{begun: make(chan struct{})}
		all, _ := clients(t, e)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-e.begun; cancel() }()
		if _, err := all[name].Export(ctx, Export{User: "wait"}, func(Progress) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLongCommandEndsWithTheServer(t *testing.T) {
	for _, name := range []string{"here", "socket"} {
		e := echo{begun: make(chan struct{})}
		all, stop := clients(t, e)
		go func() { <-e.begun; stop() }()
		if _, err := all[name].Export(t.Context(), Export{User: "wait"}, func(Progress) {}); err == nil || !strings.Contains(err.Error(), "stopping") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "went away",
		`{"progress":{"what":"x"}}` + "\n":   "went away",
		`{"result":{}`:                       "went away",
		"{]\n":                               "the answer",
		`{"error":"no"}` + "\n":              "no",
		strings.Repeat("x", maxLine+1):       "too long",
		`{"result":{"file":7}}` + "\n":       "",
		`{"result":{"file":"x"}}` + "\nmore": "-",
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
		_, err := Local(h).Export(t.Context(), Export{}, func(Progress) {})
		if want == "-" && err != nil || want != "-" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
	g := New(nil, slog.New(slog.DiscardHandler))
	g.ServeArchives(echo{})
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/export", strings.NewReader("{]")))
	if !strings.Contains(w.Body.String(), `{"error":`) {
		t.Errorf("a broken command is answered with %s", w.Body)
	}
}

// TestPanicIsToldAndLogged: whoever gave the command had heard “EOF”, and nothing was in the log.
func TestPanicIsToldAndLogged(t *testing.T) {
	var log bytes.Buffer
	g := New(nil, slog.New(slog.NewTextHandler(&log, nil)))
	g.ServeArchives(echo{})
	before := obs.Panics()
	_, err := Local(g.Handler()).Export(t.Context(), Export{User: "panic"}, func(Progress) {})
	if err == nil || err.Error() != errPanic.Error() {
		t.Errorf("a long command: %v", err)
	}
	if !strings.Contains(log.String(), "/export") || !strings.Contains(log.String(), "no columns") {
		t.Errorf("the log: %s", log.String())
	}
	if _, err = Local(g.Handler()).Users(t.Context()); err == nil || err.Error() != errPanic.Error() { // there are no accounts to ask
		t.Errorf("a short command: %v", err)
	}
	if n := obs.Panics() - before; n != 2 {
		t.Errorf("%d panics are counted", n)
	}
	all, _ := clients(t, echo{})
	for name, c := range all {
		if _, err := c.Export(t.Context(), Export{User: "panic"}, func(Progress) {}); err == nil || err.Error() != errPanic.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
