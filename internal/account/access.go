package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/core"
)

const (
	accessLife     = 24 * time.Hour
	accessMost     = 4096 // bytes
	accessIssuer   = "meeting-system"
	keySetting     = "account.signing_key"
	keyBytes       = 32
	useWrittenOnce = 10 * time.Minute
)

// claims are what an access token says. The name and the address are for its bearer to show; what counts is looked up.
type claims struct {
	UserID core.UserID `json:"user_id"`
	Name   string      `json:"username"`
	Email  string      `json:"email"`
	Device DeviceID    `json:"sid"`
	Epoch  int64       `json:"epoch"`
	jwt.RegisteredClaims
}

// signingKey is the installation's own, made when it is first needed and kept in the store.
type signingKey struct {
	mu    sync.Mutex // guards bytes
	bytes []byte     // nil until it was read
}

func (s *Service) signing(ctx context.Context) ([]byte, error) {
	s.key.mu.Lock()
	key := s.key.bytes
	s.key.mu.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := s.storedKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("the signing key: %w", err)
	}
	s.key.mu.Lock()
	s.key.bytes = key
	s.key.mu.Unlock()
	return key, nil
}

// storedKey makes a key unless there is one; of two that are made at once the first counts for both.
func (s *Service) storedKey(ctx context.Context) ([]byte, error) {
	text, err := s.setting(ctx, keySetting)
	if errors.Is(err, sql.ErrNoRows) {
		fresh := make([]byte, keyBytes)
		_, _ = rand.Read(fresh)
		err = s.db.Update(ctx, func(ctx context.Context) error {
			_, err := s.db.Exec(ctx, `INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, keySetting, hex.EncodeToString(fresh))
			return err
		})
		if err == nil {
			text, err = s.setting(ctx, keySetting)
		}
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != keyBytes {
		return nil, errors.New("what is stored is none")
	}
	return key, nil
}

func (s *Service) setting(ctx context.Context, name string) (value string, err error) {
	err = s.db.QueryRow(ctx, `SELECT value FROM setting WHERE name = ?`, []any{name}, &value)
	return value, err
}

// bound is what an access token says of the device's family of refresh tokens. All else in it is counted, and is given a second
// time when the server goes on from a backup; this is random.
func bound(familyHash []byte) string {
	return base64.RawURLEncoding.EncodeToString(familyHash[:familyLength])
}

// access returns a token by which a device proves its user for a day.
func (s *Service) access(ctx context.Context, u core.User, device DeviceID, familyHash []byte, now time.Time) (string, error) {
	key, err := s.signing(ctx)
	if err != nil {
		return "", err
	}
	at := jwt.NewNumericDate(now)
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		UserID: u.ID, Name: u.Name, Email: u.Email, Device: device, Epoch: u.Epoch,
		RegisteredClaims: jwt.RegisteredClaims{
			ID: bound(familyHash), Issuer: accessIssuer, Subject: strconv.FormatInt(int64(u.ID), 10), IssuedAt: at, NotBefore: at,
			ExpiresAt: jwt.NewNumericDate(now.Add(accessLife)),
		},
	}).SignedString(key)
}

// AuthenticateDevice proves who somebody is by an access token: core.ErrLoginRequired without one,
// core.ErrTokenExpired if its day is over, core.ErrNoToken if it is none of ours, or if what it was given on is gone: the device, the password or the account.
func (s *Service) AuthenticateDevice(ctx context.Context, token string) (core.Actor, DeviceID, error) {
	c, err := s.parseAccess(ctx, token)
	var u core.User
	if err == nil {
		u, err = s.onDevice(ctx, c)
	}
	if err != nil {
		return core.Actor{}, 0, fmt.Errorf("authenticate a device: %w", err)
	}
	return core.NewActor(u).OnDevice(int64(c.Device)), c.Device, nil
}

func (s *Service) parseAccess(ctx context.Context, token string) (claims, error) {
	var c claims
	switch {
	case token == "":
		return c, core.ErrLoginRequired
	case len(token) > accessMost:
		return c, core.ErrNoToken
	}
	key, err := s.signing(ctx)
	if err != nil {
		return c, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(accessIssuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithNotBeforeRequired(), jwt.WithStrictDecoding())
	_, err = parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return c, core.ErrTokenExpired
	case err != nil:
		return c, fmt.Errorf("%w: %w", core.ErrNoToken, err)
	}
	return c, nil
}

// onDevice returns the account of a token whose device is still there, and notes its use once in a while.
func (s *Service) onDevice(ctx context.Context, c claims) (core.User, error) {
	var u core.User
	var used int64
	var familyHash []byte
	now := time.Now()
	err := s.db.QueryRow(ctx, `SELECT d.used_at, d.family, `+userColumns+` FROM device d JOIN "user" u ON u.uid = d.user_id
		WHERE d.id = ? AND d.user_id = ? AND d.epoch = ? AND u.epoch = d.epoch AND u.disabled = 0 AND d.expires_at > ?`,
		[]any{c.Device, c.UserID, c.Epoch, now.UnixMilli()}, append([]any{&used, &familyHash}, fields(&u)...)...)
	if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare([]byte(bound(familyHash)), []byte(c.ID)) != 1 {
		return core.User{}, core.ErrNoToken
	}
	if err == nil && now.UnixMilli()-used >= useWrittenOnce.Milliseconds() {
		err = s.db.Update(ctx, func(ctx context.Context) error {
			_, err := s.db.Exec(ctx, `UPDATE device SET used_at = ? WHERE id = ? AND used_at = ?`, now.UnixMilli(), c.Device, used)
			return err
		})
	}
	return u, err
}

// successor returns the secret that follows another. It is derived, so that a client that lost the answer gets the same
// again although the store has only hashes.
func successor(key, secret []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("refresh"))
	mac.Write(secret)
	return mac.Sum(nil)
}
