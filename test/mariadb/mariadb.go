// Package mariadb starts a real MariaDB server for tests, with its data in a folder that is thrown away.
package mariadb

import (
	"bytes"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the tests speak to the server through it
)

// startTimeout is how long the server may take to be ready on a busy machine.
const startTimeout = 60 * time.Second

// Password is root's. It has characters that an address must escape.
const Password = "s3cret/@:pw"

// Server is a running MariaDB.
type Server struct {
	Addr   string // host:port
	Socket string

	t   testing.TB
	dir string
	DB  *sql.DB // root, in no database
}

// Start runs a server until the test ends. Where MariaDB is not installed the test is skipped, but for CI.
func Start(t testing.TB) *Server {
	t.Helper()
	daemon, install := find(t, "mariadbd"), find(t, "mariadb-install-db")
	dir, err := os.MkdirTemp("", "mdb") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, dir: dir, Socket: filepath.Join(dir, "s"), Addr: freeAddr(t)}
	data := filepath.Join(dir, "data")
	user := []string{}
	if os.Geteuid() == 0 {
		user = []string{"--user=root"}
	}
	run(t, "", install, append([]string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db"}, user...)...)
	_, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command(daemon, append([]string{
		"--no-defaults", "--datadir=" + data, "--socket=" + s.Socket, "--pid-file=" + filepath.Join(dir, "pid"), "--port=" + port,
		"--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
		"--max-allowed-packet=64M", "--skip-name-resolve",
	}, user...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	s.connect(ended, &log)
	return s
}

func (s *Server) connect(ended chan struct{}, log *bytes.Buffer) {
	s.t.Helper()
	for end := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		db, err := sql.Open("mysql", "root@unix("+s.Socket+")/")
		if err != nil {
			s.t.Fatal(err)
		}
		_, err = db.Exec("SET PASSWORD FOR root@localhost = PASSWORD('" + Password + "')")
		_ = db.Close()
		if err == nil {
			break
		}
		select {
		case <-ended:
			s.t.Fatalf("mariadbd ended:\n%s", log)
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("mariadbd is not ready: %v", err)
		}
	}
	db, err := sql.Open("mysql", "root:"+Password+"@unix("+s.Socket+")/?multiStatements=true&charset=utf8mb4")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	s.DB = db
	s.Exec("CREATE USER 'reader'@'127.0.0.1' IDENTIFIED BY '" + Password + "'; GRANT SELECT ON *.* TO 'reader'@'127.0.0.1'")
}

// Exec runs statements as root.
func (s *Server) Exec(statements string, args ...any) {
	s.t.Helper()
	if _, err := s.DB.Exec(statements, args...); err != nil {
		s.t.Fatalf("%v in %.300s", err, statements)
	}
}

// URL is the address of a database, for a user who can only read.
func (s *Server) URL(database string) string {
	return "mysql://reader:" + strings.NewReplacer("/", "%2F", "@", "%40", ":", "%3A").Replace(Password) + "@" + s.Addr + "/" + database
}

// DSN is the same in the form of Go's driver.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("reader:%s@tcp(%s)/%s", Password, s.Addr, database)
}

// Dump writes a database to a file with mariadb-dump and returns its name.
func (s *Server) Dump(database string, flags ...string) string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), database+".sql")
	args := append([]string{"--no-defaults", "--socket=" + s.Socket, "--user=root", "--result-file=" + file}, flags...)
	run(s.t, Password, find(s.t, "mariadb-dump"), append(args, database)...)
	return file
}

// Load has the server run a dump in a database that is made for it.
func (s *Server) Load(database, file string) {
	s.t.Helper()
	s.Exec("CREATE DATABASE `" + database + "` CHARACTER SET utf8mb4")
	run(s.t, Password, find(s.t, "mariadb"), "--no-defaults", "--socket="+s.Socket, "--user=root", database, "-e", "source "+file)
}

func find(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

func run(t testing.TB, password, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n == 0 {
		t.Fatal(err, perr)
	}
	return ln.Addr().String()
}
