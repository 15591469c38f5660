package operator

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"parley/test/client"
	"parley/test/program"
)

// parley runs a command on a data folder that no server uses.
func parley(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(program.Binary(t), append(args, "--set", "data_dir="+dir)...).CombinedOutput()
	return string(out), err
}

// readArchive returns the parts of an archive by their names. Of those that are long it keeps the sum.
func readArchive(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parts := map[string]string{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[h.Name] = string(b)
	}
}

// sameArchives compares two archives but for when they were written.
func sameArchives(t *testing.T, a, b string) {
	t.Helper()
	first, second := readArchive(t, a), readArchive(t, b)
	if len(first) != len(second) || len(first) < 14 {
		t.Errorf("%d parts and %d parts", len(first), len(second))
	}
	for name, content := range first {
		if name == "manifest.json" || name == "complete.json" {
			continue
		}
		if content != second[name] {
			t.Errorf("%s differs: %x and %x", name, sha256.Sum256([]byte(content)), sha256.Sum256([]byte(second[name])))
		}
	}
}

// furnish gives a running server friends, messages, files and pictures.
func furnish(t *testing.T, s *program.Server) (ann, bob *client.LLFC) {
	t.Helper()
	s.AddUser("ann")
	s.AddUser("bob")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	must(err)
	bob, _, err = client.Login(s.HTTP, "bob", "secret")
	must(err)
	must(ann.Send(1009, map[string]any{"uid": ann.UID, "applyname": "Ann", "bakname": "Bobby", "touid": bob.UID}))
	_, err = ann.Wait(1010)
	must(err)
	must(bob.Send(1013, map[string]any{"fromuid": bob.UID, "touid": ann.UID, "back": "Annie"}))
	_, err = bob.Wait(1014)
	must(err)
	for i := range 20 {
		must(ann.Say(lobby, fmt.Sprint("m", i), fmt.Sprint("to all: ", i)))
		_, err := ann.Wait(1018)
		must(err)
		must(ann.Say(bob.UID, fmt.Sprint("d", i), fmt.Sprint("to Bob: ", i)))
		_, err = ann.Wait(1018)
		must(err)
	}
	d := client.DPC{Auth: s.DPC.Auth, Chat: s.DPC.Chat, Files: s.DPC.Files, Name: "ann", Password: "secret"}
	must(d.Upload([]client.DPCFile{{Name: "notes.txt", Size: 5}}, func(client.DPCFile) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("notes")), nil
	}))
	must(os.MkdirAll(filepath.Join(s.Dir, "avatars", "ann"), 0o700))
	must(os.WriteFile(filepath.Join(s.Dir, "avatars", "ann", "me.png"), []byte("a picture"), 0o600))
	return ann, bob
}

// TestExportAndImportOfAServer moves a server: exported while it runs and when it is stopped, imported by a command and by a
// running server.
func TestExportAndImportOfAServer(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	furnish(t, s)
	dir := t.TempDir()
	running, stopped := filepath.Join(dir, "running.tar"), filepath.Join(dir, "stopped.tar")
	out, err := s.Command("", "export", running)
	if err != nil || !strings.Contains(out, "40  messages") || !strings.Contains(out, "1  files and folders") || !strings.Contains(out, "1  pictures") {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(running); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, info.Mode())
	}
	if out, err := s.Command("", "export", running); err == nil || !strings.Contains(out, "exists already") {
		t.Errorf("an archive is replaced: %v %s", err, out)
	}
	if out, err := s.Command("", "export", running, "--force"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("", "export", stopped); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// With the server stopped: first a dry run, then in earnest.
	second := t.TempDir()
	if out, err := parley(t, second, "import", "parley", stopped, "--dry-run"); err != nil || !strings.Contains(out, "40  messages") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := parley(t, second, "user", "list"); err != nil || strings.Contains(out, "ann") {
		t.Fatalf("the dry run has written something: %v: %s", err, out)
	}
	if out, err := parley(t, second, "import", "parley", stopped); err != nil || !strings.Contains(out, "The import is done") {
		t.Fatalf("%v: %s", err, out)
	}
	again := filepath.Join(dir, "again.tar")
	if out, err := parley(t, second, "export", again); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameArchives(t, stopped, again)
	if out, err := parley(t, second, "import", "parley", stopped, "--yes"); err == nil || !strings.Contains(out, "ann (uid 1001)") {
		t.Errorf("it is imported twice: %v: %s", err, out)
	}
	// Through a running server.
	third := program.Start(t, t.TempDir(), nil)
	if out, err := third.Command("", "import", "parley", stopped); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ann, answer, err := client.Login(third.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if list, ok := answer["friend_list"].([]any); !ok || len(list) == 0 || !strings.Contains(fmt.Sprint(list), "bob") {
		t.Errorf("friends: %v", answer["friend_list"])
	}
	if err := ann.Say(lobby, "m20", "goes on"); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Wait(1018); err != nil {
		t.Error(err)
	}
	d := client.DPC{Auth: third.DPC.Auth, Chat: third.DPC.Chat, Files: third.DPC.Files, Name: "ann", Password: "secret"}
	if err := d.Download("notes.txt", func(_ client.DPCFile, r io.Reader) error {
		if b, err := io.ReadAll(r); err != nil || string(b) != "notes" {
			t.Errorf("the file: %q %v", b, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(third.Dir, "avatars", "ann", "me.png")); err != nil || string(b) != "a picture" {
		t.Errorf("the picture: %q %v", b, err)
	}
}

func TestExportAndImportOfAPerson(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	furnish(t, s)
	dir := t.TempDir()
	first, again := filepath.Join(dir, "ann.tar"), filepath.Join(dir, "again.tar")
	if out, err := s.Command("", "export", first, "--user", "ann@example.org"); err != nil || !strings.Contains(out, "1  accounts") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := s.Command("", "export", again, "--user", "nobody"); err == nil {
		t.Errorf("of nobody: %s", out)
	}
	other := program.Start(t, t.TempDir(), nil)
	out, err := other.Command("", "import", "parley", first)
	if err != nil || !strings.Contains(out, "ann gets no password") || !strings.Contains(out, "1 others get accounts") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := other.Command("", "export", again, "--user", "ann"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameArchives(t, first, again)
	if out, err := other.Command("", "user", "list"); err != nil || strings.Count(out, "disabled") != 1 || !strings.Contains(out, "bob") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := other.Command("fresh\n", "user", "passwd", "ann", "--password-stdin"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, _, err := client.Login(other.HTTP, "ann", "fresh"); err != nil {
		t.Error(err)
	}
	if _, _, err := client.Login(other.HTTP, "bob", "secret"); err == nil {
		t.Error("a placeholder can log in")
	}
}

// TestExportUnderLoad writes archives of a server that people talk on: each is of one moment, and can be imported.
func TestExportUnderLoad(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	ann, bob := furnish(t, s)
	var posted atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i, c := range []*client.LLFC{ann, bob} {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				to := int64(lobby)
				if n%2 == 0 {
					to = []int64{bob.UID, ann.UID}[i]
				}
				if err := c.Say(to, fmt.Sprint("load", n), "hello"); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Wait(1018); err != nil {
					t.Error(err)
					return
				}
				posted.Add(1)
			}
		})
	}
	var before int64
	for i := range 3 {
		for seen := posted.Load(); posted.Load() < seen+50; time.Sleep(5 * time.Millisecond) { // they talk
			if t.Failed() {
				break
			}
		}
		path := filepath.Join(t.TempDir(), "archive.tar")
		acked := posted.Load()
		if out, err := s.Command("", "export", path); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		n := checkNumbers(t, readArchive(t, path))
		if n < 40+acked || n <= before {
			t.Errorf("archive %d has %d messages; %d were acknowledged before it was begun", i, n, 40+acked)
		}
		before = n
		if out, err := parley(t, t.TempDir(), "import", "parley", path); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	close(stop)
	wg.Wait()
}

// checkNumbers checks that each conversation has the messages that it says it has, without gaps, and returns how many there
// are in all.
func checkNumbers(t *testing.T, parts map[string]string) (n int64) {
	t.Helper()
	last := map[int64]int64{}
	for l := range strings.Lines(parts["messages.jsonl"]) {
		var m struct {
			Conversation int64 `json:"conversation"`
			Seq          int64 `json:"seq"`
		}
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatal(err)
		}
		if m.Seq != last[m.Conversation]+1 {
			t.Errorf("conversation %d: %d follows %d", m.Conversation, m.Seq, last[m.Conversation])
		}
		last[m.Conversation] = m.Seq
		n++
	}
	for l := range strings.Lines(parts["conversations.jsonl"]) {
		var c struct {
			ID   int64 `json:"id"`
			Last int64 `json:"last_seq"`
		}
		if err := json.Unmarshal([]byte(l), &c); err != nil {
			t.Fatal(err)
		}
		if c.Last != last[c.ID] {
			t.Errorf("conversation %d ends at %d and says %d", c.ID, last[c.ID], c.Last)
		}
	}
	return n
}

// crowd puts accounts and many messages into the database of a stopped server.
func crowd(t *testing.T, dir string, messages int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "parley.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		fmt.Sprintf(`INSERT INTO message (conversation_id, seq, sender_id, client_id, text, origin, created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			SELECT 1, i, 1001, 'c' || i, 'this is message number ' || i, 'test', 1700000000000 + i FROM n`, messages),
		fmt.Sprintf(`UPDATE conversation SET last_seq = %d WHERE id = 1`, messages),
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledImportCanBeRepeated kills imports at moments that are spread over one, and looks at what is there then.
func TestKilledImportCanBeRepeated(t *testing.T) {
	const messages = 30_000
	from := t.TempDir()
	for _, name := range []string{"ann", "bob"} {
		cmd := exec.Command(program.Binary(t), "user", "add", name, "--password-stdin", "--set", "data_dir="+from)
		cmd.Stdin = strings.NewReader("secret\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	crowd(t, from, messages)
	archive := filepath.Join(t.TempDir(), "archive.tar")
	if out, err := parley(t, from, "export", archive); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	start := time.Now()
	if out, err := parley(t, t.TempDir(), "import", "parley", archive); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	takes := time.Since(start)
	to := t.TempDir()
	killed := 0
	for i := range 8 {
		cmd := exec.Command(program.Binary(t), "import", "parley", archive, "--set", "data_dir="+to)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(takes * time.Duration(i+2) / 11) // the moment of the kill
		_ = cmd.Process.Signal(syscall.SIGKILL)
		if err := cmd.Wait(); err == nil {
			break // it was quicker
		}
		killed++
		list, err := parley(t, to, "user", "list")
		if err != nil {
			t.Fatalf("%v: %s", err, list)
		}
		if strings.Contains(list, "ann") {
			break // it was committed, and killed after that
		}
	}
	if killed < 3 {
		t.Errorf("only %d imports were killed", killed)
	}
	list, err := parley(t, to, "user", "list")
	if err != nil {
		t.Fatalf("%v: %s", err, list)
	}
	if !strings.Contains(list, "ann") {
		if out, err := parley(t, to, "import", "parley", archive); err != nil {
			t.Fatalf("after the kills: %v: %s", err, out)
		}
	}
	again := filepath.Join(t.TempDir(), "again.tar")
	if out, err := parley(t, to, "export", again); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameArchives(t, archive, again)
}

// TestStopDoesNotWaitForAnExport stops a server in the middle of a long export: the export fails, nothing is left of it, and
// the server ends in good order.
func TestStopDoesNotWaitForAnExport(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	crowd(t, s.Dir, 150_000)
	s.Run()
	dir := t.TempDir()
	cmd := exec.Command(program.Binary(t), "export", filepath.Join(dir, "archive.tar"), "--set", "data_dir="+s.Dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if files, err := filepath.Glob(filepath.Join(dir, ".parley-export-*")); err != nil || len(files) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the export does not begin")
		}
	}
	if err := s.Stop(); err != nil {
		t.Errorf("the server did not end in good order: %v\n%s", err, s.Output())
	}
	err := cmd.Wait()
	files, rerr := os.ReadDir(dir)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if err == nil || !strings.Contains(out.String(), "stopping") || len(files) != 0 {
		t.Errorf("%v, %v: %s", err, files, out.String())
	}
}

func TestBrokenArchiveIsRefused(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	furnish(t, s)
	archive := filepath.Join(t.TempDir(), "archive.tar")
	if out, err := s.Command("", "export", archive); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	other := program.Start(t, t.TempDir(), nil)
	for name, b := range map[string][]byte{
		"cut": whole[:len(whole)/2], "no end": whole[:len(whole)-4096], "empty": nil, "garbage": []byte(strings.Repeat("garbage ", 500)),
		"changed": bytes.Replace(whole, []byte("to all: 7"), []byte("to all: 8"), 1),
	} {
		if err := os.WriteFile(archive, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := other.Command("", "import", "parley", archive, "--yes"); err == nil {
			t.Errorf("%s: accepted: %s", name, out)
		}
		if out, err := other.Command("", "user", "list"); err != nil || strings.Contains(out, "ann") {
			t.Errorf("%s: something was imported: %v %s", name, err, out)
		}
	}
}
