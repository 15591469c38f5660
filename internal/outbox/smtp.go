package outbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
)

const (
	// defaultTimeout is how long one mail may take, from the dialling to the last answer.
	defaultTimeout = 20 * time.Second
	// maxConnections is how many mails are under way at once; the others wait.
	maxConnections = 4
)

// mechanisms are tried in this order. go-mail sends the last two over TLS and to the local host only.
var mechanisms = []mail.SMTPAuthType{
	mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
}

// SMTP hands mails to a mail server, each on a connection of its own.
type SMTP struct {
	host       string
	port       int
	user, pass string
	from       *netmail.Address
	helo       string
	implicit   bool // TLS from the first byte
	policy     mail.TLSPolicy
	timeout    time.Duration
	tls        *tls.Config
	slots      chan struct{}
}

// NewSMTP reads the URL of a mail server, smtp://user:password@host:port?from=address or smtps://… (TLS from the start).
// The port defaults to 587 and 465. Options of the query:
//
//	from     the sender, "a@b.example" or "Name <a@b.example>"; defaults to the user, if that is an address
//	tls      smtp:// only: required, opportunistic or none; STARTTLS is required by default if there is a user,
//	         otherwise it is used where it is offered
//	timeout  how long one mail may take, as 20s
//	helo     the name this server gives itself; defaults to its host name
//
// The errors contain nothing of the URL, since it may hold a password.
func NewSMTP(rawURL string) (*SMTP, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Opaque != "" {
		return nil, errors.New("not a URL; special characters in the password need percent-encoding")
	}
	s := &SMTP{
		host: u.Hostname(), port: 587, policy: mail.TLSOpportunistic, timeout: defaultTimeout,
		slots: make(chan struct{}, maxConnections),
	}
	switch u.Scheme {
	case "smtp":
	case "smtps":
		s.implicit, s.port = true, 465
	default:
		return nil, errors.New("the URL must begin with smtp:// or smtps://")
	}
	if s.host == "" {
		return nil, errors.New("the URL has no host")
	}
	if (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return nil, errors.New("the URL must end after the host or its options; special characters in the password need percent-encoding")
	}
	if p := u.Port(); p != "" {
		if s.port, err = strconv.Atoi(p); err != nil || s.port < 1 || s.port > 65535 {
			return nil, errors.New("the port must be a number from 1 to 65535")
		}
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.pass, _ = u.User.Password()
		if s.user == "" || s.pass == "" {
			return nil, errors.New("a user needs a password, and a password a user")
		}
		s.policy = mail.TLSMandatory
	}
	if err := s.options(u.RawQuery); err != nil {
		return nil, err
	}
	s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	return s, nil
}

func (s *SMTP) options(query string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options after ? are not well formed")
	}
	from := s.user
	for name, values := range q {
		v := values[0]
		switch {
		case len(values) > 1:
			return errors.New("an option is given twice")
		case name == "from":
			from = v
		case name == "tls" && !s.implicit:
			if s.policy, err = policy(v); err != nil {
				return err
			}
		case name == "timeout":
			if s.timeout, err = time.ParseDuration(v); err != nil || s.timeout <= 0 {
				return errors.New("timeout must be a duration such as 20s")
			}
		case name == "helo" && v != "":
			s.helo = v
		default:
			return errors.New("the options are from, timeout, helo and, with smtp://, tls")
		}
	}
	if s.from, err = netmail.ParseAddress(from); err != nil {
		return errors.New("from must be the sender's address, as ?from=parley@example.org")
	}
	return nil
}

func policy(v string) (mail.TLSPolicy, error) {
	switch v {
	case "required":
		return mail.TLSMandatory, nil
	case "opportunistic":
		return mail.TLSOpportunistic, nil
	case "none":
		return mail.NoTLS, nil
	}
	return 0, errors.New("tls must be required, opportunistic or none")
}

// String returns the server without the credentials.
func (s *SMTP) String() string {
	scheme := "smtp"
	if s.implicit {
		scheme = "smtps"
	}
	return scheme + "://" + net.JoinHostPort(s.host, strconv.Itoa(s.port))
}

// Send hands m to the mail server.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	if m.Kind != Mail {
		return failed(errors.New("a mail server takes mails only"))
	}
	msg, err := compose(m, s.from, false)
	if err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return failed(fmt.Errorf("%s: waiting for a connection: %w", s, ctx.Err()))
	}
	err = s.deliver(ctx, msg)
	// The answer to the content decides: a failure after it would only make the caller send twice.
	if err == nil || msg.IsDelivered() {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return failed(fmt.Errorf("%s: %w", s, err))
}

// deliver runs one SMTP session. The connection belongs to it, not to go-mail, which lets go of one that fails before
// the session stands and has no deadline for the session as a whole.
func (s *SMTP) deliver(ctx context.Context, msg *mail.Msg) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client, err := mail.NewClient(s.host, s.clientOptions(conn)...)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, msg)
}

func (s *SMTP) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(s.host, strconv.Itoa(s.port))
	if s.implicit {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

func (s *SMTP) clientOptions(conn net.Conn) []mail.Option {
	options := []mail.Option{
		// The context's deadline is the one that counts; go-mail's own stays out of its way.
		mail.WithTimeout(2 * s.timeout),
		mail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
		mail.WithTLSConfig(s.tls), mail.WithTLSPolicy(s.policy),
		mail.WithoutNoop(), mail.WithoutRset(),
	}
	if s.implicit {
		options = append(options, mail.WithSSL())
	}
	if s.helo != "" {
		options = append(options, mail.WithHELO(s.helo))
	}
	if s.user != "" {
		options = append(options, mail.WithUsername(s.user), mail.WithPassword(s.pass),
			mail.WithOpportunisticSMTPAuth(mechanisms...))
	}
	return options
}
