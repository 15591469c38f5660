package session_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/session"
	"parley/test/line"
)

// encrypted is pipe with TLS on it.
func encrypted(t *testing.T, w *line.World, g *line.Gateway) *line.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	w.Cleanup(func() { _ = here.Close() })
	server := tls.Server(there, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}})
	w.Goroutines.Go("reader", func() { g.Serve(server) })
	return line.NewClient(tls.Client(here, &tls.Config{InsecureSkipVerify: true}))
}

// TestASlowPeerOverTLSIsNotCut: a connection that encrypts cannot write on after a write that was too late.
func TestASlowPeerOverTLSIsNotCut(t *testing.T) {
	g := &line.Gateway{Profile: &session.Profile{Gateway: "line", Silence: time.Hour}}
	bubble(t, g, func(t *testing.T, w *line.World) {
		c := encrypted(t, w, g)
		login(t, c, ann)
		word := strings.Repeat("x", 1000)
		c.Must(t, "ping "+word)
		time.Sleep(session.WriteTimeout - time.Second)
		c.Expect(t, "pong "+word)
		c.Must(t, "ping "+word)
		start := time.Now()
		for w.Hub.Connections() > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		between(t, "a stuck connection ended", time.Since(start), session.WriteTimeout, session.WriteTimeout+6*time.Second)
	})
}
