// Command parley-bench measures a real parley server over loopback and checks, while it measures, that nothing is lost,
// doubled or out of order. It starts the server itself, on a data folder of its own that it fills with accounts before.
// It reads /proc and so runs on Linux only.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options are what all measurements have in common.
type options struct {
	Parley    string        `help:"The server's binary; by default the one beside this program." placeholder:"FILE"`
	Dir       string        `help:"Where the data folders are made; by default /var/tmp, which is on a disk." placeholder:"FOLDER"`
	Set       []string      `help:"Set a key of the server's configuration." sep:"none" placeholder:"KEY=VALUE"`
	Keep      bool          `help:"Keep the data folders."`
	JSON      bool          `name:"json" help:"Print JSON instead of a table."`
	Warmup    time.Duration `help:"How long the load runs before it is measured." default:"2s"`
	Duration  time.Duration `help:"How long is measured." default:"10s"`
	Heartbeat time.Duration `help:"How often each client sends a heartbeat." default:"10s"`
	IDs       string        `name:"ids" help:"What message ids look like: ordered by time or random." enum:"ordered,random" default:"ordered"`
	Size      int           `help:"Length of a text in bytes." default:"64"`
}

func (o *options) complete() error {
	if o.Parley == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.Parley = filepath.Join(filepath.Dir(self), "parley")
	}
	if o.Dir == "" {
		o.Dir = "/var/tmp"
	}
	if o.Size < stampSize || o.Size > maxSize {
		return fmt.Errorf("--size must be %d to %d", stampSize, maxSize)
	}
	_, err := os.Stat(o.Parley)
	return err
}

type cli struct {
	options

	Idle   idleCmd   `cmd:"" help:"Memory of sessions that do nothing but heartbeats."`
	Direct directCmd `cmd:"" help:"Messages between pairs of friends."`
	Room   roomCmd   `cmd:"" help:"Messages in the lobby."`
	Login  loginCmd  `cmd:"" help:"Logins by token."`
	WS     wsCmd     `cmd:"" name:"ws" help:"Memory of idle WebSockets of the API, and messages in the lobby over them."`
	Rest   restCmd   `cmd:"" help:"History pages, messages and searches over the API, with many messages stored."`
	Files  filesCmd  `cmd:"" help:"Uploads and downloads, against the disk and the loopback alone."`
	All    allCmd    `cmd:"" help:"All of them, one after the other."`
}

// allCmd runs every measurement. Its flags are theirs, under their names.
type allCmd struct {
	Idle   idleCmd   `embed:"" prefix:"idle-"`
	Direct directCmd `embed:"" prefix:"direct-"`
	Room   roomCmd   `embed:"" prefix:"room-"`
	Login  loginCmd  `embed:"" prefix:"login-"`
	WS     wsCmd     `embed:"" prefix:"ws-"`
	Rest   restCmd   `embed:"" prefix:"rest-"`
	Files  filesCmd  `embed:"" prefix:"files-"`
}

// Run goes on after a failure, and reports all of them.
func (c *allCmd) Run(ctx context.Context, o *options, rep *report) error {
	return errors.Join(c.Idle.Run(ctx, o, rep), c.Direct.Run(ctx, o, rep), c.Room.Run(ctx, o, rep), c.Login.Run(ctx, o, rep),
		c.WS.Run(ctx, o, rep), c.Rest.Run(ctx, o, rep), c.Files.Run(ctx, o, rep))
}

func main() { os.Exit(run()) }

// run carries out the command line and returns the process's exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("parley-bench"), kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Measures a real parley server over loopback, and fails if a message is lost, doubled or out of order."))
	err := c.complete()
	if err == nil {
		rep := newReport(ctx, &c.options)
		err = k.Run(&c.options, rep)
		// What was reached is printed even if a later measurement failed.
		err = errors.Join(err, rep.print(os.Stdout, c.JSON))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "parley-bench:", err)
		return 1
	}
	return 0
}
