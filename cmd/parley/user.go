package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"parley/internal/app"
	"parley/internal/gateway/control"
)

type userCmd struct {
	Add     userAddCmd     `cmd:"" help:"Add an account."`
	List    userListCmd    `cmd:"" help:"List all accounts."`
	Passwd  userPasswdCmd  `cmd:"" help:"Set an account's password; its sessions end."`
	Disable userDisableCmd `cmd:"" help:"Disable an account; its sessions end."`
	Enable  userEnableCmd  `cmd:"" help:"Enable a disabled account again."`
}

type userAddCmd struct {
	settings
	Name          string `arg:"" help:"The account's name."`
	Email         string `help:"E-mail address, taken as verified."`
	Phone         string `help:"Phone number, taken as verified."`
	Admin         bool   `help:"Make it an administrator."`
	PasswordStdin bool   `help:"Read the password from standard input." required:""`
}

func (c *userAddCmd) Run(ctx context.Context) error {
	password, err := readPassword(os.Stdin)
	if err != nil {
		return err
	}
	return c.operate(ctx, func(cl *control.Client) error {
		u, err := cl.Add(ctx, control.NewUser{Name: c.Name, Email: c.Email, Phone: c.Phone, Admin: c.Admin, Password: password})
		if err == nil {
			fmt.Printf("added %s, uid %d\n", u.Name, u.UID)
		}
		return err
	})
}

type userListCmd struct {
	settings
}

func (c *userListCmd) Run(ctx context.Context) error {
	return c.operate(ctx, func(cl *control.Client) error {
		users, err := cl.Users(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "UID\tNAME\tE-MAIL\tPHONE\tSTATE\tSINCE")
		for _, u := range users {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", u.UID, u.Name, u.Email, u.Phone, state(u), u.Created.Format("2006-01-02"))
		}
		return w.Flush()
	})
}

func state(u control.User) string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.Admin:
		return "admin"
	default:
		return "active"
	}
}

type userPasswdCmd struct {
	settings
	Login         string `arg:"" help:"Uid, name, e-mail or phone of the account."`
	PasswordStdin bool   `help:"Read the password from standard input." required:""`
}

func (c *userPasswdCmd) Run(ctx context.Context) error {
	password, err := readPassword(os.Stdin)
	if err != nil {
		return err
	}
	return c.operate(ctx, func(cl *control.Client) error {
		err := cl.Passwd(ctx, control.Passwd{Login: c.Login, Password: password})
		if err == nil {
			fmt.Printf("the password of %s is changed\n", c.Login)
		}
		return err
	})
}

type userDisableCmd struct {
	settings
	Login string `arg:"" help:"Uid, name, e-mail or phone of the account."`
	Undo  bool   `help:"Enable it again."`
}

func (c *userDisableCmd) Run(ctx context.Context) error { return c.disable(ctx, c.Login, c.Undo) }

type userEnableCmd struct {
	settings
	Login string `arg:"" help:"Uid, name, e-mail or phone of the account."`
}

func (c *userEnableCmd) Run(ctx context.Context) error { return c.disable(ctx, c.Login, true) }

// disable disables an account, or undoes it.
func (s settings) disable(ctx context.Context, login string, undo bool) error {
	return s.operate(ctx, func(cl *control.Client) error {
		err := cl.Disable(ctx, control.Disable{Login: login, Undo: undo})
		switch {
		case err == nil && undo:
			fmt.Printf("%s is enabled\n", login)
		case err == nil:
			fmt.Printf("%s is disabled\n", login)
		}
		return err
	})
}

// operate runs fn with the operator's commands, through the running server if there is one.
func (s settings) operate(ctx context.Context, fn func(*control.Client) error) error {
	cfg, log, err := s.load()
	if err != nil {
		return err
	}
	return app.Operate(ctx, cfg, log, fn)
}

// readPassword reads the first line.
func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("the password on standard input is empty")
	}
	return line, nil
}
