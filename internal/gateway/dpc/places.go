package dpc

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// places bounds how many connections a port has at once: docs/protocols/dpc.md#connect.
type places struct {
	most   int // 0 for no bound
	mostIP int // from one address

	mu    sync.Mutex // guards the rest
	taken int
	from  map[netip.Addr]int
}

func newPlaces(most, mostIP int) *places {
	return &places{most: most, mostIP: mostIP, from: map[netip.Addr]int{}}
}

// take reports whether there is room for a connection, and counts it then.
func (p *places) take(ip netip.Addr) bool {
	ip = network(ip)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most > 0 && p.taken >= p.most || p.from[ip] >= p.mostIP {
		return false
	}
	p.taken++
	p.from[ip]++
	return true
}

func (p *places) leave(ip netip.Addr) {
	ip = network(ip)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.from[ip]--; p.from[ip] == 0 {
		delete(p.from, ip)
	}
}

// network is what counts as one address: who has an IPv6 address has all of its /64.
func network(ip netip.Addr) netip.Addr {
	if !ip.Is6() {
		return ip
	}
	all, _ := ip.Prefix(64) // fails only for lengths that do not exist
	return all.Addr()
}

// placed is a connection that gives its place back when it is closed.
type placed struct {
	*net.TCPConn
	places *places
	ip     netip.Addr
	closed atomic.Bool
}

// admit takes a place for a connection of a TCP listener, or closes it if there is none.
func (p *places) admit(nc net.Conn) (net.Conn, bool) {
	ip := origin(nc).IP
	if !p.take(ip) {
		_ = nc.Close()
		return nil, false
	}
	return &placed{TCPConn: nc.(*net.TCPConn), places: p, ip: ip}, true
}

// Close implements [net.Conn].
func (c *placed) Close() error {
	err := c.TCPConn.Close()
	if !c.closed.Swap(true) {
		c.places.leave(c.ip)
	}
	return err
}
