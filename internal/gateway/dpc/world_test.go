package dpc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/gateway/dpc"
	"parley/internal/obs"
	"parley/internal/session"
	"parley/internal/store"
	"parley/internal/wire/padded"
	"parley/test/clean"
	"parley/test/client"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// options is what a test may have otherwise.
type options struct {
	listen         string
	stall, silence time.Duration
	messageTime    time.Duration
	loginWithin    time.Duration
	registration   string
	maxFile, quota int64
	link           func(core.File) string
	prepare        func(net.Listener) net.Listener // of the file port
}

// world is a server with this gateway alone, on a database of its own.
type world struct {
	t          testing.TB
	db         *store.DB
	hub        *session.Hub
	accounts   *account.Service
	contacts   *contact.Service
	chat       *chat.Service
	files      *file.Service
	goroutines *obs.Goroutines
	metrics    *obs.Metrics
	gw         *dpc.Gateway
	texts      *phones
	ports      map[string]string // auth, chat, file
	listeners  []net.Listener
	stop       func()
	stopTime   time.Duration
	actors     map[string]core.Actor
}

// phones gets the text messages.
type phones struct {
	mu    sync.Mutex // guards codes
	codes map[string]string
}

// TextCode implements [account.Texter].
func (p *phones) TextCode(_ context.Context, to, code string) error {
	if to == "19999999999" {
		return errors.New("no network")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[to] = code
	return nil
}

func (p *phones) code(phone string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[phone]
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	w := &world{
		t: t, goroutines: obs.NewGoroutines(log), metrics: metrics, texts: &phones{codes: map[string]string{}},
		ports: map[string]string{}, stopTime: patience, actors: map[string]core.Actor{},
	}
	var err error
	w.db, err = store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: log, Metrics: metrics})
	w.must(err)
	blobs, err := blob.OpenDisk(filepath.Join(t.TempDir(), "files"), w.goroutines)
	w.must(err)
	w.hub = session.NewHub(log, metrics, w.goroutines)
	w.contacts = contact.New(w.db, account.NameKey, w.hub.Publish, contact.Config{})
	w.chat = chat.New(chat.Config{
		DB: w.db, Audit: audit.New(w.db), Contacts: w.contacts, Publish: w.hub.Publish, Gather: w.hub.Gather, Log: log, Metrics: metrics, Goroutines: w.goroutines,
	})
	w.contacts.OnChange(w.chat.ContactsChanged)
	w.accounts = account.New(w.db, cluster.NewLocal(), nil, w.texts, audit.New(w.db), w.chat, account.Config{
		Registration: o.registration, Log: log, Metrics: metrics,
	})
	w.accounts.OnRevoke(w.hub.Revoke)
	w.files, err = file.New(context.Background(), file.Config{
		DB: w.db, Blobs: blobs, Rooms: w.chat, Audit: audit.New(w.db), Log: log, Metrics: metrics, Goroutines: w.goroutines,
		MaxFile: o.maxFile, Quota: o.quota,
	})
	w.must(err)
	w.hub.Start(w.chat)
	w.gw = dpc.New(dpc.Config{
		Accounts: w.accounts, Chat: w.chat, Files: w.files, Hub: w.hub, Log: log, Goroutines: w.goroutines, Metrics: metrics,
		Listen: o.listen, Link: o.link, Stall: o.stall, Silence: o.silence, MessageTime: o.messageTime, LoginWithin: o.loginWithin,
	})
	if o.prepare == nil {
		o.prepare = func(ln net.Listener) net.Listener { return ln }
	}
	w.serve("auth", w.gw.ServeAuth, func(ln net.Listener) net.Listener { return ln })
	w.serve("chat", w.gw.ServeChat, func(ln net.Listener) net.Listener { return ln })
	w.serve("file", w.gw.ServeFiles, o.prepare)
	w.stop = sync.OnceFunc(w.shutDown)
	t.Cleanup(w.stop)
	return w
}

func (w *world) serve(port string, serve func(net.Listener) error, prepare func(net.Listener) net.Listener) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.listeners = append(w.listeners, ln)
	w.ports[port] = ln.Addr().String()
	w.goroutines.Go("accept", func() {
		if err := serve(prepare(ln)); err != nil {
			w.t.Error(err)
		}
	})
}

// shutDown stops everything in the order of the real server.
func (w *world) shutDown() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, ln := range w.listeners {
		ln.Close()
	}
	w.hub.Quiesce()
	short, cancelShort := context.WithTimeout(ctx, w.stopTime)
	defer cancelShort()
	w.gw.Stop(short)
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

const password = "a good password"

// add makes accounts with the common password.
func (w *world) add(names ...string) {
	w.t.Helper()
	from := core.Origin{Gateway: "test"}
	for _, name := range names {
		_, err := w.accounts.Register(context.Background(), from, account.Registration{Name: name, Password: account.Secret{Text: password}})
		w.must(err)
		_, actor, err := w.accounts.Login(context.Background(), from, name, account.Secret{Text: password})
		w.must(err)
		w.actors[name] = actor
	}
}

// user returns a client for a user.
func (w *world) user(name string) client.DPC {
	return client.DPC{Auth: w.ports["auth"], Chat: w.ports["chat"], Files: w.ports["file"], Name: name, Password: password}
}

// post says something in the lobby as another family of clients does.
func (w *world) post(name, text string) {
	w.t.Helper()
	w.send(name, chat.Target{Room: core.Lobby}, text)
}

func (w *world) send(name string, to chat.Target, text string) {
	w.t.Helper()
	done := make(chan error, 1)
	w.must(w.chat.Post(context.Background(), w.actors[name], chat.Post{To: to, Origin: "test", Drafts: []chat.Draft{{Text: text}}},
		func(_ []core.Message, err error) { done <- err }))
	w.must(<-done)
}

// befriend makes two users friends.
func (w *world) befriend(a, b string) {
	w.t.Helper()
	w.must(w.contacts.Request(context.Background(), w.actors[a], w.actors[b].User(), ""))
	_, err := w.contacts.Accept(context.Background(), w.actors[b], w.actors[a].User(), "")
	w.must(err)
}

func (w *world) disable(name string) {
	w.t.Helper()
	w.must(w.accounts.SetDisabled(context.Background(), w.accounts.Operator(), core.Origin{Gateway: "test"}, name, true))
}

// conn is a client that sends and receives bytes.
type conn struct {
	*client.DPCConn
	t    testing.TB
	name string
}

// dial connects to a port.
func (w *world) dial(port string) *conn {
	w.t.Helper()
	return w.dialIn(w.t, port)
}

// dialIn is for a test within the world's.
func (w *world) dialIn(t testing.TB, port string) *conn {
	t.Helper()
	c, err := client.DialDPC(w.ports[port])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{c, t, port}
}

const refused = `{"op":0,"test":1}`

// connect opens a chat connection; when it returns, the server has decided whether it listens.
func (w *world) connect(name string) *conn {
	w.t.Helper()
	c := w.dial("chat")
	c.name = name
	c.hearsNothing()
	return c
}

// hearsNothing checks that nothing has come until now: the server answers what it does not know after everything else.
func (c *conn) hearsNothing() {
	c.t.Helper()
	if err := c.Probe(); err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
}

// listener is a chat connection whose address logged in.
func (w *world) listener(name string) *conn {
	w.t.Helper()
	if test, err := w.user(name).Login(); test != 0 || err != nil {
		w.t.Fatal(test, err)
	}
	return w.connect(name)
}

// raw sends bytes.
func (c *conn) raw(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// send sends an object.
func (c *conn) send(object string) {
	c.t.Helper()
	c.raw(framed(object))
}

func framed(object string) string { return string(padded.Append(nil, []byte(object))) }

// expect receives objects that must be these.
func (c *conn) expect(objects ...string) {
	c.t.Helper()
	for _, want := range objects {
		got, err := c.Receive()
		if err != nil {
			c.t.Fatalf("%s: %v, want %s", c.name, err, want)
		}
		if string(got) != want {
			c.t.Fatalf("%s got\n     %s\nwant %s", c.name, got, want)
		}
	}
}

// ended checks that the server ends the stream now, in good order.
func (c *conn) ended() {
	c.t.Helper()
	if got, err := c.Receive(); err != io.EOF { //nolint:errorlint // an orderly end
		c.t.Fatalf("%s: %q, %v", c.name, got, err)
	}
}

// broken checks that the server resets the connection now.
func (c *conn) broken() {
	c.t.Helper()
	if got, err := c.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("%s: %q, %v", c.name, got, err)
	}
}

// half ends the sending side.
func (c *conn) half() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
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

// metric returns the value of a metric's sample, 0 if there is none.
func (w *world) metric(sample string) float64 {
	w.t.Helper()
	r := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for l := range strings.Lines(r.Body.String()) {
		if v, ok := strings.CutPrefix(l, sample+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			w.must(err)
			return f
		}
	}
	return 0
}

// names lists what there is to download, sorted.
func (w *world) names(user string) (names []string) {
	w.t.Helper()
	entries, err := w.user(user).List()
	w.must(err)
	for _, e := range entries {
		names = append(names, e[0])
	}
	slices.Sort(names)
	return names
}
