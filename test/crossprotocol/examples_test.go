package crossprotocol

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/test/program"
)

// example is one of the little clients in examples/ that runs.
type example struct {
	in    io.WriteCloser
	lines chan string
}

func run(t *testing.T, args ...string) *example {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"-u"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := &example{in, make(chan string, 100)}
	go func() {
		defer close(e.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			e.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return e
}

// enter types a line.
func (e *example) enter(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(e.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// see waits for a line that contains want.
func (e *example) see(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	var seen []string
	for {
		select {
		case line, ok := <-e.lines:
			if strings.Contains(line, want) {
				return
			}
			if seen = append(seen, line); !ok {
				t.Fatalf("ended without %q: %q", want, seen)
			}
		case <-deadline:
			t.Fatalf("no %q in %q", want, seen)
		}
	}
}

// TestExamplesTalkToEachOther runs the clients that the README tells people to try.
func TestExamplesTalkToEachOther(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is missing")
		}
		t.Skip("python3 is missing")
	}
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann := run(t, "../../examples/llfc.py", s.HTTP, "ann", "secret", "1500000001")
	ann.see(t, "1500000001: 'lobby'")
	carl := run(t, "../../examples/cs3.py", s.CS3, "carl", "secret") // the name is new
	carl.enter(t, "hello from CS3")
	ann.see(t, "1500000001: carl: hello from CS3")
	ann.enter(t, "你好")
	carl.see(t, "ann: 你好")
	ports := fmt.Sprintf("127.0.0.1:%s,%s,%s", port(t, s.DPC.Auth), port(t, s.DPC.Chat), port(t, s.DPC.Files))
	dora := run(t, "../../examples/dpc.py", ports, "chat", "ann", "secret")
	dora.enter(t, "hello from DPC")
	ann.see(t, "1500000001: ann: hello from DPC")
	carl.see(t, "ann: hello from DPC")
	carl.enter(t, "welcome")
	dora.see(t, "carl:welcome")
	// The API's clients want longer passwords of new accounts. What one says oneself comes back as well.
	emil := run(t, "../../examples/api.py", s.HTTP, "emil", "Secret-123")
	emil.see(t, "1: 'lobby'")
	emil.enter(t, "hello from the API")
	emil.see(t, "1: emil: hello from the API")
	carl.see(t, "emil: hello from the API")
	ann.see(t, "1500000001: emil: hello from the API")
	dora.enter(t, "你好")
	emil.see(t, "1: ann: 你好")
	run(t, "../../examples/api.py", s.HTTP, "emil", "Wrong-1234").see(t, "login: ")
	run(t, "../../examples/dpc.py", ports, "up", "ann", "secret", "../../examples").see(t, "done")
	run(t, "../../examples/dpc.py", ports, "list", "ann", "secret").see(t, "examples  ann")
}
