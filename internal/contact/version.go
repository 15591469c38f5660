package contact

import (
	"context"
	"fmt"

	"parley/internal/core"
)

// ContactsVersion returns the number that rises with every change of the actor's friends, requests, remarks and blocks.
func (s *Service) ContactsVersion(ctx context.Context, actor core.Actor) (version int64, err error) {
	if !actor.Known() {
		return 0, core.ErrLoginRequired
	}
	err = s.db.QueryRow(ctx, `SELECT contacts_version FROM "user" WHERE uid = ?`, []any{int64(actor.User())}, &version)
	if err != nil {
		return 0, fmt.Errorf("contacts version: %w", notFound(err))
	}
	return version, nil
}

// touch raises the versions of users, in the unit of work of what changed for them, and has them told after it.
func (s *Service) touch(ctx context.Context, users ...core.UserID) error {
	for _, user := range users {
		if err := s.touchThose(ctx, `uid = ?`, int64(user)); err != nil {
			return err
		}
	}
	return nil
}

// touchThose is touch for the users that a condition names.
func (s *Service) touchThose(ctx context.Context, where string, args ...any) error {
	rows, err := s.db.Query(ctx, `UPDATE "user" SET contacts_version = contacts_version + 1 WHERE `+where+` RETURNING uid, contacts_version`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ev core.ContactsChanged
		if err := rows.Scan(&ev.User, &ev.Version); err != nil {
			return err
		}
		s.publishLater(ctx, ev)
	}
	return rows.Err()
}
