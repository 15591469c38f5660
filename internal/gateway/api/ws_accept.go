package api

import (
	"bufio"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"parley/internal/core"
	"parley/internal/wire/websocket"
)

const (
	// EventsPath is where the events are.
	EventsPath = "/ws/events"
	// subprotocol is the name of what is spoken there; bearerProtocol and a token may stand beside it.
	subprotocol    = "parley.v1"
	bearerProtocol = "bearer."

	upgradeTime = 10 * time.Second
	// maxSockets is how many sockets a user may have open.
	maxSockets = 100
)

// ServeEvents makes a WebSocket of a request: docs/protocols/api.md#events.
func (g *Gateway) ServeEvents(w http.ResponseWriter, r *http.Request) {
	g.guard(w, r)
	c := g.newCall(w, r)
	defer c.recover()
	if err := c.upgrade(); err != nil {
		c.refuse(err)
	}
}

// upgrade leaves the connection to a goroutine of its own: the stack and the buffers of HTTP go with the request.
func (c *call) upgrade() error {
	err := c.recognise()
	if perr := c.gw.Accounts.Pace(c.ctx(), c.actor, c.from); perr != nil {
		return perr
	}
	if err != nil {
		return err
	}
	if err := c.upgradable(); err != nil {
		return err
	}
	switch {
	case !c.ownPage():
		return errOrigin
	case c.gw.Hub.Stopping():
		return core.ErrStopping
	case c.gw.Hub.Sessions(c.actor.User(), gateway) >= maxSockets:
		return errSockets
	}
	agreed := wsflate.Extension{Parameters: websocket.Agreement}
	c.begun = true
	conn, rw, _, err := ws.HTTPUpgrader{
		Timeout:  upgradeTime,
		Protocol: func(p string) bool { return p == subprotocol },
		Negotiate: func(offer httphead.Option) (httphead.Option, error) {
			accepted, _ := agreed.Negotiate(offer) // what cannot be understood is not agreed to
			return accepted, nil
		},
	}.Upgrade(c.r, c.w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil // it was told why
	}
	_, deflate := agreed.Accepted()
	c.gw.openSocket(conn, early(rw.Reader), c.actor, c.from, deflate)
	return nil
}

// early returns what a client sent before it knew that it may.
func early(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return slices.Clone(b)
}

// upgradable says what keeps a request from becoming a WebSocket.
func (c *call) upgradable() error {
	h := c.r.Header
	switch {
	case c.r.ProtoMajor != 1:
		return because(errUpgrade, "Events come over HTTP/1.1; HTTP/2 connections cannot become WebSockets here")
	case c.r.Method != http.MethodGet, !c.r.ProtoAtLeast(1, 1), !hasToken(h, "Connection", "upgrade"), !hasToken(h, "Upgrade", "websocket"),
		len(h.Get("Sec-WebSocket-Key")) != 24, h.Get("Sec-WebSocket-Version") != "13":
		c.w.Header().Set("Connection", "Upgrade")
		c.w.Header().Set("Upgrade", "websocket")
		c.w.Header().Set("Sec-WebSocket-Version", "13")
		return errUpgrade
	}
	return nil
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// recognise finds out who asks. Browsers can set no header but the subprotocols, and addresses are written down in many places:
// so a ticket is good once, and a token in the address is the last resort.
func (c *call) recognise() (err error) {
	query := c.r.URL.Query()
	token := bearer(c.r)
	for _, line := range c.r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(p), bearerProtocol); ok && token == "" {
				token = t
			}
		}
	}
	if ticket := query.Get("ticket"); token == "" && ticket != "" {
		c.actor, err = c.gw.Accounts.RedeemTicket(c.ctx(), ticket)
		return err
	}
	if token == "" {
		token = query.Get("token")
	}
	c.actor, c.device, err = c.gw.Accounts.AuthenticateDevice(c.ctx(), token)
	return err
}

// ownPage reports whether a socket is opened by no web page, by one of this server, or by one that may call.
func (c *call) ownPage() bool {
	origin := c.r.Header.Get("Origin")
	if origin == "" || slices.Contains(c.gw.Origins, origin) || slices.Contains(c.gw.Origins, "*") {
		return true
	}
	page, err := url.Parse(origin)
	if err != nil || page.Host == "" {
		return false
	}
	public, err := url.Parse(c.gw.PublicURL)
	return strings.EqualFold(page.Host, c.r.Host) || err == nil && strings.EqualFold(page.Host, public.Host)
}

// ticket is what a browser opens one socket with.
type ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in" doc:"seconds until it is worth nothing; it opens one socket"`
}

// docs/protocols/api.md#events.
func issueTicket(c *call, _ nothing) (ticket, error) {
	t, life, err := c.gw.Accounts.IssueTicket(c.ctx(), c.actor)
	return ticket{t, int(life.Seconds())}, err
}
