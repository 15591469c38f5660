// Package account knows who people are: registration, verification codes, passwords, logins, tokens and profiles.
// It alone makes Actors, and it alone reads and writes passwords.
package account

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"parley/internal/cluster"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

// Who may register, for all gateways alike.
const (
	Open   = "open"   // everybody; a code only where the gateway asks for one
	Code   = "code"   // who proves an e-mail address or a phone number
	Invite = "invite" // who was invited
	Closed = "closed" // nobody
)

// Config is what the operator may set.
type Config struct {
	Registration    string // Open, Code, Invite or Closed; "" is Open
	RegisterPerHour int    // registrations an hour from one IP, 0 for no limit
	Requests        int    // requests a minute that Pace lets through, 0 for no limit
	AvatarDir       string // where the people's pictures are kept: a folder for each name
	Log             *slog.Logger
	Metrics         *obs.Metrics
	Goroutines      *obs.Goroutines
}

// Mailer brings a verification code to an e-mail address. It returns once the message is in other hands.
type Mailer interface {
	SendCode(ctx context.Context, to, code string) error
}

// Texter brings a verification code to a phone. It returns once the message is in other hands.
type Texter interface {
	TextCode(ctx context.Context, to, code string) error
}

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Rooms takes new accounts in, in the unit of work of the context.
type Rooms interface {
	// JoinLobby makes a new account a member of the lobby.
	JoinLobby(ctx context.Context, user core.UserID) error
	// LinkedRoom returns where a link leads: core.ErrLinkNotFound if it does not work.
	LinkedRoom(ctx context.Context, token string) (core.Conversation, error)
	// Admit makes a user a member of the room that a link leads into, and counts its use.
	Admit(ctx context.Context, user core.UserID, token string) (core.Conversation, error)
}

// Service is the accounts of one installation.
type Service struct {
	db       *store.DB
	throttle throttle
	mail     Mailer
	texts    Texter
	audit    Auditor
	rooms    Rooms
	cfg      Config // as the service began; what may change since is in live
	live     live
	hashes   *hasher
	pairs    *pairs
	logins   *logins
	key      signingKey
	revoked  []func(core.UserID, int64)
	ended    []func(core.UserID, int64)
	leaving  []func(context.Context, core.UserID) error
}

// New returns the service. All of Config's pointers must be set.
func New(db *store.DB, keys *cluster.Local, mail Mailer, texts Texter, audit Auditor, rooms Rooms, cfg Config) *Service {
	s := &Service{
		db: db, throttle: throttle{keys}, mail: mail, texts: texts, audit: audit, rooms: rooms, cfg: cfg,
		hashes: newHasher(defaultCost), pairs: newPairs(), logins: newLogins(),
	}
	s.SetRegistration(cmp.Or(cfg.Registration, Open))
	s.SetLimits(cfg.RegisterPerHour, cfg.Requests)
	return s
}

// OnRevoke registers what must happen when an account's epoch rises: everything that was proved under an older epoch
// is void. fn runs after the commit and must not block. OnRevoke is called before the service is used.
func (s *Service) OnRevoke(fn func(user core.UserID, epoch int64)) { s.revoked = append(s.revoked, fn) }

// OnDeviceClosed registers what must happen when a device is logged out while the account's epoch stays: what was proved
// on it is void. fn runs after the commit and must not block. OnDeviceClosed is called before the service is used.
func (s *Service) OnDeviceClosed(fn func(user core.UserID, device int64)) {
	s.ended = append(s.ended, fn)
}

// OnLeave registers what else has to go when somebody deletes their account. fn runs in the unit of work of the deletion.
// OnLeave is called before the service is used.
func (s *Service) OnLeave(fn func(ctx context.Context, user core.UserID) error) {
	s.leaving = append(s.leaving, fn)
}

// Profile returns an account: in full to its owner and to those who administer, else what everybody may see.
func (s *Service) Profile(ctx context.Context, actor core.Actor, user core.UserID) (core.User, error) {
	if !actor.Known() && !administers(actor) {
		return core.User{}, fmt.Errorf("profile: %w", core.ErrLoginRequired)
	}
	a, err := s.byID(ctx, user)
	if err != nil {
		return core.User{}, fmt.Errorf("profile: %w", err)
	}
	if actor.User() == user || administers(actor) {
		return a.user, nil
	}
	return a.user.Public(), nil
}

func administers(a core.Actor) bool { return a.Operator() || a.Admin() }

// target names an account in the audit log.
func target(user core.UserID) string { return "user " + strconv.FormatInt(int64(user), 10) }
