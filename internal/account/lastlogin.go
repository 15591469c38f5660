package account

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"parley/internal/core"
)

const loginsMost = 10_000

// place is where somebody logged in: unlike the throttle's, to the very address.
type place struct {
	gateway core.Gateway
	ip      netip.Addr
}

func placeOf(from core.Origin) place { return place{from.Gateway, from.IP.Unmap()} }

// logins remembers who logged in last at each place.
type logins struct{ *recent[place, proof] }

func newLogins() *logins { return &logins{newRecent[place, proof](loginsMost)} }

func (l *logins) note(from core.Origin, u core.User) {
	if from.IP.IsValid() {
		l.put(placeOf(from), proof{u.ID, u.Epoch})
	}
}

// LastLogin returns who logged in last through the gateway and from the IP address of from, by Login or Verify, within
// the time before now: core.ErrLoginRequired if nobody did, or if what was proved then is void by now.
func (s *Service) LastLogin(ctx context.Context, from core.Origin, within time.Duration) (core.Actor, error) {
	p, ok := s.logins.get(placeOf(from), within)
	if !ok {
		return core.Actor{}, fmt.Errorf("last login: %w", core.ErrLoginRequired)
	}
	a, err := s.byID(ctx, p.user)
	if err = unlessNotFound(err); err == nil && !p.good(a.user) {
		err = core.ErrLoginRequired
	}
	if err != nil {
		return core.Actor{}, fmt.Errorf("last login: %w", err)
	}
	return core.NewActor(a.user), nil
}
