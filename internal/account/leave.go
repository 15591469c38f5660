package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"parley/internal/core"
)

// Leave deletes the actor's account, for which the password must be right: core.ErrWrongPassword. Who alone administers the server cannot:
// core.ErrLastAdmin.
//
// What the person wrote and shared stays with those they wrote to; its author is shown under a name that says that the
// account is deleted. The name, the e-mail address and the phone number are free again. Everything else of them goes.
func (s *Service) Leave(ctx context.Context, actor core.Actor, from core.Origin, password Secret) error {
	a, err := s.confirm(ctx, actor, from, password)
	if err == nil {
		err = s.erase(ctx, actor, from, a.user)
	}
	if err != nil {
		return fmt.Errorf("delete one's account: %w", err)
	}
	return nil
}

// Remove is Leave by those who administer.
func (s *Service) Remove(ctx context.Context, actor core.Actor, from core.Origin, user core.UserID) error {
	if !administers(actor) {
		return fmt.Errorf("delete an account: %w", core.ErrForbidden)
	}
	a, err := s.living(ctx, user)
	if err == nil {
		err = s.erase(ctx, actor, from, a.user)
	}
	if err != nil {
		return fmt.Errorf("delete an account: %w", err)
	}
	return nil
}

func (s *Service) erase(ctx context.Context, actor core.Actor, from core.Origin, u core.User) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.present(ctx, actor, actor.User() != u.ID); err != nil {
			return err
		}
		if _, err := s.living(ctx, u.ID); err != nil {
			return err
		}
		if err := s.keepsAdmin(ctx, actor, u.ID); err != nil {
			return err
		}
		name, err := s.nameless(ctx, u.ID)
		if err != nil {
			return err
		}
		mail := strings.ToLower(u.Email)
		for _, addr := range []string{codeKey(mail, shortCode), codeKey(mail, longCode), u.Phone} {
			if _, err := s.db.Exec(ctx, `DELETE FROM code WHERE recipient = ?`, addr); err != nil {
				return err
			}
		}
		_, err = s.revise(ctx, u.ID, `UPDATE "user" SET name = ?, name_key = ?, email = '', email_key = NULL, phone = '', phone_key = NULL,
			password = '', password_as_sent = 0, nick = ?, "desc" = '', icon = '', avatar = '', sex = 0, admin = 0, disabled = 1,
			epoch = epoch + 1 WHERE uid = ?`, name, NameKey(name), name, u.ID)
		if err != nil {
			return err
		}
		for _, fn := range s.leaving {
			if err := fn(ctx, u.ID); err != nil {
				return err
			}
		}
		return s.audit.Record(ctx, actor, "account.delete", target(u.ID), "name "+u.Name, from)
	})
	if err != nil {
		return err
	}
	// Whoever has the name next does not inherit the pictures.
	return s.dropAvatars(u.Name)
}

// living returns an account unless it was deleted: core.ErrUserNotFound.
func (s *Service) living(ctx context.Context, user core.UserID) (account, error) {
	a, err := s.byID(ctx, user)
	if err == nil && a.deleted() {
		err = core.ErrUserNotFound
	}
	return a, err
}

// deleted reports whether erase has made the account what it is.
func (a account) deleted() bool {
	return a.user.Disabled && a.hash == "" && strings.HasPrefix(NameKey(a.user.Name), erased(a.user.ID))
}

func erased(user core.UserID) string { return fmt.Sprintf("deleted-%d", user) }

// nameless returns the name of a deleted account. Should somebody have taken it on purpose, it gets some letters more.
func (s *Service) nameless(ctx context.Context, user core.UserID) (string, error) {
	name := erased(user)
	taken, err := s.exists(ctx, `SELECT count(*) FROM "user" WHERE name_key = ? AND uid <> ?`, name, user)
	if taken {
		name += "-" + strings.ToLower(rand.Text()[:8])
	}
	return name, err
}
