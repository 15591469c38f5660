package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mattn/go-isatty"

	"parley/internal/gateway/control"
)

type exportCmd struct {
	settings
	File  string `arg:"" help:"Archive to write, a tar file." type:"path"`
	User  string `help:"Only what is this person's: a uid, name, e-mail address or phone number." placeholder:"NAME"`
	Force bool   `help:"Replace the file if it exists."`
}

func (c *exportCmd) Run(ctx context.Context) error {
	return c.operate(ctx, func(cl *control.Client) error {
		bar := newBar(os.Stderr, isatty.IsTerminal(os.Stderr.Fd()))
		out, err := cl.Export(ctx, control.Export{File: c.File, User: c.User, Force: c.Force}, bar.show)
		bar.end()
		if err != nil {
			return err
		}
		fmt.Printf("%s is written, %d bytes:\n", c.File, out.Size)
		printCounts(out.Counts)
		for _, text := range out.LeftOut {
			fmt.Printf("NOT in it: %s\n", text)
		}
		return nil
	})
}

func printCounts(counts []control.Count) {
	for _, n := range counts {
		fmt.Printf("%12d  %s\n", n.N, n.What)
	}
}
