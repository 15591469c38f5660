package line

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/session"
	"parley/internal/store"
	"parley/test/fresh"
)

// World is a server without its gateways: a database, the hub, contacts and chat.
type World struct {
	testing.TB
	DB         *store.DB
	Hub        *session.Hub
	Chat       *chat.Service
	Contacts   *contact.Service
	Goroutines *obs.Goroutines
	Metrics    *obs.Metrics
	stopped    bool
	hubStopped bool
	drained    bool
}

// Options is what a test may have otherwise.
type Options struct {
	Dir       string                                    // of the database; default a new one
	Publish   func(next func(core.Event), e core.Event) // comes before the hub
	Befriends bool                                      // only friends may write to each other
	Presence  bool                                      // friends are told who is online
	Source    func(session.Source) session.Source       // stands between the hub and the chat service
}

// NewWorld starts a server that is stopped at the end of the test at the latest.
func NewWorld(t testing.TB, opts Options) *World {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w := &World{TB: t, Metrics: obs.NewMetrics(), Goroutines: obs.NewGoroutines(log)}
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	var err error
	w.DB, err = store.Open(context.Background(), store.Config{
		Path: fresh.Database(t, filepath.Join(opts.Dir, "parley.db")), Log: log, Metrics: w.Metrics,
	})
	w.Check(err)
	w.Hub = session.NewHub(log, w.Metrics, w.Goroutines)
	w.Contacts = contact.New(w.DB, strings.ToLower, w.Hub.Publish, contact.Config{Strangers: !opts.Befriends})
	publish := w.Hub.Publish
	if opts.Publish != nil {
		publish = func(e core.Event) { opts.Publish(w.Hub.Publish, e) }
	}
	w.Chat = chat.New(chat.Config{
		DB: w.DB, Audit: audit.New(w.DB), Contacts: w.Contacts, Publish: publish, Gather: w.Hub.Gather, Log: log, Metrics: w.Metrics, Goroutines: w.Goroutines,
	})
	w.Contacts.OnChange(w.Chat.ContactsChanged)
	if opts.Presence {
		w.Hub.OnPresence(func(user core.UserID, online bool) {
			if err := w.Contacts.ShowPresence(context.Background(), user, online); err != nil {
				t.Error(err)
			}
		})
	}
	source := session.Source(w.Chat)
	if opts.Source != nil {
		source = opts.Source(source)
	}
	w.Hub.Start(source)
	t.Cleanup(w.Stop)
	return w
}

// Stop stops the server, if it runs, in the order in which nothing is lost, and fails the test if something does not end.
func (w *World) Stop() {
	w.Helper()
	if w.stopped {
		return
	}
	w.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.Hub.Quiesce()
	if !w.drained {
		w.Chat.Drain(ctx)
	}
	if !w.hubStopped {
		w.Hub.Stop(ctx)
	}
	w.Chat.Close()
	w.Check(w.Goroutines.Wait(ctx))
	w.Check(w.DB.Close())
}

// Drain drains the chat service alone.
func (w *World) Drain(ctx context.Context) {
	w.drained = true
	w.Chat.Drain(ctx)
}

// StopHub stops the hub alone, which cuts at the end of ctx who has not gone.
func (w *World) StopHub(ctx context.Context) {
	w.hubStopped = true
	w.Hub.Stop(ctx)
}

// Check fails the test on an error; it is for steps that only prepare.
func (w *World) Check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Exec runs a statement in a unit of work.
func (w *World) Exec(query string, args ...any) {
	w.Helper()
	w.Check(w.DB.Update(context.Background(), func(ctx context.Context) error {
		_, err := w.DB.Exec(ctx, query, args...)
		return err
	}))
}

// Int reads a number from the database.
func (w *World) Int(query string, args ...any) (n int64) {
	w.Helper()
	w.Check(w.DB.QueryRow(context.Background(), query, args, &n))
	return n
}

// Metric returns the value of a metric's sample as Prometheus would scrape it, 0 if there is none.
func (w *World) Metric(sample string) float64 {
	w.Helper()
	r := httptest.NewRecorder()
	w.Metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for l := range strings.Lines(r.Body.String()) {
		if v, ok := strings.CutPrefix(l, sample+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			w.Check(err)
			return f
		}
	}
	return 0
}

// AddUsers makes users u1001, u1002 … with these uids; they are members of the lobby.
func (w *World) AddUsers(uids ...core.UserID) {
	w.Helper()
	w.Check(w.DB.Update(context.Background(), func(ctx context.Context) error {
		for _, uid := range uids {
			if _, err := w.DB.Exec(ctx, `INSERT INTO "user" (uid, name, name_key, created_at) VALUES (?, ?, ?, 1)`,
				int64(uid), fmt.Sprint("u", uid), fmt.Sprint("u", uid)); err != nil {
				return err
			}
			if err := w.Chat.JoinLobby(ctx, uid); err != nil {
				return err
			}
		}
		return nil
	}))
}

// AddRoom makes a room with members that are in it from its start.
func (w *World) AddRoom(id core.ConversationID, members ...core.UserID) {
	w.Helper()
	w.Check(w.DB.Update(context.Background(), func(ctx context.Context) error {
		_, err := w.DB.Exec(ctx, `INSERT INTO conversation (id, kind, name, created_at) VALUES (?, 2, ?, 1)`,
			int64(id), fmt.Sprint("room", id))
		for _, m := range members {
			if err == nil {
				_, err = w.DB.Exec(ctx, `INSERT INTO member (user_id, conversation_id, joined_at) VALUES (?, ?, 1)`, int64(m), int64(id))
			}
		}
		return err
	}))
}

// Befriend makes two users friends.
func (w *World) Befriend(a, b core.Actor) {
	w.Helper()
	w.Check(w.Contacts.Request(context.Background(), a, b.User(), ""))
	_, err := w.Contacts.Accept(context.Background(), b, a.User(), "")
	w.Check(err)
}

// Listen serves a gateway on a loopback port and returns its address. A token is a uid, and as makes its actor.
func (w *World) Listen(g *Gateway, as func(core.UserID) core.Actor) string {
	w.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.Check(err)
	w.Cleanup(func() { _ = ln.Close() })
	w.Prepare(g, as)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if g.SendBuffer > 0 {
				_ = conn.(*net.TCPConn).SetWriteBuffer(g.SendBuffer)
			}
			w.Goroutines.Go("reader", func() { g.Serve(conn) })
		}
	}()
	return ln.Addr().String()
}

// Prepare fills in a gateway's world, and a profile if it has none.
func (w *World) Prepare(g *Gateway, as func(core.UserID) core.Actor) {
	g.Hub, g.Chat = w.Hub, w.Chat
	if g.Profile == nil {
		g.Profile = &session.Profile{Gateway: "line", CatchUp: true, AllRooms: true}
	}
	p := g.Profile
	if p.Codec == nil {
		p.Codec = Codec{}
	}
	if p.Farewell == nil {
		p.Farewell = Farewell
	}
	if p.Silence == 0 && !g.Patient {
		p.Silence = time.Minute
	}
	if p.LoginWithin == 0 && !g.Patient {
		p.LoginWithin = time.Minute
	}
	if g.Login == nil {
		g.Login = func(token string) (core.Actor, error) {
			uid, err := strconv.ParseInt(token, 10, 64)
			return as(core.UserID(uid)), err
		}
	}
	w.Hub.Use(p)
}

// WantPanics is how many panics the tests have caused on purpose.
var WantPanics atomic.Int64

// Main runs a package's tests and fails if a goroutine is left or a panic was swallowed.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if n := obs.Panics() - WantPanics.Load(); n != 0 {
			fmt.Fprintln(os.Stderr, n, "panics were recovered")
			code = 1
		}
		os.Exit(code)
	}))
}
