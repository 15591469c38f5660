package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"parley/internal/core"
)

// account is a row of the user table.
type account struct {
	user   core.User
	hash   string
	asSent bool // the hash is of a text that its client may have XORed
}

const userColumns = `u.uid, u.name, u.email, u.email_key IS NOT NULL, u.phone, u.phone_key IS NOT NULL,
	u.nick, u."desc", u.icon, u.avatar, u.sex, u.admin, u.disabled, u.epoch, u.created_at`

const selectAccount = `SELECT u.password, u.password_as_sent, ` + userColumns + ` FROM "user" u WHERE `

// fields are where a row's userColumns go.
func fields(u *core.User) []any {
	return []any{
		&u.ID, &u.Name, &u.Email, &u.EmailVerified, &u.Phone, &u.PhoneVerified,
		&u.Nick, &u.Desc, &u.Icon, &u.Avatar, &u.Sex, &u.Admin, &u.Disabled, &u.Epoch, (*millis)(&u.CreatedAt),
	}
}

// millis scans unix milliseconds.
type millis time.Time

func (m *millis) Scan(src any) error {
	ms, ok := src.(int64)
	if !ok {
		return errors.New("account: a time is not a number")
	}
	*m = millis(time.UnixMilli(ms))
	return nil
}

func (s *Service) account(ctx context.Context, query string, key any) (account, error) {
	var a account
	err := s.db.QueryRow(ctx, query, []any{key}, append([]any{&a.hash, &a.asSent}, fields(&a.user)...)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = core.ErrUserNotFound
	}
	return a, err
}

func (s *Service) byID(ctx context.Context, user core.UserID) (account, error) {
	return s.account(ctx, selectAccount+`u.uid = ?`, user)
}

func (s *Service) byName(ctx context.Context, key string) (account, error) {
	return s.account(ctx, selectAccount+`u.name_key = ?`, key)
}

func (s *Service) byEmail(ctx context.Context, key string) (account, error) {
	return s.account(ctx, selectAccount+`u.email_key = ?`, key)
}

func (s *Service) byPhone(ctx context.Context, key string) (account, error) {
	return s.account(ctx, selectAccount+`u.phone_key = ?`, key)
}

func (s *Service) users(ctx context.Context) ([]core.User, error) {
	rows, err := s.db.Q(ctx).NewSelect().TableExpr(`"user" AS u`).ColumnExpr(userColumns).OrderExpr("u.uid").Rows(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []core.User
	for rows.Next() {
		var u core.User
		if err := rows.Scan(fields(&u)...); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

func (s *Service) exists(ctx context.Context, query string, args ...any) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, query, args, &n)
	return n > 0, err
}

// unless returns named if the query counts anything.
func (s *Service) unless(ctx context.Context, named error, query string, args ...any) error {
	found, err := s.exists(ctx, query, args...)
	if err == nil && found {
		err = named
	}
	return err
}

// checkFree returns an error if a newcomer's name, e-mail address or phone number is somebody else's.
func (s *Service) checkFree(ctx context.Context, n newcomer) error {
	id, _ := parseID(n.nameKey)
	err := s.unless(ctx, core.ErrNameTaken, `SELECT count(*) FROM "user" WHERE name_key = ? OR email_key = ? OR phone_key = ? OR uid = ?`,
		n.nameKey, n.nameKey, n.nameKey, id)
	if err == nil && n.emailKey != "" {
		err = s.unless(ctx, core.ErrEmailTaken, `SELECT count(*) FROM "user" WHERE email_key = ?`, n.emailKey)
	}
	if err == nil && n.phoneKey != "" {
		err = s.phoneFree(ctx, n.phoneKey)
	}
	return err
}

// phoneFree returns an error if a phone number, or the name that it would be, is somebody's.
func (s *Service) phoneFree(ctx context.Context, phone string) error {
	return s.unless(ctx, core.ErrPhoneTaken, `SELECT count(*) FROM "user" WHERE phone_key = ? OR name_key = ?`, phone, phone)
}

// nextID gives the next uid, as long as there is one. It leaves out those that are taken already, and those that are
// somebody's name or phone number, because a login of digits means a uid first.
func (s *Service) nextID(ctx context.Context) (core.UserID, error) {
	for {
		if _, err := s.db.Exec(ctx, `UPDATE user_id SET id = id + 1`); err != nil {
			return 0, err
		}
		var id core.UserID
		if err := s.db.QueryRow(ctx, `SELECT id FROM user_id`, nil, &id); err != nil {
			return 0, err
		}
		if id > maxID {
			return 0, fmt.Errorf("%w: all uids up to %d are given", core.ErrRegistrationClosed, maxID)
		}
		digits := strconv.FormatInt(int64(id), 10)
		taken, err := s.exists(ctx, `SELECT count(*) FROM "user" WHERE uid = ? OR name_key = ? OR phone_key = ?`, id, digits, digits)
		if err != nil {
			return 0, err
		}
		if !taken {
			return id, nil
		}
	}
}

func (s *Service) insert(ctx context.Context, n newcomer) error {
	u := n.user
	_, err := s.db.Exec(ctx, `INSERT INTO "user" (uid, name, name_key, email, email_key, phone, phone_key, password, password_as_sent,
		nick, icon, avatar, admin, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Name, n.nameKey, u.Email, onlyIf(u.EmailVerified, n.emailKey), u.Phone, onlyIf(u.PhoneVerified, n.phoneKey),
		n.hash, n.asSent, u.Nick, u.Icon, u.Avatar, u.Admin, u.CreatedAt.UnixMilli())
	return err
}

func onlyIf(ok bool, key string) sql.NullString { return sql.NullString{String: key, Valid: ok} }

// dropUnverified takes what the newcomer has proved, an e-mail address or a phone number, from those who only claimed it.
// Left alone, SQLite takes the index of the keys, and goes through everybody who has none.
func (s *Service) dropUnverified(ctx context.Context, n newcomer) error {
	if n.user.EmailVerified {
		_, err := s.db.Exec(ctx, `UPDATE "user" INDEXED BY user_email_unverified SET email = '' WHERE lower(email) = ? AND email <> '' AND email_key IS NULL`, n.emailKey)
		if err != nil {
			return err
		}
	}
	if n.user.PhoneVerified {
		_, err := s.db.Exec(ctx, `UPDATE "user" INDEXED BY user_phone_unverified SET phone = '' WHERE phone = ? AND phone <> '' AND phone_key IS NULL`, n.phoneKey)
		return err
	}
	return nil
}

// replaceHash stores another hash of the same password, unless the password has changed since a was read.
func (s *Service) replaceHash(ctx context.Context, a account, hash string, asSent bool) error {
	return s.db.Update(ctx, func(ctx context.Context) error {
		_, err := s.db.Exec(ctx, `UPDATE "user" SET password = ?, password_as_sent = ? WHERE uid = ? AND password = ? AND epoch = ?`,
			hash, asSent, a.user.ID, a.hash, a.user.Epoch)
		return err
	})
}

// keepsAdmin returns core.ErrLastAdmin if a user must not cease to administer, since nobody else would be left who does. The operator
// may: they can make others.
func (s *Service) keepsAdmin(ctx context.Context, actor core.Actor, user core.UserID) error {
	if actor.Operator() {
		return nil
	}
	last, err := s.exists(ctx, `SELECT count(*) FROM "user" WHERE uid = ?1 AND admin = 1 AND disabled = 0
		AND NOT EXISTS (SELECT 1 FROM "user" WHERE uid <> ?1 AND admin = 1 AND disabled = 0)`, user)
	if err == nil && last {
		err = core.ErrLastAdmin
	}
	return err
}

func (s *Service) adminExists(ctx context.Context) (bool, error) {
	return s.exists(ctx, `SELECT count(*) FROM "user" WHERE admin = 1`)
}
