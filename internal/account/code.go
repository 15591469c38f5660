package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"parley/internal/core"
)

const (
	codeLife      = 600 * time.Second
	codeAttempts  = 5 // wrong ones that a code survives, less one
	codeSendLimit = 20 * time.Second
	day           = 24 * time.Hour
)

// How many digits a code has, by what the clients that ask for it let people type.
const (
	shortCode = 4
	longCode  = 6
)

// codeKey is whom a code of that length is for. Codes of different lengths know nothing of each other: neither replaces a longer
// one by one that is guessed sooner. Addresses and phone numbers have no space in them.
func codeKey(recipient string, digits int) string {
	if digits == longCode {
		return "6 " + recipient
	}
	return recipient
}

// code is a row of the code table.
type code struct {
	text     string // "" once it is used up
	attempts int
	expires  int64
	day      int64
	wrong    int // on that day, by those whom the recipient's account does not know
}

// live reports whether the code can still be used.
func (c code) live(now time.Time) bool {
	return c.text != "" && now.UnixMilli() < c.expires && c.attempts < codeAttempts
}

func (c code) wrongOn(now time.Time) int {
	if c.day != days(now) {
		return 0
	}
	return c.wrong
}

// guessed reports whether those whom the account does not know have to wait until tomorrow.
func (c code) guessed(now time.Time) bool { return c.wrongOn(now) >= wrongByStrangers }

func untilTomorrow(now time.Time) time.Duration {
	return time.Unix((days(now)+1)*int64(day/time.Second), 0).Sub(now)
}

func days(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// SendCode sends a verification code to an e-mail address. While one is live, the same one is sent again.
func (s *Service) SendCode(ctx context.Context, from core.Origin, email string) error {
	if err := s.sendCode(ctx, from, email, shortCode); err != nil {
		return fmt.Errorf("send a code: %w", err)
	}
	return nil
}

// SendLongCode is SendCode for clients whose codes have six digits. It leaves a live one of another length alone.
func (s *Service) SendLongCode(ctx context.Context, from core.Origin, email string) error {
	if err := s.sendCode(ctx, from, email, longCode); err != nil {
		return fmt.Errorf("send a code: %w", err)
	}
	return nil
}

func (s *Service) sendCode(ctx context.Context, from core.Origin, email string, digits int) error {
	key, err := parseEmail(email)
	if err != nil {
		return err
	}
	if err := s.throttle.sending(ctx, key, network(from.IP), s.perHour()); err != nil {
		return err
	}
	if s.closed() {
		// Nobody but the owner of an account has a use for a code. Neither the answer nor when it comes tells who has one.
		ctx := context.WithoutCancel(ctx)
		s.cfg.Goroutines.Go("code for an account", func() {
			_, err := s.byEmail(ctx, key)
			if err == nil {
				err = s.mailCode(ctx, from, key, email, digits)
			}
			if unlessNotFound(err) != nil {
				s.cfg.Log.Warn("no code for an account", "err", err)
			}
		})
		return nil
	}
	return s.mailCode(ctx, from, key, email, digits)
}

func (s *Service) mailCode(ctx context.Context, from core.Origin, key, email string, digits int) error {
	text, err := s.liveCode(ctx, from, codeKey(key, digits), digits)
	if err != nil {
		return err
	}
	return s.deliver(ctx, func(ctx context.Context) error { return s.mail.SendCode(ctx, email, text) })
}

// SendPhoneCode sends a verification code to a phone number that nobody has yet, for registering with it. While one is
// live, the same one is sent again.
func (s *Service) SendPhoneCode(ctx context.Context, from core.Origin, phone string) error {
	if err := s.sendPhoneCode(ctx, from, phone); err != nil {
		return fmt.Errorf("send a code to a phone: %w", err)
	}
	return nil
}

func (s *Service) sendPhoneCode(ctx context.Context, from core.Origin, phone string) error {
	if s.closed() {
		return core.ErrRegistrationClosed
	}
	if err := checkPhone(phone); err != nil {
		return err
	}
	// Asking is throttled before the answer tells whose number it is; what costs money, once something is to be sent.
	if err := s.throttle.sending(ctx, phone, network(from.IP), s.perHour()); err != nil {
		return err
	}
	if err := s.phoneFree(ctx, phone); err != nil {
		return err
	}
	if err := s.throttle.texting(ctx, phone, network(from.IP), s.perHour()); err != nil {
		return err
	}
	text, err := s.liveCode(ctx, from, phone, shortCode)
	if err != nil {
		return err
	}
	return s.deliver(ctx, func(ctx context.Context) error { return s.texts.TextCode(ctx, phone, text) })
}

// deliver gives send its time, and its failures their name. Only that the recipient can be none is the caller's own.
func (s *Service) deliver(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, codeSendLimit)
	defer cancel()
	err := send(ctx)
	if err == nil || errors.Is(err, core.ErrInvalidEmail) || errors.Is(err, core.ErrInvalidPhone) {
		return err
	}
	s.cfg.Log.Warn("a verification code could not be sent", "err", err)
	return fmt.Errorf("%w: %w", core.ErrDeliveryFailed, err)
}

func unlessNotFound(err error) error {
	if errors.Is(err, core.ErrUserNotFound) {
		return nil
	}
	return err
}

// liveCode returns the recipient's live code, a new one if there is none. It is on disk when liveCode returns. Who may not
// guess any more gets none.
func (s *Service) liveCode(ctx context.Context, from core.Origin, recipient string, digits int) (text string, err error) {
	known, err := s.knows(ctx, recipient, network(from.IP))
	if err == nil {
		err = s.throttle.mayGuess(ctx, recipient, network(from.IP))
	}
	if err != nil {
		return "", err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		now := time.Now()
		c, err := s.code(ctx, recipient)
		switch {
		case err != nil:
			return err
		case !known && c.guessed(now):
			return core.RetryLater(core.ErrThrottled, untilTomorrow(now))
		case c.live(now):
			text = c.text
			return nil
		}
		text = newCode(digits)
		return s.putCode(ctx, recipient, code{
			text: text, expires: now.Add(codeLife).UnixMilli(), day: days(now), wrong: c.wrongOn(now),
		})
	})
	return text, err
}

func newCode(digits int) string {
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%0*d", digits, n)
}

// checkCode judges a guess without using the code up. A wrong guess is counted, and committed, before checkCode returns:
// whatever becomes of the operation, nobody has more guesses than there are attempts.
//
// One network has few wrong guesses a day, so that it cannot keep others from the code; many networks have more, but not
// as many as it takes to find a code. Where the owner has logged in, only the first counts.
func (s *Service) checkCode(ctx context.Context, from core.Origin, recipient, guess string) error {
	// Most guesses at codes that never were end here, without a write.
	c, err := s.code(ctx, recipient)
	switch {
	case err != nil:
		return err
	case c == code{}:
		return core.ErrCodeNotSent
	case !c.live(time.Now()):
		return core.ErrCodeExpired
	}
	known, err := s.knows(ctx, recipient, network(from.IP))
	if err == nil {
		err = s.throttle.guessing(ctx, recipient, network(from.IP))
	}
	if err != nil {
		return err
	}
	err = s.judgeCode(ctx, recipient, guess, known)
	if !errors.Is(err, core.ErrCodeWrong) {
		err = s.throttle.guessed(ctx, recipient, network(from.IP), err)
	}
	return err
}

func (s *Service) judgeCode(ctx context.Context, recipient, guess string, known bool) error {
	var result error
	err := s.db.Update(ctx, func(ctx context.Context) error {
		now := time.Now()
		c, err := s.code(ctx, recipient)
		switch {
		case err != nil:
			return err
		case !known && c.guessed(now):
			return core.RetryLater(core.ErrThrottled, untilTomorrow(now))
		case !c.live(now):
			result = core.ErrCodeExpired
			return nil
		case subtle.ConstantTimeCompare([]byte(c.text), []byte(guess)) == 1:
			return nil
		}
		result = core.ErrCodeWrong
		c.attempts++
		if !known {
			c.wrong, c.day = c.wrongOn(now)+1, days(now)
		}
		return s.putCode(ctx, recipient, c)
	})
	if err != nil {
		return err
	}
	return result
}

// knows reports whether somebody has logged in from a network to the account whose address or number a code is for.
func (s *Service) knows(ctx context.Context, recipient, network string) (bool, error) {
	recipient = strings.TrimPrefix(recipient, codeKey("", longCode))
	find := s.byPhone
	if strings.Contains(recipient, "@") {
		find = s.byEmail
	}
	a, err := find(ctx, recipient)
	if err != nil {
		return false, unlessNotFound(err)
	}
	_, known, err := s.throttle.keys.Get(ctx, knownKey(accountKey(a.user.ID), network))
	return known, err
}

// consumeCode uses a code up in the unit of work of what it authorises. It is called after checkCode.
func (s *Service) consumeCode(ctx context.Context, recipient, guess string) error {
	c, err := s.code(ctx, recipient)
	if err != nil {
		return err
	}
	if !c.live(time.Now()) || subtle.ConstantTimeCompare([]byte(c.text), []byte(guess)) != 1 {
		return core.ErrCodeExpired
	}
	c.text = ""
	return s.putCode(ctx, recipient, c)
}

// code returns the recipient's row, the zero code if there is none.
func (s *Service) code(ctx context.Context, recipient string) (c code, err error) {
	err = s.db.QueryRow(ctx, `SELECT code, attempts, expires_at, day, wrong_today FROM code WHERE recipient = ?`,
		[]any{recipient}, &c.text, &c.attempts, &c.expires, &c.day, &c.wrong)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}

func (s *Service) putCode(ctx context.Context, recipient string, c code) error {
	n, err := s.db.Exec(ctx, `UPDATE code SET code = ?, attempts = ?, expires_at = ?, day = ?, wrong_today = ? WHERE recipient = ?`,
		c.text, c.attempts, c.expires, c.day, c.wrong, recipient)
	if err != nil || n > 0 {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO code (code, attempts, expires_at, day, wrong_today, recipient) VALUES (?, ?, ?, ?, ?, ?)`,
		c.text, c.attempts, c.expires, c.day, c.wrong, recipient)
	return err
}
