package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/go-json-experiment/json"
)

// Client gives commands, to a running server or to the services of its own process.
type Client struct {
	transport http.RoundTripper
}

// Dial returns a client of the server whose socket is at path, or an error if none listens there.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &Client{&http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		},
	}}, nil
}

// Local returns a client of a handler in this process.
func Local(h http.Handler) *Client { return &Client{local{h}} }

type local struct{ http.Handler }

func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	var body bytes.Buffer
	a := &answer{header: http.Header{}, status: http.StatusOK, body: &body}
	l.ServeHTTP(a, r)
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: a.header, Body: io.NopCloser(&body), Request: r,
	}, nil
}

// answer takes what a handler writes.
type answer struct {
	header http.Header
	status int
	body   io.Writer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// Users lists all accounts.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	return call[[]User](ctx, c, http.MethodGet, "/users", nil)
}

// Add makes an account.
func (c *Client) Add(ctx context.Context, u NewUser) (User, error) {
	return call[User](ctx, c, http.MethodPost, "/users", u)
}

// Passwd sets an account's password.
func (c *Client) Passwd(ctx context.Context, p Passwd) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/users/passwd", p)
	return err
}

// Disable disables an account, or undoes it.
func (c *Client) Disable(ctx context.Context, d Disable) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/users/disable", d)
	return err
}

func call[Out any](ctx context.Context, c *Client, method, path string, in any) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://parley"+path, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		var p problem
		if err := json.UnmarshalRead(resp.Body, &p); err != nil {
			return out, fmt.Errorf("the server answered %s", resp.Status)
		}
		return out, errors.New(p.Error)
	}
	return out, json.UnmarshalRead(resp.Body, &out)
}
