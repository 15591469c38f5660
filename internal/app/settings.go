package app

import (
	"context"
	"time"

	"parley/internal/admin"
	"parley/internal/config"
	"parley/internal/core"
)

// settings are all keys of the configuration, those that can be changed while the server runs with what changes them.
func (a *App) settings() []admin.Setting {
	apply := a.live()
	keys := config.Keys()
	list := make([]admin.Setting, 0, len(keys))
	for _, k := range keys {
		s := admin.Setting{
			Name: k.Name, Default: k.Default, Allowed: k.Allowed, Doc: k.Doc, Secret: k.Secret, Apply: apply[k.Name],
			Read: func(v any) (any, error) { return config.Read(k.Name, v) },
		}
		if !k.Secret {
			s.Configured = a.cfg.Value(k.Name)
		}
		list = append(list, s)
	}
	return list
}

// live says how the services are told of a setting that has changed. One setting is changed at a time.
func (a *App) live() map[string]func(any) {
	register, requests := a.cfg.Limits.Register, a.cfg.Limits.Requests
	return map[string]func(any){
		"account.registration": func(v any) { a.accounts.SetRegistration(v.(string)) },
		"limits.register": func(v any) {
			register = v.(int)
			a.accounts.SetLimits(register, requests)
		},
		"limits.requests": func(v any) {
			requests = v.(int)
			a.accounts.SetLimits(register, requests)
		},
		"limits.file_mb":  func(v any) { a.files.SetMaxFile(int64(v.(int)) << 20) },
		"limits.quota_mb": func(v any) { a.files.SetQuota(int64(v.(int)) << 20) },
		"files.keep_days": func(v any) { a.files.SetKeep(time.Duration(v.(int)) * 24 * time.Hour) },
		"chat.strangers": func(v any) {
			a.contacts.SetStrangers(v.(bool))
			a.chat.AccountChanged(0) // whoever it is: who may write to whom is asked again
		},
	}
}

// figures asks the services what they keep.
func (a *App) figures(ctx context.Context, actor core.Actor) (f admin.Figures, err error) {
	if f.Users, err = a.accounts.Count(ctx, actor); err != nil {
		return f, err
	}
	kept, err := a.chat.Counts(ctx, actor)
	if err != nil {
		return f, err
	}
	f.Conversations, f.Rooms, f.Messages = kept.Conversations, kept.Rooms, kept.Messages
	f.Files, f.FileBytes, err = a.files.Totals(ctx, actor)
	return f, err
}
