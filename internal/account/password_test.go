package account

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/bcrypt"

	"parley/internal/core"
)

func TestXOR(t *testing.T) {
	for text, want := range map[string]string{"123456": "745230", "745230": "123456", "a": "`", "密码12": "寂砅56"} {
		if got, ok := xorText(text); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", strings.Repeat("a", 255), "\xff"} {
		if got, ok := xorText(text); ok {
			t.Errorf("%q has another reading, %q", text, got)
		}
	}
}

func FuzzXOR(f *testing.F) {
	f.Add("123456")
	f.Add("😀😀密")
	f.Add("\x06\x00")
	f.Fuzz(func(t *testing.T, s string) {
		other, ok := xorText(s)
		if !ok {
			return
		}
		if back, ok := xorText(other); !ok || back != s || other == s {
			t.Errorf("%q becomes %q and then %q", s, other, back)
		}
	})
}

func TestHashForms(t *testing.T) {
	h := newHasher(cheap)
	crypted, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("secret"))
	for name, c := range map[string]struct {
		stored  string
		current bool
	}{
		"argon2id":      {h.make("secret"), true},
		"argon2id else": {newHasher(cost{memory: 128, time: 2, threads: 2}).make("secret"), false},
		"plain":         {"$plain$secret", false},
		"md5":           {"$md5$" + hex.EncodeToString(sum[:]), false},
		"MD5":           {"$md5$" + strings.ToUpper(hex.EncodeToString(sum[:])), false},
		"bcrypt":        {string(crypted), false},
	} {
		if ok, current := h.check(c.stored, "secret"); !ok || current != c.current {
			t.Errorf("%s: %v, current %v", name, ok, current)
		}
		for _, no := range []string{"", "Secret", "secret ", c.stored} {
			if ok, _ := h.check(c.stored, no); ok {
				t.Errorf("%s: %q is let in", name, no)
			}
		}
	}
	for _, stored := range []string{
		"", "secret", "$plain", "$md5$", "$md5$zz", "$argon2id$", "$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAA$", "$2a$xx",
	} {
		if ok, _ := h.check(stored, "secret"); ok {
			t.Errorf("%q lets in", stored)
		}
	}
}

func TestDefaultCostIsWritten(t *testing.T) {
	got := newHasher(defaultCost).make("secret")
	if !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(got)
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(newHasher(cheap).make("x"))
	f.Add("$argon2id$v=19$m=1,t=1,p=0$$")
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, key, err := parsePHC(s)
		if err == nil && (c.time == 0 || c.threads == 0 || c.memory > 256*1024 || len(salt) == 0 || len(key) == 0) {
			t.Errorf("%q: %+v", s, c)
		}
	})
}

func TestHashesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		h := newHasher(cheap)
		var running, most, ran atomic.Int32
		release := make(chan struct{})
		results := make(chan error, hashesAtATime+hashesWaiting)
		ctx, giveUp := context.WithCancel(e.ctx)
		for range cap(results) {
			go func() {
				results <- h.run(ctx, func() {
					most.Store(max(most.Load(), running.Add(1)))
					<-release
					running.Add(-1)
					ran.Add(1)
				})
			}()
		}
		synctest.Wait()
		e.is(h.run(e.ctx, func() { t.Error("ran though the queue is full") }), core.ErrBusy)
		giveUp()
		for range hashesWaiting {
			e.is(<-results, context.Canceled)
		}
		close(release)
		for range hashesAtATime {
			e.no(<-results)
		}
		if most.Load() != hashesAtATime || ran.Load() != hashesAtATime {
			t.Errorf("%d at a time, %d in all", most.Load(), ran.Load())
		}
		e.no(h.run(e.ctx, func() {}))
	})
}

// TestOnePasswordEverywhere walks through every way a password can be set and then typed: by clients that XOR, by those
// of the same family that do not, and by the others.
func TestOnePasswordEverywhere(t *testing.T) {
	sent := map[string]Secret{"xor": maybeXORed("745230"), "same family": maybeXORed("123456"), "other": plain("123456")}
	for setBy, first := range sent {
		for _, order := range [][]string{{"xor", "same family", "other"}, {"other", "xor", "same family"}, {"same family", "other", "xor"}, {"xor", "other", "xor"}} {
			e := newEnv(t)
			_, err := e.Register(e.ctx, home(), Registration{Name: "sqy", Password: first})
			e.no(err)
			for _, by := range order {
				if _, _, err := e.Login(e.ctx, home(), "sqy", sent[by]); err != nil {
					t.Errorf("set by %s, order %v: %s: %v", setBy, order, by, err)
				}
			}
			if n := e.all(`SELECT password_as_sent FROM "user"`); n != 0 {
				t.Errorf("set by %s, order %v: the account is still flagged", setBy, order)
			}
			// From now on the XORed text is no password for those who do not XOR.
			e.is(e.login("sqy", "745230", home()), core.ErrBadCredentials)
		}
	}
}

func TestPasswordsAsSentAreReadBothWays(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "sqy", Password: maybeXORed("745230")})
	e.no(err)
	before := e.text(`SELECT password FROM "user"`)
	for _, s := range []Secret{maybeXORed("745230"), maybeXORed("123456")} {
		_, _, err := e.Login(e.ctx, home(), "sqy", s)
		e.no(err)
	}
	if e.text(`SELECT password FROM "user"`) != before || e.all(`SELECT password_as_sent FROM "user"`) != 1 {
		t.Error("a login from the family that may XOR settled what the password is")
	}
	e.is(e.login("sqy", "000000", home()), core.ErrBadCredentials)
	_, _, err = e.Login(e.ctx, home(), "sqy", maybeXORed("000000"))
	e.is(err, core.ErrBadCredentials)
}

func TestUnflaggedAccountsAreNotReadTwiceFromElsewhere(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "sqy", Password: plain("745230")})
	e.no(err)
	e.is(e.login("sqy", "123456", home()), core.ErrBadCredentials)
	_, _, err = e.Login(e.ctx, home(), "sqy", maybeXORed("123456"))
	e.no(err)
}

func TestLegacyHashesAreUpgradedAtTheFirstGoodLogin(t *testing.T) {
	crypted, err := bcrypt.GenerateFromPassword([]byte("123456"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("123456"))
	for name, c := range map[string]struct {
		stored string
		asSent bool
	}{
		"plain":                  {"$plain$123456", false},
		"XORed":                  {"$plain$745230", true},
		"md5":                    {"$md5$" + hex.EncodeToString(sum[:]), false},
		"bcrypt":                 {string(crypted), false},
		"argon2 of another cost": {newHasher(cost{memory: 32, time: 3, threads: 1}).make("123456"), false},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.add("old")
			e.exec(`UPDATE "user" SET password = ?, password_as_sent = ?`, c.stored, c.asSent)
			e.is(e.login("old", "654321", home()), core.ErrBadCredentials)
			if e.text(`SELECT password FROM "user"`) != c.stored {
				t.Fatal("a bad login changed the stored password")
			}
			e.no(e.login("old", "123456", home()))
			now := e.text(`SELECT password FROM "user"`)
			if ok, current := e.hashes.check(now, "123456"); !ok || !current || e.all(`SELECT password_as_sent FROM "user"`) != 0 {
				t.Fatalf("stored is now %q", now)
			}
			e.no(e.login("old", "123456", home()))
			if e.text(`SELECT password FROM "user"`) != now {
				t.Error("a current hash was made anew")
			}
			if e.all(`SELECT epoch FROM "user"`) != 1 {
				t.Error("an upgrade voids what was proved before")
			}
		})
	}
}

func TestUpgradeDoesNotUndoAPasswordChange(t *testing.T) {
	e := newEnv(t)
	u := e.add("old")
	e.exec(`UPDATE "user" SET password = '$plain$secret'`)
	a, err := e.byID(e.ctx, u.ID)
	e.no(err)
	e.no(e.SetPassword(e.ctx, e.operator(), core.Origin{}, "old", "newer"))
	e.no(e.replaceHash(e.ctx, a, e.hashes.make("secret"), false))
	e.no(e.login("old", "newer", home()))
	_, err = e.stillGood(e.ctx, a.user)
	e.is(err, core.ErrBadCredentials)
}

func TestPasswordLengths(t *testing.T) {
	e := newEnv(t)
	for _, text := range []string{"", strings.Repeat("a", 257)} {
		_, err := e.Register(e.ctx, home(), Registration{Name: "bob", Password: plain(text)})
		e.is(err, core.ErrInvalidPassword)
		e.is(e.login("bob", text, home()), core.ErrBadCredentials)
	}
	long := strings.Repeat("密", 85)
	_, err := e.Register(e.ctx, home(), Registration{Name: "bob", Password: plain(long)})
	e.no(err)
	e.no(e.login("bob", long, home()))
}

func TestResetPassword(t *testing.T) {
	e := newEnv(t)
	u, other := e.add("sqy"), e.add("ocz")
	kind := TokenKind{Name: "k", TTL: codeLife}
	token, err := e.IssueToken(e.ctx, e.actor("sqy"), kind)
	e.no(err)
	var revoked []core.UserID
	e.OnRevoke(func(id core.UserID, epoch int64) {
		if epoch != 2 {
			t.Errorf("revoked up to epoch %d", epoch)
		}
		revoked = append(revoked, id)
	})
	reset := func(email, name, code string) error {
		_, err := e.ResetPassword(e.ctx, from("198.51.100.7"), Reset{Email: email, Name: name, Code: code, Password: maybeXORed("745230")})
		return err
	}
	e.is(reset("SQY@example.com", "sqy", "1234"), core.ErrCodeNotSent)
	code := e.codeFor("SQY@example.com")
	// The code is judged before the name: who has none learns nothing about accounts.
	e.is(reset("sqy@example.com", "nobody", wrong(code)), core.ErrCodeWrong)
	e.is(reset("sqy@example.com", "ocz", code), core.ErrEmailMismatch)
	e.is(reset("nobody@example.com", "sqy", e.codeFor("nobody@example.com")), core.ErrEmailMismatch)
	if len(revoked) != 0 {
		t.Fatal("a failed reset revoked")
	}
	e.no(reset("sqy@example.com", "SQY", code))
	e.is(reset("sqy@example.com", "sqy", code), core.ErrCodeExpired)

	if len(revoked) != 1 || revoked[0] != u.ID {
		t.Errorf("revoked: %v", revoked)
	}
	_, _, err = e.Authenticate(e.ctx, kind, token)
	e.is(err, core.ErrNoToken)
	e.is(e.login("sqy", "secret", home()), core.ErrBadCredentials)
	e.no(e.login("sqy", "123456", home()))
	e.no(e.login("ocz", "secret", home()))
	if e.all(`SELECT epoch FROM "user" WHERE name = 'ocz'`) != 1 || other.Epoch != 1 {
		t.Error("another account was touched")
	}
	if e.all(`SELECT count(*) FROM audit WHERE action = 'account.password' AND actor_id = 1001 AND ip = '198.51.100.7'`) != 1 {
		t.Error("the reset is not in the audit log once")
	}
}

func TestResetNeedsAVerifiedAddress(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "sqy", Email: "sqy@example.com", Password: plain("secret")})
	e.no(err)
	_, err = e.ResetPassword(e.ctx, home(), Reset{Email: "sqy@example.com", Name: "sqy", Code: e.codeFor("sqy@example.com"), Password: plain("x")})
	e.is(err, core.ErrEmailMismatch)
}

func TestResetIsAllOrNothing(t *testing.T) {
	e := newEnv(t)
	e.add("sqy")
	code := e.codeFor("sqy@example.com")
	e.OnRevoke(func(core.UserID, int64) { t.Error("revoked though nothing was committed") })
	e.tx.failing = errors.New("disk full")
	r := Reset{Email: "sqy@example.com", Name: "sqy", Code: code, Password: plain("newer")}
	_, err := e.ResetPassword(e.ctx, home(), r)
	e.is(err, e.tx.failing)
	e.no(e.login("sqy", "secret", home()))
	e.tx.failing, e.revoked = nil, nil
	_, err = e.ResetPassword(e.ctx, home(), r)
	e.no(err)
}
