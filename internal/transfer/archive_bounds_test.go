package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/transfer"
)

// TestYear10000IsNotImported: such a time was accepted, and the next export of the server could not be imported.
func TestYear10000IsNotImported(t *testing.T) {
	h, there := lived(t), newHouse(t)
	parts := partsOf(t, h.export("Ann"))
	created := regexp.MustCompile(`"created":"[^"]+"`)
	for text, want := range map[string]bool{
		"9999-12-31T23:59:59.999-14:00": false, "9999-12-31T23:59:59.999Z": true, "1970-01-01T00:00:00.000+01:00": false, "1970-01-01T00:00:00.000Z": true,
	} {
		changed := append([]part(nil), parts...)
		for i, p := range changed {
			if p.name == "users.jsonl" {
				changed[i].content = created.ReplaceAllString(p.content, `"created":"`+text+`"`)
			}
		}
		if _, err := there.restore(write(t, forge(t, changed)), true); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestTimesOutsideOfAnArchiveAreMovedIntoIt: a disk's clock may have been wrong, and the archive can be imported all the same.
func TestTimesOutsideOfAnArchiveAreMovedIntoIt(t *testing.T) {
	h, there := lived(t), newHouse(t)
	h.picture("cyd", "early.png", "early", time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC))
	h.exec(`UPDATE message SET created_at = 400000000000000 WHERE seq = 1`)
	path := h.export("")
	_, err := there.restore(path, false)
	there.must(err)
	same(t, path, there.export(""))
}

// TestPersonWithHighNumbersLeavesRoom: the numbers that a person's archive chooses do not use up those that come after.
func TestPersonWithHighNumbersLeavesRoom(t *testing.T) {
	h, there := lived(t), newHouse(t)
	parts := partsOf(t, h.export("Ann"))
	for i, p := range parts {
		for _, c := range []struct{ part, old, with string }{
			{"conversations.jsonl", `{"id":11,`, `{"id":600000000,`},
			{"messages.jsonl", `"conversation":11,`, `"conversation":600000000,`},
			{"members.jsonl", `"conversation":11,`, `"conversation":600000000,`},
			{"cursors.jsonl", `"conversation":11,`, `"conversation":600000000,`},
			{"files/5", "", ""},
			{"files.jsonl", `{"id":5,`, `{"id":4503599627370496,`},
		} {
			switch {
			case p.name == c.part && c.old == "":
				parts[i].name = "files/4503599627370496"
			case p.name == c.part:
				parts[i].content = strings.ReplaceAll(parts[i].content, c.old, c.with)
			}
		}
	}
	_, err := there.restore(write(t, forge(t, parts)), false)
	there.must(err)
	if n := there.count(`SELECT max((SELECT max(id) FROM conversation), (SELECT max(id) FROM file))`); n > 1000 {
		t.Errorf("a number is %d", n)
	}
	there.share(there.add(account.NewUser{Name: "new"}), "", "x.txt", "there is room")
	_, err = newHouse(t).restore(there.export(""), true)
	there.must(err)
}

// TestPersonDoesNotRenameTheLobby: what it is called is not in the hands of whoever had the archive.
func TestPersonDoesNotRenameTheLobby(t *testing.T) {
	h, there := lived(t), newHouse(t)
	was := there.count(`SELECT count(*) FROM conversation WHERE id = 1 AND name = 'mine'`)
	parts := partsOf(t, h.export("Ann"))
	name := regexp.MustCompile(`("id":1,.*?"name":)"[^"]*"`)
	for i, p := range parts {
		if p.name == "conversations.jsonl" {
			parts[i].content = name.ReplaceAllString(p.content, `$1"mine"`)
			if !strings.Contains(parts[i].content, `"mine"`) {
				t.Fatal(p.content)
			}
		}
	}
	_, err := there.restore(write(t, forge(t, parts)), false)
	there.must(err)
	if is := there.count(`SELECT count(*) FROM conversation WHERE id = 1 AND name = 'mine'`); was != 0 || is != 0 {
		t.Error("the lobby is renamed")
	}
}

// TestForcedExportReplacesPlainFilesOnly: with --force it had replaced devices, and links, and begun to write beside a folder.
func TestForcedExportReplacesPlainFilesOnly(t *testing.T) {
	h := newHouse(t)
	dir := t.TempDir()
	aim, link, folder := filepath.Join(dir, "aim"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	h.must(errors.Join(os.WriteFile(aim, []byte("precious"), 0o600), os.Symlink(aim, link), os.Mkdir(folder, 0o700)))
	for _, to := range []string{link, folder} {
		before, err := os.Lstat(to)
		h.must(err)
		_, err = h.archives.Export(t.Context(), operator, home, transfer.Export{File: to, Force: true}, noAdvance)
		if after, lerr := os.Lstat(to); err == nil || !strings.Contains(err.Error(), "no plain file") || lerr != nil || after.Mode() != before.Mode() {
			t.Errorf("%s: %v, %v", to, err, lerr)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestRestoresDoNotOverlap: a second import is told at once that there is one already.
func TestRestoresDoNotOverlap(t *testing.T) {
	h, there := lived(t), newHouse(t)
	path, second := h.export(""), 0
	_, err := there.archives.Restore(t.Context(), operator, home, transfer.Restore{File: path}, func(string, int64, int64) {
		_, err := there.restore(path, true)
		if !errors.Is(err, transfer.ErrRunning) {
			t.Errorf("a second import: %v", err)
		}
		if second++; second == 1 { // another server has its own
			if _, err := newHouse(t).archives.Restore(context.WithoutCancel(t.Context()), operator, home, transfer.Restore{File: path, DryRun: true}, noAdvance); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || second == 0 {
		t.Errorf("%v, asked %d times", err, second)
	}
	if _, err := there.archives.Restore(t.Context(), operator, home, transfer.Restore{File: path}, noAdvance); errors.Is(err, transfer.ErrRunning) {
		t.Errorf("afterwards: %v", err)
	}
	if there.count(`SELECT count(*) FROM "user" WHERE uid = 1001`) != 1 {
		t.Error("the import did nothing")
	}
}
