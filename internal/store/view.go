package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
)

// view is a read transaction.
type view struct {
	tx    bun.Tx
	reads statements
	fresh []string // queries that nobody had prepared for all
}

type viewKey struct{}

func viewOf(ctx context.Context) *view {
	v, _ := ctx.Value(viewKey{}).(*view)
	return v
}

// View runs fn on the database as it is at this moment: what it reads with the context that it gets stays the same
// however long it takes, while everybody else goes on. It holds one connection of the read pool, and the database's
// log of changes grows until it is done. Inside a unit of work, or another View, it joins that.
func (db *DB) View(ctx context.Context, fn func(context.Context) error) (err error) {
	if unitOf(ctx) != nil || viewOf(ctx) != nil {
		return fn(ctx)
	}
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	v := &view{tx: tx}
	// Nothing was changed, so how it ends is all the same.
	defer func() {
		if rerr := tx.Rollback(); !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, rerr)
		}
		for _, query := range v.fresh {
			_, _ = db.reads.get(ctx, query) //nolint:sqlclosecheck // it is kept, so that the next one need not
		}
	}()
	// SQLite picks the moment at the first query.
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM user_id`).Scan(&n); err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	v.reads.prepare = func(ctx context.Context, query string) (*sql.Stmt, error) {
		if st, ok := db.reads.m.Load(query); ok {
			return tx.StmtContext(ctx, st.(*sql.Stmt)), nil
		}
		// To prepare it for all takes a connection of its own, and as many views as there are connections would wait for each other.
		v.fresh = append(v.fresh, query)
		return tx.Tx.PrepareContext(ctx, query)
	}
	return fn(context.WithValue(ctx, viewKey{}, v))
}
