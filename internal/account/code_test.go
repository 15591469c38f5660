package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/core"
)

const bob = "bob@example.com"

func TestALiveCodeIsSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		first := e.codeFor(bob)
		if !regexp.MustCompile(`^\d{4}$`).MatchString(first) || e.mail.last().to != bob {
			t.Fatalf("sent %+v", e.mail.last())
		}
		time.Sleep(599 * time.Second)
		if again := e.codeFor("BOB@example.com"); again != first {
			t.Errorf("%s was live, %s was sent", first, again)
		}
		e.no(e.checkCode(e.ctx, home(), bob, first))
		// Sending it again does not make it live longer.
		time.Sleep(time.Second)
		e.is(e.checkCode(e.ctx, home(), bob, first), core.ErrCodeExpired)
		next := e.codeFor(bob)
		e.no(e.checkCode(e.ctx, home(), bob, next))
		if e.all(`SELECT count(*) FROM code`) != 1 {
			t.Error("more than one row for a recipient")
		}
	})
}

func TestCodesAreUniform(t *testing.T) {
	var first [10]int
	const n = 20_000
	for range n {
		c := newCode(shortCode)
		if len(c) != 4 {
			t.Fatal(c)
		}
		first[c[0]-'0']++
	}
	for d, k := range first {
		if k < n/10-300 || k > n/10+300 { // seven standard deviations
			t.Errorf("%d of %d begin with %d", k, n, d)
		}
	}
}

func TestFiveWrongAttemptsKillACode(t *testing.T) {
	e := newEnv(t)
	code := e.codeFor(bob)
	for range 5 {
		e.is(e.checkCode(e.ctx, home(), bob, wrong(code)), core.ErrCodeWrong)
	}
	e.is(e.checkCode(e.ctx, home(), bob, code), core.ErrCodeExpired)
	next := e.codeFor(bob)
	for range 4 {
		e.is(e.checkCode(e.ctx, home(), bob, wrong(next)), core.ErrCodeWrong)
	}
	e.no(e.checkCode(e.ctx, home(), bob, next))
}

func TestManyGuessesAtOnceAreNoWayRound(t *testing.T) {
	e := newEnv(t)
	code := e.codeFor(bob)
	var wg sync.WaitGroup
	var judged atomic.Int32
	for i := range 200 {
		wg.Go(func() {
			guess := fmt.Sprintf("%04d", i)
			if guess == code {
				return
			}
			if err := e.checkCode(e.ctx, home(), bob, guess); errors.Is(err, core.ErrCodeWrong) {
				judged.Add(1)
			}
		})
	}
	wg.Wait()
	if n := judged.Load(); n != codeAttempts {
		t.Errorf("%d guesses were judged", n)
	}
}

// waste has somebody guess wrongly until a code is worth nothing.
func (e *env) waste(o core.Origin, email string) {
	e.t.Helper()
	e.no(e.SendCode(e.ctx, home(), email))
	code := e.mail.last().code
	for range codeAttempts {
		e.is(e.checkCode(e.ctx, o, email, wrong(code)), core.ErrCodeWrong)
	}
}

func TestOneNetworkHasTenWrongGuessesADay(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		thief := from("203.0.113.9")
		start := time.Now()
		for range 2 {
			e.waste(thief, bob)
		}
		code := e.codeFor(bob)
		err := e.checkCode(e.ctx, thief, bob, code)
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait != day-time.Since(start) {
			t.Errorf("wait %v", wait)
		}
		e.is(e.SendCode(e.ctx, thief, bob), core.ErrThrottled)
		// Another address, from there, is another matter, and so is whoever comes from elsewhere.
		e.no(e.checkCode(e.ctx, thief, "eve@example.com", e.codeFor("eve@example.com")))
		e.no(e.checkCode(e.ctx, home(), bob, code))
		time.Sleep(core.RetryAfter(err))
		e.no(e.checkCode(e.ctx, thief, bob, e.codeFor(bob)))
	})
}

// TestSomebodyElsesGuessesKeptTheOwnerOut of an account for the rest of the day.
func TestSomebodyElsesGuessesKeptTheOwnerOut(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.no(e.login("bob", "secret", home()))
		for i := range wrongByStrangers / codeAttempts {
			e.waste(from(fmt.Sprintf("203.0.113.%d", i/2+1)), bob)
			time.Sleep(sendWindow)
		}
		e.is(e.SendCode(e.ctx, from("198.51.100.1"), bob), core.ErrThrottled)
		code := e.codeFor(bob)
		err := e.checkCode(e.ctx, from("198.51.100.1"), bob, code)
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait <= 0 || wait >= day {
			t.Errorf("wait %v", wait)
		}
		e.is(e.checkCode(e.ctx, home(), bob, wrong(code)), core.ErrCodeWrong)
		_, err = e.ResetPassword(e.ctx, home(), Reset{Email: bob, Name: "bob", Code: code, Password: plain("another")})
		e.no(err)
		time.Sleep(day)
		e.no(e.checkCode(e.ctx, from("198.51.100.1"), bob, e.codeFor(bob)))
	})
}

func TestARightGuessIsNoWrongOne(t *testing.T) {
	e := newEnv(t)
	code := e.codeFor(bob)
	for range 2 * wrongByNetwork {
		e.no(e.checkCode(e.ctx, home(), bob, code))
	}
}

func TestSendingIsThrottled(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		for range 5 {
			e.no(e.SendCode(e.ctx, home(), bob))
		}
		err := e.SendCode(e.ctx, home(), bob)
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait <= 0 || wait > sendWindow {
			t.Errorf("wait %v", wait)
		}
		if len(e.mail.letters) != 5 {
			t.Errorf("%d were sent", len(e.mail.letters))
		}
		// Three times the registrations an hour, from one IP.
		e.is(e.SendCode(e.ctx, home(), "eve@example.com"), core.ErrThrottled)
		e.no(e.SendCode(e.ctx, from("192.0.2.2"), "eve@example.com"))
		time.Sleep(time.Hour)
		e.no(e.SendCode(e.ctx, home(), bob))
	}, perHour(2))
}

func TestDeliveryFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.mail.sending = func(context.Context, string, string) error { return errors.New("no route") }
		e.is(e.SendCode(e.ctx, home(), bob), core.ErrDeliveryFailed)
		e.mail.sending = func(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		e.is(e.SendCode(e.ctx, home(), bob), core.ErrDeliveryFailed)
		if d := time.Since(start); d != codeSendLimit {
			t.Errorf("gave up after %v", d)
		}
		e.mail.sending = func(context.Context, string, string) error { return core.ErrInvalidEmail }
		e.is(e.SendCode(e.ctx, home(), bob), core.ErrInvalidEmail)
	})
}

func TestACodeIsStoredBeforeItIsSent(t *testing.T) {
	e := newEnv(t)
	e.mail.sending = func(_ context.Context, _, code string) error { return e.checkCode(e.ctx, home(), bob, code) }
	e.no(e.SendCode(e.ctx, home(), bob))
	e.is(e.SendCode(e.ctx, home(), "not an address"), core.ErrInvalidEmail)
}

func TestClosedServersSendCodesToTheirUsersOnly(t *testing.T) {
	for _, p := range []string{Invite, Closed} {
		e := newEnv(t, policy(p))
		e.add("bob")
		e.no(e.SendCode(e.ctx, home(), "stranger@example.com"))
		e.no(e.cfg.Goroutines.Wait(e.ctx))
		if len(e.mail.letters) != 0 {
			t.Errorf("%s: a stranger got a code", p)
		}
		e.no(e.SendCode(e.ctx, home(), bob))
		e.no(e.cfg.Goroutines.Wait(e.ctx))
		if len(e.mail.letters) != 1 {
			t.Errorf("%s: somebody who has an account got %d codes", p, len(e.mail.letters))
		}
	}
}

// TestAClosedServerToldWhoHasAnAccount by how long it took to answer, and by what could not be sent.
func TestAClosedServerToldWhoHasAnAccount(t *testing.T) {
	e := newEnv(t, policy(Closed))
	e.add("bob")
	answered := make(chan struct{})
	e.mail.sending = func(context.Context, string, string) error {
		<-answered
		return errors.New("no such mail server")
	}
	e.no(e.SendLongCode(e.ctx, home(), bob))
	e.no(e.SendLongCode(e.ctx, home(), "stranger@example.com"))
	close(answered)
	e.no(e.cfg.Goroutines.Wait(e.ctx))
}

func TestSweepDeletesCodes(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.codeFor(bob)
		e.no(e.Sweep(e.ctx))
		time.Sleep(12 * time.Hour)
		e.no(e.Sweep(e.ctx))
		if e.all(`SELECT count(*) FROM code`) != 1 {
			t.Error("a row with the day's count was swept")
		}
		time.Sleep(12 * time.Hour)
		e.no(e.Sweep(e.ctx))
		if e.all(`SELECT count(*) FROM code`) != 0 {
			t.Error("an old code was not swept")
		}
	})
}
