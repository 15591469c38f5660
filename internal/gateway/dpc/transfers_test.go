package dpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"parley/internal/core"
)

// TestRevokedBetweenPasswordAndClaim: a password that was checked before the account was shut out opens nothing after it.
func TestRevokedBetweenPasswordAndClaim(t *testing.T) {
	transfers := newTransfers()
	client, server := net.Pipe()
	defer client.Close()
	c := &fileConn{conn: server}
	c.allowed, c.forbid = context.WithCancel(t.Context())
	if !transfers.add(c) {
		t.Fatal("there is no room")
	}
	before, after := core.NewActor(core.User{ID: 1001, Epoch: 1}), core.NewActor(core.User{ID: 1001, Epoch: 2})
	transfers.revoke(1001, 2)
	if err := transfers.claim(c, before); !errors.Is(err, core.ErrNoToken) {
		t.Errorf("what is void is claimed: %v", err)
	}
	if err := transfers.claim(c, after); err != nil {
		t.Errorf("what is proved anew: %v", err)
	}
	transfers.revoke(1001, 2)
	transfers.revoke(1002, 9)
	if c.allowed.Err() != nil {
		t.Error("an older revocation, or somebody else's, ends a connection")
	}
	transfers.revoke(1001, 3)
	if c.allowed.Err() == nil {
		t.Error("a revocation does not end the connection")
	}
	transfers.remove(c)
	if n := len(transfers.open) + len(transfers.places.from) + transfers.places.taken; n != 0 {
		t.Errorf("%d are kept", n)
	}
}

// TestRequestJustAsAStopBegins: it is not carried out, and the error is none that ends the connection in good order.
func TestRequestJustAsAStopBegins(t *testing.T) {
	gw := &Gateway{Config: Config{Silence: time.Minute, MessageTime: time.Minute}, transfers: newTransfers()}
	client, server := net.Pipe()
	defer client.Close()
	c := &fileConn{gw: gw, conn: server}
	c.in = bufio.NewReader(c)
	if !gw.transfers.add(c) {
		t.Fatal("there is no room")
	}
	go func() {
		for waits := false; !waits; {
			gw.transfers.mu.Lock()
			waits = gw.transfers.open[c].waits
			gw.transfers.stopping = waits
			gw.transfers.mu.Unlock()
		}
		_, _ = client.Write([]byte("2"))
	}()
	if message, err := c.next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%q, %v", message, err)
	}
}

// TestPlaces: an IPv6 network counts as one address, and the bound on all holds whoever comes.
func TestPlaces(t *testing.T) {
	p := newPlaces(3, 2)
	take := func(ip string, want bool) {
		t.Helper()
		if got := p.take(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	take("2001:db8::1", true)
	take("2001:db8::2", true)
	take("2001:db8::3", false)
	take("192.0.2.1", true)
	take("192.0.2.2", false)
	p.leave(netip.MustParseAddr("2001:db8::2"))
	take("192.0.2.2", true)
	take("2001:db8:0:1::1", false)
	for _, ip := range []string{"2001:db8::9", "192.0.2.1", "192.0.2.2"} {
		p.leave(netip.MustParseAddr(ip))
	}
	if p.taken != 0 || len(p.from) != 0 {
		t.Errorf("%d are kept", p.taken)
	}
}
