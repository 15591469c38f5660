package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

const (
	gateway   = "llfc" // names the gateway in cursors and the kind of its tokens
	seedUnit  = 1000   // accounts in one unit of work
	tokenLife = 24 * time.Hour
)

// account is a seeded account that can log in.
type account struct {
	uid   int64
	token string
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
	return accounts, db.Update(ctx, func(ctx context.Context) error {
		_, err := db.Exec(ctx, `UPDATE user_id SET id = ?`, first+int64(n)-1)
		return err
	})
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
