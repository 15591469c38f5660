package legacy

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTablesWithoutColumns: a table in whose place the columns are found by their order may have none at all.
func TestTablesWithoutColumns(t *testing.T) {
	const user = "CREATE TABLE user (uid int, username text, password text);"
	for _, table := range []string{"CREATE TABLE `file` ();", "CREATE TABLE file (PRIMARY KEY (x));", "INSERT INTO file () VALUES ();"} {
		c, err := read(t, Place{Kind: DPC, Source: dumpFile(t, user+table)})
		if err != nil || len(c.Files) != 0 {
			t.Errorf("%s: %v %+v", table, err, c)
		}
	}
}

// TestPasswordInABrokenAddressIsNotShown: an address with a slip in it was taken for a file, and shown.
func TestPasswordInABrokenAddressIsNotShown(t *testing.T) {
	for _, address := range []string{
		"MYSQL://r:SECRET@/d", "mariadb://r:SECRET@h:x/d", "mysql:/r:SECRET@h/d", " mysql://r:SECRET@h", "r:SECRET@tcp(h:1)", "r:SECRET@unix(/x)", "r:SECRET@h:3306/d",
		"r:SECRET@h", "http://r:SECRET@h/d", "mysql://r@h/SECRET@h/d", "mysql://r:SEC/SECRET@h/d", "mysql://r:1/SECRET@h/d", "mysql://r:SECRET#@h/d", "r:SECRET@tcp(h:1)/a/b",
	} {
		if !IsDSN(address) {
			t.Errorf("%s is taken for a file", address)
		}
		if _, err := read(t, Place{Kind: LLFC, Source: address}); !errors.Is(err, errDSN) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"MySQL://r:p@h/d", " mariadb://r:p@h:3306/d\n"} {
		if cfg, err := parseDSN(address, ""); err != nil || cfg.User != "r" || cfg.Passwd != "p" || cfg.Addr != "h:3306" || cfg.DBName != "d" {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestNothingIsLeftBesideAStoppedServersDatabase: files that belonged to whoever imported had kept the old server from starting.
func TestNothingIsLeftBesideAStoppedServersDatabase(t *testing.T) {
	file, db := cs3File(t)
	if _, err := db.Exec("PRAGMA journal_mode = WAL; INSERT INTO users VALUES ('late', 'x', '')"); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "usr.db")
	for _, end := range []string{"", "-wal"} { // as it is found after the machine has gone down, or in a backup
		b, err := os.ReadFile(file + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(killed+end, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "usr.db")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(empty, whole, 0o600), os.WriteFile(empty+"-wal", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"stopped": file, "killed": killed, "stopped with an empty log": empty} {
		before := names(t, filepath.Dir(path))
		if got := mustRead(t, Place{Kind: CS3, Source: path}).Users; len(got) != 5 {
			t.Errorf("%s: %d users", name, len(got))
		}
		if after := names(t, filepath.Dir(path)); after != before {
			t.Errorf("%s: there is %s, was %s", name, after, before)
		}
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// TestDatabaseThatChangesWhileItIsRead: what is read as a file that nobody changes must have been one.
func TestDatabaseThatChangesWhileItIsRead(t *testing.T) {
	file, db := cs3File(t)
	if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := openStill(file)
	if err != nil || !s.immutable {
		t.Fatal(err, s)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(f, "more")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Error(err)
	}
}

// TestTableWithoutRowID: its rows cannot be put into an order by a number that they do not have.
func TestTableWithoutRowID(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usr.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE users (name TEXT PRIMARY KEY, passwd TEXT) WITHOUT ROWID; INSERT INTO users VALUES ('zoe', 'p'), ('ann', 'q')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, Place{Kind: CS3, Source: file}).Users; len(got) != 2 || got[0].Name != "ann" {
		t.Errorf("%+v", got)
	}
}
