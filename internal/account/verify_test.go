package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
)

func (e *env) verify(login, password string, o core.Origin) error {
	_, _, err := e.Verify(e.ctx, o, login, plain(password))
	return err
}

// fullChecks returns 1 if fn had a password found right by a full check, otherwise 0.
func (e *env) fullChecks(fn func()) int {
	e.t.Helper()
	was := e.pairs.order.Back()
	var at time.Time
	if was != nil {
		at = was.Value.(recentItem[pairHash, proof]).at
	}
	fn()
	now := e.pairs.order.Back()
	if now != nil && now.Value.(recentItem[pairHash, proof]).at != at {
		return 1
	}
	return 0
}

func TestVerifyIsALogin(t *testing.T) {
	e := newEnv(t)
	u := e.add("bob")
	for range 2 {
		for _, login := range []string{"bob", "BOB", bob, "1001"} {
			got, actor, err := e.Verify(e.ctx, home(), login, plain("secret"))
			e.no(err)
			if got != u || actor != core.NewActor(u) {
				t.Errorf("%q is %+v", login, got)
			}
		}
		for _, bad := range []string{"", string(make([]byte, 300))} {
			e.is(e.verify("bob", bad, home()), core.ErrBadCredentials)
		}
		e.is(e.verify(string(make([]byte, 70_000)), "secret", home()), core.ErrBadCredentials)
		e.is(e.verify("nobody", "secret", home()), core.ErrBadCredentials)
	}
	if n := e.pairs.order.Len(); n != 4 {
		t.Errorf("%d pairs are remembered", n)
	}
}

func TestAFullCheckEveryFiveMinutes(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		checks := 0
		const minutes = 30
		for range minutes * 6 {
			checks += e.fullChecks(func() { e.no(e.verify("bob", "secret", home())) })
			time.Sleep(10 * time.Second)
		}
		if checks != minutes/5 {
			t.Errorf("%d full checks in %d minutes", checks, minutes)
		}
	})
}

func TestWhatIsRememberedIsExactlyThePair(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	e.no(e.verify("bob", "secret", home()))
	all := map[pairHash]string{}
	for _, c := range []struct {
		network, login string
		password       Secret
	}{
		{"192.0.2.1", "bob", plain("secret")},
		{"192.0.2.1", "bo", plain("bsecret")},
		{"192.0.2.1", "bobs", plain("ecret")},
		{"192.0.2.1b", "ob", plain("secret")},
		{"192.0.2.2", "bob", plain("secret")},
		{"192.0.2.1", "bob", maybeXORed("secret")},
		{"192.0.2.1", "bob", plain("secret\x01")},
		{"192.0.2.1", "secret", plain("bob")},
	} {
		h := e.pairs.hash(c.network, c.login, c.password)
		if before, ok := all[h]; ok {
			t.Errorf("%s and %+v have one hash", before, c)
		}
		all[h] = fmt.Sprintf("%+v", c)
		if _, ok := e.pairs.get(h, pairLife); ok != (len(all) == 1) {
			t.Errorf("%+v is remembered: %v", c, ok)
		}
	}
	if another := newPairs(); another.key == e.pairs.key || bytes.Equal(another.key[:], make([]byte, len(another.key))) {
		t.Error("the key is not random")
	}
}

func TestWrongPasswordsAreNeverRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for range freeByPair {
			e.is(e.verify("bob", "bad", home()), core.ErrBadCredentials)
		}
		e.is(e.verify("bob", "bad", home()), core.ErrThrottled)
		e.no(e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", true))
		e.is(e.verify("bob", "secret", from("198.51.100.1")), core.ErrDisabled)
		if n := e.pairs.order.Len(); n != 0 {
			t.Errorf("%d pairs are remembered", n)
		}
	})
}

// TestARememberedPairIsNoWayRoundTheThrottle: who has to wait gets the same answer for the right password, and a right
// one does not clear what wrong ones have counted.
func TestARememberedPairIsNoWayRoundTheThrottle(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.no(e.verify("bob", "secret", home()))
		for range freeByPair {
			e.is(e.verify("bob", "bad", home()), core.ErrBadCredentials)
			e.is(e.verify("bob", "bad", from("198.51.100.1")), core.ErrBadCredentials)
		}
		wrong := e.verify("bob", "bad", home())
		right := e.verify("bob", "secret", home())
		e.is(wrong, core.ErrThrottled)
		e.is(right, core.ErrThrottled)
		if core.RetryAfter(wrong) != firstWait || core.RetryAfter(right) != firstWait {
			t.Errorf("%v, %v", wrong, right)
		}
		// The pair is remembered for the place where it was found right, and for no other.
		e.is(e.verify("bob", "secret", from("198.51.100.1")), core.ErrThrottled)
		time.Sleep(firstWait)
		e.no(e.verify("bob", "secret", home()))
		e.is(e.verify("bob", "bad", home()), core.ErrBadCredentials)
		e.is(e.verify("bob", "secret", home()), core.ErrThrottled)
	})
}

func TestARememberedPairWaitsWithItsNetwork(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		for i := range failuresByIP {
			if i == failuresByIP-1 {
				e.no(e.verify("bob", "secret", home()))
				e.no(e.verify("bob", "secret", home()))
			}
			e.is(e.verify(fmt.Sprint("nobody", i), "bad", home()), core.ErrBadCredentials)
		}
		err := e.verify("bob", "secret", home())
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait != ipWindow {
			t.Errorf("wait %v", wait)
		}
	})
}

func TestRememberedPairsAreVoidAtOnce(t *testing.T) {
	for name, change := range map[string]func(e *env) error{
		"new password": func(e *env) error { return e.SetPassword(e.ctx, e.operator(), core.Origin{}, "bob", "newer") },
		"the same password": func(e *env) error {
			return e.SetPassword(e.ctx, e.operator(), core.Origin{}, "bob", "secret")
		},
		"reset": func(e *env) error {
			_, err := e.ResetPassword(e.ctx, home(), Reset{Email: bob, Name: "bob", Code: e.codeFor(bob), Password: plain("newer")})
			return err
		},
		"disabled": func(e *env) error { return e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", true) },
		"disabled and enabled": func(e *env) error {
			return errors.Join(e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", true),
				e.SetDisabled(e.ctx, e.operator(), core.Origin{}, "bob", false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.add("bob")
			e.no(e.verify("bob", "secret", home()))
			_, err := e.LastLogin(e.ctx, home(), time.Hour)
			e.no(err)
			e.no(change(e))
			_, err = e.LastLogin(e.ctx, home(), time.Hour)
			e.is(err, core.ErrLoginRequired)
			want := map[string]error{"disabled": core.ErrDisabled, "the same password": nil, "disabled and enabled": nil}
			wantErr, ok := want[name]
			if !ok {
				wantErr = core.ErrBadCredentials
			}
			checked := e.fullChecks(func() { e.is(e.verify("bob", "secret", home()), wantErr) })
			if wantErr == nil && checked != 1 {
				t.Error("the old proof was good enough")
			}
			if n := e.pairs.order.Len(); (n == 1) != (wantErr == nil) {
				t.Errorf("%d pairs are remembered", n)
			}
		})
	}
}

// TestAVerifyUnderWayWhenThePasswordChanges holds a full check up, before and after it has looked at the password.
func TestAVerifyUnderWayWhenThePasswordChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		release := make(chan struct{})
		for range hashesAtATime {
			go func() { _ = e.hashes.run(e.ctx, func() { <-release }) }()
		}
		synctest.Wait()
		result := make(chan error)
		go func() { result <- e.verify("bob", "secret", home()) }()
		synctest.Wait()
		e.no(e.db.Update(e.ctx, func(ctx context.Context) error {
			_, err := e.setPassword(ctx, 1001, e.hashes.make("newer"), false)
			return err
		}))
		close(release)
		e.is(<-result, core.ErrBadCredentials)
		e.is(e.verify("bob", "secret", home()), core.ErrBadCredentials)

		// A check that was through already remembers the pair under the epoch that it saw.
		e.pairs.put(e.pairs.hash(network(home().IP), "bob", plain("secret")), proof{1001, 1})
		e.is(e.verify("bob", "secret", home()), core.ErrBadCredentials)
		if n := e.pairs.order.Len(); n != 0 {
			t.Errorf("%d pairs are remembered", n)
		}
		e.no(e.verify("bob", "newer", home()))
	})
}

func TestVerifyWhilePasswordsChange(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before, err := e.byID(e.ctx, 1001)
				if err != nil {
					t.Error(err)
					return
				}
				_, actor, err := e.Verify(e.ctx, home(), "bob", plain("secret"))
				if err == nil && actor.Epoch() < before.user.Epoch {
					t.Errorf("epoch %d is proved, %d was there already", actor.Epoch(), before.user.Epoch)
				}
				// Login tells of a change in between as of a wrong password.
				if err != nil && !errors.Is(err, core.ErrBadCredentials) && !errors.Is(err, core.ErrThrottled) {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		e.no(e.SetPassword(e.ctx, e.operator(), core.Origin{}, "bob", "secret"))
	}
	close(stop)
	wg.Wait()
}

// TestManyVerifiesAtOnce: a client that opens fifty connections with its right password is nobody who guesses.
func TestManyVerifiesAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		release := make(chan struct{})
		for range hashesAtATime {
			go func() { _ = e.hashes.run(e.ctx, func() { <-release }) }()
		}
		synctest.Wait() // they have the slots
		results := make(chan error, 50)
		for range cap(results) {
			go func() { results <- e.verify("bob", "secret", home()) }()
		}
		impatient, cancel := context.WithCancel(e.ctx)
		gone := make(chan error, 1)
		go func() {
			synctest.Wait()
			_, _, err := e.Verify(impatient, home(), "bob", plain("secret"))
			gone <- err
		}()
		time.Sleep(time.Second)
		cancel()
		e.is(<-gone, context.Canceled)
		close(release)
		for range cap(results) {
			e.no(<-results)
		}
		// A wrong one is still counted each time.
		judged := 0
		for range cap(results) {
			go func() { results <- e.verify("bob", "bad", home()) }()
		}
		for range cap(results) {
			if err := <-results; errors.Is(err, core.ErrBadCredentials) {
				judged++
			} else {
				e.is(err, core.ErrThrottled)
			}
		}
		if judged != freeByPair {
			t.Errorf("%d wrong ones were judged", judged)
		}
		if n := len(e.pairs.checks); n != 0 {
			t.Errorf("%d checks never ended", n)
		}
	})
}

func TestPairsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.no(e.verify("bob", "secret", home()))
		for i := range pairsMost - 1 {
			e.pairs.put(pairHash{byte(i), byte(i >> 8), byte(i >> 16)}, proof{})
		}
		time.Sleep(time.Second)
		if e.fullChecks(func() { e.no(e.verify("bob", "secret", home())) }) != 0 {
			t.Error("the pair was forgotten early")
		}
		e.pairs.put(pairHash{31: 1}, proof{})
		if n := len(e.pairs.items); n != pairsMost || e.pairs.order.Len() != n {
			t.Errorf("%d and %d are remembered", n, e.pairs.order.Len())
		}
		time.Sleep(time.Second)
		if e.fullChecks(func() { e.no(e.verify("bob", "secret", home())) }) != 1 {
			t.Error("the oldest was not pushed out")
		}
	})
}

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecent[string, int](2)
		want := func(key string, within time.Duration, value int, ok bool) {
			t.Helper()
			if got, found := r.get(key, within); got != value || found != ok {
				t.Errorf("%s is %d, %v; want %d, %v", key, got, found, value, ok)
			}
		}
		r.put("a", 1)
		time.Sleep(time.Second)
		r.put("b", 2)
		want("a", time.Second, 0, false)
		want("a", time.Second+1, 1, true)
		want("b", time.Nanosecond, 2, true)
		r.put("a", 3) // is the newest now
		r.put("c", 4)
		want("a", time.Hour, 3, true)
		want("b", time.Hour, 0, false)
		want("c", time.Hour, 4, true)
		r.drop("a")
		r.drop("never was")
		want("a", time.Hour, 0, false)
		r.put("d", 5)
		want("c", time.Hour, 4, true)
		want("d", time.Hour, 5, true)
	})
}

func TestLastLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("bob")
		e.add("eve")
		last := func(o core.Origin, within time.Duration) string {
			a, err := e.LastLogin(e.ctx, o, within)
			if err != nil {
				e.is(err, core.ErrLoginRequired)
				if a != (core.Actor{}) {
					t.Errorf("%+v beside %v", a, err)
				}
				return ""
			}
			return a.Name()
		}
		here, elsewhere := home(), core.Origin{Gateway: "other", IP: home().IP}
		if got := last(here, time.Hour); got != "" {
			t.Errorf("nobody has logged in, but %s", got)
		}
		e.no(e.login("bob", "secret", here))
		if _, err := e.register(Registration{Name: "dan"}); err != nil {
			t.Error(err)
		}
		e.is(e.login("eve", "bad", here), core.ErrBadCredentials)
		for o, want := range map[core.Origin]string{
			here: "bob", from("::ffff:192.0.2.1"): "bob", elsewhere: "", from("192.0.2.2"): "", {Gateway: "test"}: "",
		} {
			if got := last(o, time.Hour); got != want {
				t.Errorf("%v: %q, want %q", o, got, want)
			}
		}
		e.no(e.verify("eve", "secret", here))
		if got := last(here, time.Hour); got != "eve" {
			t.Errorf("the last one is %q", got)
		}
		time.Sleep(4 * time.Minute)
		e.no(e.verify("bob", "secret", here))
		e.no(e.verify("eve", "secret", here)) // remembered, and a login all the same
		if got := last(here, time.Minute); got != "eve" {
			t.Errorf("the last one is %q", got)
		}
		time.Sleep(time.Minute)
		if got := last(here, time.Minute); got != "" {
			t.Errorf("%s logged in too long ago", got)
		}
		// In one /64 everybody is one place for the throttle, but not here.
		e.no(e.login("bob", "secret", from("2001:db8::1")))
		if got := last(from("2001:db8::2"), time.Hour); got != "" {
			t.Errorf("%s logged in at a neighbour's", got)
		}
		e.no(e.login("bob", "secret", core.Origin{Gateway: "test"}))
		if got := last(core.Origin{Gateway: "test"}, time.Hour); got != "" {
			t.Errorf("%s logged in from nowhere", got)
		}
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	e := newEnv(b)
	e.add("bob")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := e.Verify(e.ctx, home(), "bob", plain("secret")); err != nil {
				b.Error(err)
			}
		}
	})
}
