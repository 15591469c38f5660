package account

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"parley/internal/cluster"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// cheap is a hash that costs next to nothing.
var cheap = cost{memory: 64, time: 1, threads: 1}

// env is a service on a real database, with the parts around it that this package does not own.
type env struct {
	*Service
	t    testing.TB
	ctx  context.Context
	mail *mailbox
	sms  *mailbox
	tx   *inUnit
}

func newEnv(t testing.TB, edit ...func(*Config)) *env {
	t.Helper()
	ctx := context.Background()
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	db, err := store.Open(ctx, store.Config{Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: log, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := Config{Log: log, Metrics: metrics, Goroutines: obs.NewGoroutines(log)}
	for _, e := range edit {
		e(&cfg)
	}
	e := &env{t: t, ctx: ctx, mail: &mailbox{}, sms: &mailbox{}, tx: &inUnit{db: db}}
	e.Service = New(db, cluster.NewLocal(), e.mail, e.sms, e.tx, e.tx, cfg)
	e.hashes = newHasher(cheap)
	return e
}

// inBubble runs a test whose time stands still unless everything waits.
func inBubble(t *testing.T, fn func(t *testing.T, e *env), edit ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, newEnv(t, edit...)) })
}

func policy(p string) func(*Config)  { return func(c *Config) { c.Registration = p } }
func perHour(n int) func(*Config)    { return func(c *Config) { c.RegisterPerHour = n } }
func plain(text string) Secret       { return Secret{Text: text} }
func maybeXORed(text string) Secret  { return Secret{Text: text, MaybeXORed: true} }
func from(ip string) core.Origin     { return core.Origin{Gateway: "test", IP: netip.MustParseAddr(ip)} }
func home() core.Origin              { return from("192.0.2.1") }
func (e *env) operator() core.Actor  { return e.Operator() }
func (e *env) all(q string) (n int)  { e.scan(q, &n); return n }
func (e *env) text(q string) string  { var s string; e.scan(q, &s); return s }
func (e *env) scan(q string, to any) { e.t.Helper(); e.no(e.db.QueryRow(e.ctx, q, nil, to)) }
func (e *env) no(err error)          { e.t.Helper(); e.is(err, nil) }

func (e *env) is(err, want error) {
	e.t.Helper()
	if !errors.Is(err, want) {
		e.t.Fatalf("error is %v, want %v", err, want)
	}
}

func (e *env) exec(q string, args ...any) {
	e.t.Helper()
	e.no(e.db.Update(e.ctx, func(ctx context.Context) error {
		_, err := e.db.Exec(ctx, q, args...)
		return err
	}))
}

// add makes an account with the password "secret" and the e-mail address name@example.com.
func (e *env) add(name string) core.User {
	e.t.Helper()
	u, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: name, Email: name + "@example.com", Password: "secret"})
	e.no(err)
	return u
}

func (e *env) login(login, password string, o core.Origin) error {
	_, _, err := e.Login(e.ctx, o, login, plain(password))
	return err
}

func (e *env) actor(login string) core.Actor {
	e.t.Helper()
	_, a, err := e.Login(e.ctx, home(), login, plain("secret"))
	e.no(err)
	return a
}

// codeFor has a code sent and reads it from the mail.
func (e *env) codeFor(email string) string {
	e.t.Helper()
	e.no(e.SendCode(e.ctx, home(), email))
	return e.mail.last().code
}

// codeForPhone has a code sent and reads it from the phone.
func (e *env) codeForPhone(phone string) string {
	e.t.Helper()
	e.no(e.SendPhoneCode(e.ctx, home(), phone))
	return e.sms.last().code
}

func wrong(code string) string {
	if code == "0000" {
		return "0001"
	}
	return "0000"
}

type letter struct{ to, code string }

// mailbox takes the mails, or the text messages, of a test.
type mailbox struct {
	mu      sync.Mutex // guards letters
	letters []letter
	sending func(ctx context.Context, to, code string) error // called first, if set
}

func (m *mailbox) SendCode(ctx context.Context, to, code string) error {
	if m.sending != nil {
		if err := m.sending(ctx, to, code); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, letter{to, code})
	return nil
}

func (m *mailbox) TextCode(ctx context.Context, to, code string) error {
	return m.SendCode(ctx, to, code)
}

func (m *mailbox) last() letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.letters[len(m.letters)-1]
}

// inUnit stands for the audit log and the rooms. It writes their tables, which the store refuses outside a unit of work.
type inUnit struct {
	Rooms   // where links lead, for the tests of invitations
	db      *store.DB
	failing error
}

func (x *inUnit) Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error {
	if x.failing != nil {
		return x.failing
	}
	_, err := x.db.Exec(ctx, `INSERT INTO audit (at, actor_id, actor_name, action, target, detail, gateway, ip) VALUES (0, ?, ?, ?, ?, ?, ?, ?)`,
		actor.User(), actor.Name(), action, target, detail, string(from.Gateway), from.IP.String())
	return err
}

func (x *inUnit) JoinLobby(ctx context.Context, user core.UserID) error {
	_, err := x.db.Exec(ctx, `INSERT INTO member (user_id, conversation_id, joined_at) VALUES (?, ?, 0)`, user, core.Lobby)
	return err
}
