package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	maxDesc    = 4096          // bytes
	maxID      = 1_000_000_000 // clients hold uids in 32 bits, and some numbers above this stand for other things
	maxPassed  = 999_000_000   // an adopted uid above this is not passed, so that one alone cannot use up all others
	maxCounter = 1 << 52       // of an epoch
	maxStored  = 1024          // bytes of a stored password
)

// Record is an account as it moves from one server to another.
type Record struct {
	User     core.User
	Password string // in its stored form; "" lets nobody log in
	AsSent   bool   // the stored form is of a text that its client may have XORed
}

// Records yields the accounts by uid, or the one that only names if it is not 0. In a read transaction they are all of one moment.
func (s *Service) Records(ctx context.Context, actor core.Actor, only core.UserID, yield func(Record) error) error {
	if !administers(actor) {
		return fmt.Errorf("account records: %w", core.ErrForbidden)
	}
	if err := s.records(ctx, only, yield); err != nil {
		return fmt.Errorf("account records: %w", err)
	}
	return nil
}

func (s *Service) records(ctx context.Context, only core.UserID, yield func(Record) error) error {
	rows, err := s.db.Query(ctx, selectAccount+`? IN (0, u.uid) ORDER BY u.uid`, only)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Record
		if err := rows.Scan(append([]any{&r.Password, &r.AsSent}, fields(&r.User)...)...); err != nil {
			return err
		}
		r.User.CreatedAt = r.User.CreatedAt.UTC()
		if err := yield(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Adopt makes an account of a record, whatever the registration policy, and returns its uid: the record's own, or the
// next one if that is 0. Epoch 0 stands for 1, and no date for now. A uid that is somebody's is core.ErrIDTaken, a name
// core.ErrNameTaken, and likewise for the e-mail address and the phone number. The uids that are given later are higher,
// unless it is one of the last million.
// The audit log is left to the caller, who knows why the account moves.
func (s *Service) Adopt(ctx context.Context, actor core.Actor, r Record, joinLobby bool) (core.UserID, error) {
	if !administers(actor) {
		return 0, fmt.Errorf("adopt an account: %w", core.ErrForbidden)
	}
	n, err := parseRecord(r)
	if err == nil {
		err = s.db.Update(ctx, func(ctx context.Context) error { return s.adopt(ctx, &n, joinLobby) })
	}
	if err != nil {
		return 0, fmt.Errorf("adopt account %d %q: %w", r.User.ID, r.User.Name, err)
	}
	return n.user.ID, nil
}

// parseRecord holds a record to the rules that a registration is held to.
func parseRecord(r Record) (n newcomer, err error) {
	u := r.User
	if u.Name, err = NormalizeName(u.Name); err != nil {
		return n, err
	}
	n.nameKey = NameKey(u.Name)
	if u.Email != "" {
		if n.emailKey, err = parseEmail(u.Email); err != nil {
			return n, err
		}
	}
	if u.Phone != "" {
		if err := checkPhone(u.Phone); err != nil {
			return n, err
		}
		n.phoneKey = u.Phone
	}
	switch {
	case u.ID < 0 || u.ID > maxID, u.Epoch < 0, u.Epoch > maxCounter, u.Email == "" && u.EmailVerified, u.Phone == "" && u.PhoneVerified:
		return n, core.ErrInvalid
	case !knownForm(r.Password):
		return n, fmt.Errorf("%w: its stored form is not known", core.ErrInvalidPassword)
	case utf8.RuneCountInString(u.Nick) > maxNick || !isText(u.Nick):
		return n, fmt.Errorf("the nickname: %w", core.ErrInvalid)
	case len(u.Desc) > maxDesc || !isText(strings.ReplaceAll(u.Desc, "\n", " ")):
		return n, fmt.Errorf("the description: %w", core.ErrInvalid)
	case len(u.Icon) > maxFile || !isText(u.Icon):
		return n, fmt.Errorf("the icon: %w", core.ErrInvalid)
	case !isFileName(u.Avatar):
		return n, core.ErrInvalidAvatar
	}
	if u.Epoch == 0 {
		u.Epoch = 1
	}
	if u.CreatedAt.IsZero() {
		u.CreatedAt = time.Now()
	}
	n.user, n.hash, n.asSent = u, r.Password, r.AsSent
	return n, nil
}

// isFileName accepts "" as well: there is no file then.
func isFileName(s string) bool {
	return len(s) <= maxFile && isText(s) && !strings.ContainsAny(s, `/\`) && s != "." && s != ".."
}

// knownForm reports whether a stored password can be checked, or is none.
func knownForm(stored string) bool {
	if len(stored) > maxStored {
		return false
	}
	switch {
	case stored == "", strings.HasPrefix(stored, formPlain), strings.HasPrefix(stored, formBcrypt):
		return utf8.ValidString(stored)
	case strings.HasPrefix(stored, formArgon2):
		_, _, _, err := parsePHC(stored)
		return err == nil
	case strings.HasPrefix(stored, formMD5):
		sum, err := hex.DecodeString(stored[len(formMD5):])
		return err == nil && len(sum) == 16
	}
	return false
}

func (s *Service) adopt(ctx context.Context, n *newcomer, joinLobby bool) error {
	if err := s.checkFree(ctx, *n); err != nil {
		return err
	}
	u := &n.user
	if u.ID == 0 {
		id, err := s.nextID(ctx)
		if err != nil {
			return err
		}
		u.ID = id
	} else if err := s.unless(ctx, core.ErrIDTaken, `SELECT count(*) FROM "user" WHERE uid = ?1 OR name_key = CAST(?1 AS TEXT)`, u.ID); err != nil {
		return err
	}
	if err := s.dropUnverified(ctx, *n); err != nil {
		return err
	}
	_, err := s.db.Exec(ctx, `INSERT INTO "user" (uid, name, name_key, email, email_key, phone, phone_key, password, password_as_sent,
		nick, "desc", icon, avatar, sex, admin, disabled, epoch, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Name, n.nameKey, u.Email, onlyIf(u.EmailVerified, n.emailKey), u.Phone, onlyIf(u.PhoneVerified, n.phoneKey),
		n.hash, n.asSent, u.Nick, u.Desc, u.Icon, u.Avatar, u.Sex, u.Admin, u.Disabled, u.Epoch, u.CreatedAt.UnixMilli())
	if store.IsUnique(err) {
		err = core.ErrNameTaken
	}
	if err == nil {
		err = s.passID(ctx, min(u.ID, maxPassed))
	}
	if err == nil && u.Admin {
		err = s.dropSetup(ctx)
	}
	if err == nil && joinLobby {
		err = s.rooms.JoinLobby(ctx, u.ID)
	}
	return err
}

// LastID returns the highest uid that was ever given.
func (s *Service) LastID(ctx context.Context, actor core.Actor) (id core.UserID, err error) {
	if !administers(actor) {
		return 0, fmt.Errorf("last uid: %w", core.ErrForbidden)
	}
	if err = s.db.QueryRow(ctx, `SELECT id FROM user_id`, nil, &id); err != nil {
		return 0, fmt.Errorf("last uid: %w", err)
	}
	return id, nil
}

// PassID has the uids that are given later be higher than id.
func (s *Service) PassID(ctx context.Context, actor core.Actor, id core.UserID) error {
	if !administers(actor) {
		return fmt.Errorf("pass a uid: %w", core.ErrForbidden)
	}
	if id < 0 || id > maxID {
		return fmt.Errorf("pass a uid: %w", core.ErrInvalid)
	}
	if err := s.db.Update(ctx, func(ctx context.Context) error { return s.passID(ctx, id) }); err != nil {
		return fmt.Errorf("pass a uid: %w", err)
	}
	return nil
}

func (s *Service) passID(ctx context.Context, id core.UserID) error {
	_, err := s.db.Exec(ctx, `UPDATE user_id SET id = max(id, ?)`, id)
	return err
}

// Find returns the account that a uid, a name, a verified e-mail address or a phone number means.
func (s *Service) Find(ctx context.Context, actor core.Actor, login string) (core.User, error) {
	var u core.User
	err := s.asAdmin(ctx, actor, login, func(a account) error { u = a.user; return nil })
	if err != nil {
		return core.User{}, fmt.Errorf("find %q: %w", login, err)
	}
	return u, nil
}
