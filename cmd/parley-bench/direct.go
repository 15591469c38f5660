package main

import (
	"context"
	"fmt"
)

type directCmd struct {
	Pairs  int     `help:"Pairs of friends; one writes, the other listens." default:"50"`
	Window []int   `help:"Messages that each sender keeps outstanding; one run for each." default:"1,16"`
	Rate   float64 `help:"Messages a second to offer instead, whatever the answers." placeholder:"N"`
}

// Run measures messages between pairs.
func (c *directCmd) Run(ctx context.Context, o *options, rep *report) error {
	return eachLoad("direct", c.Window, c.Rate, func(name string, window int) error {
		return withServer(ctx, o, name, 2*c.Pairs, func(s *server) error {
			t := &traffic{o: o, server: s, window: window, rate: c.Rate}
			for _, a := range s.accounts {
				if err := t.join(ctx, a); err != nil {
					return err
				}
			}
			for i := 0; i < len(t.parties); i += 2 {
				t.parties[i].sendsTo(t.parties[i+1].account.uid)
			}
			for i, p := range t.senders {
				t.parties[2*i+1].hears(p)
			}
			return rep.traffic(ctx, name, messages, t)
		})
	})
}

// eachLoad calls fn for each window, or once for a rate.
func eachLoad(name string, windows []int, rate float64, fn func(name string, window int) error) error {
	if rate > 0 {
		return fn(fmt.Sprintf("%s at %.0f/s", name, rate), 0)
	}
	for _, w := range windows {
		if err := fn(fmt.Sprintf("%s w%d", name, w), w); err != nil {
			return err
		}
	}
	return nil
}
