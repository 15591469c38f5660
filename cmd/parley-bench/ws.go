package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"parley/internal/core"
)

type wsCmd struct {
	Sessions int           `help:"Idle WebSockets to hold." default:"10000"`
	Settle   time.Duration `help:"How long they stay idle before memory is measured." default:"30s"`
	Members  int           `help:"Members of the lobby who are online." default:"100"`
	Senders  int           `help:"How many of them write. A WebSocket may send two hundred messages a second." default:"100"`
	Window   []int         `help:"Messages that each sender keeps outstanding; one run for each." default:"1"`
	Rate     float64       `help:"Messages a second to offer instead, whatever the answers; each makes a delivery to every member." placeholder:"N"`
}

// Run measures what an idle WebSocket costs, and messages in the lobby over WebSockets.
func (c *wsCmd) Run(ctx context.Context, o *options, rep *report) error {
	idle := idleCmd{Sessions: c.Sessions, Settle: c.Settle}
	return errors.Join(idle.measure(ctx, o, rep, "ws idle", connectEvents), c.room(ctx, o, rep))
}

func (c *wsCmd) room(ctx context.Context, o *options, rep *report) error {
	if c.Senders > c.Members {
		return errors.New("ws: the senders are members")
	}
	return eachLoad("ws room", c.Window, c.Rate, func(name string, window int) error {
		return withServer(ctx, o, name, c.Members, func(s *server) error {
			t := &traffic{o: o, server: s, window: window, rate: c.Rate, oneRoom: true, events: true}
			for _, a := range s.accounts {
				if err := t.join(ctx, a); err != nil {
					return err
				}
			}
			for _, p := range t.parties[:c.Senders] {
				p.sendsTo(int64(core.Lobby))
			}
			for _, p := range t.parties {
				p.hears(slices.Clone(t.senders)...) // their own words, too
			}
			return rep.traffic(ctx, name, deliveries, t)
		})
	})
}
