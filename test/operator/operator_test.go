// Package operator uses the program as the person who runs it does: its commands, its first page, its backups.
package operator

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/test/client"
	"parley/test/program"
)

const lobby = 1_500_000_001

func TestMain(m *testing.M) { program.Main(m) }

var setupLink = regexp.MustCompile(`http://[^\s]+/setup\?token=([0-9a-f]+)`)

// post sends the set-up form and returns the status and the page.
func post(t *testing.T, page string, form url.Values) (int, string) {
	t.Helper()
	resp, err := http.PostForm(page, form) //nolint:noctx // the test has a time-out
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestFirstStart(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	var link []string
	for end := time.Now().Add(10 * time.Second); link == nil; time.Sleep(10 * time.Millisecond) {
		if link = setupLink.FindStringSubmatch(s.Output()); link == nil && time.Now().After(end) {
			t.Fatalf("no set-up link is printed:\n%s", s.Output())
		}
	}
	for _, addr := range []string{s.HTTP, s.LLFC, s.CS3, s.CS3HTTP} {
		if !strings.Contains(s.Output(), addr) {
			t.Errorf("%s is not printed", addr)
		}
	}
	if page, err := program.Get(link[0]); err != nil || !strings.Contains(page, link[1]) || !strings.Contains(page, "<form") {
		t.Fatalf("the link shows no form: %v\n%s", err, page)
	}
	page := "http://" + s.HTTP + "/setup"
	form := func(token, name, password, again string) url.Values {
		return url.Values{"token": {token}, "name": {name}, "password": {password}, "again": {again}}
	}
	for _, bad := range []struct {
		name string
		form url.Values
		want int
	}{
		{"passwords differ", form(link[1], "root", "one", "other"), http.StatusUnprocessableEntity},
		{"wrong token", form(strings.Repeat("0", 32), "root", "one", "one"), http.StatusForbidden},
		{"no token", form("", "root", "one", "one"), http.StatusForbidden},
		{"bad name", form(link[1], "a b", "one", "one"), http.StatusUnprocessableEntity},
		{"no password", form(link[1], "root", "", ""), http.StatusUnprocessableEntity},
	} {
		if status, body := post(t, page, bad.form); status != bad.want || !strings.Contains(body, `role="alert"`) {
			t.Errorf("%s: status %d, want %d", bad.name, status, bad.want)
		}
	}
	if status, body := post(t, page, form(link[1], "root", "a good one", "a good one")); status != http.StatusOK {
		t.Fatalf("set-up: status %d\n%s", status, body)
	}
	if status, _ := post(t, page, form(link[1], "second", "x", "x")); status != http.StatusForbidden {
		t.Errorf("the link works twice: status %d", status)
	}
	if _, _, err := client.Login(s.HTTP, "root", "a good one"); err != nil {
		t.Errorf("the administrator cannot log in: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Run()
	if setupLink.MatchString(s.Output()) {
		t.Error("a link is printed although there is an administrator")
	}
}

func TestUserCommandsReachLiveSessions(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("other\n", "user", "passwd", "ann", "--password-stdin"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := ann.Wait(1021); err != nil {
		t.Errorf("the live session is not told of the new password: %v", err)
	}
	if _, err := ann.Next(); !client.Closed(err) {
		t.Errorf("the live session goes on: %v", err)
	}
	if _, _, err := client.Login(s.HTTP, "ann", "secret"); err == nil {
		t.Error("the old password still works")
	}
	ann, _, err = client.Login(s.HTTP, "ann", "other")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("", "user", "disable", "ann"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := ann.Wait(1021); err != nil {
		t.Errorf("the live session is not told of the end: %v", err)
	}
	if _, _, err := client.Login(s.HTTP, "ann", "other"); err == nil {
		t.Error("a disabled account can log in")
	}
	out, err := s.Command("", "user", "list")
	if err != nil || !regexp.MustCompile(`ann\s+ann@example.org\s+disabled`).MatchString(out) {
		t.Errorf("user list: %v\n%s", err, out)
	}
	if out, err := s.Command("", "user", "enable", "ann"); err != nil || !strings.Contains(out, "ann is enabled") {
		t.Errorf("user enable: %v\n%s", err, out)
	}
	if _, _, err := client.Login(s.HTTP, "ann", "other"); err != nil {
		t.Errorf("an enabled account cannot log in: %v", err)
	}
	for _, bad := range [][]string{
		{"user", "enable", "nobody"},
		{"user", "add", "ann", "--password-stdin"},
		{"user", "add", "a b", "--password-stdin"},
		{"user", "passwd", "nobody", "--password-stdin"},
		{"user", "disable", "nobody"},
	} {
		if out, err := s.Command("x\n", bad...); err == nil || !strings.Contains(out, "parley:") {
			t.Errorf("%v: %v %q", bad, err, out)
		}
	}
}

func TestUserCommandsWithoutAServer(t *testing.T) {
	dir := t.TempDir()
	s := program.Start(t, dir, nil)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	uid := s.AddUser("offline")
	s.Run()
	c, _, err := client.Login(s.HTTP, "offline@example.org", "secret")
	if err != nil || c.UID != uid {
		t.Fatalf("login: %v", err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	out, err := s.Command("", "serve", "--set", "http.addr=127.0.0.1:0", "--set", "llfc.addr=", "--set", "cs3.addr=",
		"--set", "cs3.http_addr=", "--set", "dpc.auth_addr=", "--set", "dpc.chat_addr=", "--set", "dpc.file_addr=", "--set", "metrics.addr=")
	if err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a second server on the same data folder: %v %s", err, out)
	}
}

func TestCheck(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	if out, err := s.Command("", "check"); err != nil {
		t.Errorf("check beside a running server: %v\n%s", err, out)
	}
	dir := t.TempDir()
	cmd := exec.Command(program.Binary(t), "check", "--set", "data_dir="+dir, "--set", "llfc.addr="+s.LLFC,
		"--set", "http.addr=127.0.0.1:0", "--set", "cs3.addr=", "--set", "cs3.http_addr=",
		"--set", "dpc.auth_addr=", "--set", "dpc.chat_addr=", "--set", "dpc.file_addr=", "--set", "metrics.addr=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "PROBLEM  llfc.addr "+s.LLFC) || !strings.Contains(string(out), "remedy") {
		t.Errorf("a busy port is not reported: %v\n%s", err, out)
	}
	if strings.Count(string(out), "PROBLEM") != 1 {
		t.Errorf("more problems than the busy port:\n%s", out)
	}
	cmd = exec.Command(program.Binary(t), "check", "--set", "data_dir="+t.TempDir(), "--set", "llfc.addr=", "--set", "http.addr=",
		"--set", "cs3.addr=", "--set", "cs3.http_addr=", "--set", "dpc.auth_addr=", "--set", "dpc.chat_addr=", "--set", "dpc.file_addr=",
		"--set", "metrics.addr=", "--set", "sms.url=http://u:hunter2@127.0.0.1:1/{to}?text={text}#ok=hunter2")
	out, err = cmd.CombinedOutput()
	if err == nil || strings.Count(string(out), "PROBLEM") != 1 || !strings.Contains(string(out), "PROBLEM  SMS gateway") {
		t.Errorf("a gateway that does not answer is not reported: %v\n%s", err, out)
	}
	if strings.Contains(string(out), "hunter2") {
		t.Errorf("the check tells the gateway's password:\n%s", out)
	}
	cmd = exec.Command(program.Binary(t), "check", "--set", "htp.addr=:1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "http.addr") {
		t.Errorf("an unknown key: %v\n%s", err, out)
	}
}

// TestBackupUnderLoad copies a server that is being written to, and runs the copy.
func TestBackupUnderLoad(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "avatars", "ann"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "avatars", "ann", "me.png"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if ann.Say(lobby, fmt.Sprint("m", i), "hello") != nil {
				return
			}
			if _, err := ann.Wait(1018); err != nil {
				return
			}
		}
	})
	time.Sleep(300 * time.Millisecond)
	file := filepath.Join(t.TempDir(), "backup.tar")
	out, err := s.Command("", "backup", file)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatalf("backup: %v: %s", err, out)
	}
	if out, err := s.Command("", "restore", file); err == nil {
		t.Errorf("a backup was unpacked over a running server: %s", out)
	}
	restored := t.TempDir()
	cmd := exec.Command(program.Binary(t), "restore", file, "--set", "data_dir="+restored)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("restore: %v: %s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(restored, "avatars", "ann", "me.png")); err != nil || string(b) != "a picture" {
		t.Errorf("the picture: %q %v", b, err)
	}
	again := exec.Command(program.Binary(t), "restore", file, "--set", "data_dir="+restored)
	if out, err := again.CombinedOutput(); err == nil {
		t.Errorf("a backup was unpacked over a database: %s", out)
	}
	copied := program.Start(t, restored, nil)
	if _, _, err := client.Login(copied.HTTP, "ann", "secret"); err != nil {
		t.Errorf("login at the copy: %v", err)
	}
}

func TestBrokenBackupIsRefused(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	file := filepath.Join(t.TempDir(), "backup.tar")
	if out, err := s.Command("", "backup", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"cut":     whole[:len(whole)/2],
		"no end":  whole[:len(whole)-1536], // the last entry has 512 bytes, the end of the archive 1,024
		"empty":   nil,
		"garbage": []byte(strings.Repeat("garbage ", 500)),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if out, err := exec.Command(program.Binary(t), "restore", file, "--set", "data_dir="+dir).CombinedOutput(); err == nil {
			t.Errorf("%s: accepted: %s", name, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "parley.db")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a database was left behind", name)
		}
	}
}

// TestGracefulStop ends the server while somebody is sending: what was acknowledged is stored, and everybody is told.
func TestGracefulStop(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	cs3, err := client.LoginCS3(s.CS3, "carl", "secret", true)
	if err != nil {
		t.Fatal(err)
	}
	acked := make(chan int, 1)
	told := make(chan bool, 1)
	go func() {
		n := 0
		for {
			f, err := ann.Next()
			if err != nil {
				acked <- n
				told <- false
				return
			}
			switch f.ID {
			case 1018:
				n++
			case 1021:
				_, err := ann.Next()
				acked <- n
				told <- client.Closed(err)
				return
			}
		}
	}()
	go func() {
		for i := 0; ann.Say(lobby, fmt.Sprint("m", i), "hello") == nil; i++ {
		}
	}()
	time.Sleep(500 * time.Millisecond)
	if err := s.Stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, s.Output())
	}
	n := <-acked
	if !<-told {
		t.Error("the llfc client was not told with 1021 and an orderly end")
	}
	last := map[string]any{}
	for {
		v, err := cs3.Next()
		if err != nil {
			break
		}
		last = v
	}
	if last["type"] != "error" {
		t.Errorf("the CS3 client was not told: its last object is %v", last)
	}
	s.Run()
	bob := s.AddUser("bob")
	if bob == 0 {
		t.Fatal("no uid")
	}
	ann, _, err = client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.Say(lobby, fmt.Sprint("m", n-1), "hello"); err != nil {
		t.Fatal(err)
	}
	if f, err := ann.Wait(1018); err != nil || !strings.Contains(string(f.Body), `"error":0`) {
		t.Errorf("a retry of the last acknowledged message: %s %v", f.Body, err)
	}
	t.Logf("%d messages were acknowledged before the stop", n)
}

// TestUnfinishedRequestHoldsUpNoStop: somebody who asks half a question must not keep the others from being told.
func TestUnfinishedRequestHoldsUpNoStop(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	half, err := net.Dial("tcp", s.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := io.WriteString(half, "POST /user_login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	if _, err := ann.Wait(1021); err != nil {
		t.Errorf("the client is not told: %v", err)
	}
	ann.Conn.Close()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v\n%s", err, s.Output())
	}
	if strings.Contains(s.Output(), "pending") {
		t.Errorf("posts that nobody sent:\n%s", s.Output())
	}
}

func TestUncleanPathsAreUnknown(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	for _, url := range []string{s.HTTP + "//user_login", s.HTTP + "/a/../user_login", s.CS3HTTP + "/avatar/../parley.db"} {
		if resp, _ := get(t, "http://"+url); resp.StatusCode != http.StatusNotFound || resp.Request.Response != nil {
			t.Errorf("%s: status %d", url, resp.StatusCode)
		}
	}
}

func TestDemo(t *testing.T) {
	cmd := exec.Command(program.Binary(t), "demo", "--set", "http.addr="+program.FreeAddr(t), "--set", "llfc.addr=127.0.0.1:0",
		"--set", "cs3.addr=127.0.0.1:0", "--set", "cs3.http_addr=127.0.0.1:0",
		"--set", "dpc.auth_addr=127.0.0.1:0", "--set", "dpc.chat_addr=127.0.0.1:0", "--set", "dpc.file_addr=127.0.0.1:0", "--set", "metrics.addr=")
	var out strings.Builder
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	defer cmd.Process.Kill() // does nothing once it has ended
	buf := make([]byte, 1)
	for !strings.Contains(out.String(), "llfc  http://") || !strings.HasSuffix(out.String(), "\n") {
		n, err := pipe.Read(buf)
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		out.Write(buf[:n])
	}
	gate := regexp.MustCompile(`llfc  http://(\S+)`).FindStringSubmatch(out.String())[1]
	alice, answer, err := client.Login(gate, "alice", "parley")
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if friends, _ := answer["friend_list"].([]any); len(friends) < 2 {
		t.Errorf("alice's friends: %v", answer["friend_list"])
	}
	if _, err := alice.Wait(1019); err != nil {
		t.Errorf("alice gets no message: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		t.Errorf("demo ends with %v", err)
	}
}

func TestNobodyWritesToADisabledAccount(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	s.AddUser("bob")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	bob, _, err := client.Login(s.HTTP, "bob", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Befriend(ann, bob); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{0, 1011} {
		if err := ann.Say(bob.UID, fmt.Sprint("m", want), "hello"); err != nil {
			t.Fatal(err)
		}
		f, err := ann.Wait(1018)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Texts(); err != nil || got.Error != want {
			t.Errorf("1018 answers %d, want %d (%v)", got.Error, want, err)
		}
		if want == 0 {
			if out, err := s.Command("", "user", "disable", "bob"); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
}
