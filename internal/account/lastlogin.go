package account

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	loginsMost = 10_000
	visitsMost = 8 // people at one place
)

// place is where somebody logged in: unlike the throttle's, to the very address.
type place struct {
	gateway core.Gateway
	ip      netip.Addr
}

func placeOf(from core.Origin) place { return place{from.Gateway, from.IP.Unmap()} }

// visit is a login at a place.
type visit struct {
	proof
	at time.Time
}

// logins remembers who logged in at each place, the latest last.
type logins struct {
	*recent[place, []visit]
	mu sync.Mutex // makes a note one step
}

func newLogins() *logins { return &logins{recent: newRecent[place, []visit](loginsMost)} }

func (l *logins) note(from core.Origin, u core.User) {
	if !from.IP.IsValid() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before, _ := l.get(placeOf(from), time.Duration(math.MaxInt64))
	visits := make([]visit, 0, len(before)+1)
	for _, v := range before {
		if v.user != u.ID {
			visits = append(visits, v)
		}
	}
	visits = append(visits, visit{proof{u.ID, u.Epoch}, time.Now()})
	l.put(placeOf(from), visits[max(0, len(visits)-visitsMost):])
}

// LastLogin returns who logged in last through the gateway and from the IP address of from, by Login or Verify, within
// the time before now, and whose account is still what it was: core.ErrLoginRequired if there is nobody.
func (s *Service) LastLogin(ctx context.Context, from core.Origin, within time.Duration) (core.Actor, error) {
	visits, _ := s.logins.get(placeOf(from), within)
	for _, v := range slices.Backward(visits) {
		if time.Since(v.at) >= within {
			break
		}
		a, err := s.byID(ctx, v.user)
		if err = unlessNotFound(err); err != nil {
			return core.Actor{}, fmt.Errorf("last login: %w", err)
		}
		if v.good(a.user) {
			return core.NewActor(a.user), nil
		}
	}
	return core.Actor{}, fmt.Errorf("last login: %w", core.ErrLoginRequired)
}
