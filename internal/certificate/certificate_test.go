package certificate

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/test/clean"
)

func TestMain(m *testing.M) { clean.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// renewed writes a certificate for a name and returns the paths of its files.
func renewed(t *testing.T, dir, host string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	if err := makeSelfSigned(cert, key, []string{host}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func nameOf(t *testing.T, f *Files) string {
	t.Helper()
	c, err := f.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.DNSNames[0]
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cert, key := renewed(t, dir, "first.example")
		var log bytes.Buffer
		f, err := OpenFiles(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || nameOf(t, f) != "first.example" {
			t.Fatal(err)
		}
		renewed(t, dir, "second.example.org")
		if got := nameOf(t, f); got != "first.example" {
			t.Errorf("the files are read at every handshake: %s", got)
		}
		time.Sleep(lookEvery)
		if got := nameOf(t, f); got != "second.example.org" {
			t.Errorf("%s after a second", got)
		}
		// A certificate that is half written, or does not fit its key, takes nothing away. It is told once.
		for _, broken := range []string{"", "half"} {
			if err := os.WriteFile(cert, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			for range 3 {
				time.Sleep(lookEvery)
				if got := nameOf(t, f); got != "second.example.org" {
					t.Errorf("%s with %q in the file", got, broken)
				}
			}
			if n := strings.Count(log.String(), "not used"); n != 1 {
				t.Errorf("told %d times", n)
			}
		}
		renewed(t, dir, "third.example.net.cn")
		time.Sleep(lookEvery)
		if got := nameOf(t, f); got != "third.example.net.cn" {
			t.Errorf("%s after it was mended", got)
		}
	})
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	cert, key := renewed(t, dir, "a.example")
	for _, paths := range [][2]string{{cert, filepath.Join(dir, "none")}, {filepath.Join(dir, "none"), key}, {key, key}, {cert, cert}} {
		if _, err := OpenFiles(paths[0], paths[1], quiet); err == nil {
			t.Errorf("%v is a certificate", paths)
		}
	}
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	hosts := []string{"desk", "localhost", "127.0.0.1", "192.168.1.5", "::1"}
	now := time.Now()
	first, err := SelfSigned(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		if err := first.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if life := first.Leaf.NotAfter.Sub(first.Leaf.NotBefore); life > 398*24*time.Hour {
		t.Errorf("browsers do not take one that lasts %v", life)
	}
	if len(Fingerprint(first)) != 95 {
		t.Errorf("the fingerprint is %s", Fingerprint(first))
	}
	if info, err := os.Stat(filepath.Join(dir, selfSignedKey)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is readable: %v %v", info.Mode(), err)
	}
	same := func(hosts []string, at time.Time) bool {
		t.Helper()
		c, err := SelfSigned(dir, hosts, at)
		if err != nil {
			t.Fatal(err)
		}
		was := Fingerprint(first)
		first = c
		return Fingerprint(c) == was
	}
	if !same(hosts, now) || !same(hosts[:2], now.Add(300*24*time.Hour)) {
		t.Error("another one is made although the first is good")
	}
	if same(append(hosts, "192.168.1.6"), now) {
		t.Error("it is not good for the new address")
	}
	if same(hosts, now.Add(380*24*time.Hour)) {
		t.Error("it is not renewed in time")
	}
	if err := os.WriteFile(filepath.Join(dir, selfSignedCert), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, hosts, now); err == nil {
		t.Error("what somebody put there is overwritten")
	}
}

// TestACrashBetweenTheTwoFilesIsNoEnd: what is left of an unfinished one is replaced.
func TestACrashBetweenTheTwoFilesIsNoEnd(t *testing.T) {
	dir := t.TempDir()
	if _, err := SelfSigned(dir, []string{"desk"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, selfSignedCert)); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, []string{"desk"}, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestACMEIsSetUpRight: no authority is asked here.
func TestACMEIsSetUpRight(t *testing.T) {
	a := NewACME(ACMEConfig{Names: []string{"chat.example.org"}, Dir: t.TempDir(), HTTPSPort: 8443, HTTPPort: 8080, Log: quiet})
	defer a.Stop()
	if a.issuer.CA != "https://acme-v02.api.letsencrypt.org/directory" || !a.issuer.Agreed || a.issuer.AltTLSALPNPort != 8443 ||
		a.issuer.AltHTTPPort != 8080 || a.issuer.DisableHTTPChallenge || a.issuer.DisableTLSALPNChallenge {
		t.Errorf("%+v", a.issuer)
	}
	if c := a.TLS(); !slices.Contains(c.NextProtos, "acme-tls/1") || c.GetCertificate == nil {
		t.Errorf("%v", c.NextProtos)
	}
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(far, a.TLS()).Handshake()
		far.Close()
	}()
	if err := tls.Client(near, &tls.Config{ServerName: "other.example.org", MinVersion: tls.VersionTLS12}).Handshake(); err == nil {
		t.Error("there is a certificate for a name that is not ours")
	}
	near.Close()
	if err := <-done; err == nil {
		t.Error("the server has secured a connection without a certificate")
	}
	w := httptest.NewRecorder()
	a.Challenges(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ours") })).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://chat.example.org/", http.NoBody))
	if w.Body.String() != "ours" {
		t.Errorf("%q", w.Body)
	}
	without := NewACME(ACMEConfig{Names: []string{"chat.example.org"}, Dir: t.TempDir(), HTTPSPort: 443, Log: quiet, Authority: "https://ca.example/dir"})
	defer without.Stop()
	if !without.issuer.DisableHTTPChallenge || without.issuer.CA != "https://ca.example/dir" {
		t.Errorf("%+v", without.issuer)
	}
}
