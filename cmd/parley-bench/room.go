package main

import (
	"context"
	"errors"
	"slices"
)

type roomCmd struct {
	Members int     `help:"Members of the lobby who are online." default:"100"`
	Senders int     `help:"How many of them write." default:"16"`
	Window  []int   `help:"Messages that each sender keeps outstanding; one run for each." default:"1,16"`
	Rate    float64 `help:"Messages a second to offer instead, whatever the answers; each makes a delivery to every other member." placeholder:"N"`
}

// Run measures messages in the lobby.
func (c *roomCmd) Run(ctx context.Context, o *options, rep *report) error {
	if c.Senders > c.Members {
		return errors.New("room: the senders are members")
	}
	return eachLoad("room", c.Window, c.Rate, func(name string, window int) error {
		return withServer(ctx, o, name, c.Members, func(s *server) error {
			t := &traffic{o: o, server: s, window: window, rate: c.Rate, oneRoom: true}
			for _, a := range s.accounts {
				if err := t.join(ctx, a); err != nil {
					return err
				}
			}
			for _, p := range t.parties[:c.Senders] {
				p.sendsTo(lobbyContact)
			}
			for _, p := range t.parties {
				p.hears(slices.DeleteFunc(slices.Clone(t.senders), func(s *party) bool { return s == p })...)
			}
			return rep.traffic(ctx, name, deliveries, t)
		})
	})
}
