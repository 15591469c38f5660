package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"parley/internal/core"
	"parley/internal/gateway/api"
	"parley/internal/gateway/front"
)

// addr returns the open address of a key, "" if it is off.
func (s *server) addr(key, host string) string {
	for _, l := range s.listeners {
		if l.key != key {
			continue
		}
		ap, err := netip.ParseAddrPort(l.ln.Addr().String())
		if err != nil {
			return l.ln.Addr().String()
		}
		if !ap.Addr().IsUnspecified() {
			host = ap.Addr().String()
		}
		return net.JoinHostPort(host, strconv.Itoa(int(ap.Port())))
	}
	return ""
}

// page returns where browsers are best sent: the public URL if the operator gave it, otherwise https.addr if there is one.
func (s *server) page(host string) string {
	if s.secure.tls != nil && s.cfg.HTTP.PublicURL == "" {
		return s.secureHome(host)
	}
	return s.home(host)
}

// oldLinkLife is how long the links to files are good that stand in the texts of clients which know only texts.
const oldLinkLife = 30 * 24 * time.Hour

// fileLink returns where a file can be fetched by whoever is told so, "" if nothing serves it.
func (s *server) fileLink(f core.File) string {
	hosts := append([]string{"localhost"}, lanAddress()...)
	page := s.page(hosts[len(hosts)-1])
	if page == "" {
		return ""
	}
	return page + api.LinkPath(s.files.Link(f, false, oldLinkLife))
}

// home returns the URL of http.addr, or the public one if the operator gave it; "" if there is none.
func (s *server) home(host string) string {
	if s.cfg.HTTP.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.HTTP.PublicURL, "/")
	}
	if addr := s.addr("http.addr", host); addr != "" {
		return "http://" + addr
	}
	return ""
}

// ways lists how each kind of client connects, for somebody who reaches this machine as host.
func (s *server) ways(host string) []front.Way {
	var ways []front.Way
	add := func(name string, lines ...string) {
		way := front.Way{Name: name}
		for i := 0; i+1 < len(lines); i += 2 {
			if lines[i+1] != "" {
				way.Address = append(way.Address, lines[i]+lines[i+1])
			}
		}
		if len(way.Address) > 0 {
			ways = append(ways, way)
		}
	}
	llfc := s.cfg.LLFC.PublicAddr
	if llfc == "" {
		llfc = s.addr("llfc.addr", host)
	}
	if page := s.page(host); page != "" {
		add("API", "", page+api.Prefix, "", "ws"+strings.TrimPrefix(page, "http")+api.EventsPath, "docs ", page+api.Prefix+"/docs")
	}
	add("llfc", "", s.home(host), "tcp ", llfc)
	add("CS3", "http://", s.addr("cs3.http_addr", host), "tcp ", s.addr("cs3.addr", host))
	add("DPC", "auth ", s.addr("dpc.auth_addr", host), "chat ", s.addr("dpc.chat_addr", host), "files ", s.addr("dpc.file_addr", host))
	return ways
}

// welcome tells whoever started the server where clients connect and, until there is an administrator, where to make one.
func (s *server) welcome(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "\nParley is running. Clients connect here:")
	said := map[string]bool{}
	for _, host := range append([]string{"localhost"}, lanAddress()...) {
		for _, way := range s.ways(host) {
			for _, a := range way.Address {
				if line := fmt.Sprintf("  %-5s %s\n", way.Name, a); !said[line] {
					said[line] = true
					fmt.Fprint(out, line)
				}
			}
		}
	}
	token, err := s.accounts.SetupToken(ctx, s.accounts.Operator())
	if err != nil {
		return err
	}
	if s.secure.fingerprint != "" {
		fmt.Fprintf(out, "\nBrowsers will warn of the certificate. Its SHA-256 fingerprint is\n  %s\n", s.secure.fingerprint)
	}
	if page := s.page("localhost"); token != "" && page != "" {
		fmt.Fprintf(out, "\nMake the first administrator here (the link works once):\n  %s/setup?token=%s\n", page, token)
	}
	fmt.Fprintln(out)
	return nil
}

// lanAddress returns the address under which other machines of the network reach this one, if it has one.
func lanAddress() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return []string{n.IP.String()}
		}
	}
	return nil
}
