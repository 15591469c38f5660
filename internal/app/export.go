package app

import (
	"context"

	"parley/internal/audit"
	"parley/internal/core"
	"parley/internal/gateway/control"
	"parley/internal/transfer"
)

// operator is where the operator's acts come from.
var operator = core.Origin{Gateway: "operator"}

// archives are the operator's commands for archives.
type archives struct {
	app      *App
	archives *transfer.Archives
}

func (a *App) archives(trail *audit.Log) control.Archives {
	return archives{a, transfer.NewArchives(transfer.ArchivesConfig{
		DB: a.db, Accounts: a.accounts, Contacts: a.contacts, Chat: a.chat, Files: a.files, Audit: trail,
		AvatarDir: a.path(avatarDir), Log: a.log,
	})}
}

func (x archives) Export(ctx context.Context, in control.Export, progress func(control.Progress)) (control.Exported, error) {
	out, err := x.archives.Export(ctx, x.app.accounts.Operator(), operator, transfer.Export{File: in.File, User: in.User, Force: in.Force}, advance(progress))
	return control.Exported{Size: out.Size, Counts: countsOf(out.Counts), LeftOut: out.LeftOut}, err
}

func (x archives) Restore(ctx context.Context, in control.Restore, progress func(control.Progress)) (control.Restored, error) {
	out, err := x.archives.Restore(ctx, x.app.accounts.Operator(), operator, transfer.Restore{File: in.File, DryRun: in.DryRun}, advance(progress))
	return control.Restored{
		Kind: out.Kind, User: out.User, Created: out.Created, Counts: countsOf(out.Counts), Notes: out.Notes, Clashes: out.Clashes,
	}, err
}

func advance(progress func(control.Progress)) transfer.Advance {
	return func(part string, done, total int64) { progress(control.Progress{What: part, Done: done, Total: total}) }
}

// countsOf lists what people ask for first, without what there is none of.
func countsOf(c transfer.Counts) (out []control.Count) {
	for _, n := range []control.Count{
		{What: "accounts", N: c.Users},
		{What: "others", N: c.Others},
		{What: "conversations", N: c.Conversations},
		{What: "messages", N: c.Messages},
		{What: "entries in friend lists", N: c.Friends},
		{What: "friend requests", N: c.Requests},
		{What: "blocks", N: c.Blocks},
		{What: "files and folders", N: c.Files},
		{What: "bytes of files", N: c.FileBytes},
		{What: "pictures", N: c.Avatars},
		{What: "audit entries", N: c.Audit},
	} {
		if n.N > 0 {
			out = append(out, n)
		}
	}
	return out
}
