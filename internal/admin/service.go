// Package admin is what those who administer see of the running server and change of it while it runs.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/internal/core"
	"parley/internal/outbox"
	"parley/internal/session"
	"parley/internal/store"
)

// Accounts answers whether somebody still is who they were.
type Accounts interface {
	// Present returns an error if, in the unit of work of the context, the actor no longer administers.
	Present(ctx context.Context, actor core.Actor, admin bool) error
}

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Figures are counts of what the server keeps.
type Figures struct {
	Users         int
	Conversations int64
	Rooms         int64
	Messages      int64
	Files         int64
	FileBytes     int64
}

// Config is what the service works with.
type Config struct {
	DB       *store.DB
	Hub      *session.Hub
	Codes    *outbox.Folder
	Accounts Accounts
	Audit    Auditor
	Log      *slog.Logger
	Figures  func(ctx context.Context, actor core.Actor) (Figures, error)
	Settings []Setting // all there are
	Version  string    // of the program
	Started  time.Time // when the server was
}

// Service is for those who administer one installation.
type Service struct {
	cfg      Config
	db       *store.DB
	settings settings
}

// New returns the service. Load follows.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg, db: cfg.DB}
	s.settings.set = map[string]any{}
	return s
}

func administers(a core.Actor) bool { return a.Operator() || a.Admin() }

// act does something in a unit of work, as somebody who still administers.
func (s *Service) act(ctx context.Context, actor core.Actor, fn func(ctx context.Context) error) error {
	if !administers(actor) {
		return core.ErrForbidden
	}
	return s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.cfg.Accounts.Present(ctx, actor, true); err != nil {
			return err
		}
		return fn(ctx)
	})
}

// maxCodes is how many unsent codes are listed.
const maxCodes = 200

// Codes returns the codes that nobody has sent, because the server has no way to send them, the newest first. The codes themselves
// are left out: Code returns one.
func (s *Service) Codes(_ context.Context, actor core.Actor) ([]outbox.Unsent, error) {
	if !administers(actor) {
		return nil, fmt.Errorf("list unsent codes: %w", core.ErrForbidden)
	}
	list, err := s.cfg.Codes.List(maxCodes)
	if err != nil {
		return nil, fmt.Errorf("list unsent codes: %w", err)
	}
	for i := range list {
		list[i].Code = ""
	}
	return list, nil
}

// Code returns one of them with its code. That somebody has looked at it is kept.
func (s *Service) Code(ctx context.Context, actor core.Actor, from core.Origin, id string) (m outbox.Unsent, err error) {
	err = s.act(ctx, actor, func(ctx context.Context) error {
		if m, err = s.cfg.Codes.Find(id); err != nil {
			return unsent(err)
		}
		return s.cfg.Audit.Record(ctx, actor, "code.read", m.To, "", from)
	})
	if err != nil {
		return outbox.Unsent{}, fmt.Errorf("read an unsent code: %w", err)
	}
	return m, nil
}

// DropCode deletes one of them.
func (s *Service) DropCode(ctx context.Context, actor core.Actor, from core.Origin, id string) error {
	err := s.act(ctx, actor, func(ctx context.Context) error {
		m, err := s.cfg.Codes.Find(id)
		if err == nil {
			err = s.cfg.Codes.Remove(id)
		}
		if err != nil {
			return unsent(err)
		}
		return s.cfg.Audit.Record(ctx, actor, "code.delete", m.To, "", from)
	})
	if err != nil {
		return fmt.Errorf("delete an unsent code: %w", err)
	}
	return nil
}

func unsent(err error) error {
	if errors.Is(err, outbox.ErrNotFound) {
		return core.ErrUnsentNotFound
	}
	return err
}
