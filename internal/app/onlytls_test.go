package app

import (
	"testing"

	"parley/internal/config"
)

// TestBrowsersArePinnedToTLSWhereItIsAtHome, and nowhere else.
func TestBrowsersArePinnedToTLSWhereItIsAtHome(t *testing.T) {
	for _, c := range []struct {
		addr       string
		selfSigned bool
		want       bool
	}{{":443", false, true}, {":443", true, false}, {":8443", false, false}, {"", false, false}} {
		var cfg config.Config
		cfg.HTTPS.Addr, cfg.TLS.SelfSigned = c.addr, c.selfSigned
		if got := (&App{cfg: cfg}).onlyTLS(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
