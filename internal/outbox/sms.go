package outbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	// smsTimeout is how long one text message may take, from the dialling to the end of the answer.
	smsTimeout = 10 * time.Second
	// maxAnswer is how much of a gateway's answer is looked at.
	maxAnswer = 64 << 10
)

// SMSGateway hands text messages to a gateway that speaks HTTP, one request for each.
type SMSGateway struct {
	template smsTemplate
	client   *http.Client
	timeout  time.Duration
}

// NewSMS reads the URL of an SMS gateway, https://user:password@host/path?to={to}&text={text} or http://…, in which
// {to} stands for the phone number, {text} for the text, and {code} for the code alone. The query is sent with GET.
// Options after #, separated by &, with % sequences for what has a meaning there:
//
//	post    form or json: POST the query in that form instead; or a JSON text: POST that, its strings filled in
//	header  Name:Value, a header of the request; as often as needed
//	ok      a regular expression that the answer must match
//
// The errors contain nothing of the URL, since it may hold a password.
func NewSMS(rawURL string) (*SMSGateway, error) {
	t, err := parseSMS(rawURL)
	if err != nil {
		return nil, err
	}
	return &SMSGateway{
		template: t, timeout: smsTimeout,
		client: &http.Client{
			Transport: &http.Transport{
				// Messages are rare; a connection that waits for the next would only be found dead.
				DisableKeepAlives: true, MaxConnsPerHost: maxConnections, MaxResponseHeaderBytes: maxAnswer,
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			},
			// Another place was not meant to get the message, let alone the password.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// String returns the gateway without the credentials.
func (g *SMSGateway) String() string { return g.template.server }

// Send hands m to the gateway.
func (g *SMSGateway) Send(ctx context.Context, m Message) error {
	if m.Kind != SMS {
		return failed(errors.New("a gateway for text messages takes nothing else"))
	}
	if err := checkPhone(m.To); err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	req, err := g.template.request(ctx, m)
	if err == nil {
		err = g.deliver(req)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return failed(fmt.Errorf("%s: %w", g, err))
	}
	return nil
}

func (g *SMSGateway) deliver(req *http.Request) error {
	resp, err := g.client.Do(req)
	if err != nil {
		return harmless(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the gateway answered with status %d", resp.StatusCode)
	}
	if g.template.ok == nil {
		return nil
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return harmless(err)
	}
	if !g.template.ok.Match(bytes.TrimSpace(answer)) {
		return errors.New("the gateway's answer does not match the option ok")
	}
	return nil
}

// harmless returns what can be told of a failed request: neither the URL nor what the other side said may be.
func harmless(err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &network):
		return network
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before the answer did")
	}
	return errors.New("the answer cannot be read as HTTP")
}

// placeholder finds what a template may have instead of a value, and what looks like it.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// fill puts a message into a template. What it puts in is not looked at again.
func fill(template string, m Message, escape func(string) string) string {
	return strings.NewReplacer("{to}", escape(m.To), "{text}", escape(m.Text), "{code}", escape(m.Code)).Replace(template)
}

func asIs(s string) string { return s }

// percent escapes what is put into a path or a query. A space is %20, which both understand.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
