package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"parley/internal/core"
)

// ticketLife is how long a ticket is good for.
const ticketLife = 30 * time.Second

// IssueTicket returns a ticket that proves once, within a short time, what the actor has proved: for where a token would be
// seen, such as in an address.
func (s *Service) IssueTicket(ctx context.Context, actor core.Actor) (ticket string, life time.Duration, err error) {
	if !actor.Known() {
		return "", 0, fmt.Errorf("issue a ticket: %w", core.ErrLoginRequired)
	}
	ticket = newToken()
	value := fmt.Sprintf("%d %d %d", actor.User(), actor.Epoch(), actor.Device())
	if err := s.throttle.keys.Set(ctx, ticketKey(ticket), value, ticketLife); err != nil {
		return "", 0, fmt.Errorf("issue a ticket: %w", err)
	}
	return ticket, ticketLife, nil
}

// RedeemTicket uses a ticket up. core.ErrNoToken if it is none, was used, is too old, or if what it was issued on is gone:
// the device, the password or the account.
func (s *Service) RedeemTicket(ctx context.Context, ticket string) (core.Actor, error) {
	actor, err := s.redeem(ctx, ticket)
	if err != nil {
		return core.Actor{}, fmt.Errorf("redeem a ticket: %w", err)
	}
	return actor, nil
}

func (s *Service) redeem(ctx context.Context, ticket string) (core.Actor, error) {
	if len(ticket) != tokenLength {
		return core.Actor{}, core.ErrNoToken
	}
	value, ok, err := s.throttle.keys.Take(ctx, ticketKey(ticket))
	if err != nil {
		return core.Actor{}, err
	}
	if !ok {
		return core.Actor{}, core.ErrNoToken
	}
	var user core.UserID
	var epoch, device int64
	if _, err := fmt.Sscan(value, &user, &epoch, &device); err != nil {
		return core.Actor{}, err
	}
	a, err := s.byID(ctx, user)
	if unlessNotFound(err) != nil {
		return core.Actor{}, err
	}
	if err != nil || a.user.Disabled || a.user.Epoch != epoch {
		return core.Actor{}, core.ErrNoToken
	}
	actor := core.NewActor(a.user).OnDevice(device)
	if device == 0 {
		return actor, nil
	}
	return actor, s.unlessOn(ctx, core.ErrNoToken, actor)
}

func ticketKey(ticket string) string { return "parley:ticket:" + hex.EncodeToString(tokenHash(ticket)) }
