package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/account"
	"parley/internal/admin"
	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/obs"
	"parley/internal/report"
	"parley/internal/session"
)

const (
	gateway core.Gateway = "api"
	// Prefix is where all routes are.
	Prefix = "/api/v1"
)

// Config is what the gateway needs.
type Config struct {
	Accounts *account.Service
	Contacts *contact.Service
	Files    *file.Service
	Chat     *chat.Service
	Audit    *audit.Log
	Reports  *report.Service
	Admin    *admin.Service
	Log      *slog.Logger

	Hub        *session.Hub
	Goroutines *obs.Goroutines
	Metrics    *obs.Metrics

	StartWithin time.Duration // how long a client of the events has to say where it stands, default 10 s
	UploadPause time.Duration // in which nothing of an upload arrives, default 30 s

	PublicURL string   // how the server is reached from outside, "" for as the request reached it
	OnlyTLS   bool     // browsers that came over TLS are told never to come without
	Origins   []string // the web pages elsewhere that may call, "*" for all
}

// Gateway serves the routes.
type Gateway struct {
	Config
	mux      *http.ServeMux
	openAPI  []byte
	asyncAPI []byte

	codecs   [2]eventCodec // plain and compressed
	profiles [2]session.Profile
	framesIn prometheus.Counter
	opening  sync.Mutex // from the count of a user's sockets to the next one among them
	guide    guide
}

// New returns the gateway.
func New(cfg Config) *Gateway {
	g := &Gateway{Config: cfg, mux: http.NewServeMux()}
	g.UploadPause = cmp.Or(g.UploadPause, uploadPause)
	table := g.routes()
	g.openAPI, g.guide = document(table), guideOf(table)
	g.asyncAPI = eventDocument()
	g.prepareSockets()
	byPath := map[string]map[string]route{}
	for _, r := range table {
		if byPath[r.path] == nil {
			byPath[r.path] = map[string]route{}
		}
		byPath[r.path][r.method] = r
	}
	for path, methods := range byPath {
		g.mux.HandleFunc(Prefix+path, g.resource(methods))
	}
	g.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.serve(w, r, failing(errNoRoute))
	})
	return g
}

// ServeHTTP answers everything under Prefix, and nothing with a redirect.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.guard(w, r)
	if path.Clean(r.URL.Path) != r.URL.Path {
		g.serve(w, r, failing(errNoRoute))
		return
	}
	g.mux.ServeHTTP(w, r)
}

// resource is everything that one path can do.
func (g *Gateway) resource(methods map[string]route) http.HandlerFunc {
	allowed := []string{http.MethodOptions}
	for m := range methods {
		if allowed = append(allowed, m); m == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		rt, ok := methods[method]
		switch {
		case ok:
			g.serve(w, r, rt)
		case method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", allow)
			g.serve(w, r, failing(errMethod))
		}
	}
}

// guard sets what every answer has: which pages may read it, and what browsers may do with it.
func (g *Gateway) guard(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	if g.OnlyTLS && r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	origin := r.Header.Get("Origin")
	if len(g.Origins) == 0 || origin == "" {
		return
	}
	h.Add("Vary", "Origin")
	listed := slices.Contains(g.Origins, origin)
	if !listed && !slices.Contains(g.Origins, "*") {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if listed {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, X-Request-Id")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match, If-Range, Range")
		h.Set("Access-Control-Max-Age", "600")
	}
}

// call is one request on its way.
type call struct {
	gw     *Gateway
	w      http.ResponseWriter
	r      *http.Request
	id     string // for the log and for whoever asks about it
	from   core.Origin
	actor  core.Actor
	device account.DeviceID
	body   []byte // of JSON
	status int    // of the success, if it is not the route's usual one
	begun  bool   // something of the answer was written
}

func (c *call) ctx() context.Context { return c.r.Context() }

func (g *Gateway) newCall(w http.ResponseWriter, r *http.Request) *call {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	c := &call{gw: g, w: w, r: r, id: rand.Text()[:12], from: core.Origin{Gateway: gateway, IP: ap.Addr().Unmap()}}
	w.Header().Set("X-Request-Id", c.id)
	w.Header().Set("Cache-Control", "no-store")
	return c
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, rt route) {
	c := g.newCall(w, r)
	defer c.recover()
	// What somebody may do is asked once all of the request is there: nobody keeps a right by holding a request open. A request that
	// did not arrive is counted as well.
	broken := c.receive(rt)
	err := c.admit(rt)
	if err == nil {
		err = broken
	}
	if err == nil {
		err = rt.run(c)
	}
	if err != nil {
		c.refuse(err)
	}
}

// admit finds out who asks, and counts the request. Who cannot prove it is counted by where they come from.
func (c *call) admit(rt route) (err error) {
	if rt.access >= users || rt.access == linked && !c.r.URL.Query().Has("signature") {
		c.actor, c.device, err = c.gw.Accounts.AuthenticateDevice(c.ctx(), bearer(c.r))
	}
	if perr := c.gw.Accounts.Pace(c.ctx(), c.actor, c.from); perr != nil {
		return perr
	}
	return err
}

// bearer returns the token of a request. It comes in a header that no browser sends by itself, and never in a cookie: so no
// other page can make a browser act for its user.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (c *call) recover() {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	obs.CountPanic()
	c.gw.Log.Error("panic recovered", "in", "api", "request", c.id, "panic", v, "stack", string(debug.Stack()))
	if c.begun {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	c.refuse(fmt.Errorf("a panic in %s", c.r.Pattern))
}

// failing is the route of what is none.
func failing(err error) route {
	return route{operation: operation{run: func(*call) error { return err }}}
}
