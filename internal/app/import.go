package app

import (
	"context"

	"parley/internal/audit"
	"parley/internal/core"
	"parley/internal/gateway/control"
	"parley/internal/transfer"
)

// imports brings people along from other kinds of server for the operator.
type imports struct {
	*transfer.Importer
	operator core.Actor
}

// imports returns what the operator's import command works with.
func (a *App) imports() imports {
	return imports{&transfer.Importer{
		DB: a.db, Accounts: a.accounts, Contacts: a.contacts, Files: a.files, Audit: audit.New(a.db), AvatarDir: a.path(avatarDir),
	}, a.accounts.Operator()}
}

func (i imports) Import(ctx context.Context, in control.Import, progress func(control.Progress)) (control.Imported, error) {
	rep, err := i.Importer.Import(ctx, i.operator, core.Origin{Gateway: "operator"}, transfer.Job{
		Kind: in.Kind, Source: in.Source, Password: in.Password, As: in.As, Avatars: in.Avatars, Files: in.Files, DryRun: in.DryRun,
	}, func(what string, done, total int64) { progress(control.Progress{What: what, Done: done, Total: total}) })
	if err != nil {
		return control.Imported{}, err
	}
	out := control.Imported{Kind: in.Kind, DryRun: in.DryRun, Counts: []control.Count{}, Notes: []control.Note{}}
	for _, c := range rep.Counts {
		out.Counts = append(out.Counts, control.Count{What: c.What, N: c.N})
	}
	for _, n := range rep.Notes {
		out.Notes = append(out.Notes, control.Note{Kind: n.Kind, Foreign: n.Foreign, UID: int64(n.User), Text: n.Text})
	}
	return out, nil
}
