package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	pairsMost = 10_000
	pairLife  = 5 * time.Minute // after the last full check; use does not prolong it
)

// proof is what a full check of a password has shown: who it was, under which epoch.
type proof struct {
	user  core.UserID
	epoch int64
}

// good reports whether a proof still says something about the account.
func (p proof) good(u core.User) bool { return u.Epoch == p.epoch && !u.Disabled }

// pairs remembers logins and passwords that belong together, under hashes whose key dies with the process.
type pairs struct {
	key [sha256.Size]byte
	*recent[pairHash, proof]

	mu     sync.Mutex // guards checks
	checks map[pairHash]chan struct{}
}

type pairHash [sha256.Size]byte

func newPairs() *pairs {
	p := &pairs{recent: newRecent[pairHash, proof](pairsMost), checks: map[pairHash]chan struct{}{}}
	_, _ = rand.Read(p.key[:])
	return p
}

// hash covers the place as well: elsewhere the throttle has to judge the pair anew.
func (p *pairs) hash(network, login string, password Secret) (sum pairHash) {
	b := make([]byte, 0, 256)
	for _, part := range [...]string{network, login, password.Text} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	if password.MaybeXORed {
		b = append(b, 1)
	}
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write(b)
	mac.Sum(sum[:0])
	return sum
}

// begin makes the caller the one who checks a pair in full, or returns what is closed when the one who does is done.
func (p *pairs) begin(pair pairHash) (over <-chan struct{}, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if over, ok := p.checks[pair]; ok {
		return over, false
	}
	p.checks[pair] = make(chan struct{})
	return nil, true
}

func (p *pairs) end(pair pairHash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.checks[pair])
	delete(p.checks, pair)
}

// Verify is Login for clients that send the password with every request: what Login has found right is remembered for
// some minutes. A new password, or the end of the account, voids it at once.
func (s *Service) Verify(ctx context.Context, from core.Origin, login string, password Secret) (core.User, core.Actor, error) {
	if len(login) > maxLogin || checkPassword(password) != nil {
		return s.Login(ctx, from, login, password)
	}
	pair := s.pairs.hash(network(from.IP), login, password)
	for {
		u, known, err := s.recall(ctx, from, pair)
		if err != nil {
			return core.User{}, core.Actor{}, fmt.Errorf("verify: %w", err)
		}
		if known {
			s.logins.note(from, u)
			return u, core.NewActor(u), nil
		}
		over, mine := s.pairs.begin(pair)
		if mine {
			return s.checkPair(ctx, from, login, password, pair)
		}
		// Many requests at once with one right password must not look like so many attempts.
		select {
		case <-over:
		case <-ctx.Done():
			return core.User{}, core.Actor{}, fmt.Errorf("verify: %w", ctx.Err())
		}
	}
}

// Pass is what one connection has proved. Who goes on sending the same pair on it is not judged by what others at the same
// address do; nobody else can use it to try passwords. The zero Pass has proved nothing.
type Pass struct {
	pair  pairHash
	proof proof
}

// VerifyAgain is Verify for one connection, whose pass it keeps. The account is looked at each time.
func (s *Service) VerifyAgain(ctx context.Context, pass *Pass, from core.Origin, login string, password Secret) (core.User, core.Actor, error) {
	if len(login) > maxLogin || checkPassword(password) != nil {
		return s.Verify(ctx, from, login, password)
	}
	pair := s.pairs.hash(network(from.IP), login, password)
	if pass.proof.user != 0 && hmac.Equal(pair[:], pass.pair[:]) {
		a, err := s.byID(ctx, pass.proof.user)
		switch {
		case err == nil && pass.proof.good(a.user):
			s.logins.note(from, a.user)
			return a.user, core.NewActor(a.user), nil
		case unlessNotFound(err) != nil:
			return core.User{}, core.Actor{}, fmt.Errorf("verify: %w", err)
		}
		*pass = Pass{}
	}
	u, actor, err := s.Verify(ctx, from, login, password)
	if err == nil {
		*pass = Pass{pair, proof{u.ID, u.Epoch}}
	}
	return u, actor, err
}

// checkPair is the full check that the caller has begun.
func (s *Service) checkPair(ctx context.Context, from core.Origin, login string, password Secret, pair pairHash) (core.User, core.Actor, error) {
	defer s.pairs.end(pair)
	u, actor, err := s.Login(ctx, from, login, password)
	if err == nil {
		// Should the password have changed since, the epoch tells.
		s.pairs.put(pair, proof{u.ID, u.Epoch})
	}
	return u, actor, err
}

// recall returns the account that a pair is remembered to prove, if it still does. While wrong passwords from the
// same place have to wait, so has the right one: otherwise guessing would go on, with the remembered one as the answer.
func (s *Service) recall(ctx context.Context, from core.Origin, pair pairHash) (u core.User, known bool, err error) {
	p, ok := s.pairs.get(pair, pairLife)
	if !ok {
		return core.User{}, false, nil
	}
	a, err := s.byID(ctx, p.user)
	if err != nil || !p.good(a.user) {
		s.pairs.drop(pair)
		return core.User{}, false, unlessNotFound(err)
	}
	err = s.throttle.waiting(ctx, accountKey(p.user), network(from.IP))
	return a.user, true, err
}
