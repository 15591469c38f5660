// Command parley is the server and the operator's tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/obs"
)

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the server."`
	User    userCmd    `cmd:"" help:"Add, list and change accounts."`
	Check   checkCmd   `cmd:"" help:"Look at the configuration and this machine, and say what is wrong and how to mend it."`
	Backup  backupCmd  `cmd:"" help:"Write everything to one file, also while the server runs."`
	Restore restoreCmd `cmd:"" help:"Unpack a backup into an empty data folder."`
	Demo    demoCmd    `cmd:"" help:"Run a throw-away server with three users to try."`
	Import  importCmd  `cmd:"" help:"Bring people along from another server."`
	Export  exportCmd  `cmd:"" help:"Write everything, or what is one person's, to an archive that others can read."`

	Version kong.VersionFlag `help:"Print the version."`
}

// settings are the flags of every server command.
type settings struct {
	Config string   `help:"Configuration file (YAML)." type:"path" placeholder:"FILE"`
	Set    []string `help:"Set a key, as in --set http.addr=:8000." sep:"none" placeholder:"KEY=VALUE"`
}

func (s settings) load() (config.Config, *slog.Logger, error) {
	cfg, err := config.Load(s.Config, s.Set, os.Environ())
	if err != nil {
		return cfg, nil, err
	}
	return cfg, obs.NewLogger(os.Stderr, cfg.Log.Level, cfg.Log.Format), nil
}

func main() { os.Exit(run()) }

// run carries out the command line and returns the process's exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var c cli
	k := kong.Parse(&c,
		kong.Name("parley"),
		kong.Description("A group's own communication in one program."),
		kong.UsageOnError(),
		kong.Vars{"version": app.Version},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "parley:", err)
		return 1
	}
	return 0
}

type serveCmd struct {
	settings
}

func (c *serveCmd) Run(ctx context.Context) error {
	cfg, log, err := c.load()
	if err != nil {
		return err
	}
	return app.Serve(ctx, cfg, log, os.Stdout)
}

type demoCmd struct {
	settings
}

func (c *demoCmd) Run(ctx context.Context) error {
	cfg, log, err := c.load()
	if err != nil {
		return err
	}
	return app.Demo(ctx, cfg, log, os.Stdout)
}

type backupCmd struct {
	settings
	File string `arg:"" help:"File to write." type:"path"`
}

func (c *backupCmd) Run(ctx context.Context) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	return app.Backup(ctx, cfg.DataDir, c.File)
}

type restoreCmd struct {
	settings
	File string `arg:"" help:"Backup to unpack." type:"existingfile"`
}

func (c *restoreCmd) Run(ctx context.Context) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	return app.Restore(ctx, cfg.DataDir, c.File)
}

type checkCmd struct {
	settings
}

func (c *checkCmd) Run(ctx context.Context) error {
	cfg, _, err := c.load()
	if err != nil {
		return err
	}
	problems := 0
	for _, f := range app.Check(ctx, cfg) {
		if f.Err == nil {
			fmt.Printf("ok       %s\n", f.What)
			continue
		}
		problems++
		fmt.Printf("PROBLEM  %s: %v\n         remedy: %s\n", f.What, f.Err, f.Remedy)
	}
	if problems > 0 {
		return errors.New("there are problems")
	}
	return nil
}
