package account

import (
	"context"
	"fmt"

	"parley/internal/core"
	"parley/internal/store"
)

const maxPassword = 256 // bytes

// Secret is a password as a client sent it.
type Secret struct {
	Text       string
	MaybeXORed bool // it came from a family of clients of which some XOR the text before they send it
}

func checkPassword(s Secret) error {
	if s.Text == "" || len(s.Text) > maxPassword {
		return core.ErrInvalidPassword
	}
	return nil
}

// hash returns the hash of a password that may be set.
func (s *Service) hash(ctx context.Context, password Secret) (hash string, err error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	err = s.hashes.run(ctx, func() { hash = s.hashes.make(password.Text) })
	return hash, err
}

// verdict is what became of a password that was compared with an account's.
type verdict struct {
	ok     bool
	hash   string // what the account should store from now on
	asSent bool
}

// compare checks a password against an account's. A client that may XOR can have sent either reading, and so can the
// one that set a password as sent; who logs in from elsewhere sent the password itself, which settles it.
// A password that fails costs two hashes, whatever the account is, so that time does not tell whether it exists.
func (s *Service) compare(a account, password Secret) verdict {
	text := password.Text
	ok, current := s.hashes.check(a.hash, text)
	if !ok {
		other, has := xorText(text)
		if !has || !password.MaybeXORed && !a.asSent {
			s.hashes.spend(text)
			return verdict{}
		}
		if ok, current = s.hashes.check(a.hash, other); !ok {
			return verdict{}
		}
		text = other
	}
	v := verdict{ok: true, hash: a.hash, asSent: a.asSent}
	if a.asSent && !password.MaybeXORed {
		v.asSent = false
		current = current && text == password.Text
		text = password.Text
	}
	if !current {
		v.hash = s.hashes.make(text)
	}
	return v
}

// revise changes an account in the context's unit of work and voids everything that was proved before: tokens and devices now,
// live sessions after the commit. It returns the account's new epoch.
func (s *Service) revise(ctx context.Context, user core.UserID, query string, args ...any) (epoch int64, err error) {
	if _, err := s.db.Exec(ctx, query, args...); err != nil {
		return 0, err
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM token WHERE user_id = ?`, user); err != nil {
		return 0, err
	}
	if _, err := s.db.Exec(ctx, `DELETE FROM device WHERE user_id = ?`, user); err != nil {
		return 0, err
	}
	if err := s.db.QueryRow(ctx, `SELECT epoch FROM "user" WHERE uid = ?`, []any{user}, &epoch); err != nil {
		return 0, err
	}
	store.AfterCommit(ctx, func() {
		for _, fn := range s.revoked {
			fn(user, epoch)
		}
	})
	return epoch, nil
}

func (s *Service) setPassword(ctx context.Context, user core.UserID, hash string, asSent bool) (epoch int64, err error) {
	return s.revise(ctx, user, `UPDATE "user" SET password = ?, password_as_sent = ?, epoch = epoch + 1 WHERE uid = ?`, hash, asSent, user)
}

// Reset is the wish for a new password by somebody who reads the account's mail.
type Reset struct {
	Email    string
	Name     string
	Code     string
	Password Secret
}

// ResetPassword sets a new password. The code is judged first, so that nobody learns from it whose address it is.
func (s *Service) ResetPassword(ctx context.Context, from core.Origin, r Reset) (core.User, error) {
	u, err := s.resetPassword(ctx, from, r, shortCode)
	if err != nil {
		return core.User{}, fmt.Errorf("reset password: %w", err)
	}
	return u, nil
}

func (s *Service) resetPassword(ctx context.Context, from core.Origin, r Reset, digits int) (core.User, error) {
	key, err := parseEmail(r.Email)
	if err != nil {
		return core.User{}, err
	}
	if err := checkPassword(r.Password); err != nil {
		return core.User{}, err
	}
	if err := s.checkCode(ctx, from, codeKey(key, digits), r.Code); err != nil {
		return core.User{}, err
	}
	if _, err := s.named(ctx, r.Name, key); err != nil {
		return core.User{}, err
	}
	hash, err := s.hash(ctx, r.Password)
	if err != nil {
		return core.User{}, err
	}
	var a account
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.consumeCode(ctx, codeKey(key, digits), r.Code); err != nil {
			return err
		}
		if a, err = s.named(ctx, r.Name, key); err != nil {
			return err
		}
		if a.user.Epoch, err = s.setPassword(ctx, a.user.ID, hash, r.Password.MaybeXORed); err != nil {
			return err
		}
		return s.audit.Record(ctx, core.NewActor(a.user), "account.password", target(a.user.ID), "by e-mail", from)
	})
	if err != nil {
		return core.User{}, err
	}
	s.welcome(ctx, a.user.ID, from)
	return a.user, nil
}

// named returns the account that has both the name and the verified e-mail address.
func (s *Service) named(ctx context.Context, name, emailKey string) (account, error) {
	a, err := s.byEmail(ctx, emailKey)
	switch {
	case core.KindOf(err) == core.NotFound:
		return a, core.ErrEmailMismatch
	case err != nil:
		return a, err
	case len(name) > maxRawName || NameKey(a.user.Name) != NameKey(name):
		return a, core.ErrEmailMismatch
	case a.user.Disabled:
		return a, core.ErrDisabled
	}
	return a, nil
}
