// Package store opens the database and runs the services' units of work in it.
//
// SQLite has one writing connection. Every unit of work goes through it in a savepoint of its own, and as many
// units as are waiting share one commit: that is the group commit. What a unit wants to happen after the commit it
// hands to AfterCommit; those functions run in commit order, one after the other.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"parley/internal/core"
	"parley/internal/obs"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// Config says where the database is and who watches it.
type Config struct {
	Path    string // of the SQLite file; it is made if it does not exist
	Log     *slog.Logger
	Metrics *obs.Metrics
}

// DB is an open database.
type DB struct {
	cfg     Config
	writer  *sql.DB
	reader  *sql.DB
	write   bun.Conn // the writing connection; only the committer uses it
	read    *bun.DB
	written statements
	reads   statements

	mu     sync.RWMutex // guards closed; held for reading while a unit is handed over
	closed bool
	queue  chan *unit
	commit chan []*unit
	done   chan struct{}
}

// Open opens the database, brings its schema up to date and starts the committer.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{
		cfg: cfg, queue: make(chan *unit, 2*maxUnits), commit: make(chan []*unit, 2), done: make(chan struct{}),
	}
	// SQLite gives its other files the mode of this one. What is in them concerns nobody else on the machine.
	f, err := os.OpenFile(cfg.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if db.writer, err = open(cfg.Path, "synchronous(FULL)", "cache_size(-65536)", "wal_autocheckpoint(4000)", "journal_size_limit(67108864)"); err != nil {
		return nil, err
	}
	db.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, db.writer); err != nil {
		return nil, errors.Join(err, db.writer.Close())
	}
	if db.reader, err = open(cfg.Path, "query_only(1)", "cache_size(-512)"); err != nil {
		return nil, errors.Join(err, db.writer.Close())
	}
	readers := max(4, runtime.NumCPU())
	db.reader.SetMaxOpenConns(readers)
	db.reader.SetMaxIdleConns(readers)
	db.read = bun.NewDB(db.reader, sqlitedialect.New())
	if db.write, err = bun.NewDB(db.writer, sqlitedialect.New()).Conn(ctx); err != nil {
		return nil, errors.Join(err, db.writer.Close(), db.reader.Close())
	}
	db.written.prepare = db.write.PrepareContext
	db.reads.prepare = db.reader.PrepareContext
	go db.committer()
	go db.publisher()
	return db, nil
}

func open(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_pragma": append([]string{"journal_mode(WAL)", "busy_timeout(10000)", "temp_store(MEMORY)"}, pragmas...)}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database schema up to date: %w", err)
	}
	return nil
}

// Close commits what is queued, runs what waits for the commits, and closes the database.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	close(db.queue)
	<-db.done
	db.written.close()
	db.reads.close()
	return errors.Join(db.write.Close(), db.reader.Close(), db.writer.Close())
}

// QueueLength returns how many units of work wait for the committer.
func (db *DB) QueueLength() int { return len(db.queue) }

// Size returns how many bytes the database takes on the disk.
func (db *DB) Size() (bytes int64, err error) {
	for _, name := range []string{db.cfg.Path, db.cfg.Path + "-wal"} {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the log is there while something is in it
		case err != nil:
			return 0, fmt.Errorf("the size of the database: %w", err)
		default:
			bytes += info.Size()
		}
	}
	return bytes, nil
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.reader.PingContext(ctx) }

// Backup writes a consistent copy of the database to a file that must not exist, while the server goes on.
// It needs no running server either: another process may call it on the same file.
func Backup(ctx context.Context, from, to string) error {
	db, err := open(from)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return errors.Join(err, db.Close())
}

// Check looks for damage in a database file and returns what it found, nothing if all is well.
func Check(ctx context.Context, path string) ([]string, error) {
	found, err := Column(ctx, path, "PRAGMA integrity_check(20)")
	return slices.DeleteFunc(found, func(line string) bool { return line == "ok" }), err
}

// Column returns the first column of a query on a database file. No server need have it open.
func Column(ctx context.Context, path, query string) ([]string, error) {
	db, err := open(path, "query_only(1)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var column []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		column = append(column, v)
	}
	return column, rows.Err()
}

// IsUnique reports whether err says that a row would have stood twice under a unique key.
func IsUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// statements keeps prepared statements by their text.
type statements struct {
	prepare func(context.Context, string) (*sql.Stmt, error)
	m       sync.Map // string -> *sql.Stmt
}

func (s *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.m.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if was, loaded := s.m.LoadOrStore(query, st); loaded {
		_ = st.Close()
		return was.(*sql.Stmt), nil
	}
	return st, nil
}

func (s *statements) close() {
	s.m.Range(func(_, st any) bool { _ = st.(*sql.Stmt).Close(); return true })
}

// Q returns what runs the queries of bun's builder: the unit of work or the View that travels in the context, else the read pool.
func (db *DB) Q(ctx context.Context) bun.IDB {
	if unitOf(ctx) != nil {
		return db.write
	}
	if v := viewOf(ctx); v != nil {
		return v.tx
	}
	return db.read
}

// stmt returns the prepared form of a query that must be a constant of the program.
func (db *DB) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if unitOf(ctx) != nil {
		return db.written.get(ctx, query)
	}
	if v := viewOf(ctx); v != nil {
		return v.reads.get(ctx, query)
	}
	return db.reads.get(ctx, query)
}

// Query runs a constant query that returns rows, prepared once.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := db.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// QueryRow runs a constant query that returns at most one row and scans it into dest. No row is sql.ErrNoRows.
func (db *DB) QueryRow(ctx context.Context, query string, args []any, dest ...any) error {
	st, err := db.stmt(ctx, query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(dest...)
}

// Exec runs a constant statement in a unit of work and returns how many rows it changed.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if unitOf(ctx) == nil {
		return 0, fmt.Errorf("store: write outside a unit of work: %w", core.ErrInvalid)
	}
	st, err := db.written.get(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
