package front

import (
	"errors"
	"net/http"
	"strings"

	"parley/internal/account"
	"parley/internal/core"
)

// invitation is the page of a link into a room: where it leads, and two forms, for who has an account and for who has none yet.
type invitation struct {
	Token   string
	Room    string // "" if the link does not work
	Topic   string
	Members int
	Name    string // that was typed in
	New     bool   // it was typed into the form for a new account
}

func (g *Gateway) invite(w http.ResponseWriter, r *http.Request) {
	v, status := g.invitation(r)
	g.show(w, r, status, v)
}

// invitation looks where a link leads. Requests are counted: a page is as good for guessing as the API.
func (g *Gateway) invitation(r *http.Request) (view, int) {
	in := &invitation{Token: r.PathValue("token")}
	err := g.accounts.Pace(r.Context(), core.Actor{}, origin(r))
	if err == nil {
		var room core.Conversation
		room, in.Members, err = g.chat.Invitation(r.Context(), in.Token)
		in.Room, in.Topic = room.Name, room.Topic
	}
	if err != nil {
		in.Room = ""
		status, key := g.problem(err)
		return view{Invite: in, Error: key}, status
	}
	return view{Invite: in}, http.StatusOK
}

// enter joins the room as somebody who has an account, or makes one that is in it.
func (g *Gateway) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	v, status := g.invitation(r)
	if status != http.StatusOK {
		g.show(w, r, status, v)
		return
	}
	in := v.Invite
	in.Name, in.New = strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("again") != ""
	password := r.PostFormValue("password")
	var err error
	switch {
	case in.New && password != r.PostFormValue("again"):
		v.Error = "differ"
		g.show(w, r, http.StatusUnprocessableEntity, v)
		return
	case in.New:
		_, err = g.accounts.Register(r.Context(), origin(r), account.Registration{Name: in.Name, Invite: in.Token, Password: account.Secret{Text: password}})
	default:
		var actor core.Actor
		if _, actor, err = g.accounts.Login(r.Context(), origin(r), in.Name, account.Secret{Text: password}); err == nil {
			_, err = g.chat.JoinByLink(r.Context(), actor, in.Token)
		}
	}
	if err != nil {
		status, v.Error = g.problem(err)
		g.show(w, r, status, v)
		return
	}
	g.show(w, r, http.StatusOK, view{Joined: in.Room, Ways: g.ways(hostOf(r))})
}

// refusals are the errors that have a sentence of their own on the page.
var refusals = []struct {
	err    error
	status int
	key    string
}{
	{core.ErrSetupDone, http.StatusForbidden, "used"},
	{core.ErrWrongToken, http.StatusForbidden, "used"},
	{core.ErrNameTaken, http.StatusConflict, "taken"},
	{core.ErrInvalidName, http.StatusUnprocessableEntity, "badname"},
	{core.ErrInvalidPassword, http.StatusUnprocessableEntity, "badpassword"},
	{core.ErrLinkNotFound, http.StatusNotFound, "gone"},
	{core.ErrShutOut, http.StatusForbidden, "removed"},
	{core.ErrBadCredentials, http.StatusForbidden, "wrong"},
	{core.ErrDisabled, http.StatusForbidden, "disabled"},
	{core.ErrRegistrationClosed, http.StatusForbidden, "closed"},
	{core.ErrTooMany, http.StatusConflict, "full"},
}

// problem returns the status and the text's key for an error.
func (g *Gateway) problem(err error) (int, string) {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.status, r.key
		}
	}
	switch core.KindOf(err) {
	case core.Throttled:
		return http.StatusTooManyRequests, "later"
	case core.Unavailable:
		return http.StatusServiceUnavailable, "later"
	}
	g.log.Error("page failed", "err", err)
	return http.StatusInternalServerError, "later"
}
