package dpc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/obs"
	"parley/internal/session"
)

const (
	gateway core.Gateway = "dpc"
	// maxMessage is the longest message that is read, in bytes, its header not counted.
	maxMessage = 64 << 10
	// maxSaid is the same on the chat port: the longest text of a chat, with every character escaped.
	maxSaid = 192 << 10
	// requestTime bounds the work on one request, but for the bytes of files.
	requestTime = 30 * time.Second
	// prefixLen is how many random characters tell the messages of one connection from all others.
	prefixLen = 16

	defaultSilence     = 300 * time.Second
	defaultStall       = 30 * time.Second
	defaultMessageTime = 30 * time.Second
	defaultLoginWithin = time.Hour

	// maxAuth and maxAuthIP are how many connections the port for accounts takes, maxChatIP the chat from one address.
	maxAuth   = 1000
	maxAuthIP = 200
	maxChatIP = 200
)

// Who hears the lobby before saying who it is: docs/protocols/dpc.md#who-listens.
const (
	ListenLogin  = "login"  // whose address logged in within loginAge
	ListenOpen   = "open"   // everybody
	ListenStrict = "strict" // nobody

	loginAge = time.Hour
)

// keepAlive finds out whether the peer of a chat connection is still there; it need not ever speak.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// Config is what the gateway works with.
type Config struct {
	Accounts   *account.Service
	Chat       *chat.Service
	Files      *file.Service
	Hub        *session.Hub
	Log        *slog.Logger
	Goroutines *obs.Goroutines
	Metrics    *obs.Metrics
	// Link is where a file can be fetched without a token, "" for nowhere.
	Link func(core.File) string
	// Listen is ListenLogin, ListenOpen or ListenStrict.
	Listen string
	// Silence is how long a connection for accounts or files may ask nothing. Default 300 s.
	Silence time.Duration
	// Stall is how long the transfer of a file may stand still. Default 30 s.
	Stall time.Duration
	// MessageTime is how long a message may take from its first byte to its last. Default 30 s.
	MessageTime time.Duration
	// LoginWithin is how long a chat connection that may not listen may stay without saying who it is. Default 1 h.
	LoginWithin time.Duration
}

// Gateway serves the protocol.
type Gateway struct {
	Config
	authProfile session.Profile
	chatProfile session.Profile
	auths       *places
	chats       *places
	transfers   transfers
	messages    prometheus.Counter
	connections prometheus.Gauge
}

// New returns a gateway that serves nothing yet. It comes before the accounts are used, since it wants to know of revocations.
func New(cfg Config) *Gateway {
	cfg.Silence = cmp.Or(cfg.Silence, defaultSilence)
	cfg.Stall = cmp.Or(cfg.Stall, defaultStall)
	cfg.MessageTime = cmp.Or(cfg.MessageTime, defaultMessageTime)
	cfg.LoginWithin = cmp.Or(cfg.LoginWithin, defaultLoginWithin)
	g := &Gateway{
		Config: cfg, auths: newPlaces(maxAuth, maxAuthIP), chats: newPlaces(0, maxChatIP), transfers: newTransfers(),
		messages:    cfg.Metrics.FramesIn.WithLabelValues(string(gateway)),
		connections: cfg.Metrics.Connections.WithLabelValues(string(gateway), "open"),
		authProfile: session.Profile{Gateway: gateway, Codec: codec{cfg.Link}, Silence: cfg.Silence},
		chatProfile: session.Profile{Gateway: gateway, Codec: codec{cfg.Link}, LoginWithin: cfg.LoginWithin, Farewell: farewell},
	}
	cfg.Hub.Use(&g.authProfile)
	cfg.Hub.Use(&g.chatProfile)
	cfg.Accounts.OnRevoke(g.transfers.revoke) // the file port's connections are not the hub's
	return g
}

// ServeAuth serves logins and registrations on a TCP listener until it is closed.
func (g *Gateway) ServeAuth(ln net.Listener) error { return g.Hub.Accept(ln, gateway, g.openAuth) }

// ServeChat serves the chat on a TCP listener until it is closed.
func (g *Gateway) ServeChat(ln net.Listener) error { return g.Hub.Accept(ln, gateway, g.openChat) }

// ServeFiles serves files on a TCP listener until it is closed.
func (g *Gateway) ServeFiles(ln net.Listener) error { return g.Hub.Accept(ln, gateway, g.openFiles) }

// Stop ends the connections of the file port: those between two requests at once, those in the middle of one when it is done or
// the context ends. The hub ends the others.
func (g *Gateway) Stop(ctx context.Context) {
	if n := g.transfers.stop(ctx); n > 0 {
		g.Log.Error("transfers did not end", "gateway", gateway, "transfers", n)
	}
}

func (g *Gateway) openAuth(nc net.Conn) {
	nc, ok := g.auths.admit(nc)
	if !ok {
		return
	}
	c := newConn(g, nc, &g.authProfile, authCommands, maxMessage)
	g.Goroutines.Go("dpc connection", c.turns.Next)
}

func (g *Gateway) openChat(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // fails only if the connection is gone
	}
	nc, ok := g.chats.admit(nc)
	if !ok {
		return
	}
	c := newConn(g, nc, &g.chatProfile, chatCommands, maxSaid)
	c.forgiving, c.prefix = true, rand.Text()[:prefixLen]+"-"
	c.session.Own(c.prefix)
	g.Goroutines.Go("dpc connection", func() {
		defer g.Goroutines.Go("dpc connection", c.turns.Next) // another goroutine: this one's stack has grown
		c.listen()
	})
}

// origin tells where a connection comes from.
func origin(nc net.Conn) core.Origin {
	ap, _ := netip.ParseAddrPort(nc.RemoteAddr().String())
	return core.Origin{Gateway: gateway, IP: ap.Addr().Unmap()}
}

// sponsor returns on whose account a connection may listen before it has said who it is, and whether it may.
func (g *Gateway) sponsor(ctx context.Context, from core.Origin) (core.Actor, bool) {
	switch g.Listen {
	case ListenOpen:
		return core.Actor{}, true
	case ListenStrict:
		return core.Actor{}, false
	}
	actor, err := g.Accounts.LastLogin(ctx, from, loginAge)
	if err != nil && !errors.Is(err, core.ErrLoginRequired) {
		g.Log.Error("the last login is not known", "gateway", gateway, "err", err)
	}
	return actor, err == nil
}

// verify finds out who somebody is by the name and the password of a request.
func (g *Gateway) verify(ctx context.Context, from core.Origin, who credentials) (core.Actor, error) {
	_, actor, err := g.Accounts.Verify(ctx, from, string(who.Name), account.Secret{Text: string(who.Password)})
	return actor, err
}
