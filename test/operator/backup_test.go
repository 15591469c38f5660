package operator

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"parley/test/client"
	"parley/test/program"
)

func dpcUser(s *program.Server, name string) client.DPC {
	return client.DPC{Auth: s.DPC.Auth, Chat: s.DPC.Chat, Files: s.DPC.Files, Name: name, Password: "secret"}
}

func upload(d client.DPC, name, content string) error {
	return d.Upload([]client.DPCFile{{Name: name, Size: int64(len(content))}}, func(client.DPCFile) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	})
}

func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(program.Binary(t), args...).CombinedOutput()
	return string(out), err
}

// A backup that is taken while a file is replaced again and again lacked its bytes.
func TestBackupHoldsWhatItsDatabaseLists(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	d := dpcUser(s, "ann")
	if err := upload(d, "a.txt", "the first"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	for i := range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := upload(d, fmt.Sprintf("changes %d.txt", i), strings.Repeat("x", n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 5 {
		file := filepath.Join(t.TempDir(), "backup.tar")
		if out, err := s.Command("", "backup", file); err != nil {
			t.Fatalf("backup %d: %v: %s", i, err, out)
		}
		restored := t.TempDir()
		if out, err := command(t, "restore", file, "--set", "data_dir="+restored); err != nil {
			t.Fatalf("restore: %v: %s", err, out)
		}
		everyBlobIsThere(t, restored)
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir, "files", ".backup-*")); err != nil || len(left) > 0 {
		t.Errorf("the backups left %v, %v", left, err)
	}
}

func everyBlobIsThere(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "parley.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name, blob, size FROM file`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var name, blob string
		var size int64
		if err := rows.Scan(&name, &blob, &size); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "files", blob[:2], blob))
		if err != nil || info.Size() != size {
			t.Errorf("%s: %v", name, err)
		}
		n++
	}
	if err := rows.Err(); err != nil || n == 0 {
		t.Errorf("%d files, %v", n, err)
	}
}

// The files on another disk, behind a link, were left out without a word.
func TestBackupFollowsALinkToTheFiles(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "files")); err != nil {
		t.Fatal(err)
	}
	s := program.Start(t, dir, nil)
	s.AddUser("ann")
	if err := upload(dpcUser(s, "ann"), "a.txt", "behind the link"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.tar")
	if out, err := s.Command("", "backup", file); err != nil {
		t.Fatalf("backup: %v: %s", err, out)
	}
	restored := t.TempDir()
	if out, err := command(t, "restore", file, "--set", "data_dir="+restored); err != nil {
		t.Fatalf("restore: %v: %s", err, out)
	}
	copied := program.Start(t, restored, nil)
	var got bytes.Buffer
	err := dpcUser(copied, "ann").Download("a.txt", func(_ client.DPCFile, r io.Reader) error {
		_, err := io.Copy(&got, r)
		return err
	})
	if err != nil || got.String() != "behind the link" {
		t.Errorf("%q %v", got.String(), err)
	}
}

func TestCheckFindsFilesThatAreGone(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	if err := upload(dpcUser(s, "ann"), "a.txt", "x"); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("", "check"); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
	blobs, err := filepath.Glob(filepath.Join(s.Dir, "files", "*", "*"))
	if err != nil || len(blobs) != 1 {
		t.Fatalf("%v %v", blobs, err)
	}
	if err := os.Remove(blobs[0]); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("", "check"); err == nil || !strings.Contains(out, "the bytes of 1 of 1 shared files are missing") {
		t.Errorf("check without the bytes: %v\n%s", err, out)
	}
}

// A restore that could not be finished left a half of it behind.
func TestRestoreLooksBeforeItMovesAnything(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	if err := upload(dpcUser(s, "ann"), "a.txt", "x"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.tar")
	if out, err := s.Command("", "backup", file); err != nil {
		t.Fatalf("backup: %v: %s", err, out)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.Dir, "parley.db"), filepath.Join(t.TempDir(), "parley.db")); err != nil {
		t.Fatal(err)
	}
	out, err := s.Command("", "restore", file)
	if err == nil || !strings.Contains(out, "holds files already; move the whole folder away") {
		t.Errorf("restore beside files: %v: %s", err, out)
	}
	if entries, err := os.ReadDir(s.Dir); err != nil || strings.Contains(fmt.Sprint(entries), "parley.db") {
		t.Errorf("%v %v", entries, err)
	}
	unused := program.Start(t, t.TempDir(), nil)
	if err := unused.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"parley.db", "parley.db-wal", "parley.db-shm"} {
		if err := os.Remove(filepath.Join(unused.Dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if out, err := unused.Command("", "restore", file); err != nil {
		t.Errorf("restore into folders without files: %v: %s", err, out)
	}
	if _, err := fs.Stat(os.DirFS(unused.Dir), "parley.db"); err != nil {
		t.Error(err)
	}
}
