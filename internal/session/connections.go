package session

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"

	"parley/internal/core"
)

// Connection is an open connection as those who administer see it.
type Connection struct {
	ID      int64 // no other has it while the server runs
	Gateway core.Gateway
	User    core.UserID // 0 before the login
	Name    string
	Device  int64      // of the login that the user came by, 0 in protocols that do not keep logins
	IP      netip.Addr // where the peer is
	Since   time.Time  // to the half second
	Online  bool       // logged in, and not being closed
}

// List returns the open connections, the oldest first.
func (h *Hub) List() []Connection {
	all := h.wheel.all()
	now, tickNow := time.Now(), h.wheel.now.Load()
	list := make([]Connection, 0, len(all))
	for _, s := range all {
		s.mu.Lock()
		actor, phase := s.actor, s.phase
		s.mu.Unlock()
		list = append(list, Connection{
			ID: s.id, Gateway: s.profile.Gateway, User: actor.User(), Name: actor.Name(), Device: actor.Device(), IP: address(s.conn),
			Since: now.Add(-time.Duration(tickNow-s.opened) * tick), Online: actor.Known() && phase == online,
		})
	}
	slices.SortFunc(list, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func address(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Kick closes a connection and reports whether there was one with that id.
func (h *Hub) Kick(id int64) bool {
	all := h.wheel.all()
	i := slices.IndexFunc(all, func(s *Session) bool { return s.id == id })
	if i < 0 {
		return false
	}
	all[i].Close(Kicked)
	return true
}
