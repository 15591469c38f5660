package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ACME gets certificates for names from an authority, and renews them in time.
type ACME struct {
	names  []string
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// ACMEConfig is what the authority needs to find the server by its names: the authority asks at the ports 443 and 80, from which these are
// reached.
type ACMEConfig struct {
	Names     []string
	Dir       string // where certificates and the account's key are kept
	HTTPSPort int
	HTTPPort  int    // 0 if there is none
	Authority string // "" for Let's Encrypt
	Log       *slog.Logger
}

// NewACME returns what gets the certificates. Nothing is asked for before Start.
func NewACME(cfg ACMEConfig) *ACME {
	a := &ACME{names: cfg.Names}
	quiet := zap.NewNop() // what matters comes as an event
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           quiet,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: cfg.Dir}, Logger: quiet, OnEvent: tell(cfg.Log),
	})
	if cfg.Authority == "" {
		cfg.Authority = certmagic.LetsEncryptProductionCA
	}
	a.issuer = certmagic.NewACMEIssuer(a.magic, certmagic.ACMEIssuer{
		CA: cfg.Authority, Agreed: true, Logger: quiet,
		AltTLSALPNPort: cfg.HTTPSPort, AltHTTPPort: cfg.HTTPPort, DisableHTTPChallenge: cfg.HTTPPort == 0,
	})
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	return a
}

// tell has the log say what becomes of the certificates.
func tell(log *slog.Logger) func(context.Context, string, map[string]any) error {
	return func(_ context.Context, event string, data map[string]any) error {
		switch event {
		case "cert_obtained":
			log.Info("a certificate was obtained", "name", data["identifier"])
		case "cert_failed":
			log.Error("a certificate could not be obtained", "name", data["identifier"], "err", data["error"])
		}
		return nil
	}
}

// Start begins to get and renew certificates in the background, until the context ends and Stop is called.
func (a *ACME) Start(ctx context.Context) error {
	if err := a.magic.ManageAsync(ctx, a.names); err != nil {
		return fmt.Errorf("tls.acme: %w", err)
	}
	return nil
}

// Stop ends the renewing.
func (a *ACME) Stop() { a.cache.Stop() }

// TLS returns how connections are secured, and how the authority's question on the TLS port is answered.
func (a *ACME) TLS() *tls.Config { return a.magic.TLSConfig() }

// Challenges answers the authority's questions over plain HTTP, and leaves everything else to h.
func (a *ACME) Challenges(h http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(h) }
