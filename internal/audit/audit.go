// Package audit keeps the record of what was done by whom: set-up, accounts made, disabled and re-enabled, passwords changed.
package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"parley/internal/core"
	"parley/internal/store"
)

// Log is the record in the database. It only grows; nothing in the server changes or removes an entry.
type Log struct {
	db *store.DB
}

// New returns the log of a database.
func New(db *store.DB) *Log { return &Log{db: db} }

// Record adds an entry. In a unit of work the entry is kept or rolled back together with what it tells of; outside
// of one it has its own. Target names whom or what the action concerned. Neither target nor detail may hold a
// password, a token or a verification code.
//
// Unlike the services it takes any actor: whoever runs the server is written as 0 and "operator", nobody as 0 and "".
func (l *Log) Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error {
	var ip string
	if from.IP.IsValid() {
		ip = from.IP.Unmap().String()
	}
	err := l.db.Update(ctx, func(ctx context.Context) error {
		return l.insert(ctx, Entry{time.Now(), actor.User(), actor.Name(), action, printable(target), printable(detail), from.Gateway, ip})
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	return nil
}

// printable replaces NUL, at which other programs that read the log would take a text to end.
func printable(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

func (l *Log) insert(ctx context.Context, e Entry) error {
	_, err := l.db.Exec(ctx, `INSERT INTO audit (at, actor_id, actor_name, action, target, detail, gateway, ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.At.UnixMilli(), int64(e.Actor), e.Name, e.Action, e.Target, e.Detail, string(e.Gateway), e.IP)
	return err
}
