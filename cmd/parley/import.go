package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mattn/go-isatty"

	"parley/internal/gateway/control"
	"parley/internal/legacy"
)

type importCmd struct {
	CS3    importCS3Cmd    `cmd:"" name:"cs3" help:"Bring along the users of a CS3 server."`
	LLFC   importLLFCCmd   `cmd:"" name:"llfc" help:"Bring along the users and friends of an llfc server."`
	DPC    importDPCCmd    `cmd:"" name:"dpc" help:"Bring along the users and files of a DPC server."`
	Parley importParleyCmd `cmd:"" name:"parley" help:"Bring along what parley export has written."`
}

// importing are the flags of the imports from other kinds of server.
type importing struct {
	settings
	As     string `help:"A name that tells a second server of the same kind from the first." placeholder:"NAME"`
	DryRun bool   `help:"Only report what would change."`
	Yes    bool   `help:"Do not ask between the report and the import." short:"y"`
	JSON   bool   `help:"Print the report as JSON." name:"json"`
}

type importCS3Cmd struct {
	importing
	File    string `arg:"" help:"The server's usr.db." type:"existingfile"`
	Avatars string `help:"The server's folder of pictures." type:"existingdir" placeholder:"DIR"`
}

func (c *importCS3Cmd) Run(ctx context.Context) error {
	return c.carryOut(ctx, control.Import{Kind: legacy.CS3, Source: c.File, Avatars: c.Avatars})
}

// database is the argument of the servers that kept their data in MySQL.
type database struct {
	Source        string `arg:"" help:"Address of the database, mysql://user:password@host:3306/name, or an SQL dump of it."`
	PasswordStdin bool   `help:"Read the password of the database's user from standard input."`
}

// open makes an import of it. A file's name becomes absolute, since it may be another process that opens it.
func (d database) open(kind string) (control.Import, error) {
	in := control.Import{Kind: kind, Source: d.Source}
	var err error
	if !legacy.IsDSN(d.Source) {
		if in.Source, err = filepath.Abs(d.Source); err != nil {
			return in, err
		}
	}
	if d.PasswordStdin {
		in.Password, err = readPassword(os.Stdin)
	}
	return in, err
}

type importLLFCCmd struct {
	importing
	database
}

func (c *importLLFCCmd) Run(ctx context.Context) error {
	in, err := c.open(legacy.LLFC)
	if err != nil {
		return err
	}
	return c.carryOut(ctx, in)
}

type importDPCCmd struct {
	importing
	database
	Files string `help:"The server's folder of shared files." type:"existingdir" placeholder:"DIR"`
}

func (c *importDPCCmd) Run(ctx context.Context) error {
	in, err := c.open(legacy.DPC)
	if err != nil {
		return err
	}
	in.Files = c.Files
	return c.carryOut(ctx, in)
}

// carryOut reports what an import would do, asks, and does it.
func (c importing) carryOut(ctx context.Context, in control.Import) error {
	in.As = c.As
	return c.operate(ctx, func(cl *control.Client) error {
		in.DryRun = true
		plan, err := follow(ctx, cl, in)
		if err != nil {
			return err
		}
		if c.DryRun {
			return c.print(plan, nil)
		}
		if !c.JSON {
			if err := c.print(plan, nil); err != nil {
				return err
			}
		}
		if !c.Yes && isatty.IsTerminal(os.Stdin.Fd()) && !agreed(os.Stdin, os.Stderr) {
			return errors.New("nothing was imported")
		}
		in.DryRun = false
		done, err := follow(ctx, cl, in)
		if err != nil {
			return err
		}
		return c.print(done, &plan)
	})
}

// follow gives the command and shows how far it is.
func follow(ctx context.Context, cl *control.Client, in control.Import) (control.Imported, error) {
	bar := newBar(os.Stderr, isatty.IsTerminal(os.Stderr.Fd()))
	defer bar.end()
	return cl.Import(ctx, in, bar.show)
}

// print writes the report. Of what was done as planned it leaves the list out, which has been printed then.
func (c importing) print(rep control.Imported, plan *control.Imported) error {
	if c.JSON {
		if err := json.MarshalWrite(os.Stdout, rep, jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Println()
		return err
	}
	var b strings.Builder
	switch {
	case rep.DryRun:
		fmt.Fprintf(&b, "What the import from %s will do:\n", rep.Kind)
	case plan != nil && reflect.DeepEqual(rep.Counts, plan.Counts) && reflect.DeepEqual(rep.Notes, plan.Notes):
		fmt.Fprintf(&b, "\nThe import from %s is done, as reported above.\n", rep.Kind)
		_, err := io.WriteString(os.Stdout, b.String())
		return err
	default:
		fmt.Fprintf(&b, "\nThe import from %s is done. What it did:\n", rep.Kind)
	}
	for _, n := range rep.Counts {
		fmt.Fprintf(&b, "%8d  %s\n", n.N, n.What)
	}
	if len(rep.Notes) > 0 {
		b.WriteString("\nPlease note:\n")
	}
	for _, n := range rep.Notes {
		fmt.Fprintf(&b, "- %s: %s\n", n.Kind, n.Text)
	}
	_, err := io.WriteString(os.Stdout, b.String())
	return err
}

// agreed asks whether to go on. No answer is a no.
func agreed(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "\nGo on? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// bar shows how far something long is: on a terminal in one line that changes, elsewhere in a line now and then.
type bar struct {
	out      io.Writer
	terminal bool
	what     string
	last     time.Time
	width    int
}

// barEvery is how long nothing is written where it would not be overwritten.
const barEvery = 2 * time.Second

func newBar(out io.Writer, terminal bool) *bar { return &bar{out: out, terminal: terminal} }

func (b *bar) show(p control.Progress) {
	text := fmt.Sprintf("%s: %d", p.What, p.Done)
	if p.Total > 0 {
		text = fmt.Sprintf("%s: %d of %d (%d%%)", p.What, p.Done, p.Total, 100*p.Done/p.Total)
	}
	if b.terminal {
		fmt.Fprintf(b.out, "\r%-*s", b.width, text)
		b.width = max(b.width, len(text))
		return
	}
	if now := time.Now(); now.Sub(b.last) >= barEvery || p.What != b.what {
		b.what, b.last = p.What, now
		fmt.Fprintln(b.out, text)
	}
}

// end leaves an empty line behind.
func (b *bar) end() {
	if b.terminal && b.width > 0 {
		fmt.Fprintf(b.out, "\r%*s\r", b.width, "")
	}
}
