package account

import (
	"testing"

	"parley/internal/core"
)

// TestAnActorWhoseTimeIsOver can do nothing any more, although what they are was true when they proved it.
func TestAnActorWhoseTimeIsOver(t *testing.T) {
	for name, end := range map[string]func(e *env, u core.User) error{
		"demoted": func(e *env, u core.User) error {
			_, err := e.Oversee(e.ctx, e.operator(), home(), u.ID, Amendment{Admin: new(false)})
			return err
		},
		"banned":       func(e *env, u core.User) error { return e.Ban(e.ctx, e.operator(), home(), u.ID, true) },
		"deleted":      func(e *env, u core.User) error { return e.Remove(e.ctx, e.operator(), home(), u.ID) },
		"new password": func(e *env, u core.User) error { return e.SetPassword(e.ctx, e.operator(), home(), u.Name, "other") },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			bob := e.add("bob")
			ann, err := e.Add(e.ctx, e.operator(), home(), NewUser{Name: "ann", Password: "secret", Admin: true})
			e.no(err)
			actor := e.actor("ann")
			e.no(end(e, ann))
			_, err = e.Add(e.ctx, actor, home(), NewUser{Name: "eve", Password: "secret", Admin: true})
			e.is(err, core.ErrLoginRequired)
			_, err = e.Amend(e.ctx, actor, home(), ann.ID, Amendment{Nick: new("still here")})
			e.is(err, core.ErrLoginRequired)
			_, err = e.Oversee(e.ctx, actor, home(), bob.ID, Amendment{Admin: new(true)})
			e.is(err, core.ErrLoginRequired)
			e.is(e.SetPassword(e.ctx, actor, home(), "bob", "other"), core.ErrLoginRequired)
			e.is(e.Ban(e.ctx, actor, home(), bob.ID, true), core.ErrLoginRequired)
			e.is(e.Remove(e.ctx, actor, home(), bob.ID), core.ErrLoginRequired)
			if n := e.all(`SELECT count(*) FROM "user" WHERE name = 'eve' OR nick = 'still here' OR name = 'bob' AND (admin OR disabled)`); n != 0 {
				t.Errorf("%d accounts are not as they were", n)
			}
		})
	}
}

// TestADeletedAccountIsNobody to those who administer.
func TestADeletedAccountIsNobody(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	e.no(e.Remove(e.ctx, e.operator(), home(), u.ID))
	e.is(e.Ban(e.ctx, e.operator(), home(), u.ID, true), core.ErrUserNotFound)
	e.is(e.Ban(e.ctx, e.operator(), home(), u.ID, false), core.ErrUserNotFound)
	e.is(e.SetPassword(e.ctx, e.operator(), home(), erased(u.ID), "other"), core.ErrUserNotFound)
	_, err := e.Amend(e.ctx, e.operator(), home(), u.ID, Amendment{Email: new("ann@example.com")})
	e.is(err, core.ErrUserNotFound)
	e.is(e.Remove(e.ctx, e.operator(), home(), u.ID), core.ErrUserNotFound)
}
