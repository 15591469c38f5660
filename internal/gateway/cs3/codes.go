package cs3

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"parley/internal/core"
	"parley/internal/session"
)

// errTokenMissing is about a request that has no token at all.
var errTokenMissing = errors.New("token missing")

// refusal is what a peer is told when something cannot be done. An object that ends in a colon is completed with a
// sentence about the error.
type refusal struct {
	status int // of HTTP
	object string
}

// table says what a request is answered for each error: first by the error, then by its kind, then at all.
type table struct {
	byError []errorCode
	byKind  map[core.Kind]refusal
	other   refusal
}

type errorCode struct {
	err error
	refusal
}

func (t *table) find(err error) refusal {
	for _, c := range t.byError {
		if errors.Is(err, c.err) {
			return c.refusal
		}
	}
	if r, ok := t.byKind[core.KindOf(err)]; ok {
		return r
	}
	return t.other
}

// The objects of refusals.
const (
	nameTaken      = `{"type":"register_0","success":false,"message":"Username already exists"}`
	registerFailed = `{"type":"register_-1","error":true,"message":`
	loginRefused   = `{"type":"login","status":"error_0","message":`
	httpRefused    = `{"type":"login_0","status":"error","message":`
	chatFailed     = `{"type":"chat","status":"error","message":`
	noHeartbeat    = `{"type":"heartbeat","status":"error"}`
	badName        = `Must be 2-20 characters, start with a letter or symbol, and contain only letters, numbers, or symbols: _!@#$%^&+-~?`
)

// docs/protocols/cs3.md#socket-register, #socket-login, #socket-chat, #heartbeat.
var (
	socketRegister = table{
		byError: []errorCode{
			{core.ErrNameTaken, refusal{object: nameTaken}},
			{core.ErrInvalidName, refusal{object: `{"type":"register_-2","success":false,"message":"Invalid username format"}`}},
			{core.ErrInvalidAvatar, refusal{object: `{"type":"register_-3","success":false,"message":"Invalid avatar format. Only .png or .jpg allowed"}`}},
		},
		other: refusal{object: registerFailed},
	}
	socketLogin = table{
		byError: []errorCode{
			{core.ErrAlreadyOnline, refusal{object: `{"type":"login","status":"error_-1","message":"Account already logged in"}`}},
			{core.ErrBadCredentials, refusal{object: loginRefused + `"Invalid credentials"}`}},
		},
		other: refusal{object: loginRefused},
	}
	socketChat = table{
		byError: []errorCode{
			{errTokenMissing, refusal{object: `{"type":"chat","status":"error_Mt","message":"Missing token"}`}},
			{core.ErrNoToken, refusal{object: `{"type":"chat","status":"error_It","message":"Invalid token"}`}},
			{core.ErrWrongToken, refusal{object: `{"type":"chat","status":"error_It","message":"Invalid token"}`}},
			{core.ErrLoginRequired, refusal{object: `{"type":"chat","status":"error_Nli","message":"Not logged in"}`}},
		},
		other: refusal{object: chatFailed},
	}
	heartbeat = table{other: refusal{object: noHeartbeat}}
)

// docs/protocols/cs3.md#http-register, #http-login, #http-chat.
var (
	httpRegister = table{
		byError: []errorCode{
			{core.ErrNameTaken, refusal{http.StatusForbidden, nameTaken}},
			{core.ErrInvalidName, refusal{http.StatusBadRequest, `{"type":"register_-2","success":false,"message":"Invalid username. ` + badName + `"}`}},
			{core.ErrInvalidAvatar, refusal{http.StatusBadRequest, `{"type":"register_0","success":false,"message":"Invalid avatar format. Only .png or .jpg allowed"}`}},
		},
		other: refusal{http.StatusOK, registerFailed},
	}
	httpLogin = table{
		byError: []errorCode{
			{core.ErrAlreadyOnline, refusal{http.StatusConflict, `{"type":"login","status":"error_0","message":"Account already logged in"}`}},
			{core.ErrBadCredentials, refusal{http.StatusUnauthorized, httpRefused + `"Invalid credentials"}`}},
		},
		byKind: map[core.Kind]refusal{
			core.Internal:    {http.StatusInternalServerError, httpRefused},
			core.Throttled:   {http.StatusTooManyRequests, httpRefused},
			core.Unavailable: {http.StatusServiceUnavailable, httpRefused},
		},
		other: refusal{http.StatusUnauthorized, httpRefused},
	}
	httpChat = table{
		byError: []errorCode{
			{errTokenMissing, refusal{http.StatusUnauthorized, `{"type":"chat","status":"error"}`}},
		},
		byKind: map[core.Kind]refusal{
			core.Internal:        {http.StatusInternalServerError, chatFailed},
			core.Unauthenticated: {http.StatusUnauthorized, `{"type":"chat","status":"error"}`},
			core.Forbidden:       {http.StatusForbidden, chatFailed},
			core.Throttled:       {http.StatusTooManyRequests, chatFailed},
			core.Unavailable:     {http.StatusServiceUnavailable, chatFailed},
		},
		other: refusal{http.StatusBadRequest, chatFailed},
	}
)

// refused is an encoded refusal.
type refused struct {
	status int
	object []byte
}

// refuse encodes an error. What a peer may not know of it is in the log, under the reference that the peer gets.
func (g *Gateway) refuse(codes table, err error) refused {
	r := codes.find(err)
	internal := core.KindOf(err) == core.Internal && !errors.Is(err, errTokenMissing)
	sentence := sentenceOf(err)
	if internal {
		reference := rand.Text()[:8]
		g.Log.Error("request failed", "gateway", gateway, "reference", reference, "err", err)
		sentence = "Internal error, reference " + reference
	}
	b := []byte(r.object)
	if strings.HasSuffix(r.object, ":") {
		b = append(appendString(b, sentence), '}')
	}
	return refused{r.status, b}
}

// sentenceOf returns the words of a named error.
func sentenceOf(err error) string {
	var e *core.Error
	if !errors.As(err, &e) {
		return ""
	}
	sentence := strings.ToUpper(e.Text[:1]) + e.Text[1:]
	if wait := core.RetryAfter(err); wait > 0 {
		sentence += fmt.Sprintf(", try again in %.0f seconds", wait.Seconds())
	}
	return sentence
}

// farewell is what a client is told before its connection is closed.
func farewell(reason session.Reason, _ core.UserID) []byte {
	switch reason {
	case session.Stopping:
		return []byte(`{"type":"error","status":"error","message":"Server is shutting down"}`)
	case session.Revoked:
		return []byte(`{"type":"error","status":"error","message":"Password changed or account disabled"}`)
	}
	return nil
}
