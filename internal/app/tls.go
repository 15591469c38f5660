package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"parley/internal/certificate"
	"parley/internal/config"
)

const tlsDir = "tls"

var errNoCertificate = errors.New("https.addr needs one of tls.cert with tls.key, tls.acme and tls.self_signed")

// secure is how https.addr proves itself. The zero value is without TLS.
type secure struct {
	tls         *tls.Config
	fingerprint string // of a self-signed certificate
	acme        *certificate.ACME
}

// waysToProve counts how many certificates the configuration names.
func waysToProve(cfg config.Config) (n int) {
	for _, set := range []bool{cfg.TLS.Cert != "" || cfg.TLS.Key != "", cfg.TLS.ACME != "", cfg.TLS.SelfSigned} {
		if set {
			n++
		}
	}
	return n
}

// secured prepares what https.addr needs, before anything listens.
func (a *App) secured() (secure, error) {
	cfg := a.cfg
	if cfg.HTTPS.Addr == "" {
		return secure{}, nil
	}
	if waysToProve(cfg) != 1 || (cfg.TLS.Cert == "") != (cfg.TLS.Key == "") {
		return secure{}, errNoCertificate
	}
	s := secure{tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	switch {
	case cfg.TLS.SelfSigned:
		c, err := certificate.SelfSigned(a.path(tlsDir), localHosts(), time.Now())
		if err != nil {
			return s, err
		}
		s.tls.Certificates, s.fingerprint = []tls.Certificate{c}, certificate.Fingerprint(c)
	case cfg.TLS.ACME != "":
		s.acme = certificate.NewACME(certificate.ACMEConfig{
			Names: config.List(cfg.TLS.ACME), Dir: a.path(tlsDir), Log: a.log,
			HTTPSPort: portOf(cfg.HTTPS.Addr), HTTPPort: portOf(cfg.HTTP.Addr),
		})
		s.tls = s.acme.TLS()
		s.tls.MinVersion = tls.VersionTLS12
	default:
		files, err := certificate.OpenFiles(cfg.TLS.Cert, cfg.TLS.Key, a.log)
		if err != nil {
			return s, err
		}
		s.tls.GetCertificate = files.GetCertificate
	}
	return s, nil
}

// onlyTLS reports whether browsers may be told to come over TLS for a year. That holds for all ports of the host, and lets nobody
// past a certificate that they do not know.
func (a *App) onlyTLS() bool { return !a.cfg.TLS.SelfSigned && portOf(a.cfg.HTTPS.Addr) == 443 }

// start begins what goes on in the background, end ends it.
func (s secure) start(ctx context.Context) error {
	if s.acme == nil {
		return nil
	}
	return s.acme.Start(ctx)
}

func (s secure) end() {
	if s.acme != nil {
		s.acme.Stop()
	}
}

// challenges lets a certificate authority ask over plain HTTP whether a name is ours.
func (s secure) challenges(h http.Handler) http.Handler {
	if s.acme == nil {
		return h
	}
	return s.acme.Challenges(h)
}

// portOf returns the port of an address of the configuration, 0 if it has none.
func portOf(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port)
	return n
}

// localHosts are the names and addresses under which this machine is reached from the local network.
func localHosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "" && !strings.ContainsAny(name, " _") {
		hosts = append([]string{name}, hosts...)
	}
	return append(hosts, lanAddress()...)
}

// toTLS sends browsers that ask for a page over plain HTTP to https.addr. Programs, and what the old families ask for, stay
// where they are.
func (s *server) toTLS(mux *http.ServeMux, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil && s.secure.tls != nil && r.Method == http.MethodGet && acceptsHTML(r) {
			if _, pattern := mux.Handler(r); pattern == "/" || pattern == setupPage || pattern == invitePage {
				w.Header().Set("Cache-Control", "no-store")
				http.Redirect(w, r, s.secureHome(hostOf(r.Host))+r.URL.RequestURI(), http.StatusTemporaryRedirect)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// secureHome returns the address of https.addr for who reached this machine as host.
func (s *server) secureHome(host string) string {
	if url := strings.TrimSuffix(s.cfg.HTTP.PublicURL, "/"); strings.HasPrefix(url, "https://") {
		return url
	}
	return "https://" + strings.TrimSuffix(s.addr("https.addr", host), ":443")
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.Trim(host, "[]")
}
