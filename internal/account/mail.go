package account

import (
	"context"
	"errors"
	"fmt"

	"parley/internal/core"
)

// VerifyEmail gives the actor an e-mail address, proved by a code that was sent there. The password must be right
// (core.ErrWrongPassword), since the address is a way into the account.
func (s *Service) VerifyEmail(ctx context.Context, actor core.Actor, from core.Origin, email, code string, password Secret) (core.User, error) {
	u, err := s.verifyEmail(ctx, actor, from, email, code, password)
	if err != nil {
		return core.User{}, fmt.Errorf("verify an e-mail address: %w", err)
	}
	return u, nil
}

func (s *Service) verifyEmail(ctx context.Context, actor core.Actor, from core.Origin, email, code string, password Secret) (core.User, error) {
	if !actor.Known() {
		return core.User{}, core.ErrLoginRequired
	}
	key, err := parseEmail(email)
	if err != nil {
		return core.User{}, err
	}
	recipient := codeKey(key, longCode)
	a, err := s.confirm(ctx, actor, from, password)
	if err == nil {
		err = s.checkCode(ctx, from, recipient, code)
	}
	if err != nil {
		return core.User{}, err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.present(ctx, actor, false); err != nil {
			return err
		}
		if err := s.consumeCode(ctx, recipient, code); err != nil {
			return err
		}
		if err := s.putEmail(ctx, a.user.ID, email); err != nil {
			return err
		}
		if a, err = s.byID(ctx, a.user.ID); err != nil {
			return err
		}
		return s.audit.Record(ctx, actor, "account.email", target(a.user.ID), "proved by a code", from)
	})
	return a.user, err
}

// RecoverPassword is ResetPassword for clients that do not ask for the name, and whose codes have six digits.
func (s *Service) RecoverPassword(ctx context.Context, from core.Origin, email, code string, password Secret) error {
	if err := s.recoverPassword(ctx, from, email, code, password); err != nil {
		return fmt.Errorf("recover a password: %w", err)
	}
	return nil
}

func (s *Service) recoverPassword(ctx context.Context, from core.Origin, email, code string, password Secret) error {
	key, err := parseEmail(email)
	if err == nil {
		err = checkPassword(password)
	}
	if err == nil {
		err = s.checkCode(ctx, from, codeKey(key, longCode), code)
	}
	if err != nil {
		return err
	}
	// Whose mail it is was shown by the code.
	a, err := s.byEmail(ctx, key)
	switch {
	case errors.Is(err, core.ErrUserNotFound):
		return core.ErrEmailMismatch
	case err != nil:
		return err
	}
	_, err = s.resetPassword(ctx, from, Reset{Email: email, Name: a.user.Name, Code: code, Password: password}, longCode)
	return err
}
