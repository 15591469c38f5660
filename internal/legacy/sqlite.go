package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// copySQLite reads an SQLite database that another server may still be using, and writes nothing to it.
func copySQLite(ctx context.Context, into *spool, path string) (err error) {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	still, err := openStill(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, still.close()) }()
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	if still.immutable {
		q.Set("immutable", "1")
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: still.path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(explain(path, err), db.Close()) }()
	tx, err := db.BeginTx(ctx, nil) // one picture of one moment
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	var verdict string
	if err := tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, verdict)
	}
	there, err := texts(ctx, tx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return err
	}
	bare, err := texts(ctx, tx, `SELECT name FROM pragma_table_list WHERE wr = 1`) // WITHOUT ROWID
	if err != nil {
		return err
	}
	into.mend = true
	return copyTables(ctx, into, tx, there, func(table string) string {
		query := `SELECT * FROM "` + table + `"`
		if !slices.Contains(bare, table) {
			query += " ORDER BY rowid"
		}
		return query
	})
}

// explain says in an operator's words what SQLite means.
func explain(path string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return err
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED:
		return fmt.Errorf("%s is locked by the old server; stop it, or try again: %w", path, err)
	case sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	case sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_PERM:
		return fmt.Errorf("%s cannot be read as it is; copy it together with its -wal and -journal files into a folder that this user can write to: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// queryer is a connection or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func texts(ctx context.Context, db queryer, query string) (list []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// copyTables copies the spool's tables out of a database that has the tables named in there.
func copyTables(ctx context.Context, into *spool, db queryer, there []string, query func(table string) string) error {
	for _, t := range into.tables {
		i := slices.IndexFunc(there, func(s string) bool { return strings.EqualFold(s, t.there()) })
		if i < 0 {
			if t.optional {
				continue
			}
			return notFound(t, there)
		}
		if err := copyTable(ctx, into, db, t, query(there[i])); err != nil {
			return err
		}
	}
	return nil
}

func copyTable(ctx context.Context, into *spool, db queryer, t table, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	theirs, err := rows.Columns()
	if err != nil {
		return err
	}
	at, missing := t.find(theirs)
	if len(missing) > 0 {
		return unfit(t, theirs, missing)
	}
	raw, dest := make([]any, len(theirs)), make([]any, len(theirs))
	for i := range raw {
		dest[i] = &raw[i]
	}
	values := make([]any, len(at))
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := into.add(ctx, t, pick(values, raw, at)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// pick takes the values of the table's own columns out of a row of the original.
func pick(values, raw []any, at []int) []any {
	for i, j := range at {
		values[i] = nil
		if j >= 0 {
			values[i] = raw[j]
		}
	}
	return values
}

func notFound(t table, there []string) error {
	found := "nothing"
	if len(there) > 0 {
		found = strings.Join(there[:min(len(there), 20)], ", ")
	}
	return fmt.Errorf("there is no table %s; found: %s", t.there(), found)
}

func unfit(t table, theirs, missing []string) error {
	return fmt.Errorf("the table %s has no column %s; it has: %s", t.there(), strings.Join(missing, ", "), strings.Join(theirs[:min(len(theirs), 50)], ", "))
}
