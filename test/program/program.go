// Package program builds and runs the real parley binary for tests.
package program

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long the program may take to be ready on a busy machine.
const startTimeout = 30 * time.Second

var build = sync.OnceValues(func() (string, error) {
	if err := lookAtSources("../.."); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "parley-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "parley")
	out, err := exec.Command("go", "build", "-o", bin, "parley/cmd/parley").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return bin, nil
})

// lookAtSources lets go's cache of test results know what the program is made of: a result is kept only as long as the
// files that the test has looked at stay the same.
func lookAtSources(root string) error {
	for _, name := range []string{"go.mod", "go.sum", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Binary builds the program once for all tests of a package.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Main runs a package's tests and removes the binary afterwards.
func Main(m *testing.M) {
	code := m.Run()
	if bin, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// Server is a running program.
type Server struct {
	Dir     string // its data folder
	HTTP    string // host:port
	LLFC    string
	CS3     string
	CS3HTTP string
	DPC     DPC

	t    testing.TB
	args []string
	wrap []string
	cmd  *exec.Cmd
	out  *output
}

// DPC is the addresses of the DPC family's three servers.
type DPC struct{ Auth, Chat, Files string }

// Start runs `parley serve` on a data folder with free ports and waits until it is ready. wrap is a command to run it
// under, such as strace with its flags.
func Start(t testing.TB, dir string, wrap []string, sets ...string) *Server {
	t.Helper()
	s := &Server{
		Dir: dir, HTTP: FreeAddr(t), LLFC: FreeAddr(t), CS3: FreeAddr(t), CS3HTTP: FreeAddr(t), t: t, wrap: wrap,
		DPC: DPC{FreeAddr(t), FreeAddr(t), FreeAddr(t)},
	}
	for _, set := range append([]string{
		"data_dir=" + dir, "http.addr=" + s.HTTP, "llfc.addr=" + s.LLFC, "cs3.addr=" + s.CS3, "cs3.http_addr=" + s.CS3HTTP,
		"dpc.auth_addr=" + s.DPC.Auth, "dpc.chat_addr=" + s.DPC.Chat, "dpc.file_addr=" + s.DPC.Files,
		"metrics.addr=", "limits.register=0",
	}, sets...) {
		s.args = append(s.args, "--set", set)
	}
	t.Cleanup(s.Kill)
	s.Run()
	return s
}

// Run starts the program, again if it ran before.
func (s *Server) Run() {
	s.t.Helper()
	line := append(append([]string{}, s.wrap...), append([]string{Binary(s.t), "serve"}, s.args...)...)
	s.cmd = exec.Command(line[0], line[1:]...)
	s.out = &output{}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		if body, err := Get("http://" + s.HTTP + "/readyz"); err == nil && body == "ready\n" {
			return
		}
		if time.Now().After(end) {
			s.Kill()
			s.t.Fatalf("the server is not ready:\n%s", s.Output())
		}
	}
}

// Kill ends the program, and what it runs under, as a power cut would.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.ProcessState != nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait()
}

// Stop asks the program to end and waits for it.
func (s *Server) Stop() error {
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(startTimeout):
		s.Kill()
		return errors.New("the server did not stop")
	}
}

// PID returns the number of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Output returns what the program printed since it was started.
func (s *Server) Output() string { return s.out.String() }

// Command runs another parley command on the server's data folder.
func (s *Server) Command(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(s.t), append(args, "--set", "data_dir="+s.Dir)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// AddUser makes an account with the password "secret" and returns its uid.
func (s *Server) AddUser(name string) int64 {
	s.t.Helper()
	out, err := s.Command("secret\n", "user", "add", name, "--email", name+"@example.org", "--password-stdin")
	if err != nil {
		s.t.Fatalf("user add: %v: %s", err, out)
	}
	var got string
	var uid int64
	if _, err := fmt.Sscanf(out, "added %s uid %d", &got, &uid); err != nil {
		s.t.Fatalf("user add printed %q", out)
	}
	return uid
}

// Until waits for a condition.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(startTimeout); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Get fetches a page's body.
func Get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(bufio.NewReader(resp.Body))
	return string(body), err
}

// Ports for servers. They lie below those from which the system lets connections begin, and processes begin at different
// ones: what is free now stays free until the server takes it.
const (
	firstPort = 10_000
	ports     = 20_000
)

var nextPort atomic.Uint32

// FreeAddr returns a loopback address whose port was free a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range ports {
		port := firstPort + (uint32(os.Getpid())*97+nextPort.Add(1))%ports
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// output is a buffer that a process writes and a test reads.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
