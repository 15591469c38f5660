package llfc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/go-json-experiment/json"

	"parley/internal/account"
	"parley/internal/core"
)

// maxHTTPBody is the longest body of a request in bytes.
const maxHTTPBody = 64 << 10

// errNoChat: there is no address that a login could name.
var errNoChat = errors.New("no listener for llfc clients is open, and no public address is set")

// Routes adds the gate to mux: docs/protocols/llfc.md#http-gate. Whatever else reaches mux should end in NotFound.
func (g *Gateway) Routes(mux *http.ServeMux) {
	for path, h := range map[string]http.HandlerFunc{
		"/get_varifycode": gate(g, internalGate, g.sendCode),
		"/user_register":  gate(g, internalRegister, g.register),
		"/reset_pwd":      gate(g, internalReset, g.resetPassword),
		"/user_login":     gate(g, internalGate, g.login),
	} {
		mux.HandleFunc("POST "+path, h)
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
}

// NotFound is the answer for what no family of clients knows.
func (g *Gateway) NotFound(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, "url not found")
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// gate makes a route of a function. internal is the route's code for an error that is the server's fault.
func gate[In, Out any](g *Gateway, internal int, fn func(*http.Request, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		var answer any
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHTTPBody))
		if err != nil || decode(body, &in) != nil {
			err = core.ErrInvalid
		} else {
			answer, err = fn(r, in)
		}
		if err != nil {
			code := codeOf(err, internal)
			if core.KindOf(err) == core.Internal && code == internal && !errors.Is(err, context.Canceled) {
				g.cfg.Log.Error("a request failed", "gateway", Name, "path", r.URL.Path, "err", err)
			}
			answer = errorAnswer{code}
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "text/json")
		_ = json.MarshalWrite(w, answer)
	}
}

type errorAnswer struct {
	Error int `json:"error"`
}

type codeRequest struct {
	Email string `json:"email"`
}

type codeAnswer struct {
	Error int    `json:"error"`
	Email string `json:"email"`
}

// sendCode sends a verification code: docs/protocols/llfc.md#get_varifycode.
func (g *Gateway) sendCode(r *http.Request, in codeRequest) (codeAnswer, error) {
	return codeAnswer{Email: in.Email}, g.cfg.Accounts.SendCode(r.Context(), origin(r), in.Email)
}

type registerRequest struct {
	Email      string `json:"email"`
	User       string `json:"user"`
	Passwd     string `json:"passwd"`
	Confirm    string `json:"confirm"`
	Icon       string `json:"icon"`
	VarifyCode string `json:"varifycode"`
}

// The secret fields of answers are there for old parsers only, and empty.
type registerAnswer struct {
	Error      int         `json:"error"`
	UID        core.UserID `json:"uid"`
	Email      string      `json:"email"`
	User       string      `json:"user"`
	Passwd     string      `json:"passwd"`
	Confirm    string      `json:"confirm"`
	Icon       string      `json:"icon"`
	VarifyCode string      `json:"varifycode"`
}

// register makes an account: docs/protocols/llfc.md#user_register.
func (g *Gateway) register(r *http.Request, in registerRequest) (registerAnswer, error) {
	if in.Passwd != in.Confirm {
		return registerAnswer{}, errConfirm
	}
	u, err := g.cfg.Accounts.Register(r.Context(), origin(r), account.Registration{
		Name: in.User, Email: in.Email, Code: in.VarifyCode, RequireCode: true,
		Password: account.Secret{Text: in.Passwd, MaybeXORed: true}, Nick: in.User, Icon: in.Icon,
	})
	return registerAnswer{UID: u.ID, Email: in.Email, User: in.User, Icon: in.Icon}, err
}

type resetRequest struct {
	Email      string `json:"email"`
	User       string `json:"user"`
	Passwd     string `json:"passwd"`
	VarifyCode string `json:"varifycode"`
}

type resetAnswer struct {
	Error      int    `json:"error"`
	Email      string `json:"email"`
	User       string `json:"user"`
	Passwd     string `json:"passwd"`
	VarifyCode string `json:"varifycode"`
}

// resetPassword sets a new password: docs/protocols/llfc.md#reset_pwd.
func (g *Gateway) resetPassword(r *http.Request, in resetRequest) (resetAnswer, error) {
	_, err := g.cfg.Accounts.ResetPassword(r.Context(), origin(r), account.Reset{
		Email: in.Email, Name: in.User, Code: in.VarifyCode, Password: account.Secret{Text: in.Passwd, MaybeXORed: true},
	})
	return resetAnswer{Email: in.Email, User: in.User}, err
}

type gateLoginRequest struct {
	Email  string `json:"email"`
	Passwd string `json:"passwd"`
}

type gateLoginAnswer struct {
	Error int         `json:"error"`
	Email string      `json:"email"`
	UID   core.UserID `json:"uid"`
	Token string      `json:"token"`
	Host  string      `json:"host"`
	Port  string      `json:"port"`
}

// login exchanges a password for a token and the address where it is good: docs/protocols/llfc.md#user_login.
func (g *Gateway) login(r *http.Request, in gateLoginRequest) (gateLoginAnswer, error) {
	host, port, err := g.chatAddr(r)
	if err != nil {
		return gateLoginAnswer{}, err
	}
	u, actor, err := g.cfg.Accounts.Login(r.Context(), origin(r), in.Email, account.Secret{Text: in.Passwd, MaybeXORed: true})
	if err != nil {
		return gateLoginAnswer{}, err
	}
	token, err := g.cfg.Accounts.IssueToken(r.Context(), actor, tokens)
	return gateLoginAnswer{Email: in.Email, UID: u.ID, Token: token, Host: host, Port: port}, err
}

// chatAddr returns where the client that sent the request reaches the framed protocol.
func (g *Gateway) chatAddr(r *http.Request) (host, port string, err error) {
	if g.cfg.PublicAddr != "" {
		return net.SplitHostPort(g.cfg.PublicAddr)
	}
	p := g.port.Load()
	if p == nil {
		return "", "", errNoChat
	}
	return asked(r), *p, nil
}

// asked returns the name or address under which the request reached the server.
func asked(r *http.Request) string {
	if r.Host == "" {
		if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			if ap, err := netip.ParseAddrPort(a.String()); err == nil {
				return ap.Addr().Unmap().String()
			}
		}
		return ""
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil { // no port
		host, _, err = net.SplitHostPort(r.Host + ":0")
	}
	if err != nil {
		return r.Host
	}
	return host
}

func origin(r *http.Request) core.Origin {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return core.Origin{Gateway: Name, IP: from.Addr().Unmap()}
}
