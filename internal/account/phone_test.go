package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/core"
)

const (
	phone = "13800138000"
	other = "13800138001"
)

func (e *env) sendTo(phone string) error { return e.SendPhoneCode(e.ctx, home(), phone) }

func (e *env) register(r Registration) (core.User, error) {
	if r.Password.Text == "" {
		r.Password = plain("secret")
	}
	return e.Register(e.ctx, home(), r)
}

func TestRegisterByPhone(t *testing.T) {
	for _, p := range []string{Open, Code} {
		e := newEnv(t, policy(p))
		code := e.codeForPhone(phone)
		if sent := e.sms.last(); sent.to != phone || len(e.mail.letters) != 0 {
			t.Fatalf("sent %+v, mails %v", sent, e.mail.letters)
		}
		u, err := e.register(Registration{Name: "bob", Phone: phone, Claim: "Bob@example.com", Code: code, RequireCode: true})
		e.no(err)
		want := core.User{
			ID: 1001, Name: "bob", Phone: phone, PhoneVerified: true, Email: "Bob@example.com", Nick: "bob", Icon: ":/res/head_2.jpg",
			Epoch: 1, CreatedAt: u.CreatedAt,
		}
		stored, err := e.Profile(e.ctx, e.operator(), u.ID)
		e.no(err)
		if d := cmp.Diff(want, u) + cmp.Diff(want, stored); d != "" {
			t.Error(d)
		}
		e.no(e.login(phone, "secret", home()))
		e.is(e.login(bob, "secret", home()), core.ErrBadCredentials)
		_, err = e.register(Registration{Name: "eve", Phone: other, Code: code})
		e.is(err, core.ErrCodeNotSent)
		e.is(e.sendTo(phone), core.ErrPhoneTaken)
	}
}

func TestACodeBelongsToItsPhone(t *testing.T) {
	e := newEnv(t)
	first, second := e.codeForPhone(phone), e.codeForPhone(other)
	for first == second {
		e.exec(`DELETE FROM code WHERE recipient = ?`, other)
		second = e.codeForPhone(other)
	}
	_, err := e.register(Registration{Name: "bob", Phone: phone, Code: second})
	e.is(err, core.ErrCodeWrong)
	_, err = e.register(Registration{Name: "bob", Phone: "+" + phone, Code: first})
	e.is(err, core.ErrCodeNotSent)
	_, err = e.register(Registration{Name: "bob", Email: bob, Code: first})
	e.is(err, core.ErrCodeNotSent)
	_, err = e.register(Registration{Name: "bob", Phone: phone, Code: first})
	e.no(err)
	_, err = e.register(Registration{Name: "eve", Phone: other, Code: second})
	e.no(err)
}

func TestPhonesHaveOneForm(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{
		"", "1234", "1234567890123456", "+1234", "138 0013 8000", "138-0013-8000", "1380013800a", "+", "++13800138000", "13800138000+",
		"13800138000\n", "１３８００１３８０００", "bob@example.com",
	} {
		e.is(e.sendTo(bad), core.ErrInvalidPhone)
		if bad != "" {
			_, err := e.register(Registration{Name: "bob", Phone: bad, Code: "1234"})
			e.is(err, core.ErrInvalidPhone)
		}
	}
	if len(e.sms.letters) != 0 {
		t.Error("something was sent")
	}
	for _, good := range []string{"12345", "+123456789012345"} {
		e.codeForPhone(good)
	}
}

// TestOrderOfJudgement: form, then the code, then the name, then the number.
func TestOrderOfJudgement(t *testing.T) {
	e := newEnv(t)
	e.add("taken")
	code := e.codeForPhone(phone)
	bad := wrong(code)
	for _, c := range []struct {
		r    Registration
		want error
	}{
		{Registration{Name: "a b", Phone: "1", Code: bad}, core.ErrInvalidName},
		{Registration{Name: "taken", Phone: "1", Code: bad}, core.ErrInvalidPhone},
		{Registration{Name: "taken", Phone: phone, Code: bad, Password: plain(strings.Repeat("x", 300))}, core.ErrInvalidPassword},
		{Registration{Name: "taken", Phone: other, Code: code}, core.ErrCodeNotSent},
		{Registration{Name: "taken", Phone: phone, Code: bad}, core.ErrCodeWrong},
		{Registration{Name: "taken", Phone: phone, Code: code}, core.ErrNameTaken},
	} {
		_, err := e.register(c.r)
		e.is(err, c.want)
	}
	if n := e.all(`SELECT attempts FROM code`); n != 1 {
		t.Errorf("%d wrong guesses are counted", n)
	}
	// Somebody else gets the number while the code is on its way.
	_, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "quick", Phone: phone, Password: "x"})
	e.no(err)
	_, err = e.register(Registration{Name: "taken", Phone: phone, Code: code})
	e.is(err, core.ErrNameTaken)
	_, err = e.register(Registration{Name: "bob", Phone: phone, Code: code})
	e.is(err, core.ErrPhoneTaken)
	e.no(e.checkCode(e.ctx, home(), phone, code))
}

func TestCodesOfPhonesEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		try := func(code string) error {
			_, err := e.register(Registration{Name: "bob", Phone: phone, Code: code})
			return err
		}
		e.is(try("1234"), core.ErrCodeNotSent)
		code := e.codeForPhone(phone)
		time.Sleep(codeLife)
		e.is(try(code), core.ErrCodeExpired)
		code = e.codeForPhone(phone)
		for range codeAttempts {
			e.is(try(wrong(code)), core.ErrCodeWrong)
		}
		e.is(try(code), core.ErrCodeExpired)
		e.no(try(e.codeForPhone(phone)))
		e.exec(`DELETE FROM "user"`)
		e.is(try(code), core.ErrCodeExpired)
	})
}

func TestAPhoneCodeMakesOneAccount(t *testing.T) {
	e := newEnv(t)
	code := e.codeForPhone(phone)
	var wg sync.WaitGroup
	results := make(chan error, 10)
	for i := range cap(results) {
		wg.Go(func() {
			_, err := e.register(Registration{Name: fmt.Sprint("bob", i), Phone: phone, Code: code})
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
		case !errors.Is(err, core.ErrCodeExpired) && !errors.Is(err, core.ErrPhoneTaken):
			t.Error(err)
		}
	}
	if made != 1 || e.all(`SELECT count(*) FROM "user"`) != 1 {
		t.Errorf("%d accounts were made", made)
	}
}

func TestANumberThatIsANameIsTaken(t *testing.T) {
	e := newEnv(t)
	_, err := e.register(Registration{Name: phone})
	e.no(err)
	e.is(e.sendTo(phone), core.ErrPhoneTaken)
	code := e.codeForPhone(other)
	// Who has the number may also be called by it.
	_, err = e.register(Registration{Name: other, Phone: other, Code: code})
	e.no(err)
	e.no(e.login(other, "secret", home()))
}

func TestUidsThatArePhonesAreLeftOut(t *testing.T) {
	e := newEnv(t)
	e.exec(`UPDATE user_id SET id = 9999`)
	u, err := e.register(Registration{Name: "bob", Phone: "10001", Code: e.codeForPhone("10001")})
	e.no(err)
	if eve := e.add("eve"); u.ID != 10000 || eve.ID != 10002 {
		t.Errorf("uids are %d and %d", u.ID, eve.ID)
	}
}

func TestAVerifiedPhoneDisplacesAnUnverifiedOne(t *testing.T) {
	e := newEnv(t)
	squatter, err := e.register(Registration{Name: "squatter", Phone: phone})
	e.no(err)
	if squatter.PhoneVerified || squatter.Phone != phone {
		t.Fatalf("%+v", squatter)
	}
	e.is(e.login(phone, "secret", home()), core.ErrBadCredentials)
	_, err = e.register(Registration{Name: "neighbour", Phone: other})
	e.no(err)
	owner, err := e.register(Registration{Name: "owner", Phone: phone, Code: e.codeForPhone(phone)})
	e.no(err)
	for id, want := range map[core.UserID]string{squatter.ID: "", owner.ID: phone, squatter.ID + 1: other} {
		u, err := e.Profile(e.ctx, e.operator(), id)
		e.no(err)
		if u.Phone != want || u.Epoch != 1 {
			t.Errorf("%+v", u)
		}
	}
}

func TestClaims(t *testing.T) {
	e := newEnv(t)
	e.add("bob")
	_, err := e.register(Registration{Name: "dan@example.com"})
	e.no(err)
	for i, c := range []struct{ claim, want string }{
		{"", ""},
		{"nonsense", ""},
		{"BOB@example.com", ""},
		{"Dan@example.com", ""},
		{"Eve@example.com", "Eve@example.com"},
		{"eve@example.com", "eve@example.com"}, // nobody has proved it yet
	} {
		number := fmt.Sprint(13800138100 + i)
		u, err := e.register(Registration{Name: fmt.Sprint("u", i), Phone: number, Claim: c.claim, Code: e.codeForPhone(number)})
		e.no(err)
		if u.Email != c.want || u.EmailVerified || !u.PhoneVerified {
			t.Errorf("%q: %+v", c.claim, u)
		}
	}
	if n := e.all(`SELECT count(*) FROM "user" WHERE email_key IS NOT NULL`); n != 1 {
		t.Errorf("%d verified addresses", n)
	}
	u, err := e.register(Registration{Name: "both", Email: "a@example.com", Claim: "b@example.com"})
	e.no(err)
	if u.Email != "a@example.com" {
		t.Errorf("%+v", u)
	}
}

func TestClosedServersSendNothingToPhones(t *testing.T) {
	for _, p := range []string{Invite, Closed} {
		e := newEnv(t, policy(p))
		_, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "bob", Phone: phone, Password: "x"})
		e.no(err)
		for _, to := range []string{phone, other} {
			e.is(e.sendTo(to), core.ErrRegistrationClosed)
		}
		_, err = e.register(Registration{Name: "eve", Phone: other, Code: "1234", RequireCode: true})
		e.is(err, core.ErrRegistrationClosed)
		if len(e.sms.letters) != 0 {
			t.Error("something was sent")
		}
	}
}

func TestALivePhoneCodeIsSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		first := e.codeForPhone(phone)
		time.Sleep(codeLife - time.Second)
		if again := e.codeForPhone(phone); again != first {
			t.Errorf("%s was live, %s was sent", first, again)
		}
		e.sms.sending = func(_ context.Context, to, code string) error { return e.checkCode(e.ctx, home(), to, code) }
		e.no(e.sendTo(other)) // stored before it is sent
	})
}

func TestDeliveryToPhonesFails(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.sms.sending = func(context.Context, string, string) error { return errors.New("no route") }
		e.is(e.sendTo(phone), core.ErrDeliveryFailed)
		e.sms.sending = func(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		e.is(e.sendTo(phone), core.ErrDeliveryFailed)
		if d := time.Since(start); d != codeSendLimit {
			t.Errorf("gave up after %v", d)
		}
		e.sms.sending = func(context.Context, string, string) error { return core.ErrInvalidPhone }
		e.is(e.sendTo(phone), core.ErrInvalidPhone)
	})
}

func TestTextingIsThrottled(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		// As for mail: five for one number in ten minutes, three times the registrations for one network in an hour.
		for range sendsByAddress {
			e.no(e.sendTo(phone))
		}
		err := e.sendTo(phone)
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait <= 0 || wait > sendWindow {
			t.Errorf("wait %v", wait)
		}
		// And no more than that for one network in a day, since each costs money.
		time.Sleep(2 * time.Hour)
		e.no(e.sendTo(other))
		err = e.sendTo(other)
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait != 22*time.Hour {
			t.Errorf("wait %v", wait)
		}
		e.no(e.SendPhoneCode(e.ctx, from("192.0.2.2"), other))
		e.no(e.SendCode(e.ctx, home(), bob))
		if n := len(e.sms.letters); n != 7 {
			t.Errorf("%d were sent", n)
		}
		time.Sleep(22 * time.Hour)
		e.no(e.sendTo(phone))
	}, perHour(2))
}

func TestOnePhoneIsNotFlooded(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		for i := range textsByPhone {
			e.no(e.SendPhoneCode(e.ctx, from(fmt.Sprintf("203.0.113.%d", i)), phone))
			time.Sleep(sendWindow / sendsByAddress)
		}
		e.is(e.SendPhoneCode(e.ctx, from("198.51.100.1"), phone), core.ErrThrottled)
		e.no(e.SendPhoneCode(e.ctx, from("198.51.100.1"), other))
	})
}

// TestAskingWhoseNumberItIsIsThrottled: the answer that a number is taken costs as much as a code.
func TestAskingWhoseNumberItIsIsThrottled(t *testing.T) {
	e := newEnv(t, perHour(2))
	for i := range 2 * sendsByIP {
		number := fmt.Sprint(13800138100 + i)
		_, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: fmt.Sprint("u", i), Phone: number, Password: "x"})
		e.no(err)
		e.is(e.sendTo(number), core.ErrPhoneTaken)
	}
	e.is(e.sendTo(phone), core.ErrThrottled)
}
