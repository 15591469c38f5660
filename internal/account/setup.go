package account

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"parley/internal/core"
)

const setupSetting = "account.setup"

// SetupToken returns the token with which the first admin makes their account, and voids the one before.
// It is "" once there is an admin.
func (s *Service) SetupToken(ctx context.Context, actor core.Actor) (string, error) {
	if !administers(actor) {
		return "", fmt.Errorf("set-up token: %w", core.ErrForbidden)
	}
	var token string
	err := s.db.Update(ctx, func(ctx context.Context) error {
		done, err := s.adminExists(ctx)
		if err != nil || done {
			return err
		}
		if err := s.dropSetup(ctx); err != nil {
			return err
		}
		token = newToken()
		_, err = s.db.Exec(ctx, `INSERT INTO setting (name, value) VALUES (?, ?)`, setupSetting, hex.EncodeToString(tokenHash(token)))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("set-up token: %w", err)
	}
	return token, nil
}

// Setup makes the first admin's account: core.ErrSetupDone once there is one, core.ErrWrongToken for another token.
func (s *Service) Setup(ctx context.Context, from core.Origin, token, name, password string) (core.User, error) {
	u, err := s.setup(ctx, from, token, name, password)
	if err != nil {
		return core.User{}, fmt.Errorf("set up: %w", err)
	}
	return u, nil
}

func (s *Service) setup(ctx context.Context, from core.Origin, token, name, password string) (core.User, error) {
	if err := s.checkSetup(ctx, token); err != nil {
		return core.User{}, err
	}
	n, err := newAdded(NewUser{Name: name, Password: password, Admin: true})
	if err != nil {
		return core.User{}, err
	}
	if err := s.checkFree(ctx, n); err != nil {
		return core.User{}, err
	}
	if n.hash, err = s.hash(ctx, Secret{Text: password}); err != nil {
		return core.User{}, err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.checkSetup(ctx, token); err != nil {
			return err
		}
		if err := s.create(ctx, &n); err != nil {
			return err
		}
		if err := s.dropSetup(ctx); err != nil {
			return err
		}
		return s.audit.Record(ctx, core.NewActor(n.user), "account.setup", target(n.user.ID), describe(n.user), from)
	})
	if err != nil {
		return core.User{}, err
	}
	s.welcome(ctx, n.user.ID, from)
	return n.user, nil
}

func (s *Service) checkSetup(ctx context.Context, token string) error {
	done, err := s.adminExists(ctx)
	switch {
	case err != nil:
		return err
	case done:
		return core.ErrSetupDone
	}
	var want string
	err = s.db.QueryRow(ctx, `SELECT value FROM setting WHERE name = ?`, []any{setupSetting}, &want)
	if errors.Is(err, sql.ErrNoRows) {
		return core.ErrSetupDone
	}
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(tokenHash(token))), []byte(want)) != 1 {
		return core.ErrWrongToken
	}
	return nil
}

func (s *Service) dropSetup(ctx context.Context) error {
	_, err := s.db.Exec(ctx, `DELETE FROM setting WHERE name = ?`, setupSetting)
	return err
}
