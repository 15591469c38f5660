package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

type loginCmd struct {
	Connectors int `help:"Connections that are being made at the same time." default:"64"`
	Users      int `help:"Accounts that log in again and again." default:"6400"`
}

// connector logs its accounts in, one after the other.
type connector struct {
	accounts  []account
	logins    uint64
	latencies latencies
}

// Run measures logins: from the start of the connection to the whole answer. Connections are cut, so that none waits
// for its port to become free.
func (c *loginCmd) Run(ctx context.Context, o *options, rep *report) error {
	if c.Users < c.Connectors {
		return errors.New("login: every connector needs an account")
	}
	return withServer(ctx, o, "login", c.Users, func(s *server) error {
		before, err := s.rss()
		if err != nil {
			return err
		}
		t := &traffic{o: o, server: s}
		t.schedule()
		connectors := make([]connector, c.Connectors)
		g, ctx := errgroup.WithContext(ctx)
		for i := range connectors {
			share := c.Users / c.Connectors
			connectors[i].accounts = s.accounts[i*share : (i+1)*share]
			g.Go(func() error { return connectors[i].run(ctx, t) })
		}
		cost, err := t.watch(ctx)
		if gerr := g.Wait(); gerr != nil {
			return gerr
		}
		if err != nil {
			return err
		}
		r := result{Name: "login", Unit: "logins/s", RSSBefore: before}
		var all latencies
		var n uint64
		for i := range connectors {
			n += connectors[i].logins
			all.merge(&connectors[i].latencies)
		}
		if r.RSSAfter, err = s.rss(); err != nil {
			return err
		}
		r.Rate = float64(n) / o.Duration.Seconds()
		r.spent(cost, o.Duration)
		r.took(&all)
		rep.add(r)
		return nil
	})
}

func (c *connector) run(ctx context.Context, t *traffic) error {
	buf := make([]byte, 4<<10)
	for i := 0; now() < t.until; i++ {
		start := now()
		cl, err := connect(ctx, t.server, c.accounts[i%len(c.accounts)], buf)
		if err != nil {
			return err
		}
		if at := now(); at >= t.from && at < t.until {
			c.logins++
			c.latencies.add(at - start)
		}
		cl.cut()
	}
	return nil
}
