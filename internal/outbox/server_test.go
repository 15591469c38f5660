package outbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// delivery is a mail as the server got it.
type delivery struct {
	from, to, user string
	encrypted      bool
	content        []byte
}

// server is a real SMTP server that keeps what it gets.
type server struct {
	*smtp.Server
	addr   string
	refuse string                      // "mail", "rcpt" or "data": the command that is refused
	before func(d *delivery) (ok bool) // called with a mail before it is acknowledged

	mu       sync.Mutex // guards the following
	got      []delivery
	sessions int
}

func startServer(t *testing.T, listen string, adjust func(*server)) *server {
	t.Helper()
	s := &server{}
	s.Server = smtp.NewServer(s)
	s.Domain = "mx.example"
	s.AllowInsecureAuth = true
	s.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Skipf("no such address here: %v", err)
	}
	s.addr = l.Addr().String()
	implicit := false
	if adjust != nil {
		adjust(s)
		implicit = s.Server.Network == "tls"
	}
	if implicit {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		l.Close() // the server does not know it yet, if nobody has come
		<-done
	})
	return s
}

// NewSession starts a session; smtp.Server calls it for each connection.
func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	return &session{server: s, conn: c}, nil
}

func (s *server) mails() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

type session struct {
	server *server
	conn   *smtp.Conn
	delivery
}

var errRefused = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not here"}

func (s *session) refused(command string) error {
	if s.server.refuse == command {
		return errRefused
	}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "parley" || password != "p@ss/word?" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return s.refused("mail")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.refused("rcpt")
}

func (s *session) Data(r io.Reader) (err error) {
	if s.content, err = io.ReadAll(r); err != nil {
		return err
	}
	_, s.encrypted = s.conn.TLSConnectionState()
	if s.server.before != nil && !s.server.before(&s.delivery) {
		return errors.New("given up")
	}
	if err := s.refused("data"); err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.got = append(s.server.got, s.delivery)
	return nil
}

// certificate returns a server's TLS configuration and the roots that trust it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}
