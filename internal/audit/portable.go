package audit

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"parley/internal/core"
)

// maxField is the longest that a text of an adopted entry may be, in bytes.
const maxField = 4096

// Entry is a line of the log as it moves from one server to another.
type Entry struct {
	At      time.Time
	Actor   core.UserID // 0 for nobody, and for the operator
	Name    string      // of the actor
	Action  string
	Target  string
	Detail  string
	Gateway core.Gateway
	IP      string
}

// Entries yields the log, the oldest first. If only is not 0: what that user did.
func (l *Log) Entries(ctx context.Context, actor core.Actor, only core.UserID, yield func(Entry) error) error {
	if !actor.Operator() && !actor.Admin() {
		return fmt.Errorf("export the audit log: %w", core.ErrForbidden)
	}
	rows, err := l.db.Query(ctx, `SELECT at, actor_id, actor_name, action, target, detail, gateway, ip FROM audit
		WHERE ?1 IN (0, actor_id) ORDER BY id`, int64(only))
	if err != nil {
		return fmt.Errorf("export the audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&at, &e.Actor, &e.Name, &e.Action, &e.Target, &e.Detail, &e.Gateway, &e.IP); err != nil {
			return fmt.Errorf("export the audit log: %w", err)
		}
		e.At = time.UnixMilli(at).UTC()
		if err := yield(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Adopt appends an entry of another server's log.
func (l *Log) Adopt(ctx context.Context, actor core.Actor, e Entry) error {
	if !actor.Operator() && !actor.Admin() {
		return fmt.Errorf("adopt an audit entry: %w", core.ErrForbidden)
	}
	for _, text := range []string{e.Name, e.Action, e.Target, e.Detail, string(e.Gateway), e.IP} {
		if len(text) > maxField || !utf8.ValidString(text) {
			return fmt.Errorf("adopt an audit entry: %w", core.ErrInvalid)
		}
	}
	if e.Actor < 0 || e.Action == "" {
		return fmt.Errorf("adopt an audit entry: %w", core.ErrInvalid)
	}
	err := l.db.Update(ctx, func(ctx context.Context) error { return l.insert(ctx, e) })
	if err != nil {
		return fmt.Errorf("adopt an audit entry: %w", err)
	}
	return nil
}
