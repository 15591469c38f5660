package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/core"
)

// Amendment is what is to be different in a profile; nil leaves a part as it is.
type Amendment struct {
	Nick *string
	Desc *string
	Sex  *int

	// Only those who administer may change these. They answer for the e-mail address and the phone number.
	Email    *string // "" takes it away
	Phone    *string
	Admin    *bool
	Password *string
}

func (m Amendment) administrative() bool {
	return m.Email != nil || m.Phone != nil || m.Admin != nil || m.Password != nil
}

// Amend changes an account: one's own, or, by those who administer, anybody's. It returns the account as it is then.
func (s *Service) Amend(ctx context.Context, actor core.Actor, from core.Origin, user core.UserID, m Amendment) (core.User, error) {
	u, err := s.amend(ctx, actor, from, user, m)
	if err != nil {
		return core.User{}, fmt.Errorf("amend an account: %w", err)
	}
	return u, nil
}

func (s *Service) amend(ctx context.Context, actor core.Actor, from core.Origin, user core.UserID, m Amendment) (core.User, error) {
	switch {
	case !actor.Known() && !administers(actor):
		return core.User{}, core.ErrLoginRequired
	case !administers(actor) && (actor.User() != user || m.administrative()):
		return core.User{}, core.ErrForbidden
	}
	if err := m.check(); err != nil {
		return core.User{}, err
	}
	var hash string
	if m.Password != nil {
		var err error
		if hash, err = s.hash(ctx, Secret{Text: *m.Password}); err != nil {
			return core.User{}, err
		}
	}
	var a account
	err := s.db.Update(ctx, func(ctx context.Context) (err error) {
		if err := s.present(ctx, actor, actor.User() != user || m.administrative()); err != nil {
			return err
		}
		if a, err = s.living(ctx, user); err != nil {
			return err
		}
		if m.Admin != nil && !*m.Admin {
			if err := s.keepsAdmin(ctx, actor, user); err != nil {
				return err
			}
		}
		if err := s.amendRow(ctx, a.user, m, hash); err != nil {
			return err
		}
		if a, err = s.byID(ctx, user); err != nil || !m.administrative() {
			return err
		}
		return s.audit.Record(ctx, actor, "account.amend", target(user), m.describe(), from)
	})
	return a.user, err
}

func (m Amendment) check() error {
	if m.Nick != nil {
		if err := checkNick(*m.Nick); err != nil {
			return err
		}
	}
	if m.Desc != nil && (len(*m.Desc) > maxDesc || !isText(strings.ReplaceAll(*m.Desc, "\n", " "))) {
		return core.Because(core.ErrInvalid, fmt.Sprintf("What one says of oneself may be %d bytes of text", maxDesc))
	}
	if m.Sex != nil && (*m.Sex < 0 || *m.Sex > 9) {
		return core.Because(core.ErrInvalid, "The sex is a number from 0 to 9")
	}
	if m.Email != nil && *m.Email != "" {
		if _, err := parseEmail(*m.Email); err != nil {
			return err
		}
	}
	if m.Phone != nil && *m.Phone != "" {
		return checkPhone(*m.Phone)
	}
	return nil
}

func checkNick(nick string) error {
	if utf8.RuneCountInString(nick) > maxNick || !isText(nick) {
		return core.Because(core.ErrInvalid, fmt.Sprintf("The full name may have %d characters, all in one line", maxNick))
	}
	return nil
}

// describe names what an administrator changed, and not to what.
func (m Amendment) describe() string {
	var parts []string
	for _, p := range []struct {
		name string
		set  bool
	}{
		{"nickname", m.Nick != nil},
		{"description", m.Desc != nil},
		{"sex", m.Sex != nil},
		{"e-mail", m.Email != nil},
		{"phone", m.Phone != nil},
		{"admin", m.Admin != nil},
		{"password", m.Password != nil},
	} {
		if p.set {
			parts = append(parts, p.name)
		}
	}
	return strings.Join(parts, ", ")
}

func (s *Service) amendRow(ctx context.Context, was core.User, m Amendment, hash string) error {
	if m.Nick != nil {
		was.Nick = *m.Nick
	}
	if m.Desc != nil {
		was.Desc = *m.Desc
	}
	if m.Sex != nil {
		was.Sex = *m.Sex
	}
	if _, err := s.db.Exec(ctx, `UPDATE "user" SET nick = ?, "desc" = ?, sex = ? WHERE uid = ?`, was.Nick, was.Desc, was.Sex, was.ID); err != nil {
		return err
	}
	if m.Email != nil {
		if err := s.putEmail(ctx, was.ID, *m.Email); err != nil {
			return err
		}
	}
	if m.Phone != nil {
		if err := s.putPhone(ctx, was.ID, *m.Phone); err != nil {
			return err
		}
	}
	if m.Admin != nil && *m.Admin != was.Admin {
		if err := s.putAdmin(ctx, was.ID, *m.Admin); err != nil {
			return err
		}
	}
	if m.Password != nil {
		_, err := s.setPassword(ctx, was.ID, hash, false)
		return err
	}
	return nil
}

// putEmail gives an account an address that was proved, or takes its address away.
func (s *Service) putEmail(ctx context.Context, user core.UserID, email string) error {
	key := strings.ToLower(email)
	if email != "" {
		err := s.unless(ctx, core.ErrEmailTaken, `SELECT count(*) FROM "user" WHERE uid <> ? AND (email_key = ? OR name_key = ?)`, user, key, key)
		if err == nil {
			err = s.dropUnverified(ctx, newcomer{user: core.User{EmailVerified: true}, emailKey: key})
		}
		if err != nil {
			return err
		}
	}
	_, err := s.db.Exec(ctx, `UPDATE "user" SET email = ?, email_key = ? WHERE uid = ?`, email, onlyIf(email != "", key), user)
	return err
}

func (s *Service) putPhone(ctx context.Context, user core.UserID, phone string) error {
	if phone != "" {
		err := s.unless(ctx, core.ErrPhoneTaken, `SELECT count(*) FROM "user" WHERE uid <> ? AND (phone_key = ? OR name_key = ?)`, user, phone, phone)
		if err == nil {
			err = s.dropUnverified(ctx, newcomer{user: core.User{PhoneVerified: true}, phoneKey: phone})
		}
		if err != nil {
			return err
		}
	}
	_, err := s.db.Exec(ctx, `UPDATE "user" SET phone = ?, phone_key = ? WHERE uid = ?`, phone, onlyIf(phone != "", phone), user)
	return err
}

// putAdmin changes what an account may do. Sessions hold the old rights, so taking them away ends those.
func (s *Service) putAdmin(ctx context.Context, user core.UserID, admin bool) error {
	if !admin {
		_, err := s.revise(ctx, user, `UPDATE "user" SET admin = 0, epoch = epoch + 1 WHERE uid = ?`, user)
		return err
	}
	if _, err := s.db.Exec(ctx, `UPDATE "user" SET admin = 1 WHERE uid = ?`, user); err != nil {
		return err
	}
	return s.dropSetup(ctx)
}

// ChangePassword gives the actor another password, for which the old one must be right: core.ErrWrongPassword. Everything
// that was proved with the old one is void; what the actor goes on with is the grant of a new device.
func (s *Service) ChangePassword(ctx context.Context, actor core.Actor, from core.Origin, old, password Secret, device string) (core.User, Grant, error) {
	u, g, err := s.changePassword(ctx, actor, from, old, password, device)
	if err != nil {
		return core.User{}, Grant{}, fmt.Errorf("change a password: %w", err)
	}
	return u, g, nil
}

func (s *Service) changePassword(ctx context.Context, actor core.Actor, from core.Origin, old, password Secret, device string) (u core.User, g Grant, err error) {
	a, err := s.confirm(ctx, actor, from, old)
	if err != nil {
		return u, g, err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return u, g, err
	}
	if _, err := s.signing(ctx); err != nil {
		return u, g, err
	}
	u = a.user
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.present(ctx, actor, false); err != nil {
			return err
		}
		if u.Epoch, err = s.setPassword(ctx, u.ID, hash, password.MaybeXORed); err != nil {
			return err
		}
		if g, err = s.openDevice(ctx, core.NewActor(u), from, device); err != nil {
			return err
		}
		return s.audit.Record(ctx, actor, "account.password", target(u.ID), "by its owner", from)
	})
	return u, g, err
}

// confirm has the actor prove once more who they are: core.ErrWrongPassword if they cannot.
func (s *Service) confirm(ctx context.Context, actor core.Actor, from core.Origin, password Secret) (account, error) {
	if !actor.Known() {
		return account{}, core.ErrLoginRequired
	}
	if checkPassword(password) != nil {
		return account{}, core.ErrWrongPassword
	}
	a, err := s.byID(ctx, actor.User())
	if err == nil {
		_, err = s.judge(ctx, from, accountKey(a.user.ID), a, password)
	}
	if errors.Is(err, core.ErrBadCredentials) {
		err = core.ErrWrongPassword
	}
	return a, err
}

// present returns core.ErrLoginRequired if what the actor was proved by is void by now, and core.ErrForbidden if they should
// administer and no longer do. It is asked in the unit of work of what the actor does: until then time has passed.
func (s *Service) present(ctx context.Context, actor core.Actor, admin bool) error {
	if actor.Operator() {
		return nil
	}
	now, err := s.byID(ctx, actor.User())
	switch {
	case errors.Is(err, core.ErrUserNotFound):
		return core.ErrLoginRequired
	case err != nil:
		return err
	case now.user.Epoch != actor.Epoch(), now.user.Disabled:
		return core.ErrLoginRequired
	case admin && !now.user.Admin:
		return core.ErrForbidden
	case actor.Device() == 0:
		return nil
	}
	return s.unlessOn(ctx, core.ErrLoginRequired, actor)
}

// unlessOn returns named if the device that the actor came by is logged out.
func (s *Service) unlessOn(ctx context.Context, named error, actor core.Actor) error {
	there, err := s.exists(ctx, `SELECT count(*) FROM device WHERE id = ? AND user_id = ? AND epoch = ? AND expires_at > ?`,
		actor.Device(), actor.User(), actor.Epoch(), time.Now().UnixMilli())
	if err == nil && !there {
		err = named
	}
	return err
}
