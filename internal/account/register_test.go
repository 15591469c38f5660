package account

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/core"
)

func TestRegister(t *testing.T) {
	e := newEnv(t)
	u, err := e.Register(e.ctx, home(), Registration{
		Name: "Sqy", Email: "Sqy@Example.com", Code: e.codeFor("Sqy@Example.com"), RequireCode: true, Password: maybeXORed("745230"),
	})
	e.no(err)
	want := core.User{
		ID: 1001, Name: "Sqy", Email: "Sqy@Example.com", EmailVerified: true, Nick: "Sqy", Icon: ":/res/head_2.jpg", Epoch: 1, CreatedAt: u.CreatedAt,
	}
	if d := cmp.Diff(want, u); d != "" {
		t.Error(d)
	}
	if time.Since(u.CreatedAt).Abs() > time.Minute {
		t.Errorf("created at %v", u.CreatedAt)
	}
	stored, err := e.Profile(e.ctx, e.operator(), u.ID)
	e.no(err)
	if d := cmp.Diff(u, stored); d != "" {
		t.Error("stored is something else: " + d)
	}
	if e.all(`SELECT count(*) FROM member WHERE user_id = 1001 AND conversation_id = 1`) != 1 {
		t.Error("not a member of the lobby")
	}
	if e.all(`SELECT count(*) FROM audit WHERE action = 'account.register' AND actor_id = 1001 AND actor_name = 'Sqy' AND target = 'user 1001' AND ip = '192.0.2.1'`) != 1 {
		t.Error("not in the audit log once")
	}
	if p := e.text(`SELECT password FROM "user"`); !strings.HasPrefix(p, "$argon2id$") {
		t.Errorf("the password is stored as %q", p)
	}
}

func TestRegisterKeepsWhatIsGiven(t *testing.T) {
	e := newEnv(t)
	u, err := e.Register(e.ctx, home(), Registration{Name: "a", Password: plain("x"), Nick: "A B 👩‍💻", Icon: ":/res/head_5.jpg", Avatar: "me.png"})
	e.no(err)
	if u.Nick != "A B 👩‍💻" || u.Icon != ":/res/head_5.jpg" || u.Avatar != "me.png" {
		t.Errorf("%+v", u)
	}
	for _, avatar := range []string{"../x.png", `a\b.png`, "..", "a\x00.png", strings.Repeat("a", 256)} {
		_, err := e.Register(e.ctx, home(), Registration{Name: "b", Password: plain("x"), Avatar: avatar})
		e.is(err, core.ErrInvalidAvatar)
	}
	for _, r := range []Registration{
		{Nick: strings.Repeat("n", 65)}, {Nick: "a\u202eb"}, {Nick: "a\nb"}, {Icon: "a\x01"}, {Icon: strings.Repeat("i", 256)}, {Nick: "\xff"},
	} {
		r.Name, r.Password = "b", plain("x")
		_, err := e.Register(e.ctx, home(), r)
		e.is(err, core.ErrInvalid)
	}
	_, err = e.Register(e.ctx, home(), Registration{Name: "b c", Password: plain("x")})
	e.is(err, core.ErrInvalidName)
	_, err = e.Register(e.ctx, home(), Registration{Name: "b", Email: "x", Password: plain("x")})
	e.is(err, core.ErrInvalidEmail)
}

func TestEveryClientPictureIsUsed(t *testing.T) {
	e := newEnv(t)
	icons := map[string]int{}
	for i := range 10 {
		icons[e.add(fmt.Sprintf("u%d", i)).Icon]++
	}
	want := map[string]int{":/res/head_1.jpg": 2, ":/res/head_2.jpg": 2, ":/res/head_3.jpg": 2, ":/res/head_4.jpg": 2, ":/res/head_5.jpg": 2}
	if d := cmp.Diff(want, icons); d != "" {
		t.Error(d)
	}
}

func TestPolicies(t *testing.T) {
	byMail := func(code bool) Registration {
		return Registration{Name: "bob", Email: "bob@example.com", RequireCode: code, Password: plain("x")}
	}
	noMail := Registration{Name: "bob", Password: plain("x")}
	for _, c := range []struct {
		policy string
		r      Registration
		code   bool
		want   error
	}{
		{"", noMail, false, nil},
		{Open, noMail, false, nil},
		{Open, byMail(false), false, nil},
		{Open, byMail(true), false, core.ErrCodeNotSent},
		{Open, byMail(true), true, nil},
		{Open, Registration{Name: "bob", RequireCode: true, Password: plain("x")}, false, core.ErrInvalidEmail},
		{Code, noMail, false, core.ErrRegistrationClosed},
		{Code, byMail(false), false, core.ErrCodeNotSent},
		{Code, byMail(false), true, nil},
		{Code, byMail(true), true, nil},
		{Invite, noMail, false, core.ErrRegistrationClosed},
		{Invite, byMail(true), true, core.ErrRegistrationClosed},
		{Closed, noMail, false, core.ErrRegistrationClosed},
		{Closed, byMail(true), true, core.ErrRegistrationClosed},
	} {
		e := newEnv(t, policy(c.policy))
		if c.code {
			var err error
			c.r.Code, err = e.liveCode(e.ctx, home(), "bob@example.com", shortCode)
			e.no(err)
		}
		u, err := e.Register(e.ctx, home(), c.r)
		if !errors.Is(err, c.want) {
			t.Errorf("%q, %+v: %v, want %v", c.policy, c.r, err, c.want)
		}
		if err == nil && u.EmailVerified != c.code {
			t.Errorf("%q, %+v: verified is %v", c.policy, c.r, u.EmailVerified)
		}
		if (e.all(`SELECT count(*) FROM "user"`) == 1) != (c.want == nil) {
			t.Errorf("%q, %+v: the account is there or not", c.policy, c.r)
		}
	}
}

func TestNamesAndAddressesAreUnique(t *testing.T) {
	e := newEnv(t)
	_, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "Bob", Email: "bob@example.com", Phone: "13800138000", Password: "x"})
	e.no(err)
	for name, want := range map[string]error{
		"bob": core.ErrNameTaken, "ＢＯＢ": core.ErrNameTaken, "BOB@example.com": core.ErrNameTaken, "13800138000": core.ErrNameTaken,
		"1001": core.ErrNameTaken, "１００１": core.ErrNameTaken, "01001": nil,
	} {
		_, err := e.Register(e.ctx, home(), Registration{Name: name, Password: plain("x")})
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
	_, err = e.Register(e.ctx, home(), Registration{Name: "eve", Email: "BOB@example.com", Password: plain("x")})
	e.is(err, core.ErrEmailTaken)
	// A right code does not help, and is not used up.
	r := Registration{Name: "eve", Email: "bob@example.com", Code: e.codeFor("bob@example.com"), Password: plain("x")}
	_, err = e.Register(e.ctx, home(), r)
	e.is(err, core.ErrEmailTaken)
	e.no(e.checkCode(e.ctx, home(), "bob@example.com", r.Code))
}

func TestUidsThatAreNamesAreLeftOut(t *testing.T) {
	e := newEnv(t)
	first, err := e.Register(e.ctx, home(), Registration{Name: "1002", Password: plain("secret")})
	e.no(err)
	second := e.add("bob")
	if first.ID != 1001 || second.ID != 1003 {
		t.Errorf("uids are %d and %d", first.ID, second.ID)
	}
	e.no(e.login("1002", "secret", home()))
}

func TestAVerifiedClaimDisplacesAnUnverifiedOne(t *testing.T) {
	e := newEnv(t)
	claim := Registration{Name: "squatter", Email: "Bob@example.com", Password: plain("secret")}
	squatter, err := e.Register(e.ctx, home(), claim)
	e.no(err)
	if squatter.EmailVerified {
		t.Fatal("verified without a code")
	}
	e.is(e.login("bob@example.com", "secret", home()), core.ErrBadCredentials)
	claim.Name = "second"
	_, err = e.Register(e.ctx, home(), claim)
	e.no(err)

	owner, err := e.Register(e.ctx, home(), Registration{Name: "bob", Email: "bob@example.com", Code: e.codeFor("bob@example.com"), Password: plain("mine")})
	e.no(err)
	e.no(e.login("BOB@example.com", "mine", home()))
	e.no(e.login("squatter", "secret", home()))
	got, err := e.Profile(e.ctx, e.operator(), squatter.ID)
	e.no(err)
	if got.Email != "" || got.Epoch != 1 || owner.Email != "bob@example.com" {
		t.Errorf("%+v", got)
	}
}

func TestRegistrationIsAllOrNothing(t *testing.T) {
	e := newEnv(t)
	code := e.codeFor("bob@example.com")
	e.tx.failing = errors.New("disk full")
	r := Registration{Name: "bob", Email: "bob@example.com", Code: code, Password: plain("x")}
	_, err := e.Register(e.ctx, home(), r)
	e.is(err, e.tx.failing)
	if e.all(`SELECT count(*) FROM "user"`) != 0 || e.all(`SELECT count(*) FROM member`) != 0 || e.all(`SELECT id FROM user_id`) != 1000 {
		t.Error("a part of it was stored")
	}
	e.tx.failing = nil
	u, err := e.Register(e.ctx, home(), r)
	e.no(err)
	if u.ID != 1001 {
		t.Errorf("uid %d", u.ID)
	}
	r.Name, r.Email = "eve", "bob@example.com"
	_, err = e.Register(e.ctx, home(), r)
	e.is(err, core.ErrCodeExpired)
}

func TestOneNameAtOnce(t *testing.T) {
	e := newEnv(t)
	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		wg.Go(func() {
			_, err := e.Register(e.ctx, home(), Registration{Name: "bob", Password: plain("x")})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	made := 0
	for err := range results {
		if err == nil {
			made++
			continue
		}
		e.is(err, core.ErrNameTaken)
	}
	if made != 1 || e.all(`SELECT count(*) FROM "user"`) != 1 {
		t.Errorf("%d accounts were made", made)
	}
}

func TestRegistrationsAreThrottled(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		register := func(name, ip string) error {
			_, err := e.Register(e.ctx, from(ip), Registration{Name: name, Password: plain("x")})
			return err
		}
		for i := range 3 {
			e.no(register(fmt.Sprintf("u%d", i), "192.0.2.1"))
			// What does not reach the hash is not counted.
			e.is(register("u0", "192.0.2.1"), core.ErrNameTaken)
			e.is(register("a b", "192.0.2.1"), core.ErrInvalidName)
		}
		err := register("more", "::ffff:192.0.2.1")
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait <= 59*time.Minute || wait > time.Hour {
			t.Errorf("wait %v", wait)
		}
		e.no(register("other", "192.0.2.2"))
		for i := range 3 {
			e.no(register(fmt.Sprintf("v%d", i), fmt.Sprintf("2001:db8:0:1::%d", i+1)))
		}
		e.is(register("v3", "2001:db8:0:1:ffff::1"), core.ErrThrottled)
		e.no(register("v4", "2001:db8:0:2::1"))
		time.Sleep(time.Hour)
		e.no(register("more", "192.0.2.1"))
	}, perHour(3))
}

func TestACodeMakesOneAccount(t *testing.T) {
	e := newEnv(t)
	code := e.codeFor(bob)
	var wg sync.WaitGroup
	results := make(chan error, 10)
	for i := range cap(results) {
		wg.Go(func() {
			_, err := e.Register(e.ctx, home(), Registration{Name: fmt.Sprint("bob", i), Email: bob, Code: code, Password: plain("x")})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	made := 0
	for err := range results {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, core.ErrCodeExpired) && !errors.Is(err, core.ErrEmailTaken):
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d accounts were made", made)
	}
}
