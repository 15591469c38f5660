package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/config"
	"parley/internal/core"
)

const demoPassword = "parley"

var demoUsers = []string{"alice", "bob", "carol"}

// Demo runs a server on a throw-away folder with three users who are friends of each other and have talked a little.
// Where a port is taken, it takes a free one.
func Demo(ctx context.Context, cfg config.Config, log *slog.Logger, out io.Writer) (err error) {
	cfg.DataDir, err = os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.DataDir)) }()
	for _, l := range addresses(&cfg) {
		freePort(ctx, l.addr)
	}
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	err = a.furnish(ctx, out)
	if err = errors.Join(err, a.Close(ctx)); err != nil {
		return err
	}
	return Serve(ctx, cfg, log, out)
}

// freePort makes an address listenable by giving up its port, if that is taken.
func freePort(ctx context.Context, addr *string) {
	host, _, err := net.SplitHostPort(*addr)
	if err != nil {
		return
	}
	var lc net.ListenConfig
	if ln, err := lc.Listen(ctx, "tcp", *addr); err == nil {
		_ = ln.Close()
		return
	}
	*addr = net.JoinHostPort(host, "0")
}

// furnish makes the demonstration's users and lets them talk.
func (a *App) furnish(ctx context.Context, out io.Writer) error {
	from := core.Origin{Gateway: "demo"}
	var actors []core.Actor
	for i, name := range demoUsers {
		_, err := a.accounts.Add(ctx, a.accounts.Operator(), from, account.NewUser{
			Name: name, Email: name + "@example.org", Admin: i == 0, Password: demoPassword,
		})
		if err != nil {
			return err
		}
		user, actor, err := a.accounts.Login(ctx, from, name, account.Secret{Text: demoPassword})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "user %-6s uid %d  e-mail %s@example.org  password %s\n", name, user.ID, name, demoPassword)
		for _, friend := range actors {
			if err := a.contacts.Request(ctx, actor, friend.User(), ""); err != nil {
				return err
			}
			if _, err := a.contacts.Accept(ctx, friend, actor.User(), ""); err != nil {
				return err
			}
		}
		actors = append(actors, actor)
	}
	alice, bob := actors[0], actors[1]
	for _, say := range []struct {
		who  core.Actor
		to   chat.Target
		text string
	}{
		{alice, chat.Target{Room: core.Lobby}, "Welcome to the lobby. Everybody is here, whatever client they use."},
		{bob, chat.Target{Room: core.Lobby}, "大家好！"},
		{bob, chat.Target{User: alice.User()}, "Shall we meet at noon?"},
	} {
		if err := a.say(ctx, say.who, say.to, say.text); err != nil {
			return err
		}
	}
	return nil
}

// say posts one message and waits until it is stored.
func (a *App) say(ctx context.Context, who core.Actor, to chat.Target, text string) error {
	done := make(chan error, 1)
	err := a.chat.Post(ctx, who, chat.Post{To: to, Origin: "demo", Drafts: []chat.Draft{{Text: text}}},
		func(_ []core.Message, err error) { done <- err })
	if err != nil {
		return err
	}
	return <-done
}
