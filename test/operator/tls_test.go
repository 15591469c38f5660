package operator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"parley/test/client"
	"parley/test/program"
)

// browser trusts no authority but remembers whom it spoke to, and goes nowhere by itself.
func browser() *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func visit(t *testing.T, url, accept string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := browser().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

func TestSelfSigned(t *testing.T) {
	secure := program.FreeAddr(t)
	s := program.Start(t, t.TempDir(), nil, "https.addr="+secure, "tls.self_signed=true")
	resp := visit(t, "https://"+secure+"/", "text/html")
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.TLS.Version < tls.VersionTLS12 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
	shown := regexp.MustCompile(`(?:[0-9A-F]{2}:){31}[0-9A-F]{2}`).FindString(s.Output())
	if !strings.Contains(s.Output(), "https://"+secure+"/setup?token=") || shown == "" {
		t.Errorf("the operator was told\n%s", s.Output())
	}
	a := &client.API{URL: "https://" + secure, Client: browser()}
	if _, err := a.Enter("/auth/register", "ann", "SecurePass123!"); err != nil {
		t.Error(err)
	}
	if resp := visit(t, "https://"+secure+"/api/v1/nothing", "*/*"); resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("Strict-Transport-Security with a certificate that nobody knows")
	}

	for _, url := range []string{"https://" + secure, "http://" + s.HTTP} {
		e, err := client.DialEvents(t.Context(), url, client.EventsOptions{Token: a.Token, Dialer: ws.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}}})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if err := e.Say(map[string]any{"type": "start"}); err != nil {
			t.Error(err)
		}
		if first, err := e.Next(20 * time.Second); err != nil || first.Type != "ready" {
			t.Errorf("%s: the first event is %s, %v", url, first.JSON, err)
		}
		if err := e.Hangup(); err != nil {
			t.Error(err)
		}
	}

	// Browsers are sent there; programs, and what is no page, are not.
	for path, want := range map[string]string{"/": "/", "/?lang=zh": "/?lang=zh", "/setup?token=x": "/setup?token=x", "/nothing": "/nothing"} {
		resp := visit(t, "http://"+s.HTTP+path, "text/html,*/*")
		if resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != "https://"+secure+want {
			t.Errorf("%s: %d to %s", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	for path, accept := range map[string]string{
		"/": "*/*", "/readyz": "text/html", "/avatar/ann/default_avatar.png": "text/html", "/api/v1/nothing": "text/html", "/nothing": "application/json",
	} {
		if resp := visit(t, "http://"+s.HTTP+path, accept); resp.StatusCode >= 300 && resp.StatusCode < 400 {
			t.Errorf("%s for %s: %d to %s", path, accept, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if _, _, err := client.Login(s.HTTP, "ann", "SecurePass123!"); err != nil {
		t.Errorf("llfc over plain HTTP: %v", err)
	}

	// The same certificate serves after a restart.
	was := resp.TLS.PeerCertificates[0]
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Run()
	if resp := visit(t, "https://"+secure+"/", "text/html"); !resp.TLS.PeerCertificates[0].Equal(was) {
		t.Error("another certificate after a restart")
	}
}

// writeCertificate makes a certificate for a name in dir.
func writeCertificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestARenewedCertificateServesWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, "first.example")
	secure := program.FreeAddr(t)
	program.Start(t, t.TempDir(), nil, "https.addr="+secure, "tls.cert="+cert, "tls.key="+key)
	name := func() string {
		return visit(t, "https://"+secure+"/readyz", "*/*").TLS.PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "first.example" {
		t.Errorf("it is %s's", got)
	}
	writeCertificate(t, dir, "second.example")
	program.Until(t, "the second certificate serves", func() bool { return name() == "second.example" })
}

func TestTLSThatCannotBeIsRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, "a.example")
	for name, sets := range map[string][]string{
		"nothing":      {},
		"half":         {"tls.cert=" + cert},
		"two":          {"tls.cert=" + cert, "tls.key=" + key, "tls.self_signed=true"},
		"mixed up":     {"tls.cert=" + key, "tls.key=" + cert},
		"not there":    {"tls.cert=" + filepath.Join(dir, "none"), "tls.key=" + key},
		"no host name": {"tls.acme=yes please"},
	} {
		args := []string{"serve", "--set", "data_dir=" + t.TempDir(), "--set", "https.addr=" + program.FreeAddr(t)}
		for _, set := range sets {
			args = append(args, "--set", set)
		}
		for _, addr := range []string{"http", "llfc", "cs3", "metrics"} {
			args = append(args, "--set", addr+".addr=")
		}
		out, err := exec.CommandContext(t.Context(), program.Binary(t), args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "tls.") && !strings.Contains(string(out), "certificate") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
