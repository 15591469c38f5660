package audit

import (
	"context"
	"fmt"
	"time"

	"parley/internal/core"
)

// Page returns a part of the log, the newest first: after the first skip, most at most; and how many entries there are.
func (l *Log) Page(ctx context.Context, actor core.Actor, skip, most int) ([]Entry, int, error) {
	if !actor.Operator() && !actor.Admin() {
		return nil, 0, fmt.Errorf("read the audit log: %w", core.ErrForbidden)
	}
	list, total, err := l.page(ctx, skip, most)
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log: %w", err)
	}
	return list, total, nil
}

func (l *Log) page(ctx context.Context, skip, most int) (list []Entry, total int, err error) {
	if err := l.db.QueryRow(ctx, `SELECT count(*) FROM audit`, nil, &total); err != nil {
		return nil, 0, err
	}
	rows, err := l.db.Query(ctx, `SELECT at, actor_id, actor_name, action, target, detail, gateway, ip FROM audit
		ORDER BY id DESC LIMIT ? OFFSET ?`, most, skip)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&at, &e.Actor, &e.Name, &e.Action, &e.Target, &e.Detail, &e.Gateway, &e.IP); err != nil {
			return nil, 0, err
		}
		e.At = time.UnixMilli(at).UTC()
		list = append(list, e)
	}
	return list, total, rows.Err()
}
