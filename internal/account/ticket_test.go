package account

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/core"
)

// ticket issues a ticket to somebody on a device of theirs.
func (e *env) ticket(g Grant) string {
	e.t.Helper()
	actor, _, err := e.AuthenticateDevice(e.ctx, g.Access)
	e.no(err)
	ticket, life, err := e.IssueTicket(e.ctx, actor)
	e.no(err)
	if life != 30*time.Second {
		e.t.Errorf("it lives for %v", life)
	}
	return ticket
}

func (e *env) redeemed(ticket string) error {
	_, err := e.RedeemTicket(e.ctx, ticket)
	return err
}

func TestATicketIsGoodOnce(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	g := e.device("ann")
	ticket := e.ticket(g)
	actor, err := e.RedeemTicket(e.ctx, ticket)
	e.no(err)
	if actor.User() != u.ID || actor.Name() != "ann" || actor.Epoch() != 1 || DeviceID(actor.Device()) != g.Device {
		t.Errorf("%+v", actor)
	}
	e.is(e.redeemed(ticket), core.ErrNoToken)
	for _, other := range []string{"", "x", e.ticket(g) + "0", g.Access} {
		e.is(e.redeemed(other), core.ErrNoToken)
	}
	_, _, err = e.IssueTicket(e.ctx, core.Actor{})
	e.is(err, core.ErrLoginRequired)
}

func TestOfManyWhoRedeemATicketOneDoes(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	ticket := e.ticket(e.device("ann"))
	var wg sync.WaitGroup
	var good atomic.Int32
	for range 50 {
		wg.Go(func() {
			switch err := e.redeemed(ticket); {
			case err == nil:
				good.Add(1)
			case !errors.Is(err, core.ErrNoToken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d came in", good.Load())
	}
}

func TestATicketEndsAfterHalfAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		g := e.device("ann")
		early, late := e.ticket(g), e.ticket(g)
		time.Sleep(30*time.Second - time.Millisecond)
		e.no(e.redeemed(early))
		time.Sleep(time.Millisecond)
		e.is(e.redeemed(late), core.ErrNoToken)
	})
}

func TestATicketEndsWithWhatItWasIssuedOn(t *testing.T) {
	for what, end := range map[string]func(e *env, u core.User, g Grant) error{
		"the device": func(e *env, _ core.User, g Grant) error { return e.CloseDevice(e.ctx, e.actor("ann"), g.Device) },
		"the password": func(e *env, u core.User, _ Grant) error {
			return e.SetPassword(e.ctx, e.operator(), home(), "ann", "other")
		},
		"the right":   func(e *env, u core.User, _ Grant) error { return e.Ban(e.ctx, e.operator(), home(), u.ID, true) },
		"the account": func(e *env, u core.User, _ Grant) error { return e.Remove(e.ctx, e.operator(), home(), u.ID) },
	} {
		t.Run(what, func(t *testing.T) {
			e := newEnv(t)
			u := e.add("ann")
			g := e.device("ann")
			ticket := e.ticket(g)
			e.no(end(e, u, g))
			e.is(e.redeemed(ticket), core.ErrNoToken)
		})
	}
}
