// Package front serves the pages that a browser gets: how each kind of client connects, the one-time page where
// the first administrator is made, and where links into rooms lead.
package front

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
)

const (
	gateway core.Gateway = "web"
	maxForm              = 16 << 10
)

//go:embed assets
var assets embed.FS

var page = template.Must(template.ParseFS(assets, "assets/page.html"))

// Way is how one kind of client connects.
type Way struct {
	Name    string
	Address []string
}

// Gateway serves the pages.
type Gateway struct {
	accounts *account.Service
	chat     *chat.Service
	log      *slog.Logger
	ways     func(host string) []Way
}

// New returns the gateway. ways lists the addresses for a browser that reached the server under a host name.
func New(accounts *account.Service, chats *chat.Service, log *slog.Logger, ways func(host string) []Way) *Gateway {
	return &Gateway{accounts: accounts, chat: chats, log: log, ways: ways}
}

// Routes registers the pages; "/" itself stays the caller's.
func (g *Gateway) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /setup", g.form)
	mux.HandleFunc("POST /setup", g.setup)
	mux.HandleFunc("GET /invite/{token}", g.invite)
	mux.HandleFunc("POST /invite/{token}", g.enter)
	mux.HandleFunc("GET /front/style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, assets, "assets/style.css")
	})
}

// view is what the page shows: one of Form, Invite, Joined, Ways or Done. Joined has Ways beside it.
type view struct {
	T      map[string]string
	Lang   string
	Other  string
	Path   string
	Ways   []Way
	Form   *form
	Invite *invitation
	Joined string // the room
	Done   string
	Error  string
}

type form struct{ Token, Name string }

// Home shows how each kind of client connects.
func (g *Gateway) Home(w http.ResponseWriter, r *http.Request) {
	g.show(w, r, http.StatusOK, view{Ways: g.ways(hostOf(r))})
}

// hostOf returns the name under which a browser reached the server.
func hostOf(r *http.Request) string {
	if ap, err := netip.ParseAddrPort(r.Host); err == nil {
		return ap.Addr().String()
	}
	host, _, _ := strings.Cut(r.Host, ":")
	return host
}

func (g *Gateway) form(w http.ResponseWriter, r *http.Request) {
	g.show(w, r, http.StatusOK, view{Form: &form{Token: r.URL.Query().Get("token")}})
}

func (g *Gateway) setup(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	f := &form{Token: r.PostFormValue("token"), Name: strings.TrimSpace(r.PostFormValue("name"))}
	password := r.PostFormValue("password")
	if password != r.PostFormValue("again") {
		g.show(w, r, http.StatusUnprocessableEntity, view{Form: f, Error: "differ"})
		return
	}
	u, err := g.accounts.Setup(r.Context(), origin(r), f.Token, f.Name, password)
	if err != nil {
		status, key := g.problem(err)
		g.show(w, r, status, view{Form: f, Error: key})
		return
	}
	g.show(w, r, http.StatusOK, view{Done: u.Name})
}

func (g *Gateway) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Lang, v.Other = language(r)
	v.T, v.Path = texts[v.Lang], r.URL.Path
	v.Error = v.T[v.Error]
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil && !errors.Is(err, context.Canceled) {
		g.log.Debug("page not sent", "err", err)
	}
}

// language returns the page's language and the other one: what the link asks for, else the browser's first choice.
func language(r *http.Request) (lang, other string) {
	lang = r.URL.Query().Get("lang")
	if lang == "" {
		lang = r.Header.Get("Accept-Language")
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(lang)), "zh") {
		return "zh", "en"
	}
	return "en", "zh"
}

func origin(r *http.Request) core.Origin {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return core.Origin{Gateway: gateway, IP: ap.Addr().Unmap()}
}
