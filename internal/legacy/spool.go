package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	_ "modernc.org/sqlite" // the copy is an SQLite database
)

// table is a table that Parley reads.
type table struct {
	name     string
	foreign  string // its name at the original, "" for the same
	columns  []column
	order    string // in which its rows are read
	byPlace  bool   // if the names are others, the columns can be told by their order
	optional bool
}

type column struct {
	name     string
	also     []string // other names that it is known under
	number   bool
	optional bool
}

func (t table) there() string {
	if t.foreign != "" {
		return t.foreign
	}
	return t.name
}

// find says which of the original's columns each of the table's own is, -1 for none. missing is what it cannot do without.
func (t table) find(theirs []string) (at []int, missing []string) {
	for _, c := range t.columns {
		i := -1
		for _, name := range append([]string{c.name}, c.also...) {
			if i < 0 {
				i = slices.IndexFunc(theirs, func(s string) bool { return strings.EqualFold(s, name) })
			}
		}
		if i < 0 && !c.optional {
			missing = append(missing, c.name)
		}
		at = append(at, i)
	}
	if len(missing) > 0 && t.byPlace {
		return t.places(theirs, at, missing)
	}
	return at, missing
}

// places takes the original's columns in their order, without a row number at the beginning.
func (t table) places(theirs []string, at []int, missing []string) ([]int, []string) {
	first := 0
	if len(theirs) > 0 && strings.EqualFold(theirs[0], "id") {
		first = 1
	}
	if len(theirs)-first != len(t.columns) {
		return at, missing
	}
	for i := range at {
		at[i] = first + i
	}
	return at, nil
}

// spool is a private database with the rows that Parley reads. SQLite keeps it in a file without a name, which is gone when
// it is closed, or the process killed.
type spool struct {
	db     *sql.DB
	tx     *sql.Tx // while rows come in
	tables []table
	insert map[string]*sql.Stmt
	rows   map[string]int64
	loaded func(int64)
	total  int64
	mend   bool // what is not UTF-8 becomes U+FFFD: nobody can say which encoding it is in
}

func newSpool(ctx context.Context, tables []table, loaded func(int64)) (_ *spool, err error) {
	db, err := sql.Open("sqlite", "")
	if err != nil {
		return nil, fmt.Errorf("open a temporary database: %w", err)
	}
	db.SetMaxOpenConns(1) // each connection would have a database of its own
	db.SetConnMaxIdleTime(0)
	s := &spool{db: db, tables: tables, insert: map[string]*sql.Stmt{}, rows: map[string]int64{}, loaded: loaded}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open a temporary database: %w", err), s.close())
		}
	}()
	for _, pragma := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -8192"} {
		if _, err := db.ExecContext(ctx, pragma); err != nil {
			return nil, err
		}
	}
	if s.tx, err = db.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	for _, t := range tables {
		var columns, marks []string
		for _, c := range t.columns {
			kind := "TEXT"
			if c.number {
				kind = "INTEGER"
			}
			columns, marks = append(columns, strconv.Quote(c.name)+" "+kind), append(marks, "?")
		}
		if _, err := s.tx.ExecContext(ctx, `CREATE TABLE "`+t.name+`" (`+strings.Join(columns, ", ")+`)`); err != nil {
			return nil, err
		}
		st, err := s.tx.PrepareContext(ctx, //nolint:sqlclosecheck // finish closes it
			`INSERT INTO "`+t.name+`" VALUES (`+strings.Join(marks, ", ")+`)`)
		if err != nil {
			return nil, err
		}
		s.insert[t.name] = st
	}
	return s, nil
}

// loadedEvery is how many rows lie between two calls of loaded.
const loadedEvery = 5000

// add takes a row of the original in: values in the order of the table's own columns, text in UTF-8.
func (s *spool) add(ctx context.Context, t table, values []any) error {
	for i, c := range t.columns {
		if s.mend {
			values[i] = mended(values[i])
		}
		v, err := fit(c, values[i])
		if err != nil {
			return fmt.Errorf("%w: table %s, row %d, column %s: %w", ErrDamaged, t.there(), s.rows[t.name]+1, c.name, err)
		}
		values[i] = v
	}
	if _, err := s.insert[t.name].ExecContext(ctx, values...); err != nil {
		return fmt.Errorf("copy a row of %s: %w", t.there(), err)
	}
	s.rows[t.name]++
	if s.total++; s.total%loadedEvery == 0 {
		s.loaded(s.total)
	}
	return nil
}

func mended(v any) any {
	const unknown = string(utf8.RuneError)
	switch x := v.(type) {
	case string:
		return strings.ToValidUTF8(x, unknown)
	case []byte:
		return strings.ToValidUTF8(string(x), unknown)
	}
	return v
}

// empty drops the rows of a table, because the dump begins with it once more.
func (s *spool) empty(ctx context.Context, t table) error {
	_, err := s.tx.ExecContext(ctx, `DELETE FROM "`+t.name+`"`)
	s.rows[t.name] = 0
	return err
}

// fit gives a value the type of its column.
func fit(c column, v any) (any, error) {
	switch x := v.(type) {
	case nil:
		return nil, nil
	case []byte:
		v = string(x)
	case bool:
		v = "0"
		if x {
			v = "1"
		}
	case uint64:
		v = strconv.FormatUint(x, 10)
	}
	s, isText := v.(string)
	switch {
	case isText && !utf8.ValidString(s):
		return nil, errors.New("the text is not UTF-8; a dump in another encoding needs a line that says so, such as SET NAMES gbk;")
	case c.number && isText:
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not a number", s)
		}
		return n, nil
	case !c.number && !isText:
		return fmt.Sprint(v), nil
	}
	return v, nil
}

// finish ends the taking in.
func (s *spool) finish(ctx context.Context) error {
	for _, st := range s.insert {
		if err := st.Close(); err != nil {
			return err
		}
	}
	err := s.tx.Commit()
	s.tx = nil
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (s *spool) close() error {
	var err error
	if s.tx != nil {
		err = s.tx.Rollback()
	}
	return errors.Join(err, s.db.Close())
}

// each yields the rows of a table in their order; none if the original had no such table.
func (s *spool) each(ctx context.Context, name string, yield func(row) error) error {
	i := slices.IndexFunc(s.tables, func(t table) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	t := s.tables[i]
	rows, err := s.db.QueryContext(ctx, `SELECT * FROM "`+t.name+`" ORDER BY `+t.order)
	if err != nil {
		return fmt.Errorf("read the copy: %w", err)
	}
	defer rows.Close()
	r := row{columns: map[string]int{}, values: make([]any, len(t.columns))}
	into := make([]any, len(t.columns))
	for i, c := range t.columns {
		r.columns[c.name], into[i] = i, &r.values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read the copy: %w", err)
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return rows.Err()
}
