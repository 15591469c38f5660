package cs3

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/session"
)

const (
	gateway core.Gateway = "cs3"
	// probeTime is how long the TCP of a user's older connection has to acknowledge a ping.
	probeTime = 3 * time.Second
	// requestTime bounds the work on one request.
	requestTime = 30 * time.Second
	// retryEvery is how often a login looks whether the dead connection it displaces has gone.
	retryEvery = 10 * time.Millisecond

	defaultSilence = 390 * time.Second
)

// tokens are what logins hand out, docs/protocols/cs3.md#tokens.
var tokens = account.TokenKind{Name: string(gateway), TTL: time.Hour, Sliding: time.Minute}

// Config is what the gateway works with.
type Config struct {
	Accounts   *account.Service
	Chat       *chat.Service
	Hub        *session.Hub
	Log        *slog.Logger
	Goroutines *obs.Goroutines
	Metrics    *obs.Metrics
	// AvatarDir holds a folder for each user with their pictures. It need not exist.
	AvatarDir string
	// Link is where a file can be fetched without a token, "" for nowhere.
	Link func(core.File) string
	// Replay sends a session first what the user has missed in the lobby.
	Replay bool
	// Silence is how long a connection may say nothing, and how long it may stay without a login. Default 390 s.
	Silence time.Duration
}

// Gateway serves the protocol.
type Gateway struct {
	Config
	profile session.Profile
	objects prometheus.Counter
}

// New returns a gateway that serves nothing yet.
func New(cfg Config) *Gateway {
	if cfg.Silence == 0 {
		cfg.Silence = defaultSilence
	}
	g := &Gateway{Config: cfg, objects: cfg.Metrics.FramesIn.WithLabelValues(string(gateway))}
	g.profile = session.Profile{
		Gateway: gateway, Codec: codec{cfg.Link}, Silence: cfg.Silence, LoginWithin: cfg.Silence, CatchUp: cfg.Replay, Farewell: farewell,
	}
	cfg.Hub.Use(&g.profile)
	return g
}

// Serve serves the socket connections of a listener until it is closed.
func (g *Gateway) Serve(ln net.Listener) error { return g.Hub.Accept(ln, gateway, g.open) }

func (g *Gateway) open(nc net.Conn) {
	c := newConn(g, nc)
	g.Goroutines.Go("cs3 connection", c.turns.Next)
}

// origin tells where a request came from by the peer's address.
func origin(addr string) core.Origin {
	ap, _ := netip.ParseAddrPort(addr)
	return core.Origin{Gateway: gateway, IP: ap.Addr().Unmap()}
}

// register makes an account. The names of this protocol are a part of those that account allows.
func (g *Gateway) register(ctx context.Context, from core.Origin, in registerRequest) error {
	switch {
	case !validName(in.Username):
		return core.ErrInvalidName
	case in.Avatar != "" && !validAvatar(in.Avatar):
		return core.ErrInvalidAvatar
	}
	_, err := g.Accounts.Register(ctx, from, account.Registration{
		Name: in.Username, Password: account.Secret{Text: in.Password}, Avatar: in.Avatar,
	})
	return err
}

// authenticate checks a password. It comes before anything that tells who is online.
func (g *Gateway) authenticate(ctx context.Context, from core.Origin, in loginRequest) (core.User, core.Actor, error) {
	return g.Accounts.Login(ctx, from, in.Username, account.Secret{Text: in.Password})
}

// makeWay returns core.ErrAlreadyOnline if the user has a live connection. One whose peer is gone is dropped.
func (g *Gateway) makeWay(user core.UserID) error {
	older := g.Hub.Find(user, &g.profile)
	if older == nil {
		return nil
	}
	if older.Probe(ping, probeTime) {
		return core.ErrAlreadyOnline
	}
	older.Abort(session.Replaced)
	return nil
}

// enter makes a session the user's, unless the user has another one that lives.
func (g *Gateway) enter(ctx context.Context, s *session.Session, actor core.Actor) error {
	for {
		if err := g.makeWay(actor.User()); err != nil {
			return err
		}
		err := g.Hub.Register(s, actor, session.OlderWins, []core.ConversationID{core.Lobby})
		switch {
		case !errors.Is(err, core.ErrAlreadyOnline):
			return err
		case s.Closing():
			return core.ErrStopping
		}
		select { // what makeWay dropped is on its way out, or another login was quicker
		case <-time.After(retryEvery):
		case <-ctx.Done():
			return core.ErrAlreadyOnline
		}
	}
}

// speaker returns whose token it is. The user must be online on a socket, though it need not be the one that the token
// came through: whoever has the token may speak, as over HTTP.
func (g *Gateway) speaker(ctx context.Context, token string) (core.Actor, error) {
	if token == "" {
		return core.Actor{}, errTokenMissing
	}
	_, actor, err := g.Accounts.Authenticate(ctx, tokens, token)
	if err != nil {
		return core.Actor{}, err
	}
	s := g.Hub.Find(actor.User(), &g.profile)
	if s == nil {
		return core.Actor{}, core.ErrLoginRequired
	}
	s.KeepAlive()
	return actor, nil
}

// post says something in the lobby.
func (g *Gateway) post(ctx context.Context, actor core.Actor, text string, done func(error)) error {
	p := chat.Post{To: chat.Target{Room: core.Lobby}, Origin: gateway, Drafts: []chat.Draft{{Text: text}}}
	return g.Chat.Post(ctx, actor, p, func(_ []core.Message, err error) { done(err) })
}
