package admin

import (
	"context"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"time"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/store"
)

// Statistics is the server in numbers.
type Statistics struct {
	Version       string
	Started       time.Time
	Uptime        time.Duration
	Figures       Figures
	Online        int // users with a live connection
	Connections   []Count
	DatabaseBytes int64
	Goroutines    int
	Memory        int64 // bytes that the program has of the system
}

// Count is how many connections a family of clients has.
type Count struct {
	Gateway     core.Gateway
	Connections int
}

// Statistics returns the server in numbers.
func (s *Service) Statistics(ctx context.Context, actor core.Actor) (Statistics, error) {
	if !administers(actor) {
		return Statistics{}, fmt.Errorf("statistics: %w", core.ErrForbidden)
	}
	st := Statistics{Version: s.cfg.Version, Started: s.cfg.Started, Uptime: time.Since(s.cfg.Started)}
	var err error
	if st.Figures, err = s.cfg.Figures(ctx, actor); err != nil {
		return Statistics{}, fmt.Errorf("statistics: %w", err)
	}
	if st.DatabaseBytes, err = s.db.Size(); err != nil {
		return Statistics{}, fmt.Errorf("statistics: %w", err)
	}
	st.count(s.cfg.Hub.List())
	st.measure()
	return st, nil
}

// count counts who is connected.
func (st *Statistics) count(connections []session.Connection) {
	byGateway, online := map[core.Gateway]int{}, map[core.UserID]bool{}
	for _, c := range connections {
		byGateway[c.Gateway]++
		if c.Online {
			online[c.User] = true
		}
	}
	st.Online = len(online)
	for _, g := range slices.Sorted(maps.Keys(byGateway)) {
		st.Connections = append(st.Connections, Count{g, byGateway[g]})
	}
}

// measure asks the runtime, without stopping the program.
func (st *Statistics) measure() {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	st.Goroutines = int(samples[0].Value.Uint64())
	st.Memory = int64(samples[1].Value.Uint64() - samples[2].Value.Uint64())
}

// Filter says which connections are meant; the zero one means all.
type Filter struct {
	User    core.UserID
	Gateway core.Gateway
}

func (f Filter) leavesOut(c session.Connection) bool {
	return f.User != 0 && c.User != f.User || f.Gateway != "" && c.Gateway != f.Gateway
}

// Connections returns a part of the live connections that a filter lets through, the oldest first: after the first skip, most at
// most; and how many those are in all.
func (s *Service) Connections(_ context.Context, actor core.Actor, f Filter, skip, most int) ([]session.Connection, int, error) {
	if !administers(actor) {
		return nil, 0, fmt.Errorf("list connections: %w", core.ErrForbidden)
	}
	list := slices.DeleteFunc(s.cfg.Hub.List(), f.leavesOut)
	total := len(list)
	skip = min(skip, total)
	return list[skip:min(skip+most, total)], total, nil
}

// Disconnect ends a connection. Its client may come back.
func (s *Service) Disconnect(ctx context.Context, actor core.Actor, from core.Origin, id int64) error {
	err := s.act(ctx, actor, func(ctx context.Context) error {
		list := s.cfg.Hub.List()
		i := slices.IndexFunc(list, func(c session.Connection) bool { return c.ID == id })
		if i < 0 {
			return core.ErrConnectionNotFound
		}
		store.AfterCommit(ctx, func() { s.cfg.Hub.Kick(id) })
		return s.cfg.Audit.Record(ctx, actor, "connection.close", whose(list[i]), string(list[i].Gateway), from)
	})
	if err != nil {
		return fmt.Errorf("end connection %d: %w", id, err)
	}
	return nil
}

// whose names a connection in the audit log.
func whose(c session.Connection) string {
	if c.User == 0 {
		return "somebody from " + c.IP.String()
	}
	return fmt.Sprintf("user %d", c.User)
}
