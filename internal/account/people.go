package account

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"parley/internal/core"
)

// People returns a part of the accounts by uid: after the first skip, most at most, of those whose uid, name, nickname or
// e-mail address has the text in it; and how many those are in all.
func (s *Service) People(ctx context.Context, actor core.Actor, text string, skip, most int) ([]core.User, int, error) {
	if !administers(actor) {
		return nil, 0, fmt.Errorf("list people: %w", core.ErrForbidden)
	}
	list, total, err := s.people(ctx, text, skip, most)
	if err != nil {
		return nil, 0, fmt.Errorf("list people: %w", err)
	}
	return list, total, nil
}

func (s *Service) people(ctx context.Context, text string, skip, most int) (list []core.User, total int, err error) {
	const where = ` FROM "user" u WHERE ?1 = '' OR u.uid = ?2 OR instr(u.name_key, ?1) OR instr(lower(u.nick), ?1) OR instr(lower(u.email), ?1)`
	key := strings.ToLower(NameKey(text[:min(len(text), maxRawName)]))
	id, _ := parseID(key)
	if err := s.db.QueryRow(ctx, `SELECT count(*)`+where, []any{key, id}, &total); err != nil {
		return nil, 0, err
	}
	rows, err := s.db.Query(ctx, `SELECT `+userColumns+where+` ORDER BY u.uid LIMIT ?3 OFFSET ?4`, key, id, most, skip)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var u core.User
		if err := rows.Scan(fields(&u)...); err != nil {
			return nil, 0, err
		}
		list = append(list, u)
	}
	return list, total, rows.Err()
}

// Inspect returns an account in full.
func (s *Service) Inspect(ctx context.Context, actor core.Actor, user core.UserID) (core.User, error) {
	if !administers(actor) {
		return core.User{}, fmt.Errorf("inspect an account: %w", core.ErrForbidden)
	}
	a, err := s.byID(ctx, user)
	if err != nil {
		return core.User{}, fmt.Errorf("inspect an account: %w", err)
	}
	return a.user, nil
}

// Oversee is Amend for those who administer.
func (s *Service) Oversee(ctx context.Context, actor core.Actor, from core.Origin, user core.UserID, m Amendment) (core.User, error) {
	if !administers(actor) {
		return core.User{}, fmt.Errorf("amend an account: %w", core.ErrForbidden)
	}
	return s.Amend(ctx, actor, from, user, m)
}

// Ban shuts an account out, or lets it in again.
func (s *Service) Ban(ctx context.Context, actor core.Actor, from core.Origin, user core.UserID, banned bool) error {
	// Digits that are no uid could be a name.
	if _, err := s.Inspect(ctx, actor, user); err != nil {
		return err
	}
	return s.SetDisabled(ctx, actor, from, strconv.FormatInt(int64(user), 10), banned)
}

// Count returns how many accounts there are, the deleted ones left out.
func (s *Service) Count(ctx context.Context, actor core.Actor) (n int, err error) {
	if !administers(actor) {
		return 0, fmt.Errorf("count people: %w", core.ErrForbidden)
	}
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM "user" WHERE NOT (disabled = 1 AND password = '')`, nil, &n); err != nil {
		return 0, fmt.Errorf("count people: %w", err)
	}
	return n, nil
}
