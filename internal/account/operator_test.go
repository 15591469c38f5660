package account

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/core"
)

// TestFromTheWrongSide calls what only those who administer may do, as everybody else.
func TestFromTheWrongSide(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	e.add("eve")
	for who, a := range map[string]core.Actor{"nobody": {}, "a user": e.actor("eve")} {
		_, err := e.Add(e.ctx, a, home(), NewUser{Name: "x", Password: "x", Admin: true})
		_, lerr := e.List(e.ctx, a)
		_, terr := e.SetupToken(e.ctx, a)
		for _, err := range []error{
			err, lerr, terr, e.SetPassword(e.ctx, a, home(), "bob", "stolen"), e.SetDisabled(e.ctx, a, home(), "bob", true),
			e.SetPassword(e.ctx, a, home(), "no such user", "x"),
		} {
			if !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%s: %v", who, err)
			}
		}
	}
	if e.all(`SELECT count(*) FROM "user"`) != 2 || e.all(`SELECT max(epoch) FROM "user"`) != 1 {
		t.Error("something was changed")
	}
	e.no(e.login("bob", "secret", home()))
}

func TestProfiles(t *testing.T) {
	e := newEnv(t)
	bob, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "bob", Email: "bob@example.com", Phone: "13800138000", Password: "secret"})
	e.no(err)
	eve := e.add("eve")
	admin, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "admin", Password: "secret", Admin: true})
	e.no(err)
	for _, c := range []struct {
		who  core.Actor
		want core.User
	}{
		{core.NewActor(bob), bob}, {core.NewActor(admin), bob}, {e.operator(), bob}, {core.NewActor(eve), bob.Public()},
	} {
		got, err := e.Profile(e.ctx, c.who, bob.ID)
		e.no(err)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.who.Name(), d)
		}
	}
	_, err = e.Profile(e.ctx, core.Actor{}, bob.ID)
	e.is(err, core.ErrLoginRequired)
	_, err = e.Profile(e.ctx, core.NewActor(bob), 999)
	e.is(err, core.ErrUserNotFound)
}

func TestAdd(t *testing.T) {
	e := newEnv(t, policy(Closed))
	u, err := e.Add(e.ctx, e.operator(), core.Origin{Gateway: "control"}, NewUser{Name: "bob", Email: "Bob@example.com", Phone: "+8613800138000", Password: "secret", Admin: true})
	e.no(err)
	if !u.EmailVerified || !u.PhoneVerified || !u.Admin || u.ID != 1001 {
		t.Errorf("%+v", u)
	}
	if e.all(`SELECT count(*) FROM member WHERE user_id = 1001`) != 1 ||
		e.all(`SELECT count(*) FROM audit WHERE action = 'account.add' AND actor_name = 'operator' AND target = 'user 1001' AND gateway = 'control'`) != 1 {
		t.Error("not in the lobby, or not in the audit log")
	}
	for _, c := range []struct {
		user NewUser
		want error
	}{
		{NewUser{Name: "BOB", Password: "x"}, core.ErrNameTaken},
		{NewUser{Name: "b", Email: "bob@EXAMPLE.com", Password: "x"}, core.ErrEmailTaken},
		{NewUser{Name: "b", Phone: "+8613800138000", Password: "x"}, core.ErrPhoneTaken},
		{NewUser{Name: "b", Phone: "12-34", Password: "x"}, core.ErrInvalidPhone},
		{NewUser{Name: "b", Email: "b", Password: "x"}, core.ErrInvalidEmail},
		{NewUser{Name: "b b", Password: "x"}, core.ErrInvalidName},
		{NewUser{Name: "b"}, core.ErrInvalidPassword},
	} {
		_, err := e.Add(e.ctx, core.NewActor(u), home(), c.user)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.user, err)
		}
	}
	users, err := e.List(e.ctx, e.operator())
	e.no(err)
	if d := cmp.Diff([]core.User{u}, users); d != "" {
		t.Error(d)
	}
}

func TestSetPassword(t *testing.T) {
	e := newEnv(t)
	u := e.add("bob")
	e.add("eve")
	token := e.issue(e.actor("bob"), session)
	e.issue(e.actor("eve"), session)
	var revoked []int64
	e.OnRevoke(func(id core.UserID, epoch int64) {
		if id != u.ID {
			t.Errorf("user %d is revoked", id)
		}
		revoked = append(revoked, epoch)
	})
	e.is(e.SetPassword(e.ctx, e.operator(), home(), "nobody", "x"), core.ErrUserNotFound)
	e.is(e.SetPassword(e.ctx, e.operator(), home(), "bob", ""), core.ErrInvalidPassword)
	e.no(e.SetPassword(e.ctx, e.operator(), home(), "bob@example.com", "newer"))
	if d := cmp.Diff([]int64{2}, revoked); d != "" {
		t.Error(d)
	}
	e.is(e.auth(session, token), core.ErrNoToken)
	if e.all(`SELECT sum(user_id) FROM token`) != 1002 {
		t.Error("the void token is still stored, or another's is not")
	}
	e.is(e.login("bob", "secret", home()), core.ErrBadCredentials)
	e.no(e.login("bob", "newer", home()))
	if e.all(`SELECT count(*) FROM audit WHERE action = 'account.password' AND target = 'user 1001'`) != 1 {
		t.Error("not in the audit log once")
	}
}

func TestDisable(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	token := e.issue(e.actor("bob"), session)
	var revoked []int64
	e.OnRevoke(func(_ core.UserID, epoch int64) { revoked = append(revoked, epoch) })
	for range 2 {
		e.no(e.SetDisabled(e.ctx, e.operator(), home(), "bob", true))
	}
	e.is(e.auth(session, token), core.ErrNoToken)
	e.is(e.login("bob", "secret", home()), core.ErrDisabled)
	_, err := e.ResetPassword(e.ctx, home(), Reset{Email: bob, Name: "bob", Code: e.codeFor(bob), Password: plain("x")})
	e.is(err, core.ErrDisabled)
	for range 2 {
		e.no(e.SetDisabled(e.ctx, e.operator(), home(), "bob", false))
	}
	e.no(e.login("bob", "secret", home()))
	e.is(e.auth(session, token), core.ErrNoToken)
	if d := cmp.Diff([]int64{2}, revoked); d != "" {
		t.Error(d)
	}
	if e.all(`SELECT count(*) FROM audit WHERE action IN ('account.disable', 'account.enable')`) != 2 {
		t.Error("what changed nothing was recorded, or what did was not")
	}
	e.is(e.SetDisabled(e.ctx, e.operator(), home(), "nobody", true), core.ErrUserNotFound)
}

func TestSetup(t *testing.T) {
	e := newEnv(t, policy(Closed))
	_, err := e.Setup(e.ctx, home(), "", "admin", "secret")
	e.is(err, core.ErrSetupDone)
	first, err := e.SetupToken(e.ctx, e.operator())
	e.no(err)
	token, err := e.SetupToken(e.ctx, e.operator())
	e.no(err)
	if len(token) != 32 || token == first || e.text(`SELECT value FROM setting`) == token {
		t.Fatalf("tokens %q and %q", first, token)
	}
	for _, bad := range []string{"", first, e.text(`SELECT value FROM setting`)} {
		_, err := e.Setup(e.ctx, home(), bad, "admin", "secret")
		e.is(err, core.ErrWrongToken)
	}
	_, err = e.Setup(e.ctx, home(), token, "a b", "secret")
	e.is(err, core.ErrInvalidName)
	u, err := e.Setup(e.ctx, home(), token, "admin", "secret")
	e.no(err)
	_, actor, err := e.Login(e.ctx, home(), "admin", plain("secret"))
	e.no(err)
	if !u.Admin || !actor.Admin() || actor.Operator() {
		t.Errorf("%+v", u)
	}
	_, err = e.Setup(e.ctx, home(), token, "second", "secret")
	e.is(err, core.ErrSetupDone)
	if again, err := e.SetupToken(e.ctx, e.operator()); err != nil || again != "" {
		t.Errorf("%q, %v", again, err)
	}
	if e.all(`SELECT count(*) FROM setting`) != 0 || e.all(`SELECT count(*) FROM audit WHERE action = 'account.setup' AND actor_id = 1001`) != 1 {
		t.Error("the token is still there, or the audit log is silent")
	}
}

func TestSetupIsGoneOnceAnAdminIsAdded(t *testing.T) {
	e := newEnv(t)
	token, err := e.SetupToken(e.ctx, e.operator())
	e.no(err)
	_, err = e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "admin", Password: "x", Admin: true})
	e.no(err)
	_, err = e.Setup(e.ctx, home(), token, "second", "x")
	e.is(err, core.ErrSetupDone)
	if e.all(`SELECT count(*) FROM setting`) != 0 {
		t.Error("the token is still there")
	}
}

func TestSetupMakesOneAdmin(t *testing.T) {
	e := newEnv(t)
	token, err := e.SetupToken(e.ctx, e.operator())
	e.no(err)
	var wg sync.WaitGroup
	var made atomic.Int32
	for i := range 10 {
		wg.Go(func() {
			switch _, err := e.Setup(e.ctx, home(), token, fmt.Sprint("admin", i), "x"); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, core.ErrSetupDone):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d admins were made", made.Load())
	}
}

func TestOneAddressAtOnce(t *testing.T) {
	e := newEnv(t)
	var wg sync.WaitGroup
	var made atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			switch _, err := e.Add(e.ctx, e.operator(), home(), NewUser{Name: fmt.Sprint("bob", i), Email: bob, Password: "x"}); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, core.ErrEmailTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d accounts were made", made.Load())
	}
}

// TestTheLastAdministratorStays: the only one could ban, demote or delete themselves, and nobody was left.
func TestTheLastAdministratorStays(t *testing.T) {
	e := newEnv(t)
	root, err := e.Add(e.ctx, e.operator(), home(), NewUser{Name: "root", Password: "secret", Admin: true})
	e.no(err)
	bob := e.add("bob")
	alone := func(want error) {
		t.Helper()
		no, a := false, e.actor("root")
		e.is(e.Ban(e.ctx, a, home(), root.ID, true), want)
		e.is(e.SetDisabled(e.ctx, a, home(), "root", true), want)
		_, err := e.Oversee(e.ctx, a, home(), root.ID, Amendment{Admin: &no})
		e.is(err, want)
		_, err = e.Amend(e.ctx, a, home(), root.ID, Amendment{Admin: &no})
		e.is(err, want)
		e.is(e.Remove(e.ctx, a, home(), root.ID), want)
		e.is(e.Leave(e.ctx, a, home(), plain("secret")), want)
	}
	alone(core.ErrLastAdmin)
	yes, no := true, false
	_, err = e.Oversee(e.ctx, e.actor("root"), home(), bob.ID, Amendment{Admin: &yes})
	e.no(err)
	e.no(e.Ban(e.ctx, e.actor("root"), home(), bob.ID, true))
	alone(core.ErrLastAdmin) // who is banned administers nothing

	e.no(e.Ban(e.ctx, e.actor("root"), home(), bob.ID, false))
	e.no(e.Leave(e.ctx, e.actor("root"), home(), plain("secret")))
	_, err = e.Oversee(e.ctx, e.operator(), home(), bob.ID, Amendment{Admin: &no})
	e.no(err)
	_, err = e.Oversee(e.ctx, e.operator(), home(), bob.ID, Amendment{Admin: &yes})
	e.no(err)
	e.no(e.SetDisabled(e.ctx, e.operator(), home(), "bob", true))
}
