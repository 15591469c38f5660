// Package audit keeps the record of what was done by whom: set-up, accounts made, disabled and re-enabled, passwords changed.
package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"parley/internal/core"
	"parley/internal/store"
)

// entry is a row.
type entry struct {
	bun.BaseModel `bun:"table:audit"`

	ID        int64 `bun:",pk,autoincrement"`
	At        int64 // unix milliseconds
	ActorID   core.UserID
	ActorName string
	Action    string
	Target    string
	Detail    string
	Gateway   core.Gateway
	IP        string `bun:"ip"`
}

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
	e := entry{
		At: time.Now().UnixMilli(), ActorID: actor.User(), ActorName: actor.Name(), Action: action, Target: target, Detail: detail,
		Gateway: from.Gateway, IP: ip,
	}
	err := l.db.Update(ctx, func(ctx context.Context) error {
		_, err := l.db.Q(ctx).NewInsert().Model(&e).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", action, err)
	}
	return nil
}
