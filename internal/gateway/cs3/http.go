package cs3

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/wire/jsonstream"
)

// Routes adds the protocol's HTTP routes to a mux.
func (g *Gateway) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/register", g.httpRegister)               // docs/protocols/cs3.md#http-register
	mux.HandleFunc("POST /api/login", g.httpLogin)                     // docs/protocols/cs3.md#http-login
	mux.HandleFunc("POST /api/chat", g.httpChat)                       // docs/protocols/cs3.md#http-chat
	mux.HandleFunc("GET /avatar/{username}/{filename}", g.serveAvatar) // docs/protocols/cs3.md#http-avatar
}

// Handler serves the protocol's routes and nothing else.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	g.Routes(mux)
	return mux
}

func (g *Gateway) httpRegister(w http.ResponseWriter, r *http.Request) {
	var in registerRequest
	if !readBody(w, r, &in) {
		return
	}
	if err := g.register(r.Context(), origin(r.RemoteAddr), in); err != nil {
		g.refuseHTTP(w, r, httpRegister, err)
		return
	}
	write(w, http.StatusOK, registered)
}

// httpLogin hands out a token. It does not put the user online.
func (g *Gateway) httpLogin(w http.ResponseWriter, r *http.Request) {
	var in loginRequest
	if !readBody(w, r, &in) {
		return
	}
	user, actor, err := g.authenticate(r.Context(), origin(r.RemoteAddr), in)
	if err == nil {
		err = g.makeWay(user.ID)
	}
	var token string
	if err == nil {
		token, err = g.Accounts.IssueToken(r.Context(), actor, tokens)
	}
	if err != nil {
		g.refuseHTTP(w, r, httpLogin, err)
		return
	}
	write(w, http.StatusOK, loggedInHTTP(user, token))
}

// httpChat looks at the token before it reads the body.
func (g *Gateway) httpChat(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("Authorization")
	if token == "" {
		g.refuseHTTP(w, r, httpChat, errTokenMissing)
		return
	}
	_, actor, err := g.Accounts.Authenticate(r.Context(), tokens, token)
	if err != nil {
		g.refuseHTTP(w, r, httpChat, err)
		return
	}
	var in chatRequest
	if !readBody(w, r, &in) {
		return
	}
	stored := make(chan error, 1)
	if err = g.post(r.Context(), actor, in.Message, func(err error) { stored <- err }); err == nil {
		select {
		case err = <-stored:
		case <-r.Context().Done():
			return // nobody is left to be told
		}
	}
	if err != nil {
		g.refuseHTTP(w, r, httpChat, err)
		return
	}
	write(w, http.StatusOK, posted)
}

// readBody fills in from the request's body, or answers that it cannot.
func readBody(w http.ResponseWriter, r *http.Request, in any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, jsonstream.MaxObject))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		write(w, http.StatusRequestEntityTooLarge, tooLarge)
	case err != nil, jsontext.Value(body).Kind() != '{', decode(body, in) != nil:
		write(w, http.StatusBadRequest, invalidJSON)
	default:
		return true
	}
	return false
}

func (g *Gateway) refuseHTTP(w http.ResponseWriter, r *http.Request, codes table, err error) {
	if r.Context().Err() != nil {
		return // nobody is left to be told
	}
	answer := g.refuse(codes, err)
	write(w, answer.status, answer.object)
}

func write(w http.ResponseWriter, status int, object []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(object)
}
