package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/config"
	"parley/internal/gateway/api"
	"parley/internal/gateway/cs3"
	"parley/internal/gateway/dpc"
	"parley/internal/gateway/front"
	"parley/internal/gateway/llfc"
)

const (
	// stopTimeout is how long a graceful stop may take before connections are cut.
	stopTimeout = 15 * time.Second
	// How much of that HTTP requests and file transfers may take that were begun before it.
	httpStopTimeout     = 3 * time.Second
	transferStopTimeout = 10 * time.Second
	sweepEvery          = time.Hour
)

// server is a running program: the services and everything that listens.
type server struct {
	*App
	llfc  *llfc.Gateway
	cs3   *cs3.Gateway
	dpc   *dpc.Gateway
	api   *api.Gateway
	front *front.Gateway
	ready atomic.Bool

	secure secure

	listeners []listener
	failed    chan error
}

// listener is one open address and what serves it.
type listener struct {
	key   string // of the configuration
	ln    net.Listener
	serve func(net.Listener) error
	stop  func(context.Context) error
}

// Serve runs the server until the context ends, then stops it gracefully: the listeners close, requests that were read
// are answered, what is posted is committed, clients are told, queues drain, the database closes.
// What a person at the terminal should know goes to out.
func Serve(ctx context.Context, cfg config.Config, log *slog.Logger, out io.Writer) error {
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	s := &server{App: a, failed: make(chan error, 8)}
	err = s.run(ctx, out)
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, s.stop(stopCtx))
}

func (s *server) run(ctx context.Context, out io.Writer) error {
	s.llfc = llfc.New(llfc.Config{
		Accounts: s.accounts, Contacts: s.contacts, Chat: s.chat, Hub: s.hub, Log: s.log, Goroutines: s.goroutines,
		Metrics: s.metrics, PublicAddr: s.cfg.LLFC.PublicAddr, Rooms: s.cfg.LLFC.Rooms, Link: s.fileLink,
	})
	s.cs3 = cs3.New(cs3.Config{
		Accounts: s.accounts, Chat: s.chat, Hub: s.hub, Log: s.log, Goroutines: s.goroutines,
		Metrics: s.metrics, AvatarDir: s.path(avatarDir), Replay: s.cfg.CS3.Replay, Link: s.fileLink,
	})
	s.dpc = dpc.New(dpc.Config{
		Accounts: s.accounts, Chat: s.chat, Files: s.files, Hub: s.hub, Log: s.log, Goroutines: s.goroutines,
		Metrics: s.metrics, Listen: s.cfg.DPC.Listen, Link: s.fileLink,
	})
	s.api = api.New(api.Config{
		Accounts: s.accounts, Contacts: s.contacts, Chat: s.chat, Files: s.files, Audit: s.audit, Reports: s.reports, Admin: s.admin, Log: s.log,
		Hub: s.hub, Goroutines: s.goroutines, Metrics: s.metrics,
		PublicURL: s.cfg.HTTP.PublicURL, OnlyTLS: s.onlyTLS(), Origins: config.List(s.cfg.HTTP.Origins),
	})
	s.front = front.New(s.accounts, s.chat, s.log, s.ways)
	var err error
	if s.secure, err = s.secured(); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	background, cancel := context.WithCancel(ctx)
	defer cancel()
	s.goroutines.Go("operator's socket", func() {
		if err := s.control.Serve(background, s.path(socketFile)); err != nil {
			s.failed <- err
		}
	})
	s.goroutines.Go("sweeper", func() { s.sweep(background) })
	tuneCollector()
	s.goroutines.Go("tidier", func() { tidy(background) })
	for _, l := range s.listeners {
		s.goroutines.Go(l.key, func() {
			if err := l.serve(l.ln); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("%s: %w", l.key, err)
			}
		})
	}
	if err := s.secure.start(background); err != nil {
		return err
	}
	if err := s.welcome(ctx, out); err != nil {
		return err
	}
	s.ready.Store(true)
	s.log.Info("serving", "data_dir", s.cfg.DataDir)
	select {
	case <-ctx.Done():
		s.log.Info("stopping")
		return nil
	case err := <-s.failed:
		return err
	}
}

// listen opens every address of the configuration before anything is served, so that a busy port is known at once.
func (s *server) listen(ctx context.Context) error {
	routes := s.routes()
	open := map[string]func(key string, ln net.Listener){
		"http.addr":  s.http(s.secure.challenges(routes), nil),
		"https.addr": s.http(routes, s.secure.tls),
		"llfc.addr": func(key string, ln net.Listener) {
			s.llfc.Bind(ln)
			s.socket(s.llfc.Serve)(key, ln)
		},
		"cs3.addr":      s.socket(s.cs3.Serve),
		"cs3.http_addr": s.http(exact(s.cs3.Handler(), http.NotFound), nil),
		"dpc.auth_addr": s.socket(s.dpc.ServeAuth),
		"dpc.chat_addr": s.socket(s.dpc.ServeChat),
		"dpc.file_addr": s.transfers(s.dpc.ServeFiles, s.dpc.Stop),
		"metrics.addr":  s.http(s.inspection(), nil),
	}
	for _, l := range addresses(&s.cfg) {
		if *l.addr == "" {
			continue
		}
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", *l.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
		open[l.key](l.key, ln)
	}
	return nil
}

// address is a key of the configuration that something listens on.
type address struct {
	key  string
	addr *string
}

func addresses(cfg *config.Config) []address {
	return []address{
		{"http.addr", &cfg.HTTP.Addr},
		{"https.addr", &cfg.HTTPS.Addr},
		{"llfc.addr", &cfg.LLFC.Addr},
		{"cs3.addr", &cfg.CS3.Addr},
		{"cs3.http_addr", &cfg.CS3.HTTPAddr},
		{"dpc.auth_addr", &cfg.DPC.AuthAddr},
		{"dpc.chat_addr", &cfg.DPC.ChatAddr},
		{"dpc.file_addr", &cfg.DPC.FileAddr},
		{"metrics.addr", &cfg.Metrics.Addr},
	}
}

// socket is for raw connections that belong to the hub, which ends them.
func (s *server) socket(serve func(net.Listener) error) func(string, net.Listener) {
	return s.transfers(serve, func(context.Context) {})
}

// transfers is for raw connections that have an end of their own: stop waits for what is on its way, and cuts the rest.
func (s *server) transfers(serve func(net.Listener) error, stop func(context.Context)) func(string, net.Listener) {
	return func(key string, ln net.Listener) {
		s.listeners = append(s.listeners, listener{key, ln, serve, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, transferStopTimeout)
			defer cancel()
			err := ln.Close()
			stop(ctx)
			return err
		}})
	}
}

// http is for HTTP, over TLS if secure is not nil.
func (s *server) http(h http.Handler, secure *tls.Config) func(string, net.Listener) {
	return func(key string, ln net.Listener) {
		srv := &http.Server{
			Handler:           s.metrics.HTTP(key, h),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      60 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    32 << 10,
			TLSConfig:         secure,
			ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		serve := srv.Serve
		if secure != nil {
			serve = func(ln net.Listener) error { return srv.ServeTLS(ln, "", "") }
		}
		s.listeners = append(s.listeners, listener{key, ln, serve, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, httpStopTimeout)
			defer cancel()
			err := srv.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				err = srv.Close() // who has not finished asking by now gets no answer
			}
			return errors.Join(err, ignoreClosed(ln.Close()))
		}})
	}
}

func (s *server) sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		for what, sweep := range map[string]func(context.Context) error{"accounts": s.accounts.Sweep, "files": s.files.Sweep} {
			if err := sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("sweeping failed", "what", what, "err", err)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// ignoreClosed is for what may have been closed before.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stop first lets nobody in any more and gives the HTTP requests and file transfers that were begun a moment, while
// everybody else goes on; then it stops the services.
func (s *server) stop(ctx context.Context) error {
	s.ready.Store(false)
	var wg sync.WaitGroup
	for _, l := range s.listeners {
		wg.Go(func() {
			if err := ignoreClosed(l.stop(ctx)); err != nil {
				s.log.Warn("a listener did not stop in good order", "key", l.key, "err", err)
			}
		})
	}
	wg.Wait()
	s.secure.end()
	return s.Close(ctx)
}
