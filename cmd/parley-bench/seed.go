package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

const (
	gateway   = "llfc" // names the gateway in cursors and the kind of its tokens
	seedUnit  = 1000   // accounts in one unit of work
	tokenLife = 24 * time.Hour
	// familyLength is how much of a device's family is in its tokens.
	familyLength = 16
)

// account is a seeded account that can log in.
type account struct {
	uid    int64
	token  string // of the llfc family
	access string // of the API
}

// seed makes accounts beside the first one, which the server's own command has made with a real hash: all share that
// hash. Neighbours (the first and the second, the third and the fourth …) are friends, everybody is in the lobby and has
// used llfc before, so that a login writes nothing.
func seed(ctx context.Context, path string, n int) (accounts []account, err error) {
	db, err := store.Open(ctx, store.Config{Path: path, Log: slog.Default(), Metrics: obs.NewMetrics()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var first int64
	if err := db.QueryRow(ctx, `SELECT uid FROM "user"`, nil, &first); err != nil {
		return nil, fmt.Errorf("the first account: %w", err)
	}
	for i := range int64(n) {
		b := make([]byte, 16)
		_, _ = rand.Read(b)
		accounts = append(accounts, account{uid: first + i, token: hex.EncodeToString(b)})
	}
	for i := 0; i < n; i += seedUnit {
		err := db.Update(ctx, func(ctx context.Context) error {
			for j := i; j < min(i+seedUnit, n); j++ {
				friend := j ^ 1
				if friend == n {
					friend = j
				}
				if err := seedAccount(ctx, db, first, accounts[j], accounts[friend].uid); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("seed accounts: %w", err)
		}
	}
	err = db.Update(ctx, func(ctx context.Context) error {
		_, err := db.Exec(ctx, `UPDATE user_id SET id = ?`, first+int64(n)-1)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("seed accounts: %w", err)
	}
	return accounts, seedDevices(ctx, db, accounts)
}

// seedDevices logs every account in to the API, with tokens that are signed here.
func seedDevices(ctx context.Context, db *store.DB, accounts []account) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	for i := 0; i < len(accounts); i += seedUnit {
		err := db.Update(ctx, func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO setting (name, value) VALUES ('account.signing_key', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, hex.EncodeToString(key))
			for j := i; j < min(i+seedUnit, len(accounts)) && err == nil; j++ {
				accounts[j].access, err = seedDevice(ctx, db, key, accounts[j].uid)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("seed devices: %w", err)
		}
	}
	return nil
}

func seedDevice(ctx context.Context, db *store.DB, key []byte, uid int64) (string, error) {
	now := time.Now()
	family := make([]byte, sha256.Size)
	_, _ = rand.Read(family)
	var id, epoch int64
	err := db.QueryRow(ctx, `INSERT INTO device (user_id, epoch, name, family, secret, created_at, used_at, rotated_at, expires_at)
		SELECT uid, epoch, 'bench', ?, ?, ?, ?, ?, ? FROM "user" WHERE uid = ? RETURNING id, epoch`,
		[]any{family, family, now.UnixMilli(), now.UnixMilli(), now.UnixMilli(), now.Add(tokenLife).UnixMilli(), uid}, &id, &epoch)
	if err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"user_id": uid, "sid": id, "epoch": epoch, "jti": base64.RawURLEncoding.EncodeToString(family[:familyLength]), "iss": "meeting-system",
		"sub": strconv.FormatInt(uid, 10), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}).SignedString(key)
}

func seedAccount(ctx context.Context, db *store.DB, first int64, a account, friend int64) error {
	at := time.Now().UnixMilli()
	name := "bench" + strconv.FormatInt(a.uid, 10)
	hash := sha256.Sum256([]byte(a.token))
	for _, s := range []struct {
		query string
		args  []any
	}{
		{
			`INSERT INTO "user" (uid, name, name_key, password, password_as_sent, nick, icon, created_at)
			SELECT ?, ?, ?, password, password_as_sent, ?, icon, ? FROM "user" WHERE uid = ? ON CONFLICT (uid) DO NOTHING`,
			[]any{a.uid, name, name, name, at, first},
		},
		{
			`INSERT INTO token (kind, user_id, hash, epoch, created_at, used_at, expires_at)
			SELECT ?, uid, ?, epoch, ?, ?, ? FROM "user" WHERE uid = ?`,
			[]any{gateway, hash[:], at, at, at + tokenLife.Milliseconds(), a.uid},
		},
		{
			`INSERT INTO member (user_id, conversation_id, joined_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			[]any{a.uid, int64(core.Lobby), at},
		},
		{`INSERT INTO gateway_use (user_id, gateway, since) VALUES (?, ?, ?)`, []any{a.uid, gateway, at}},
		{
			`INSERT INTO cursor (user_id, gateway, conversation_id, seq) VALUES (?, ?, ?, 0)`,
			[]any{a.uid, gateway, int64(core.Lobby)},
		},
		{
			`INSERT INTO friend (self_id, friend_id, created_at) SELECT ?, ?, ? WHERE ? <> ?`,
			[]any{a.uid, friend, at, a.uid, friend},
		},
	} {
		if _, err := db.Exec(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// seedMessages fills the lobby with messages of the accounts.
func seedMessages(ctx context.Context, path string, accounts []account, n, size int) (err error) {
	db, err := store.Open(ctx, store.Config{Path: path, Log: slog.Default(), Metrics: obs.NewMetrics()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	at := time.Now().Add(-24 * time.Hour)
	for i := 0; i < n; i += seedUnit {
		err := db.Update(ctx, func(ctx context.Context) error {
			for j := i; j < min(i+seedUnit, n); j++ {
				seq := int64(j + 1)
				_, err := db.Exec(ctx, `INSERT INTO message (conversation_id, seq, sender_id, client_id, text, origin, created_at)
					VALUES (?, ?, ?, ?, ?, 'api', ?)`, int64(core.Lobby), seq, accounts[j%len(accounts)].uid, fmt.Sprint("stored-", seq),
					storedText(seq, size), at.Add(time.Duration(j)*time.Millisecond).UnixMilli())
				if err != nil {
					return err
				}
			}
			_, err := db.Exec(ctx, `UPDATE conversation SET last_seq = ? WHERE id = ?`, int64(min(i+seedUnit, n)), int64(core.Lobby))
			return err
		})
		if err != nil {
			return fmt.Errorf("seed messages: %w", err)
		}
	}
	return nil
}
