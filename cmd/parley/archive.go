package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"parley/internal/gateway/control"
)

type importParleyCmd struct {
	settings
	File   string `arg:"" help:"Archive that parley export has written." type:"existingfile"`
	DryRun bool   `help:"Only report what would change."`
	Yes    bool   `help:"Do not ask between the report and the import." short:"y"`
}

func (c *importParleyCmd) Run(ctx context.Context) error {
	return c.operate(ctx, func(cl *control.Client) error {
		plan, err := c.restore(ctx, cl, true)
		if err != nil {
			return err
		}
		printPlan(plan)
		switch {
		case len(plan.Clashes) > 0:
			return errors.New("the archive does not go together with what is on this server; nothing was imported")
		case c.DryRun:
			return nil
		case !c.Yes && isatty.IsTerminal(os.Stdin.Fd()) && !agreed(os.Stdin, os.Stderr):
			return errors.New("nothing was imported")
		}
		done, err := c.restore(ctx, cl, false)
		if err != nil {
			return err
		}
		fmt.Println("\nThe import is done.")
		for _, n := range newNotes(plan.Notes, done.Notes) {
			fmt.Printf("- %s\n", n)
		}
		return nil
	})
}

func (c *importParleyCmd) restore(ctx context.Context, cl *control.Client, dryRun bool) (control.Restored, error) {
	bar := newBar(os.Stderr, isatty.IsTerminal(os.Stderr.Fd()))
	defer bar.end()
	return cl.Restore(ctx, control.Restore{File: c.File, DryRun: dryRun}, bar.show)
}

func printPlan(plan control.Restored) {
	what := "everything"
	if plan.User != "" {
		what = "what is " + plan.User + "'s"
	}
	fmt.Printf("The archive is whole. It holds %s as of %s:\n", what, plan.Created.Format(time.DateTime+" MST"))
	printCounts(plan.Counts)
	if len(plan.Notes) > 0 {
		fmt.Println("\nPlease note:")
	}
	for _, n := range plan.Notes {
		fmt.Printf("- %s\n", n)
	}
	if len(plan.Clashes) > 0 {
		fmt.Println("\nIt cannot be imported here:")
	}
	for _, n := range plan.Clashes {
		fmt.Printf("- %s\n", n)
	}
}

// newNotes returns what was not known before.
func newNotes(before, after []string) []string {
	if len(after) <= len(before) {
		return nil
	}
	return after[len(before):]
}
