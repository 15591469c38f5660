package account

import (
	"context"
	"fmt"

	"parley/internal/core"
)

// Operator returns the Actor of whoever runs the server: the one who can write its files needs no password.
func (s *Service) Operator() core.Actor { return core.NewOperator() }

// NewUser is an account that those who administer add. They answer for its e-mail address and phone number.
type NewUser struct {
	Name     string
	Email    string // "" if none
	Phone    string // "" if none
	Password string
	Admin    bool
}

// Add makes an account, whatever the registration policy.
func (s *Service) Add(ctx context.Context, actor core.Actor, from core.Origin, u NewUser) (core.User, error) {
	if !administers(actor) {
		return core.User{}, fmt.Errorf("add a user: %w", core.ErrForbidden)
	}
	n, err := newAdded(u)
	if err == nil {
		err = s.checkFree(ctx, n)
	}
	if err == nil {
		n.hash, err = s.hash(ctx, Secret{Text: u.Password})
	}
	if err == nil {
		err = s.db.Update(ctx, func(ctx context.Context) error {
			if err := s.present(ctx, actor, true); err != nil {
				return err
			}
			if err := s.create(ctx, &n); err != nil {
				return err
			}
			if n.user.Admin {
				if err := s.dropSetup(ctx); err != nil {
					return err
				}
			}
			return s.audit.Record(ctx, actor, "account.add", target(n.user.ID), describe(n.user), from)
		})
	}
	if err != nil {
		return core.User{}, fmt.Errorf("add a user: %w", err)
	}
	return n.user, nil
}

func newAdded(u NewUser) (newcomer, error) {
	n, err := parseRegistration(Registration{Name: u.Name, Email: u.Email, Phone: u.Phone, Password: Secret{Text: u.Password}}, false)
	if err != nil {
		return n, err
	}
	n.user.Admin, n.user.EmailVerified, n.user.PhoneVerified = u.Admin, u.Email != "", u.Phone != ""
	return n, nil
}

func describe(u core.User) string {
	if u.Admin {
		return "admin, name " + u.Name
	}
	return "name " + u.Name
}

// List returns every account by uid.
func (s *Service) List(ctx context.Context, actor core.Actor) ([]core.User, error) {
	if !administers(actor) {
		return nil, fmt.Errorf("list users: %w", core.ErrForbidden)
	}
	users, err := s.users(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return users, nil
}

// SetPassword gives the account that login means a new password.
func (s *Service) SetPassword(ctx context.Context, actor core.Actor, from core.Origin, login, password string) error {
	err := s.asAdmin(ctx, actor, login, func(a account) error {
		hash, err := s.hash(ctx, Secret{Text: password})
		if err != nil {
			return err
		}
		return s.db.Update(ctx, func(ctx context.Context) error {
			if err := s.present(ctx, actor, true); err != nil {
				return err
			}
			if _, err := s.living(ctx, a.user.ID); err != nil {
				return err
			}
			if _, err := s.setPassword(ctx, a.user.ID, hash, false); err != nil {
				return err
			}
			return s.audit.Record(ctx, actor, "account.password", target(a.user.ID), "by an administrator", from)
		})
	})
	if err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	return nil
}

// SetDisabled shuts the account that login means out, or lets it in again.
func (s *Service) SetDisabled(ctx context.Context, actor core.Actor, from core.Origin, login string, disabled bool) error {
	err := s.asAdmin(ctx, actor, login, func(a account) error {
		return s.db.Update(ctx, func(ctx context.Context) error {
			if err := s.present(ctx, actor, true); err != nil {
				return err
			}
			a, err := s.living(ctx, a.user.ID)
			if err != nil || a.user.Disabled == disabled {
				return err
			}
			action := "account.enable"
			if disabled {
				action = "account.disable"
				if err := s.keepsAdmin(ctx, actor, a.user.ID); err != nil {
					return err
				}
				_, err = s.revise(ctx, a.user.ID, `UPDATE "user" SET disabled = 1, epoch = epoch + 1 WHERE uid = ?`, a.user.ID)
			} else {
				_, err = s.db.Exec(ctx, `UPDATE "user" SET disabled = 0 WHERE uid = ?`, a.user.ID)
			}
			if err != nil {
				return err
			}
			return s.audit.Record(ctx, actor, action, target(a.user.ID), "", from)
		})
	})
	if err != nil {
		return fmt.Errorf("disable or enable a user: %w", err)
	}
	return nil
}

func (s *Service) asAdmin(ctx context.Context, actor core.Actor, login string, fn func(account) error) error {
	if !administers(actor) {
		return core.ErrForbidden
	}
	a, err := s.find(ctx, login)
	if err != nil {
		return err
	}
	return fn(a)
}
