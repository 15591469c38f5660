package account

import (
	"testing"

	"parley/internal/core"
)

func TestCountLeavesDeletedAccountsOut(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	bob, cyd := e.add("bob"), e.add("cyd")
	e.no(e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", true))
	e.no(e.Remove(e.ctx, e.operator(), core.Origin{}, cyd.ID))
	if n, err := e.Count(e.ctx, e.operator()); err != nil || n != 2 {
		t.Errorf("%d accounts, %v", n, err)
	}
	for _, actor := range []core.Actor{{}, core.NewActor(bob)} {
		_, err := e.Count(e.ctx, actor)
		e.is(err, core.ErrForbidden)
	}
}
