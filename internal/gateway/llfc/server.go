package llfc

import (
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/session"
)

// Name is the gateway's name in the core.
const Name core.Gateway = "llfc"

const (
	defaultSilence     = 20 * time.Second
	defaultLoginWithin = 60 * time.Second
)

// tokens is what /user_login hands out: docs/protocols/llfc.md#token.
var tokens = account.TokenKind{Name: string(Name), TTL: 30 * 24 * time.Hour, Sliding: 24 * time.Hour, Single: true}

// Config is what the gateway works with.
type Config struct {
	Accounts   *account.Service
	Contacts   *contact.Service
	Chat       *chat.Service
	Hub        *session.Hub
	Log        *slog.Logger
	Goroutines *obs.Goroutines
	Metrics    *obs.Metrics

	PublicAddr  string                 // host:port under which clients reach the listener; "" for what they asked the gate for
	Rooms       bool                   // rooms are shown as contacts
	Link        func(core.File) string // where a file can be fetched without a token, "" for nowhere
	Silence     time.Duration          // how long a connection may say nothing, default 20 s
	LoginWithin time.Duration          // how long a connection may stay without a login, default 60 s
}

// Gateway serves both halves of the protocol.
type Gateway struct {
	cfg      Config
	profile  session.Profile
	framesIn prometheus.Counter
	port     atomic.Pointer[string] // of the listener, once there is one
}

// New returns a gateway. It listens to nothing by itself: see Routes and Serve.
func New(cfg Config) *Gateway {
	if cfg.Silence == 0 {
		cfg.Silence = defaultSilence
	}
	if cfg.LoginWithin == 0 {
		cfg.LoginWithin = defaultLoginWithin
	}
	g := &Gateway{cfg: cfg, framesIn: cfg.Metrics.FramesIn.WithLabelValues(string(Name))}
	g.profile = session.Profile{
		Gateway: Name, Codec: codec{cfg.Rooms, cfg.Link}, Silence: cfg.Silence, LoginWithin: cfg.LoginWithin,
		CatchUp: true, AllRooms: cfg.Rooms, Farewell: farewell,
	}
	cfg.Hub.Use(&g.profile)
	return g
}

// Bind makes known on which listener Serve will be called: logins at the gate are sent there from now on.
func (g *Gateway) Bind(ln net.Listener) {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		port := strconv.Itoa(a.Port)
		g.port.Store(&port)
	}
}

// Serve serves the connections of a listener until it is closed.
func (g *Gateway) Serve(ln net.Listener) error { return g.cfg.Hub.Accept(ln, Name, g.open) }
