package app

import (
	"io"
	"net/http"
	"net/http/pprof"
	"path"
	"strings"

	"parley/internal/gateway/api"
)

// Pages for browsers, as front registers them.
const (
	setupPage  = "GET /setup"
	invitePage = "GET /invite/{token}"
)

// routes is everything on http.addr and https.addr. What no family knows is llfc's 404, but for a browser's first page.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	s.llfc.Routes(mux)
	s.cs3.Routes(mux)
	s.front.Routes(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/" && acceptsHTML(r) {
			s.front.Home(w, r)
			return
		}
		s.llfc.NotFound(w, r)
	})
	old := exact(s.toTLS(mux, mux), s.llfc.NotFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.Prefix || strings.HasPrefix(r.URL.Path, api.Prefix+"/") {
			s.api.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == api.EventsPath {
			s.api.ServeEvents(w, r)
			return
		}
		old.ServeHTTP(w, r)
	})
}

func acceptsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// exact answers paths that are not clean with notFound, where a mux would send the client elsewhere.
func exact(mux http.Handler, notFound http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path {
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// inspection is everything on metrics.addr: the figures, and profiles of the running program.
func (s *server) inspection() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() || s.db.Ping(r.Context()) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready\n")
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}
