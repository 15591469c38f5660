package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"parley/internal/core"
)

// maxLogin is the longest text, in bytes, that can be somebody's name, e-mail address or phone number.
const maxLogin = maxRawName

// Login proves who somebody is by a password. login is a name, a verified e-mail address, a phone number or a uid.
// That an account is disabled is told only to those who know its password.
func (s *Service) Login(ctx context.Context, from core.Origin, login string, password Secret) (core.User, core.Actor, error) {
	u, err := s.login(ctx, from, login, password)
	s.cfg.Metrics.Logins.WithLabelValues(string(from.Gateway), outcome(err)).Inc()
	if err != nil {
		return core.User{}, core.Actor{}, fmt.Errorf("login: %w", err)
	}
	s.logins.note(from, u)
	return u, core.NewActor(u), nil
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, core.ErrBadCredentials):
		return "refused"
	case errors.Is(err, core.ErrThrottled):
		return "throttled"
	case errors.Is(err, core.ErrDisabled):
		return "disabled"
	case errors.Is(err, core.ErrBusy):
		return "busy"
	}
	return "failed"
}

func (s *Service) login(ctx context.Context, from core.Origin, login string, password Secret) (core.User, error) {
	if checkPassword(password) != nil {
		return core.User{}, core.ErrBadCredentials
	}
	a, err := s.find(ctx, login)
	key := accountKey(a.user.ID)
	switch {
	case errors.Is(err, core.ErrUserNotFound):
		key = missingKey(login)
	case err != nil:
		return core.User{}, err
	}
	v, err := s.judge(ctx, from, key, a, password)
	if err != nil {
		return core.User{}, err
	}
	if v.hash != a.hash || v.asSent != a.asSent {
		if err := s.replaceHash(ctx, a, v.hash, v.asSent); err != nil {
			s.cfg.Log.Warn("a password hash could not be renewed", "uid", a.user.ID, "err", err)
		}
	}
	return s.stillGood(ctx, a.user)
}

// judge compares a password with an account's, as often as the throttle lets it: core.ErrBadCredentials if it is wrong.
func (s *Service) judge(ctx context.Context, from core.Origin, key string, a account, password Secret) (verdict, error) {
	try, err := s.throttle.admit(ctx, key, network(from.IP))
	if err != nil {
		return verdict{}, err
	}
	var v verdict
	if err := s.hashes.run(ctx, func() { v = s.compare(a, password) }); err != nil {
		return verdict{}, errors.Join(err, s.throttle.withdrawn(ctx, try))
	}
	if !v.ok {
		return verdict{}, core.ErrBadCredentials
	}
	return v, s.throttle.succeeded(ctx, try)
}

// welcome makes the place somebody comes from known to their account.
func (s *Service) welcome(ctx context.Context, user core.UserID, from core.Origin) {
	if err := s.throttle.welcome(ctx, accountKey(user), network(from.IP)); err != nil {
		s.cfg.Log.Warn("a login from this place may be slowed later", "uid", user, "err", err)
	}
}

// stillGood returns the account as it is now, unless it was changed while its password was being checked.
func (s *Service) stillGood(ctx context.Context, u core.User) (core.User, error) {
	now, err := s.byID(ctx, u.ID)
	switch {
	case err != nil:
		return u, err
	case now.user.Disabled:
		return u, core.ErrDisabled
	case now.user.Epoch != u.Epoch:
		return u, core.ErrBadCredentials
	}
	return now.user, nil
}

// find returns the account that a login text means, or core.ErrUserNotFound. Digits are a uid first, then a name. What
// has an @ is a verified address first, so that nobody stands in its owner's way with a name.
func (s *Service) find(ctx context.Context, login string) (account, error) {
	if len(login) > maxLogin {
		return account{}, core.ErrUserNotFound
	}
	var ways []func() (account, error)
	if id, ok := parseID(login); ok {
		ways = append(ways, func() (account, error) { return s.byID(ctx, id) })
	}
	if strings.Contains(login, "@") {
		ways = append(ways, func() (account, error) { return s.byEmail(ctx, strings.ToLower(login)) })
	}
	ways = append(ways,
		func() (account, error) { return s.byName(ctx, NameKey(login)) },
		func() (account, error) { return s.byPhone(ctx, login) },
	)
	for _, way := range ways {
		if a, err := way(); !errors.Is(err, core.ErrUserNotFound) {
			return a, err
		}
	}
	return account{}, core.ErrUserNotFound
}
