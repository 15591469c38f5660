package dpc_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/gateway/dpc"
)

// TestExample tries the client that the protocol page tells people to try.
func TestExample(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is missing")
		}
		t.Skip("python3 is missing")
	}
	script, err := filepath.Abs("../../../examples/dpc.py")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, options{listen: dpc.ListenStrict})
	dir := t.TempDir()
	port := func(name string) string { _, p, _ := net.SplitHostPort(w.ports[name]); return p }
	host := "127.0.0.1:" + port("auth") + "," + port("chat") + "," + port("file")
	run := func(input, want string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), python, append([]string{script, host}, args...)...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if got := times.ReplaceAllString(string(out), "<time>"); got != want {
			t.Errorf("%q prints\n%s\nwant\n%s(%v)", args, got, want, err)
		}
	}
	run("", "phone number not good\n", "code", "12345")
	run("", "done\n", "code", "18671289536")
	run("", "code wrong\n", "register", "alice", password, "18671289536", "nope")
	run("", "done\n", "register", "alice", password, "18671289536", w.texts.code("18671289536"), "alice@example.com")
	run("", "number taken\n", "code", "18671289536")
	run("", "done\n", "login", "alice", password)
	run("", "refused\n", "login", "alice", "wrong")
	run("hello\n你好\n", "", "chat", "alice", password)
	run("hello\n", "not sent\n", "chat", "alice", "wrong")
	if n := w.count(`SELECT count(*) FROM message`); n != 2 {
		t.Errorf("%d messages are stored", n)
	}

	run("", "", "list", "alice", password)
	for name, text := range map[string]string{"note.txt": "hello", "project/README": "read me", "project/src/main.c": "", "project/源/a": "a"} {
		path := filepath.Join(dir, "up", filepath.FromSlash(name))
		w.must(os.MkdirAll(filepath.Dir(path), 0o700))
		w.must(os.WriteFile(path, []byte(text), 0o600))
	}
	run("", "done\n", "up", "alice", password, "up/note.txt")
	run("", "done\n", "up", "alice", password, "up/project")
	run("", "refused\n", "up", "alice", "wrong", "up/project")
	run("", "note.txt  alice  <time>  文件\nproject  alice  <time>  文件夹\n", "list", "alice", password)
	run("", "refused\n", "list", "alice", "wrong")
	run("", "note.txt\n", "down", "alice", password, "note.txt")
	run("", "project/README\nproject/src/main.c\nproject/源/a\n", "down", "alice", password, "project")
	run("", "no such file\n", "down", "alice", password, "nothing")
	run("", "refused\n", "down", "alice", "wrong", "note.txt")
	for name, want := range map[string]string{"note.txt": "hello", "project/README": "read me", "project/src/main.c": "", "project/源/a": "a"} {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("%s came back as %q, %v", name, got, err)
		}
	}
	w.gw.Stop(t.Context())
	run("", "broken off\n", "up", "alice", password, "up/note.txt")
	run("", "broken off\n", "up", "alice", password, "up/project")
}
