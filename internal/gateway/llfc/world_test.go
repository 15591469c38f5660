package llfc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/outbox"
	"parley/internal/session"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// The users of most tests, with the names and ids of the original document.
const (
	sqy   core.UserID = 1054
	ocz   core.UserID = 1055
	userA core.UserID = 1032
)

// world is a server: the gateway on real sockets, with real services on a real database.
type world struct {
	testing.TB
	dir        string
	goroutines *obs.Goroutines
	metrics    *obs.Metrics
	db         *store.DB
	hub        *session.Hub
	accounts   *account.Service
	contacts   *contact.Service
	chat       *chat.Service
	gw         *Gateway
	frames     net.Listener
	http       *httptest.Server
	addr       string // of the framed protocol
	gate       string // URL of the HTTP gate
	stopped    atomic.Bool
}

type settings struct {
	Config
	registration string
	strangers    bool
}

type mailer struct{ out outbox.Sender }

func (m mailer) SendCode(ctx context.Context, to, code string) error {
	return m.out.Send(ctx, outbox.CodeMail(to, code))
}

func newWorld(t testing.TB, change ...func(*settings)) *world {
	t.Helper()
	s := settings{Config: Config{Rooms: true}}
	for _, fn := range change {
		fn(&s)
	}
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	w := &world{TB: t, dir: t.TempDir(), goroutines: obs.NewGoroutines(log), metrics: metrics}
	var err error
	w.db, err = store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(w.dir, "parley.db")), Log: log, Metrics: metrics})
	w.must(err)
	w.hub = session.NewHub(log, metrics, w.goroutines)
	w.contacts = contact.New(w.db, account.NameKey, w.hub.Publish, contact.Config{Strangers: s.strangers})
	w.chat = chat.New(chat.Config{DB: w.db, Audit: audit.New(w.db), Contacts: w.contacts, Publish: w.hub.Publish, Log: log, Metrics: metrics, Goroutines: w.goroutines})
	w.contacts.OnChange(w.chat.ContactsChanged)
	w.accounts = account.New(w.db, cluster.NewLocal(), mailer{outbox.NewFolder(w.outbox())}, nil, audit.New(w.db), w.chat,
		account.Config{Registration: s.registration, Log: log, Metrics: metrics})
	w.accounts.OnRevoke(w.hub.Revoke)
	w.hub.Start(w.chat)
	cfg := s.Config
	cfg.Accounts, cfg.Contacts, cfg.Chat, cfg.Hub = w.accounts, w.contacts, w.chat, w.hub
	cfg.Log, cfg.Goroutines, cfg.Metrics = log, w.goroutines, metrics
	w.gw = New(cfg)
	w.serve()
	t.Cleanup(w.stop)
	return w
}

// serve opens both listeners.
func (w *world) serve() {
	w.Helper()
	var err error
	w.frames, err = net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.addr = w.frames.Addr().String()
	w.gw.Bind(w.frames)
	w.goroutines.Go("accept", func() { _ = w.gw.Serve(w.frames) })
	mux := http.NewServeMux()
	w.gw.Routes(mux)
	mux.HandleFunc("/", w.gw.NotFound)
	w.http = httptest.NewServer(mux)
	w.gate = w.http.URL
}

// stop stops the server as the program does. Once is enough.
func (w *world) stop() {
	if w.stopped.Swap(true) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.hub.Quiesce()
	w.http.Close()
	_ = w.frames.Close()
	w.chat.Drain(ctx)
	w.hub.Stop(ctx)
	w.chat.Close()
	if err := w.goroutines.Wait(ctx); err != nil {
		w.Error("goroutines are left:", err)
	}
	if err := w.db.Close(); err != nil {
		w.Error(err)
	}
}

func (w *world) outbox() string { return filepath.Join(w.dir, "outbox") }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// update runs statements in one unit of work.
func (w *world) update(fn func(ctx context.Context, exec func(query string, args ...any))) {
	w.Helper()
	w.must(w.db.Update(context.Background(), func(ctx context.Context) (err error) {
		fn(ctx, func(query string, args ...any) {
			if err == nil {
				_, err = w.db.Exec(ctx, query, args...)
			}
		})
		return err
	}))
}

// add makes accounts without passwords.
func (w *world) add(users ...core.User) {
	w.Helper()
	w.update(func(ctx context.Context, exec func(string, ...any)) {
		for _, u := range users {
			var emailKey any
			if u.Email != "" {
				emailKey = u.Email
			}
			exec(`INSERT INTO "user" (uid, name, name_key, email, email_key, nick, "desc", icon, sex, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
				int64(u.ID), u.Name, account.NameKey(u.Name), u.Email, emailKey, u.Nick, u.Desc, u.Icon, u.Sex)
			exec(`INSERT INTO member (user_id, conversation_id, joined_seq, joined_at) SELECT ?, id, last_seq, 1 FROM conversation WHERE id = ?`,
				int64(u.ID), int64(core.Lobby))
		}
	})
}

// addDocumented makes the users of the original document.
func (w *world) addDocumented() {
	w.Helper()
	w.add(
		core.User{ID: sqy, Name: "sqy", Email: "3175614975@qq.com", Nick: "sqy", Icon: ":/res/head_2.jpg"},
		core.User{ID: ocz, Name: "ocz", Nick: "ocz", Icon: ":/res/head_3.jpg"},
		core.User{ID: userA, Name: "userA", Nick: "userA", Icon: ":/res/head_1.jpg"},
	)
}

func (w *world) befriend(a, b core.UserID) {
	w.Helper()
	w.must(w.contacts.Request(context.Background(), w.actor(a), b, ""))
	_, err := w.contacts.Accept(context.Background(), w.actor(b), a, "")
	w.must(err)
}

func (w *world) actor(u core.UserID) core.Actor {
	var name string
	w.must(w.db.QueryRow(context.Background(), `SELECT name FROM "user" WHERE uid = ?`, []any{int64(u)}, &name))
	return core.NewActor(core.User{ID: u, Name: name, Epoch: 1})
}

func (w *world) token(u core.UserID) string {
	w.Helper()
	token, err := w.accounts.IssueToken(context.Background(), w.actor(u), tokens)
	w.must(err)
	return token
}

func (w *world) dial() *client {
	w.Helper()
	return dial(w.TB, w.addr)
}

// login returns a logged-in client and the answer to its login.
func (w *world) login(u core.UserID) (*client, string) {
	w.Helper()
	c := w.dial()
	c.send(1005, fmt.Sprintf(`{"uid":%d,"token":"%s"}`, u, w.token(u)))
	answer := c.read()
	if !strings.HasPrefix(answer, `1006 {"error":0,`) {
		w.Fatal(answer)
	}
	return c, answer
}

func (w *world) online(u core.UserID) *client {
	w.Helper()
	c, _ := w.login(u)
	return c
}

// say posts as another family of clients does.
func (w *world) say(from core.UserID, to chat.Target, texts ...string) {
	w.Helper()
	for _, text := range texts {
		done := make(chan error, 1)
		err := w.chat.Post(context.Background(), w.actor(from), chat.Post{To: to, Origin: "cs3", Drafts: []chat.Draft{{Text: text}}},
			func(_ []core.Message, err error) { done <- err })
		if err == nil {
			err = <-done
		}
		w.must(err)
	}
}

// framesRead returns how many frames the server has handled.
func (w *world) framesRead() (n float64) {
	w.Helper()
	a := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(a, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, rest, _ := strings.Cut(a.Body.String(), `parley_session_frames_in_total{gateway="llfc"} `)
	_, err := fmt.Sscan(rest, &n)
	w.must(err)
	return n
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			w.Fatal("not in time: ", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// code returns the verification code that was mailed last to an address.
func (w *world) code(email string) string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.outbox(), "*.eml"))
	w.must(err)
	slices.Sort(files)
	for _, f := range slices.Backward(files) {
		b, err := os.ReadFile(f)
		w.must(err)
		if strings.Contains(string(b), "To: <"+email+">") {
			_, text, _ := strings.Cut(string(b), "\r\n\r\n")
			return regexp.MustCompile(`\b\d{4}\b`).FindString(text)
		}
	}
	w.Fatal("no mail to ", email)
	return ""
}

// request sends an HTTP request to the gate and returns the answer with its body.
func (w *world) request(method, path, body string, change ...func(*http.Request)) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequest(method, w.gate+path, strings.NewReader(body))
	w.must(err)
	for _, fn := range change {
		fn(r)
	}
	a, err := http.DefaultTransport.RoundTrip(r)
	w.must(err)
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	w.must(err)
	return a, string(b)
}
