package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	deviceLife     = 30 * 24 * time.Hour // without a refresh
	refreshGrace   = 10 * time.Second
	devicesMost    = 50 // of one user; the one unused for longest makes room
	maxDevice      = 128
	familyLength   = 16
	secretLength   = sha256.Size
	refreshEncoded = 64 // base64 characters of both
)

// DeviceID names a place where somebody is logged in.
type DeviceID int64

// Device is an entry of the list of places where somebody is logged in.
type Device struct {
	ID        DeviceID
	Name      string // what the client says of itself
	IP        string // at the last refresh
	CreatedAt time.Time
	UsedAt    time.Time
	ExpiresAt time.Time // unless it is used before
}

// Grant is what a device gets to prove itself with.
type Grant struct {
	Device  DeviceID
	Access  string
	Life    time.Duration // of Access
	Refresh string        // good once
}

// OpenDevice enters a device for the actor, who has just proved who they are.
func (s *Service) OpenDevice(ctx context.Context, actor core.Actor, from core.Origin, name string) (Grant, error) {
	if !actor.Known() {
		return Grant{}, fmt.Errorf("open a device: %w", core.ErrLoginRequired)
	}
	_, err := s.signing(ctx)
	var g Grant
	if err == nil {
		err = s.db.Update(ctx, func(ctx context.Context) (err error) {
			g, err = s.openDevice(ctx, actor, from, name)
			return err
		})
	}
	if err != nil {
		return Grant{}, fmt.Errorf("open a device: %w", err)
	}
	return g, nil
}

// openDevice takes part in a unit of work. The signing key is known by then: its making is a unit of its own, whose end
// must not hang on this one's.
func (s *Service) openDevice(ctx context.Context, actor core.Actor, from core.Origin, name string) (Grant, error) {
	if err := s.present(ctx, actor, false); err != nil {
		return Grant{}, err
	}
	a, err := s.byID(ctx, actor.User())
	if err != nil {
		return Grant{}, err
	}
	family, secret := make([]byte, familyLength), make([]byte, secretLength)
	_, _ = rand.Read(family)
	_, _ = rand.Read(secret)
	now := time.Now()
	var id DeviceID
	err = s.db.QueryRow(ctx, `INSERT INTO device (user_id, epoch, name, ip, family, secret, created_at, used_at, rotated_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, []any{
		a.user.ID, a.user.Epoch, deviceName(name), address(from), hashOf(family), hashOf(secret),
		now.UnixMilli(), now.UnixMilli(), now.UnixMilli(), now.Add(deviceLife).UnixMilli(),
	}, &id)
	if err != nil {
		return Grant{}, err
	}
	_, err = s.dropDevices(ctx, `user_id = ?1 AND id NOT IN
		(SELECT id FROM device WHERE user_id = ?1 ORDER BY used_at DESC, id DESC LIMIT ?2)`, a.user.ID, devicesMost)
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, a.user, id, family, secret, now)
}

func (s *Service) grant(ctx context.Context, u core.User, id DeviceID, family, secret []byte, now time.Time) (Grant, error) {
	access, err := s.access(ctx, u, id, hashOf(family), now)
	if err != nil {
		return Grant{}, err
	}
	refresh := base64.RawURLEncoding.EncodeToString(append(append([]byte{}, family...), secret...))
	return Grant{Device: id, Access: access, Life: accessLife, Refresh: refresh}, nil
}

// Refresh exchanges a refresh token for the next. A token that was exchanged before has been copied: it ends its device,
// and with it whoever has the next one. Only within the first seconds it brings the same next one once more, for a client
// that lost the answer, or asked twice at the same time.
func (s *Service) Refresh(ctx context.Context, from core.Origin, token string) (core.User, Grant, error) {
	var u core.User
	var g Grant
	family, secret, err := parseRefresh(token)
	if err == nil {
		_, err = s.signing(ctx) // as for openDevice
	}
	var result error
	if err == nil {
		err = s.db.Update(ctx, func(ctx context.Context) (err error) {
			u, g, result, err = s.refresh(ctx, from, family, secret)
			return err
		})
	}
	if err == nil {
		err = result
	}
	if err != nil {
		return core.User{}, Grant{}, fmt.Errorf("refresh: %w", err)
	}
	return u, g, nil
}

// held is what the store knows of a device's tokens.
type held struct {
	id             DeviceID
	user           core.UserID
	epoch          int64
	secret, former []byte
	rotated        int64
	expires        int64
}

// refresh returns as result what the client is told although the unit of work is to be committed.
func (s *Service) refresh(ctx context.Context, from core.Origin, family, secret []byte) (u core.User, g Grant, result, err error) {
	var d held
	err = s.db.QueryRow(ctx, `SELECT id, user_id, epoch, secret, former, rotated_at, expires_at FROM device WHERE family = ?`,
		[]any{hashOf(family)}, &d.id, &d.user, &d.epoch, &d.secret, &d.former, &d.rotated, &d.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return u, g, core.ErrNoToken, nil
	}
	if err != nil {
		return u, g, nil, err
	}
	a, err := s.byID(ctx, d.user)
	now := time.Now()
	switch {
	case err != nil:
		return u, g, nil, err
	case now.UnixMilli() >= d.expires:
		return u, g, core.ErrTokenExpired, nil
	case a.user.Disabled || a.user.Epoch != d.epoch:
		return u, g, core.ErrNoToken, nil
	}
	key, err := s.signing(ctx)
	if err != nil {
		return u, g, nil, err
	}
	next := successor(key, secret)
	switch hash := hashOf(secret); {
	case subtle.ConstantTimeCompare(hash, d.secret) == 1:
		_, err = s.db.Exec(ctx, `UPDATE device SET secret = ?, former = ?, ip = ?, used_at = ?, rotated_at = ?, expires_at = ? WHERE id = ?`,
			hashOf(next), hash, address(from), now.UnixMilli(), now.UnixMilli(), now.Add(deviceLife).UnixMilli(), d.id)
	case subtle.ConstantTimeCompare(hash, d.former) == 1 && now.UnixMilli()-d.rotated < refreshGrace.Milliseconds():
	default:
		if _, err := s.dropDevices(ctx, `id = ?`, d.id); err != nil {
			return u, g, nil, err
		}
		return u, g, core.ErrNoToken, s.audit.Record(ctx, core.NewActor(a.user), "account.token_reused", target(d.user), "the device is logged out", from)
	}
	if err == nil {
		g, err = s.grant(ctx, a.user, d.id, family, next, now)
	}
	return a.user, g, nil, err
}

func parseRefresh(token string) (family, secret []byte, err error) {
	if len(token) != refreshEncoded {
		return nil, nil, core.ErrNoToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != familyLength+secretLength {
		return nil, nil, core.ErrNoToken
	}
	return b[:familyLength], b[familyLength:], nil
}

// Devices returns where the actor is logged in, the one used last first.
func (s *Service) Devices(ctx context.Context, actor core.Actor) ([]Device, error) {
	if !actor.Known() {
		return nil, fmt.Errorf("list devices: %w", core.ErrLoginRequired)
	}
	rows, err := s.db.Query(ctx, `SELECT id, name, ip, created_at, used_at, expires_at FROM device
		WHERE user_id = ? AND expires_at > ? ORDER BY used_at DESC, id DESC`, actor.User(), time.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	defer rows.Close()
	var list []Device
	for rows.Next() {
		var d Device
		if err := rows.Scan(&d.ID, &d.Name, &d.IP, (*millis)(&d.CreatedAt), (*millis)(&d.UsedAt), (*millis)(&d.ExpiresAt)); err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// CloseDevice logs one of the actor's devices out: all its tokens are void at once.
func (s *Service) CloseDevice(ctx context.Context, actor core.Actor, id DeviceID) error {
	if !actor.Known() {
		return fmt.Errorf("close a device: %w", core.ErrLoginRequired)
	}
	err := s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.present(ctx, actor, false); err != nil {
			return err
		}
		n, err := s.dropDevices(ctx, `id = ? AND user_id = ?`, id, actor.User())
		if err == nil && n == 0 {
			err = core.ErrDeviceNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("close a device: %w", err)
	}
	return nil
}

// dropDevices logs out the devices that a condition names, in the unit of work of the context, and returns how many those were.
func (s *Service) dropDevices(ctx context.Context, where string, args ...any) (n int, err error) {
	rows, err := s.db.Query(ctx, `DELETE FROM device WHERE `+where+` RETURNING user_id, id`, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var user core.UserID
		var id int64
		if err := rows.Scan(&user, &id); err != nil {
			return n, err
		}
		n++
		store.AfterCommit(ctx, func() {
			for _, fn := range s.ended {
				fn(user, id)
			}
		})
	}
	return n, rows.Err()
}

func hashOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// deviceName takes as much of what a client says of itself as can be shown.
func deviceName(name string) string {
	if !isText(name) {
		return ""
	}
	for len(name) > maxDevice {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return name
}

func address(from core.Origin) string {
	if !from.IP.IsValid() {
		return ""
	}
	return from.IP.Unmap().String()
}
