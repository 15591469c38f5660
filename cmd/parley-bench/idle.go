package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

type idleCmd struct {
	Sessions int           `help:"Sessions to hold." default:"15000"`
	Settle   time.Duration `help:"How long they stay idle before memory is measured." default:"30s"`
}

const (
	idleConnectors = 32
	idleBuffer     = 256
	beatTick       = 10 * time.Millisecond
)

// crowd is the idle sessions of a run.
type crowd struct {
	o       *options
	dial    func(context.Context, *server, account, []byte) (*client, error)
	members []member
	over    atomic.Bool

	mu   sync.Mutex // guards trip
	trip latencies  // of heartbeats
}

// member is one of them.
type member struct {
	client *client
	here   atomic.Bool  // client is set
	asked  atomic.Int64 // when the heartbeat left that is not answered yet; 0 if none
}

// memory is what the server holds, in bytes.
type memory struct {
	rss         int64
	heap, stack float64
	free        float64 // of Go's heap: unused, and not yet returned to the system
	goroutines  float64
}

func (s *server) memory(ctx context.Context) (m memory, err error) {
	if m.rss, err = s.rss(); err != nil {
		return m, err
	}
	g, err := s.scrape(ctx)
	m.heap, m.stack = g["go_memstats_heap_inuse_bytes"], g["go_memstats_stack_inuse_bytes"]
	m.free = g["go_memstats_heap_idle_bytes"] - g["go_memstats_heap_released_bytes"]
	m.goroutines = g["go_goroutines"]
	return m, err
}

// Run measures what a session costs that only sends heartbeats.
func (c *idleCmd) Run(ctx context.Context, o *options, rep *report) error {
	return c.measure(ctx, o, rep, "idle", connect)
}

func (c *idleCmd) measure(ctx context.Context, o *options, rep *report, name string, dial func(context.Context, *server, account, []byte) (*client, error)) error {
	return withServer(ctx, o, name, c.Sessions, func(s *server) error {
		before, err := s.memory(ctx)
		if err != nil {
			return err
		}
		cr := &crowd{o: o, dial: dial, members: make([]member, c.Sessions)}
		start := now()
		var ramp time.Duration
		var cost usage
		var after memory
		err = cr.hold(ctx, s, func(ctx context.Context) error {
			ramp = time.Duration(now() - start)
			cr.forgetTrips()
			first, err := s.usage(ctx)
			if err != nil {
				return err
			}
			if err := sleepUntil(ctx, now()+int64(c.Settle)); err != nil {
				return err
			}
			if after, err = s.memory(ctx); err != nil {
				return err
			}
			last, err := s.usage(ctx)
			cost = last.since(first)
			return err
		})
		if err != nil {
			return err
		}
		n := float64(c.Sessions)
		r := result{Name: fmt.Sprintf("%s %d", name, c.Sessions), Unit: "B/session", RSSBefore: before.rss, RSSAfter: after.rss}
		r.Rate = float64(after.rss-before.rss) / n
		r.spent(cost, c.Settle)
		r.took(&cr.trip)
		r.figure("Go heap B/session", (after.heap-before.heap)/n)
		r.figure("Go stack B/session", (after.stack-before.stack)/n)
		r.figure("Go free B/session", (after.free-before.free)/n)
		r.figure("goroutines/session", (after.goroutines-before.goroutines)/n)
		r.figure("logins/s while they came", n/ramp.Seconds())
		rep.add(r)
		return nil
	})
}

// forgetTrips leaves out what was slow because everybody was arriving.
func (cr *crowd) forgetTrips() {
	cr.mu.Lock()
	defer cr.mu.Unlock()
	cr.trip = latencies{}
}

// hold logs everybody in, keeps them alive while fn runs, and lets them go.
func (cr *crowd) hold(ctx context.Context, s *server, fn func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cr.beat(ctx) })
	err := cr.arrive(ctx, g, s)
	if err == nil {
		err = fn(ctx)
	}
	cr.over.Store(true)
	for i := range cr.members {
		if cr.members[i].here.Load() {
			cr.members[i].client.cut()
		}
	}
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	return err
}

// arrive logs everybody in.
func (cr *crowd) arrive(ctx context.Context, readers *errgroup.Group, s *server) error {
	connectors, ctx := errgroup.WithContext(ctx)
	connectors.SetLimit(idleConnectors)
	for i := range cr.members {
		if ctx.Err() != nil {
			break
		}
		connectors.Go(func() error {
			c, err := cr.dial(ctx, s, s.accounts[i], make([]byte, 1024))
			if err != nil {
				return err
			}
			more := c.buf[c.from:c.to] // over a WebSocket, who else is there
			if len(more) > 0 && !c.events {
				return fmt.Errorf("user %d got more than an answer", c.account.uid)
			}
			c.buf = make([]byte, max(idleBuffer, len(more)))
			c.from, c.to = 0, copy(c.buf, more)
			m := &cr.members[i]
			m.client = c
			m.here.Store(true)
			readers.Go(func() error { return cr.read(m) })
			return nil
		})
	}
	return connectors.Wait()
}

// beat sends heartbeats, spread evenly over their interval.
func (cr *crowd) beat(ctx context.Context) error {
	start, sent := now(), 0
	for !cr.over.Load() {
		if err := sleepUntil(ctx, now()+int64(beatTick)); err != nil {
			return err
		}
		due := int(float64(now()-start) / float64(cr.o.Heartbeat) * float64(len(cr.members)))
		for ; sent < due; sent++ {
			m := &cr.members[sent%len(cr.members)]
			if !m.here.Load() {
				continue
			}
			if !m.asked.CompareAndSwap(0, now()) {
				return fmt.Errorf("user %d got no answer to a heartbeat", m.client.account.uid)
			}
			if err := m.client.beat(); err != nil {
				if cr.over.Load() {
					return nil
				}
				return fmt.Errorf("user %d: %w", m.client.account.uid, err)
			}
		}
	}
	return nil
}

func (cr *crowd) read(m *member) error {
	for {
		err := m.client.fill()
		if err != nil {
			if cr.over.Load() && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("user %d: %w", m.client.account.uid, err)
		}
		for id, body, ok := m.client.next(); ok; id, body, ok = m.client.next() {
			if id != heartbeatRsp {
				return fmt.Errorf("user %d: unexpected frame %d: %.200s", m.client.account.uid, id, body)
			}
			if err := m.client.refused(body); err != nil {
				return err
			}
			at := now()
			asked := m.asked.Swap(0)
			cr.mu.Lock()
			cr.trip.add(at - asked)
			cr.mu.Unlock()
		}
	}
}
