package account

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
)

func TestWhatALoginMeans(t *testing.T) {
	e := newEnv(t)
	u, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "Bob", Email: bob, Phone: "+8613800138000", Password: "secret"})
	e.no(err)
	for _, login := range []string{"Bob", "bob", "ＢＯＢ", bob, "BOB@EXAMPLE.COM", "+8613800138000", "1001"} {
		got, actor, err := e.Login(e.ctx, home(), login, plain("secret"))
		e.no(err)
		if got != u || actor != core.NewActor(u) {
			t.Errorf("%q logs in %+v", login, got)
		}
	}
	for _, login := range []string{"", "bo", "01001", "+1001", "8613800138000", "bob@example.co", "Bob ", string(make([]byte, 70_000)), "\xff"} {
		if err := e.login(login, "secret", from("192.0.2.9")); err == nil {
			t.Errorf("%q logs in", login)
		}
	}
}

func TestAnAddressMeansItsOwner(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: bob, Password: plain("squatter")})
	e.no(err)
	e.no(e.login(bob, "squatter", home()))
	e.add("bob")
	e.no(e.login(bob, "secret", home()))
	e.is(e.login(bob, "squatter", home()), core.ErrBadCredentials)
}

func TestDisabledIsToldOnlyToTheOwner(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	e.no(e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", true))
	e.is(e.login("bob", "other", home()), core.ErrBadCredentials)
	e.is(e.login("bob", "secret", home()), core.ErrDisabled)
}

func TestFiveFreeFailuresThenDoublingWaits(t *testing.T) {
	for _, name := range []string{"bob", "nobody"} { // throttling does not tell who exists
		inBubble(t, func(t *testing.T, e *env) {
			e.add("bob")
			for range 5 {
				e.is(e.login(name, "bad", home()), core.ErrBadCredentials)
			}
			for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
				err := e.login(name, "secret", home())
				e.is(err, core.ErrThrottled)
				if wait := core.RetryAfter(err); wait != want {
					t.Errorf("%s: wait %v, want %v", name, wait, want)
				}
				time.Sleep(want - time.Nanosecond)
				e.is(e.login(name, "secret", home()), core.ErrThrottled)
				time.Sleep(time.Nanosecond)
				e.is(e.login(name, "bad", home()), core.ErrBadCredentials)
			}
		})
	}
}

func TestSuccessClearsTheFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for range 3 {
			for range 4 {
				e.is(e.login("bob", "bad", home()), core.ErrBadCredentials)
			}
			e.no(e.login("bob", "secret", home()))
		}
		for range 5 {
			e.is(e.login("bob", "bad", home()), core.ErrBadCredentials)
		}
		e.is(e.login("bob", "secret", home()), core.ErrThrottled)
		time.Sleep(firstWait)
		e.no(e.login("bob", "secret", home()))
		e.is(e.login("bob", "bad", home()), core.ErrBadCredentials)
		e.no(e.login("bob", "secret", home()))
	})
}

func TestManyAttemptsAtOnceAreNoWayRound(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	var judged, throttled atomic.Int32
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			switch err := e.login("bob", fmt.Sprint("bad", i), home()); core.KindOf(err) {
			case core.Unauthenticated:
				judged.Add(1)
			case core.Throttled:
				throttled.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if judged.Load() > 5 || judged.Load()+throttled.Load() != 60 {
		t.Errorf("%d judged, %d throttled", judged.Load(), throttled.Load())
	}
}

// TestAGateLetsOneThrough has attempts arrive closer together than a password takes to check.
func TestAGateLetsOneThrough(t *testing.T) {
	e := newEnv(t)
	for round := range 500 {
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := e.throttle.admit(e.ctx, fmt.Sprint(round), fmt.Sprint("place", round)); err == nil {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		n := admitted.Load()
		counted, _, err := e.throttle.keys.Get(e.ctx, pairKey(fmt.Sprint(round), fmt.Sprint("place", round)))
		e.no(err)
		if n > freeByPair || counted != fmt.Sprint(n) {
			t.Fatalf("round %d: %d were admitted, %s counted", round, n, counted)
		}
	}
}

func TestAGoodLoginFromANewPlaceDoesNotSlowTheNext(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	for i := range freeByAccount - 1 {
		e.is(e.login("bob", "bad", from(fmt.Sprintf("203.0.113.%d", i))), core.ErrBadCredentials)
	}
	for i := range 3 {
		e.no(e.login("bob", "secret", from(fmt.Sprintf("198.51.100.%d", i))))
	}
}

// TestNobodyLocksTheOwnerOut lets a crowd of addresses guess at an account. The owner's own place is not affected;
// new places have to wait, and those of other accounts do not.
func TestNobodyLocksTheOwnerOut(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.add("eve")
		e.no(e.login("bob", "secret", home()))
		time.Sleep(29 * 24 * time.Hour)
		judged := 0
		for range 50 {
			for i := range 40 {
				if err := e.login("bob", "bad", from(fmt.Sprintf("203.0.113.%d", i))); core.KindOf(err) == core.Unauthenticated {
					judged++
				}
			}
			e.no(e.login("bob", "secret", home()))
			time.Sleep(time.Second)
		}
		// Twenty for free, one that ends each of the two waits of 30 s and less.
		if judged > freeByAccount+2 {
			t.Errorf("%d guesses were judged", judged)
		}
		e.is(e.login("bob", "secret", from("198.51.100.1")), core.ErrThrottled)
		e.no(e.login("eve", "secret", from("198.51.100.1")))
		time.Sleep(longestWait)
		e.no(e.login("bob", "secret", from("198.51.100.1")))

		// An attacker who shares the owner's place is judged by that place's failures.
		for range 5 {
			e.is(e.login("bob", "bad", home()), core.ErrBadCredentials)
		}
		e.is(e.login("bob", "secret", home()), core.ErrThrottled)
	})
}

func TestAPlaceIsForgottenAfterAMonth(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.no(e.login("bob", "secret", home()))
		time.Sleep(knownFor)
		for i := range freeByAccount {
			e.is(e.login("bob", "bad", from(fmt.Sprintf("203.0.113.%d", i))), core.ErrBadCredentials)
		}
		e.is(e.login("bob", "secret", home()), core.ErrThrottled)
	})
}

func TestOneAddressAgainstManyAccounts(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for i := range failuresByIP {
			e.is(e.login(fmt.Sprint("nobody", i), "bad", home()), core.ErrBadCredentials)
		}
		err := e.login("bob", "secret", home())
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait != ipWindow {
			t.Errorf("wait %v", wait)
		}
		if n, _, _ := e.throttle.keys.Get(e.ctx, "parley:login:ip:192.0.2.1"); n != fmt.Sprint(failuresByIP) {
			t.Errorf("%s failures are counted", n)
		}
		e.no(e.login("bob", "secret", from("192.0.2.2")))
		time.Sleep(ipWindow)
		e.no(e.login("bob", "secret", home()))
	})
}

func TestGoodLoginsAreNotThrottled(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	for range failuresByIP + 10 {
		e.no(e.login("bob", "secret", home()))
	}
}

func TestAResetOpensANewPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for i := range freeByAccount {
			e.is(e.login("bob", "bad", from(fmt.Sprintf("203.0.113.%d", i))), core.ErrBadCredentials)
		}
		e.is(e.login("bob", "secret", home()), core.ErrThrottled)
		_, err := e.ResetPassword(e.ctx, home(), Reset{Email: bob, Name: "bob", Code: e.codeFor(bob), Password: plain("newer")})
		e.no(err)
		e.no(e.login("bob", "newer", home()))
	})
}

func TestAttemptsThatWereNotJudgedDoNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for range freeByPair - 1 {
			e.is(e.login("bob", "bad", home()), core.ErrBadCredentials)
		}
		release := make(chan struct{})
		for range hashesAtATime {
			go func() { _ = e.hashes.run(e.ctx, func() { <-release }) }()
		}
		synctest.Wait()
		for range 10 {
			ctx, cancel := context.WithTimeout(e.ctx, time.Second)
			_, _, err := e.Login(ctx, home(), "bob", plain("bad"))
			e.is(err, context.DeadlineExceeded)
			cancel()
		}
		for range hashesWaiting {
			go func() { _ = e.hashes.run(e.ctx, func() {}) }()
		}
		synctest.Wait()
		for range 10 {
			e.is(e.login("bob", "bad", home()), core.ErrBusy)
		}
		close(release)
		synctest.Wait()
		e.no(e.login("bob", "secret", home()))
		w := httptest.NewRecorder()
		e.cfg.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for _, want := range [][2]string{{"busy", "10"}, {"ok", "1"}, {"failed", "10"}} {
			line := fmt.Sprintf("parley_account_logins_total{gateway=%q,result=%q} %s\n", "test", want[0], want[1])
			if !strings.Contains(w.Body.String(), line) {
				t.Errorf("the metrics lack %s", line)
			}
		}
	})
}

// TestAFailureCostsTheSame counts hashes by the memory they take: neither load nor time may tell who exists.
func TestAFailureCostsTheSame(t *testing.T) {
	const memory = 16 << 20
	e := newEnv(t)
	e.hashes = newHasher(cost{memory: memory >> 10, time: 1, threads: 1})
	e.add("argon")
	e.add("flagged")
	e.exec(`UPDATE "user" SET password_as_sent = 1 WHERE name = 'flagged'`)
	e.add("old")
	e.exec(`UPDATE "user" SET password = '$plain$secret' WHERE name = 'old'`)
	e.add("none")
	e.exec(`UPDATE "user" SET password = '' WHERE name = 'none'`)
	for _, name := range []string{"nobody", "argon", "flagged", "old", "none"} {
		for _, s := range []Secret{plain("bad"), maybeXORed("bad"), maybeXORed(strings.Repeat("b", 255))} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := e.Login(e.ctx, home(), name, s)
			runtime.ReadMemStats(&after)
			e.is(err, core.ErrBadCredentials)
			if n := (after.TotalAlloc - before.TotalAlloc) / memory; n != 2 {
				t.Errorf("%s, %.8v: %d hashes", name, s, n)
			}
		}
	}
}
