package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	dialTimeout = 10 * time.Second
	readTimeout = 2 * time.Minute // between two pieces of an answer
)

// errDSN does not show the address, because there may be a password in it.
var errDSN = errors.New("the address of the MySQL server is not of the form mysql://user:password@host:3306/database")

// parseDSN reads mysql://user:password@host:port/database, with mariadb: as well, or the form of Go's driver, user:password@tcp(host:port)/database.
func parseDSN(dsn, password string) (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	dsn = strings.TrimSpace(dsn)
	if scheme, _, ok := strings.Cut(dsn, "://"); ok && (strings.EqualFold(scheme, "mysql") || strings.EqualFold(scheme, "mariadb")) {
		u, err := url.Parse(dsn)
		if err != nil || u.Hostname() == "" || u.User.Username() == "" {
			return nil, errDSN
		}
		port := u.Port()
		if port == "" {
			port = "3306"
		}
		cfg.Net, cfg.Addr, cfg.User = "tcp", net.JoinHostPort(u.Hostname(), port), u.User.Username()
		cfg.Passwd, _ = u.User.Password()
		cfg.DBName = strings.TrimPrefix(u.Path, "/")
		if u.Query().Get("tls") != "" {
			cfg.TLSConfig = u.Query().Get("tls")
		}
		if s := u.Query().Get("socket"); s != "" {
			cfg.Net, cfg.Addr = "unix", s
		}
	} else {
		parsed, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, errDSN
		}
		cfg = parsed
	}
	if strings.ContainsAny(cfg.DBName, "/@") { // a / or an @ in the password, it may be
		return nil, errDSN
	}
	if cfg.DBName == "" {
		return nil, fmt.Errorf("%w: it names no database", errDSN)
	}
	if cfg.Passwd == "" {
		cfg.Passwd = password
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, readTimeout, dialTimeout
	cfg.ParseTime, cfg.MultiStatements, cfg.InterpolateParams = false, false, false
	cfg.Logger = log.New(io.Discard, "", 0) // what matters comes back as an error
	return cfg, cfg.Apply(mysql.Charset("utf8mb4", ""))
}

// copyMySQL reads from a server that may be in use, in a transaction that writes nothing and sees one moment.
func copyMySQL(ctx context.Context, into *spool, dsn, password string) (err error) {
	cfg, err := parseDSN(dsn, password)
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return errDSN
	}
	db := sql.OpenDB(connector)
	defer func() {
		if err != nil {
			err = fmt.Errorf("MySQL at %s, database %s: %w", cfg.Addr, cfg.DBName, err)
		}
		err = errors.Join(err, db.Close())
	}()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := begin(ctx, conn); err != nil {
		return err
	}
	there, err := texts(ctx, conn, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name")
	if err != nil {
		return err
	}
	if err := copyTables(ctx, into, conn, there, func(table string) string { return "SELECT * FROM `" + table + "`" }); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "ROLLBACK")
	return err
}

func begin(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
	var e *mysql.MySQLError
	const syntax = 1064
	if errors.As(err, &e) && e.Number == syntax { // MySQL before 5.6 cannot say READ ONLY
		_, err = conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
	}
	return err
}
