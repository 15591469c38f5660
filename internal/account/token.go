package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"parley/internal/core"
)

const (
	tokenLength = 32 // hex digits
	sweepRows   = 500
)

// TokenKind is a family of tokens: what one gateway hands out.
type TokenKind struct {
	Name    string
	TTL     time.Duration
	Sliding time.Duration // use renews the TTL, written at most once in this time; 0 for tokens that only run out
	Single  bool          // a user has one; the newest wins
}

// IssueToken returns a new token of 32 hex digits for the actor. The store keeps its hash only.
func (s *Service) IssueToken(ctx context.Context, actor core.Actor, kind TokenKind) (string, error) {
	if !actor.Known() {
		return "", fmt.Errorf("issue a token: %w", core.ErrLoginRequired)
	}
	token := newToken()
	err := s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.present(ctx, actor, false); err != nil {
			return err
		}
		if kind.Single {
			if _, err := s.db.Exec(ctx, `DELETE FROM token WHERE user_id = ? AND kind = ?`, actor.User(), kind.Name); err != nil {
				return err
			}
		}
		now := time.Now()
		_, err := s.db.Exec(ctx, `INSERT INTO token (kind, user_id, hash, epoch, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			kind.Name, actor.User(), tokenHash(token), actor.Epoch(), now.UnixMilli(), now.UnixMilli(), now.Add(kind.TTL).UnixMilli())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("issue a token: %w", err)
	}
	return token, nil
}

func newToken() string {
	b := make([]byte, tokenLength/2)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// liveTokens are the tokens that still prove something, with the accounts they are for.
const liveTokens = ` FROM token t JOIN "user" u ON u.uid = t.user_id
	WHERE t.epoch = u.epoch AND u.disabled = 0 AND t.expires_at > ? AND t.kind = ? AND `

// Authenticate proves who somebody is by a token. core.ErrNoToken if it is not, or no longer, live.
func (s *Service) Authenticate(ctx context.Context, kind TokenKind, token string) (core.User, core.Actor, error) {
	u, err := s.authenticate(ctx, kind, token)
	if err != nil {
		return core.User{}, core.Actor{}, fmt.Errorf("authenticate: %w", err)
	}
	return u, core.NewActor(u), nil
}

// AuthenticateUser is Authenticate for protocols whose clients say whose token it is: core.ErrNoToken if that user has
// no live token, core.ErrWrongToken if they have another.
func (s *Service) AuthenticateUser(ctx context.Context, kind TokenKind, user core.UserID, token string) (core.User, core.Actor, error) {
	u, err := s.authenticate(ctx, kind, token)
	if err == nil && u.ID != user || errors.Is(err, core.ErrNoToken) {
		err = s.whyNot(ctx, kind, user)
	}
	if err != nil {
		return core.User{}, core.Actor{}, fmt.Errorf("authenticate: %w", err)
	}
	return u, core.NewActor(u), nil
}

func (s *Service) whyNot(ctx context.Context, kind TokenKind, user core.UserID) error {
	has, err := s.exists(ctx, `SELECT count(*)`+liveTokens+`t.user_id = ?`, time.Now().UnixMilli(), kind.Name, user)
	switch {
	case err != nil:
		return err
	case has:
		return core.ErrWrongToken
	}
	return core.ErrNoToken
}

// authenticate is one query; only a sliding token writes, once in a while.
func (s *Service) authenticate(ctx context.Context, kind TokenKind, token string) (core.User, error) {
	if len(token) != tokenLength {
		return core.User{}, core.ErrNoToken
	}
	var (
		u        core.User
		id, used int64
	)
	now := time.Now()
	err := s.db.QueryRow(ctx, `SELECT t.id, t.used_at, `+userColumns+liveTokens+`t.hash = ?`,
		[]any{now.UnixMilli(), kind.Name, tokenHash(token)}, append([]any{&id, &used}, fields(&u)...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return core.User{}, core.ErrNoToken
	}
	if err == nil && kind.Sliding > 0 && now.UnixMilli()-used >= kind.Sliding.Milliseconds() {
		err = s.renew(ctx, id, used, now, kind.TTL)
	}
	return u, err
}

func (s *Service) renew(ctx context.Context, id, used int64, now time.Time, ttl time.Duration) error {
	return s.db.Update(ctx, func(ctx context.Context) error {
		_, err := s.db.Exec(ctx, `UPDATE token SET used_at = ?, expires_at = ? WHERE id = ? AND used_at = ?`,
			now.UnixMilli(), now.Add(ttl).UnixMilli(), id, used)
		return err
	})
}

// Sweep deletes tokens, devices and codes that have run out, a few at a time so that messages pass in between.
func (s *Service) Sweep(ctx context.Context) error {
	now := time.Now()
	err := s.sweep(ctx, func(ctx context.Context) (int64, error) {
		return s.db.Exec(ctx, `DELETE FROM token WHERE id IN (SELECT id FROM token WHERE expires_at <= ? LIMIT ?)`, now.UnixMilli(), sweepRows)
	})
	if err == nil {
		err = s.sweep(ctx, func(ctx context.Context) (int64, error) {
			n, err := s.dropDevices(ctx, `id IN (SELECT id FROM device WHERE expires_at <= ? LIMIT ?)`, now.UnixMilli(), sweepRows)
			return int64(n), err
		})
	}
	if err != nil {
		return fmt.Errorf("sweep tokens: %w", err)
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		_, err := s.db.Exec(ctx, `DELETE FROM code WHERE expires_at <= ? AND day < ?`, now.UnixMilli(), days(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("sweep codes: %w", err)
	}
	return nil
}

// sweep has some rows deleted until there are no more.
func (s *Service) sweep(ctx context.Context, some func(context.Context) (int64, error)) error {
	for {
		var n int64
		err := s.db.Update(ctx, func(ctx context.Context) (err error) {
			n, err = some(ctx)
			return err
		})
		if err != nil || n < sweepRows {
			return err
		}
	}
}
