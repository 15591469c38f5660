package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
)

// Of rooms that had been made public before it was kept when, newcomers were shown all files.
func TestRoomsThatWereMadePublicEarlierKnowWhen(t *testing.T) {
	path := olderAt(t, 20261121190100)
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.ExecContext(t.Context(), `UPDATE conversation SET public = 1, open_seq = 2 WHERE id = 7`)
	if err := errors.Join(err, old.Close()); err != nil {
		t.Fatal(err)
	}
	var got string
	err = openAt(t, path).QueryRow(context.Background(), `SELECT group_concat(opened_at) FROM (SELECT opened_at FROM conversation ORDER BY id)`, nil, &got)
	if err != nil || got != "0,9" {
		t.Errorf("%q, %v", got, err)
	}
}

// olderAt makes a database with the schema of an older version, in which something has happened.
func olderAt(t *testing.T, version int64) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "parley.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO "user" (uid, name, name_key, created_at) VALUES (1001, 'Ann', 'ann', 5)`,
		`INSERT INTO conversation (id, kind, name, last_seq, created_at) VALUES (7, 2, 'den', 3, 5)`,
		`INSERT INTO member (user_id, conversation_id, joined_at) VALUES (1001, 1, 5), (1001, 7, 6)`,
		`INSERT INTO message (conversation_id, seq, sender_id, text, origin, created_at) VALUES (7, 1, 1001, 'one', 'x', 7), (7, 2, 1001, 'two', 'x', 8), (7, 3, 1001, 'three', 'x', 9)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return path
}

func TestEveryOlderSchemaIsBroughtUpToDate(t *testing.T) {
	files, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files[:len(files)-1] {
		var version int64
		if _, err := fmt.Sscanf(filepath.Base(f), "%d_", &version); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			db := openAt(t, olderAt(t, version))
			var got string
			err := db.QueryRow(context.Background(), `SELECT group_concat(s, ' ') FROM (
				SELECT c.id || ':' || c.name || ':' || c.public || ':' || c.last_seq || ':' || m.role || ':' || m.read_seq AS s
				FROM conversation c JOIN member m ON m.conversation_id = c.id AND m.user_id = 1001 ORDER BY c.id)`, nil, &got)
			want := "1:lobby:1:0:1:0 7:den:0:3:1:3" // all counts as read that was there before anybody kept count
			if version >= 20261121190100 {
				want = "1:lobby:1:0:1:0 7:den:0:3:1:0"
			}
			if err != nil || got != want {
				t.Errorf("%q, %v", got, err)
			}
			if err := db.QueryRow(context.Background(), `SELECT count(*) FROM message WHERE text IN ('one', 'two', 'three')`, nil, &got); err != nil || got != "3" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
