// Package report takes what people report to those who administer: messages and users that are not as they should be.
package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	// maxText is the longest reason and the longest note, in characters.
	maxText = 1_000
	// mostADay is how many reports somebody may file within a day.
	mostADay = 20
	day      = 24 * time.Hour
)

// Messages answers what a message says, to who may read it.
type Messages interface {
	Message(ctx context.Context, actor core.Actor, id core.ConversationID, seq core.Seq) (core.Message, error)
}

// Accounts answers who somebody is.
type Accounts interface {
	Profile(ctx context.Context, actor core.Actor, user core.UserID) (core.User, error)
	// Present returns an error if, in the unit of work of the context, the actor is no longer who they were, or no longer administers.
	Present(ctx context.Context, actor core.Actor, admin bool) error
}

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Config is what the service works with.
type Config struct {
	DB       *store.DB
	Publish  func(core.Event) // called in commit order
	Messages Messages
	Accounts Accounts
	Audit    Auditor
}

// Service is the reports of one installation.
type Service struct {
	cfg Config
	db  *store.DB
}

// New returns the service.
func New(cfg Config) *Service { return &Service{cfg: cfg, db: cfg.DB} }

// Complaint is what somebody reports: a message, by its conversation and number, or else a user.
type Complaint struct {
	Conversation core.ConversationID
	Seq          core.Seq
	User         core.UserID
	Reason       string // in their own words, perhaps none
}

// File reports a message that the actor may read, or a user. The message's text is kept as it is now, whatever becomes of it.
// What the actor has reported already, and nobody has handled yet, is returned as it is.
func (s *Service) File(ctx context.Context, actor core.Actor, from core.Origin, c Complaint) (core.Report, error) {
	r, err := s.file(ctx, actor, from, c)
	if err != nil {
		return core.Report{}, fmt.Errorf("file a report: %w", err)
	}
	return r, nil
}

func (s *Service) file(ctx context.Context, actor core.Actor, from core.Origin, c Complaint) (r core.Report, err error) {
	if !actor.Known() {
		return r, core.ErrLoginRequired
	}
	if r, err = s.subject(ctx, actor, c); err != nil {
		return r, err
	}
	if r.Reason, err = tidy(c.Reason); err != nil {
		return r, err
	}
	r.By, r.At, r.State = author(actor), time.Now(), core.ReportOpen
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.cfg.Accounts.Present(ctx, actor, false); err != nil {
			return err
		}
		was, err := s.again(ctx, r)
		if err == nil {
			r = was
			r.Note = "" // is for those who administer
		}
		if !errors.Is(err, core.ErrReportNotFound) {
			return err
		}
		return s.add(ctx, actor, from, &r)
	})
	return r, err
}

// subject finds what a complaint is about.
func (s *Service) subject(ctx context.Context, actor core.Actor, c Complaint) (r core.Report, err error) {
	switch {
	case c.Conversation > 0 && c.Seq > 0 && c.User == 0:
		m, err := s.cfg.Messages.Message(ctx, actor, c.Conversation, c.Seq)
		if err == nil && m.Deleted {
			err = core.ErrMessageNotFound
		}
		if err != nil {
			return r, err
		}
		r.About, r.Conversation, r.Seq, r.Text = m.Author, c.Conversation, c.Seq, said(m)
	case c.Conversation == 0 && c.Seq == 0 && c.User > 0:
		u, err := s.cfg.Accounts.Profile(ctx, actor, c.User)
		if err != nil {
			return r, err
		}
		r.About = core.Author{ID: u.ID, Name: u.Name, Avatar: u.Avatar}
	default:
		return r, core.Because(core.ErrInvalid, "A report is about either a message, by its conversation and number, or a user")
	}
	if r.About.ID == actor.User() { // nobody needs others for what is their own
		return r, core.Because(core.ErrInvalid, "Nobody can report themselves, or what is their own")
	}
	return r, nil
}

// said is what a message says, the name of its file included.
func said(m core.Message) string {
	if m.File == nil || m.File.Name == "" {
		return m.Text
	}
	return strings.TrimSpace(m.Text + "\n[" + m.File.Name + "]")
}

// add stores a report and tells those who administer, but for who is reported.
func (s *Service) add(ctx context.Context, actor core.Actor, from core.Origin, r *core.Report) error {
	if err := s.pace(ctx, actor.User(), r.At); err != nil {
		return err
	}
	if err := s.insert(ctx, r); err != nil {
		return err
	}
	to, err := s.admins(ctx)
	if err != nil {
		return err
	}
	to = slices.DeleteFunc(to, func(u core.UserID) bool { return u == r.About.ID })
	if len(to) > 0 {
		ev := core.Reported{Report: *r, To: to}
		store.AfterCommit(ctx, func() { s.cfg.Publish(ev) })
	}
	return s.cfg.Audit.Record(ctx, actor, "report.file", target(r.ID), describe(*r), from)
}

// pace returns core.ErrThrottled if somebody has filed as many reports as one may in a day.
func (s *Service) pace(ctx context.Context, user core.UserID, now time.Time) error {
	count, oldest, err := s.filedSince(ctx, user, now.Add(-day))
	if err == nil && count >= mostADay {
		err = core.RetryLater(core.ErrThrottled, oldest.Add(day).Sub(now))
	}
	return err
}

// List returns a part of the reports for those who administer, the newest first: after the first skip, most at most, of those in a
// state, 0 for all; and how many those are.
func (s *Service) List(ctx context.Context, actor core.Actor, state core.ReportState, skip, most int) ([]core.Report, int, error) {
	if !administers(actor) {
		return nil, 0, fmt.Errorf("list reports: %w", core.ErrForbidden)
	}
	list, total, err := s.page(ctx, state, skip, most)
	if err != nil {
		return nil, 0, fmt.Errorf("list reports: %w", err)
	}
	return list, total, nil
}

// Handle says what has become of a report, for those who administer. core.ReportOpen opens it again.
func (s *Service) Handle(ctx context.Context, actor core.Actor, from core.Origin, id int64, state core.ReportState, note string) (core.Report, error) {
	r, err := s.handle(ctx, actor, from, id, state, note)
	if err != nil {
		return core.Report{}, fmt.Errorf("handle report %d: %w", id, err)
	}
	return r, nil
}

func (s *Service) handle(ctx context.Context, actor core.Actor, from core.Origin, id int64, state core.ReportState, note string) (r core.Report, err error) {
	if !administers(actor) {
		return r, core.ErrForbidden
	}
	if words[state] == "" {
		return r, core.Because(core.ErrInvalid, "A report is open, handled or refused")
	}
	if note, err = tidy(note); err != nil {
		return r, err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.cfg.Accounts.Present(ctx, actor, true); err != nil {
			return err
		}
		if err := s.settle(ctx, id, state, actor.User(), note); err != nil {
			return err
		}
		if r, err = s.byID(ctx, id); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "report.handle", target(id), words[state], from)
	})
	return r, err
}

// words say in the audit log what became of a report.
var words = map[core.ReportState]string{core.ReportOpen: "opened again", core.ReportHandled: "handled", core.ReportRefused: "refused"}

// tidy takes a text that people read: lines of characters that can be seen.
func tidy(text string) (string, error) {
	text = strings.TrimSpace(text)
	hidden := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }
	switch {
	case utf8.RuneCountInString(text) > maxText:
		return "", core.Because(core.ErrInvalid, fmt.Sprintf("The reason or note may have %d characters", maxText))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		return "", core.Because(core.ErrInvalid, "The reason or note has characters that cannot be seen")
	}
	return text, nil
}

func administers(a core.Actor) bool { return a.Operator() || a.Admin() }

func author(a core.Actor) core.Author {
	return core.Author{ID: a.User(), Name: a.Name(), Avatar: a.Avatar()}
}

// target names a report in the audit log, describe says what it is about.
func target(id int64) string { return "report " + strconv.FormatInt(id, 10) }

func describe(r core.Report) string {
	if r.Seq == 0 {
		return fmt.Sprintf("user %d", r.About.ID)
	}
	return fmt.Sprintf("message %d of conversation %d, by user %d", r.Seq, r.Conversation, r.About.ID)
}
