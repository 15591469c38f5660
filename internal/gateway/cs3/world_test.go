package cs3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/gateway/cs3"
	"parley/internal/obs"
	"parley/internal/session"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// world is a server with this gateway alone, on a database of its own.
type world struct {
	t          testing.TB
	db         *store.DB
	hub        *session.Hub
	accounts   *account.Service
	contacts   *contact.Service
	chat       *chat.Service
	goroutines *obs.Goroutines
	gw         *cs3.Gateway
	addr       string
	web        *httptest.Server
	listeners  []net.Listener
	stop       func()
}

func newWorld(t testing.TB, edit ...func(*cs3.Config)) *world {
	t.Helper()
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	w := &world{t: t, goroutines: obs.NewGoroutines(log)}
	var err error
	w.db, err = store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: log, Metrics: metrics})
	w.must(err)
	w.hub = session.NewHub(log, metrics, w.goroutines)
	w.contacts = contact.New(w.db, account.NameKey, w.hub.Publish, contact.Config{})
	w.chat = chat.New(chat.Config{
		DB: w.db, Audit: audit.New(w.db), Contacts: w.contacts, Publish: w.hub.Publish, Gather: w.hub.Gather, Log: log, Metrics: metrics, Goroutines: w.goroutines,
	})
	w.contacts.OnChange(w.chat.ContactsChanged)
	w.accounts = account.New(w.db, cluster.NewLocal(), nil, nil, audit.New(w.db), w.chat, account.Config{Log: log, Metrics: metrics})
	w.accounts.OnRevoke(w.hub.Revoke)
	w.hub.Start(w.chat)
	cfg := cs3.Config{
		Accounts: w.accounts, Chat: w.chat, Hub: w.hub, Log: log, Goroutines: w.goroutines, Metrics: metrics, AvatarDir: t.TempDir(),
	}
	for _, e := range edit {
		e(&cfg)
	}
	w.gw = cs3.New(cfg)
	w.web = httptest.NewServer(w.gw.Handler())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.addr = ln.Addr().String()
	w.serve(ln)
	w.stop = sync.OnceFunc(w.shutDown)
	t.Cleanup(w.stop)
	return w
}

// serve lets the gateway accept from another listener.
func (w *world) serve(ln net.Listener) {
	w.listeners = append(w.listeners, ln)
	w.goroutines.Go("accept", func() {
		if err := w.gw.Serve(ln); err != nil {
			w.t.Error(err)
		}
	})
}

// shutDown stops everything in the order of the real server.
func (w *world) shutDown() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.hub.Quiesce()
	for _, ln := range w.listeners {
		ln.Close()
	}
	w.web.Close()
	w.chat.Drain(ctx)
	w.hub.Stop(ctx)
	w.chat.Close()
	w.check(w.goroutines.Wait(ctx))
	w.check(w.db.Close())
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.db.Update(context.Background(), func(ctx context.Context) error {
		_, err := w.db.Exec(ctx, query, args...)
		return err
	}))
}

func (w *world) scan(query string, dest ...any) {
	w.t.Helper()
	w.must(w.db.QueryRow(context.Background(), query, nil, dest...))
}

const password = "secret"

// add makes an account with the common password.
func (w *world) add(name string) core.Actor {
	w.t.Helper()
	from := core.Origin{Gateway: "test"}
	_, err := w.accounts.Register(context.Background(), from, account.Registration{Name: name, Password: account.Secret{Text: password}})
	w.must(err)
	_, actor, err := w.accounts.Login(context.Background(), from, name, account.Secret{Text: password})
	w.must(err)
	return actor
}

// client speaks the protocol, through a parser that is not the server's.
type client struct {
	t     testing.TB
	conn  net.Conn
	dec   *jsontext.Decoder
	name  string
	token string
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, dec: jsontext.NewDecoder(conn)}
}

func (w *world) dial() *client {
	w.t.Helper()
	return w.dialIn(w.t)
}

// dialIn is for a test within the world's.
func (w *world) dialIn(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

// online makes a client that is logged in. The account exists.
func (w *world) online(name string) *client {
	w.t.Helper()
	c := w.dial()
	c.login(name)
	return c
}

func loginObject(name, password string) string {
	return fmt.Sprintf(`{"type":"login","username":%q,"password":%q}`, name, password)
}

func (c *client) login(name string) {
	c.t.Helper()
	c.send(loginObject(name, password))
	answer := c.read()
	c.token = tokenIn(answer)
	c.name = name
	c.equal(answer, fmt.Sprintf(`{"type":"login","status":"success","message":"Login successful","token":%q,"username":%q,"avatar":"/avatar/%[2]s/default_avatar.png"}`, c.token, name))
}

// tokenIn returns the token in an answer.
func tokenIn(answer string) string {
	_, after, _ := strings.Cut(answer, `"token":"`)
	token, _, _ := strings.Cut(after, `"`)
	return token
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next object, or the error that ends the stream.
func (c *client) next() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	v, err := c.dec.ReadValue()
	return string(v), err
}

func (c *client) read() string {
	c.t.Helper()
	object, err := c.next()
	if err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
	return object
}

func (c *client) equal(got, want string) {
	c.t.Helper()
	if got != want {
		c.t.Fatalf("%s got\n     %s\nwant %s", c.name, got, want)
	}
}

// expect reads objects that must be these.
func (c *client) expect(objects ...string) {
	c.t.Helper()
	for _, want := range objects {
		c.equal(c.read(), want)
	}
}

// ended checks that the server closes the connection now.
func (c *client) ended() {
	c.t.Helper()
	object, err := c.next()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("%s: still open: %s, %v", c.name, object, err)
	}
}

func said(name, text string) string {
	return fmt.Sprintf(`{"type":"chat","user":%q,"message":%q,"avatar":"/avatar/%[1]s/default_avatar.png"}`, name, text)
}

func chatObject(token, text string) string {
	return fmt.Sprintf(`{"type":"chat","token":%q,"message":%q}`, token, text)
}

func heartbeatObject(token string) string {
	return fmt.Sprintf(`{"type":"heartbeat","token":%q}`, token)
}

const (
	posted      = `{"type":"chat","status":"success"}`
	notLoggedIn = `{"type":"chat","status":"error_Nli","message":"Not logged in"}`
	badToken    = `{"type":"chat","status":"error_It","message":"Invalid token"}`
	beating     = `{"type":"heartbeat","status":"success"}`
	notBeating  = `{"type":"heartbeat","status":"error"}`
	invalidJSON = `{"type":"error","status":"error","message":"Invalid JSON"}`
	ping        = `{"type":"ping"}`
	alreadyIn   = `{"type":"login","status":"error_-1","message":"Account already logged in"}`
	badPassword = `{"type":"login","status":"error_0","message":"Invalid credentials"}`
)

// say says something and reads what the speaker hears.
func (c *client) say(text string) {
	c.t.Helper()
	c.send(chatObject(c.token, text))
	c.expect(said(c.name, text), posted)
}

// request makes an HTTP request and returns status and body.
func (w *world) request(method, path, authorization, body string) (int, string) {
	w.t.Helper()
	status, _, text := w.response(method, path, authorization, body)
	return status, text
}

func (w *world) response(method, path, authorization, body string) (int, http.Header, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.web.URL+path, strings.NewReader(body))
	w.must(err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := w.web.Client().Do(req)
	w.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, resp.Header, string(text)
}

// eventually waits until something is so.
func (w *world) eventually(what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !so(); {
		if time.Now().After(end) {
			w.t.Fatal("never so: ", what)
		}
		time.Sleep(time.Millisecond)
	}
}
