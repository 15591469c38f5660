package account

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"time"

	"parley/internal/core"
)

var (
	session = TokenKind{Name: "session", TTL: time.Hour, Sliding: time.Minute}
	ticket  = TokenKind{Name: "ticket", TTL: time.Hour, Single: true}
)

func (e *env) issue(a core.Actor, k TokenKind) string {
	e.t.Helper()
	token, err := e.IssueToken(e.ctx, a, k)
	e.no(err)
	return token
}

func (e *env) auth(k TokenKind, token string) error {
	_, _, err := e.Authenticate(e.ctx, k, token)
	return err
}

func TestTokens(t *testing.T) {
	e := newEnv(t)
	u := e.add("bob")
	token := e.issue(e.actor("bob"), session)
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(token) {
		t.Fatal(token)
	}
	got, actor, err := e.Authenticate(e.ctx, session, token)
	e.no(err)
	if got != u || actor != core.NewActor(u) {
		t.Errorf("%+v, %+v", got, actor)
	}
	var stored []byte
	e.scan(`SELECT hash FROM token`, &stored)
	if bytes.Contains(stored, []byte(token)) || len(stored) != 32 {
		t.Errorf("stored is %q", stored)
	}
	for _, bad := range []string{"", token[:31], token + "0", token[1:] + "g", "00000000000000000000000000000000"} {
		e.is(e.auth(session, bad), core.ErrNoToken)
	}
	e.is(e.auth(ticket, token), core.ErrNoToken)
	_, err = e.IssueToken(e.ctx, core.Actor{}, session)
	e.is(err, core.ErrLoginRequired)
	_, err = e.IssueToken(e.ctx, e.operator(), session)
	e.is(err, core.ErrLoginRequired)
}

func TestSingleTokens(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	e.add("eve")
	bob, eve := e.actor("bob"), e.actor("eve")
	first, hers, long := e.issue(bob, ticket), e.issue(eve, ticket), e.issue(bob, session)
	second := e.issue(bob, ticket)
	e.is(e.auth(ticket, first), core.ErrNoToken)
	e.no(e.auth(ticket, second))
	e.no(e.auth(ticket, hers))
	e.no(e.auth(session, long))
	e.issue(bob, session)
	e.no(e.auth(session, long))
}

func TestAuthenticateUser(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		bob, eve := e.add("bob"), e.add("eve")
		as := func(u core.UserID, token string) error {
			got, actor, err := e.AuthenticateUser(e.ctx, ticket, u, token)
			if err == nil && (got.ID != u || actor.User() != u) || err != nil && (got != core.User{} || actor != core.Actor{}) {
				t.Errorf("%+v, %+v, %v", got, actor, err)
			}
			return err
		}
		e.is(as(bob.ID, "x"), core.ErrNoToken)
		his := e.issue(e.actor("bob"), ticket)
		e.no(as(bob.ID, his))
		e.is(as(bob.ID, "x"), core.ErrWrongToken)
		e.is(as(eve.ID, his), core.ErrNoToken)
		e.is(as(999, his), core.ErrNoToken)
		hers := e.issue(e.actor("eve"), ticket)
		e.is(as(eve.ID, his), core.ErrWrongToken)
		e.is(as(bob.ID, hers), core.ErrWrongToken)
		time.Sleep(time.Hour)
		e.is(as(bob.ID, his), core.ErrNoToken)
		e.is(as(bob.ID, "x"), core.ErrNoToken)
	})
}

func TestTokensExpireAndSlide(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		fixed, sliding := e.issue(e.actor("bob"), ticket), e.issue(e.actor("bob"), session)
		writes := 0
		for range 5 {
			time.Sleep(59 * time.Minute / 5)
			was := e.all(`SELECT expires_at FROM token WHERE kind = 'session'`)
			e.no(e.auth(ticket, fixed))
			for range 3 {
				e.no(e.auth(session, sliding))
			}
			if e.all(`SELECT expires_at FROM token WHERE kind = 'session'`) != was {
				writes++
			}
		}
		if writes != 5 {
			t.Errorf("slid %d times", writes)
		}
		was := e.all(`SELECT expires_at FROM token WHERE kind = 'session'`)
		time.Sleep(59 * time.Second)
		e.no(e.auth(session, sliding))
		if e.all(`SELECT expires_at FROM token WHERE kind = 'session'`) != was {
			t.Error("written again within the minute")
		}
		time.Sleep(2 * time.Second)
		e.is(e.auth(ticket, fixed), core.ErrNoToken)
		e.no(e.auth(session, sliding))
		time.Sleep(time.Hour - time.Millisecond)
		e.no(e.auth(session, sliding))
		time.Sleep(time.Hour)
		e.is(e.auth(session, sliding), core.ErrNoToken)
	})
}

func TestTokensDieWithTheirEpoch(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	old := e.actor("bob")
	e.no(e.SetPassword(e.ctx, e.operator(), core.Origin{}, "bob", "newer"))
	// A login that was under way when the password changed gets none.
	_, err := e.IssueToken(e.ctx, old, session)
	e.is(err, core.ErrLoginRequired)
	u, now, err := e.Login(e.ctx, home(), "bob", plain("newer"))
	e.no(err)
	if u.Epoch != 2 || now.Epoch() != 2 {
		t.Errorf("epoch %d", now.Epoch())
	}
	token := e.issue(now, session)
	e.no(e.auth(session, token))
	e.exec(`UPDATE "user" SET disabled = 1`)
	e.is(e.auth(session, token), core.ErrNoToken)
}

func TestSweepDeletesTokens(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		a := e.actor("bob")
		for i := range sweepRows*2 + 10 {
			e.exec(`INSERT INTO token (kind, user_id, hash, epoch, created_at, used_at, expires_at) VALUES ('session', 1001, ?, 1, 0, 0, 1)`, fmt.Sprint(i))
		}
		live := e.issue(a, session)
		e.no(e.Sweep(e.ctx))
		if n := e.all(`SELECT count(*) FROM token`); n != 1 {
			t.Errorf("%d tokens are left", n)
		}
		e.no(e.auth(session, live))
		time.Sleep(time.Hour)
		e.no(e.Sweep(e.ctx))
		if n := e.all(`SELECT count(*) FROM token`); n != 0 {
			t.Errorf("%d tokens are left", n)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	e := newEnv(b)
	e.add("bob")
	token := e.issue(e.actor("bob"), session)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := e.Authenticate(e.ctx, session, token); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkLogin(b *testing.B) {
	e := newEnv(b)
	e.hashes = newHasher(defaultCost)
	e.add("bob")
	for b.Loop() {
		if err := e.login("bob", "secret", home()); err != nil {
			b.Fatal(err)
		}
	}
}
