package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	readyWithin = 20 * time.Second
	stopWithin  = 30 * time.Second

	// The first account is made by the program itself.
	benchUser     = "bench"
	benchPassword = "a real password"
)

// server is a running parley with a data folder of its own.
type server struct {
	accounts []account
	llfc     string // address
	files    string // address of the DPC family's file port

	cmd           *exec.Cmd
	dir           string
	http, metrics string // addresses
	log           bytes.Buffer
	exited        chan struct{}
	exit          error // set when exited is closed
}

// withServer seeds n accounts, and what more adds, starts a server, calls fn, and stops the server. A server that does not stop cleanly, or
// that recovered from a panic, fails the measurement.
func withServer(ctx context.Context, o *options, name string, n int, fn func(*server) error, more ...func(context.Context, *server) error) error {
	if err := onServer(ctx, o, n, fn, more...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func onServer(ctx context.Context, o *options, n int, fn func(*server) error, more ...func(context.Context, *server) error) (err error) {
	s := &server{exited: make(chan struct{})}
	if s.dir, err = os.MkdirTemp(o.Dir, "parley-bench-"); err != nil {
		return err
	}
	if !o.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	}
	if err := s.prepare(ctx, o, n); err != nil {
		return err
	}
	for _, add := range more {
		if err := add(ctx, s); err != nil {
			return err
		}
	}
	if err := s.start(ctx, o); err != nil {
		return err
	}
	err = fn(s)
	return errors.Join(err, s.stop(err == nil))
}

// prepare fills the data folder.
func (s *server) prepare(ctx context.Context, o *options, n int) error {
	add := exec.CommandContext(ctx, o.Parley, "user", "add", "--password-stdin", "--set", "data_dir="+s.dir, benchUser)
	add.Stdin = strings.NewReader(benchPassword + "\n")
	add.Env = environ()
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("add the first account: %w\n%s", err, out)
	}
	var err error
	s.accounts, err = seed(ctx, filepath.Join(s.dir, "parley.db"), n)
	return err
}

// environ is this process's environment without what would configure the server.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PARLEY_") })
}

func (s *server) start(ctx context.Context, o *options) error {
	for _, addr := range []*string{&s.http, &s.llfc, &s.files, &s.metrics} {
		var err error
		if *addr, err = freeAddr(ctx); err != nil {
			return err
		}
	}
	args := []string{"serve"}
	for _, set := range append([]string{
		"data_dir=" + s.dir, "http.addr=" + s.http, "llfc.addr=" + s.llfc, "metrics.addr=" + s.metrics, "dpc.file_addr=" + s.files,
		"log.level=warn", "limits.requests=0",
		"https.addr=", "cs3.addr=", "cs3.http_addr=", "dpc.auth_addr=", "dpc.chat_addr=", "openp2p.addr=",
		"media.udp_addr=", "media.tcp_addr=", "turn.addr=", "turn.tls_addr=",
	}, o.Set...) {
		args = append(args, "--set", set)
	}
	s.cmd = exec.Command(o.Parley, args...) //nolint:noctx // it must outlive the context, to be stopped in good order
	s.cmd.Stderr = &s.log
	s.cmd.Env = environ()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.waitReady(ctx); err != nil {
		return errors.Join(err, s.stop(false))
	}
	return nil
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if _, err := get(ctx, "http://"+s.http+"/readyz"); err == nil {
			return nil
		}
		select {
		case <-t.C:
		case <-s.exited:
			return errors.New("the server ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		}
	}
}

// plain keeps no connections open between requests.
var plain = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	rsp, err := plain.Do(req)
	if err != nil {
		return nil, err
	}
	defer rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, rsp.Status)
	}
	return io.ReadAll(rsp.Body)
}

// stop ends the server as an operator would. With good set, it also asks whether anything went wrong inside.
func (s *server) stop(good bool) error {
	var errs []error
	if good {
		m, err := s.scrape(context.Background())
		if n := m["parley_panics_total"]; n > 0 {
			err = fmt.Errorf("the server recovered from %.0f panics", n)
		}
		errs = append(errs, err)
	}
	select {
	case <-s.exited:
		errs = append(errs, errors.New("the server ended early"))
	default:
		errs = append(errs, s.cmd.Process.Signal(syscall.SIGTERM))
	}
	select {
	case <-s.exited:
		errs = append(errs, s.exit)
	case <-time.After(stopWithin):
		errs = append(errs, fmt.Errorf("the server does not stop within %v", stopWithin), s.cmd.Process.Kill())
		<-s.exited
	}
	err := errors.Join(errs...)
	if (err != nil || !good) && s.log.Len() > 0 {
		log := s.log.Bytes()
		err = errors.Join(err, fmt.Errorf("the server's log ends with:\n%s", log[max(0, len(log)-4000):]))
	}
	return err
}
