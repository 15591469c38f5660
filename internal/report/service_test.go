package report_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/report"
	"parley/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

const room core.ConversationID = 10

var home = core.Origin{Gateway: "test", IP: netip.MustParseAddr("192.0.2.7")}

// town is a world with people who can report, and who keep what administrators hear.
type town struct {
	*line.World
	*report.Service
	accounts *account.Service
	people   map[string]core.Actor

	mu    sync.Mutex // guards heard
	heard []core.Reported
}

func newTown(t *testing.T, names ...string) *town {
	t.Helper()
	tw := &town{World: line.NewWorld(t, line.Options{}), people: map[string]core.Actor{}}
	trail := audit.New(tw.DB)
	tw.accounts = account.New(tw.DB, cluster.NewLocal(), nil, nil, trail, tw.Chat, account.Config{
		Metrics: tw.Metrics, Goroutines: obs.NewGoroutines(nil), AvatarDir: t.TempDir(),
	})
	tw.Service = report.New(report.Config{DB: tw.DB, Messages: tw.Chat, Accounts: tw.accounts, Audit: trail, Publish: func(e core.Event) {
		tw.mu.Lock()
		defer tw.mu.Unlock()
		tw.heard = append(tw.heard, e.(core.Reported))
	}})
	for _, name := range names {
		u, err := tw.accounts.Add(t.Context(), tw.accounts.Operator(), home, account.NewUser{Name: name, Password: "SecurePass123!", Admin: name == "root"})
		tw.Check(err)
		tw.people[name] = core.NewActor(u)
	}
	return tw
}

func (tw *town) who(name string) core.Actor { return tw.people[name] }

func (tw *town) id(name string) core.UserID { return tw.people[name].User() }

// said posts a message and returns its number.
func (tw *town) said(name string, to chat.Target, text string) core.Seq {
	tw.Helper()
	type result struct {
		m   []core.Message
		err error
	}
	done := make(chan result, 1)
	tw.Check(tw.Chat.Post(context.Background(), tw.who(name), chat.Post{To: to, Origin: "test", Drafts: []chat.Draft{{Text: text}}},
		func(m []core.Message, err error) { done <- result{m, err} }))
	r := <-done
	tw.Check(r.err)
	return r.m[0].Seq
}

func (tw *town) file(name string, c report.Complaint) (core.Report, error) {
	return tw.File(tw.Context(), tw.who(name), home, c)
}

func (tw *town) want(err, want error) {
	tw.Helper()
	if !errors.Is(err, want) {
		tw.Errorf("error %v, want %v", err, want)
	}
}

func (tw *town) told() []core.Reported {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	return slices.Clone(tw.heard)
}

func TestAReportKeepsWhatTheMessageSaid(t *testing.T) {
	tw := newTown(t, "ann", "bob", "root", "cyd")
	tw.AddRoom(room, tw.id("ann"), tw.id("bob"))
	seq := tw.said("bob", chat.Target{Room: room}, "something rude")
	r, err := tw.file("ann", report.Complaint{Conversation: room, Seq: seq, Reason: "  He is rude.\n"})
	tw.Check(err)
	if r.ID != 1 || r.By.Name != "ann" || r.About.Name != "bob" || r.Text != "something rude" || r.Reason != "He is rude." || r.State != core.ReportOpen {
		t.Errorf("filed %+v", r)
	}
	_, err = tw.Chat.Edit(t.Context(), tw.who("bob"), room, seq, "something kind")
	tw.Check(err)
	list, total, err := tw.List(t.Context(), tw.who("root"), core.ReportOpen, 0, 10)
	if err != nil || total != 1 || list[0].Text != "something rude" || list[0].Conversation != room || list[0].Seq != seq || list[0].At.IsZero() {
		t.Errorf("%+v of %d, %v", list, total, err)
	}
	if told := tw.told(); len(told) != 1 || !slices.Equal(told[0].To, []core.UserID{tw.id("root")}) || told[0].Report.ID != r.ID {
		t.Errorf("administrators hear %+v", told)
	}
	again, err := tw.file("ann", report.Complaint{Conversation: room, Seq: seq, Reason: "again"})
	if err != nil || again.ID != r.ID || again.Reason != "He is rude." || len(tw.told()) != 1 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
}

// An administrator who was reported was told so, and what administrators had noted came back to who reported.
func TestWhoIsReportedIsNotTold(t *testing.T) {
	tw := newTown(t, "ann", "root")
	tw.Exec(`UPDATE "user" SET admin = 1`)
	r, err := tw.file("ann", report.Complaint{User: tw.id("root")})
	tw.Check(err)
	if told := tw.told(); len(told) != 1 || !slices.Equal(told[0].To, []core.UserID{tw.id("ann")}) {
		t.Errorf("told %+v", told)
	}
	_, err = tw.Handle(t.Context(), tw.who("root"), home, r.ID, core.ReportOpen, "She reports everybody.")
	tw.Check(err)
	again, err := tw.file("ann", report.Complaint{User: tw.id("root")})
	if err != nil || again.ID != r.ID || again.Note != "" {
		t.Errorf("a second time: %+v, %v", again, err)
	}
}

func TestWhatCannotBeReported(t *testing.T) {
	tw := newTown(t, "ann", "bob", "root", "cyd")
	tw.AddRoom(room, tw.id("ann"), tw.id("bob"))
	seq := tw.said("bob", chat.Target{Room: room}, "for the room alone")
	gone := tw.said("bob", chat.Target{Room: room}, "gone")
	own := tw.said("ann", chat.Target{Room: room}, "hers")
	direct := tw.said("bob", chat.Target{User: tw.id("cyd")}, "for cyd alone")
	private := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	tw.Exec(`UPDATE message SET deleted_at = 1, text = '' WHERE seq = ?`, int64(gone))
	for name, tt := range map[string]struct {
		who  string
		c    report.Complaint
		want error
	}{
		"nobody":             {"", report.Complaint{User: tw.id("bob")}, core.ErrLoginRequired},
		"not a member":       {"cyd", report.Complaint{Conversation: room, Seq: seq}, core.ErrConversationNotFound},
		"an administrator":   {"root", report.Complaint{Conversation: room, Seq: seq}, core.ErrConversationNotFound},
		"others' direct":     {"ann", report.Complaint{Conversation: private, Seq: direct}, core.ErrConversationNotFound},
		"deleted":            {"ann", report.Complaint{Conversation: room, Seq: gone}, core.ErrMessageNotFound},
		"not yet said":       {"ann", report.Complaint{Conversation: room, Seq: 99}, core.ErrMessageNotFound},
		"one's own":          {"ann", report.Complaint{Conversation: room, Seq: own}, core.ErrInvalid},
		"oneself":            {"ann", report.Complaint{User: tw.id("ann")}, core.ErrInvalid},
		"no such user":       {"ann", report.Complaint{User: 999}, core.ErrUserNotFound},
		"nothing":            {"ann", report.Complaint{}, core.ErrInvalid},
		"half a message":     {"ann", report.Complaint{Conversation: room}, core.ErrInvalid},
		"both":               {"ann", report.Complaint{Conversation: room, Seq: seq, User: tw.id("bob")}, core.ErrInvalid},
		"a negative one":     {"ann", report.Complaint{User: -1}, core.ErrInvalid},
		"an endless reason":  {"ann", report.Complaint{User: tw.id("bob"), Reason: strings.Repeat("长", 1_001)}, core.ErrInvalid},
		"an unseen reason":   {"ann", report.Complaint{User: tw.id("bob"), Reason: "a\x00b"}, core.ErrInvalid},
		"a reason no UTF-8":  {"ann", report.Complaint{User: tw.id("bob"), Reason: "\xff"}, core.ErrInvalid},
		"a name without uid": {"cyd", report.Complaint{Conversation: private}, core.ErrInvalid},
	} {
		_, err := tw.file(tt.who, tt.c)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := tw.Int(`SELECT count(*) FROM report`); n != 0 || len(tw.told()) != 0 {
		t.Errorf("%d reports are there", n)
	}
}

func TestNobodyFilesMoreThanTwentyReportsADay(t *testing.T) {
	var names []string
	for i := range 22 {
		names = append(names, fmt.Sprint("user", i))
	}
	tw := newTown(t, append(names, "ann", "bob")...)
	for _, name := range names[:20] {
		_, err := tw.file("ann", report.Complaint{User: tw.id(name)})
		tw.Check(err)
	}
	_, err := tw.file("ann", report.Complaint{User: tw.id("user20")})
	tw.want(err, core.ErrThrottled)
	if wait := core.RetryAfter(err); wait < 23*time.Hour || wait > 24*time.Hour {
		t.Errorf("wait %v", wait)
	}
	_, err = tw.file("bob", report.Complaint{User: tw.id("user20")})
	tw.Check(err)
	tw.Exec(`UPDATE report SET created_at = created_at - 86400000`)
	_, err = tw.file("ann", report.Complaint{User: tw.id("user20")})
	tw.Check(err)
}

func TestOnlyThoseWhoAdministerSeeAndHandleReports(t *testing.T) {
	tw := newTown(t, "ann", "bob", "root")
	r, err := tw.file("ann", report.Complaint{User: tw.id("bob"), Reason: "no"})
	tw.Check(err)
	for _, actor := range []core.Actor{{}, tw.who("ann"), tw.who("bob")} {
		list, _, err := tw.List(t.Context(), actor, 0, 0, 10)
		if !errors.Is(err, core.ErrForbidden) || list != nil {
			t.Errorf("%q sees %v, %v", actor.Name(), list, err)
		}
		_, err = tw.Handle(t.Context(), actor, home, r.ID, core.ReportHandled, "")
		tw.want(err, core.ErrForbidden)
	}
	tw.Exec(`UPDATE "user" SET admin = 0 WHERE name = 'root'`) // since the actor was made
	_, err = tw.Handle(t.Context(), tw.who("root"), home, r.ID, core.ReportHandled, "")
	tw.want(err, core.ErrForbidden)
	tw.Exec(`UPDATE "user" SET disabled = 1 WHERE name = 'ann'`)
	_, err = tw.file("ann", report.Complaint{User: tw.id("root")})
	tw.want(err, core.ErrLoginRequired)
	if n := tw.Int(`SELECT count(*) FROM report WHERE state = 1`); n != 1 {
		t.Errorf("%d open reports", n)
	}
}

func TestAReportIsHandledAndOpenedAgain(t *testing.T) {
	tw := newTown(t, "ann", "bob", "cyd", "root")
	for _, name := range []string{"bob", "cyd"} {
		_, err := tw.file("ann", report.Complaint{User: tw.id(name)})
		tw.Check(err)
	}
	root := tw.who("root")
	r, err := tw.Handle(t.Context(), root, home, 1, core.ReportHandled, "Banned him.")
	if err != nil || r.State != core.ReportHandled || r.HandledBy.Name != "root" || r.HandledAt.IsZero() || r.Note != "Banned him." {
		t.Errorf("%+v, %v", r, err)
	}
	list, total, err := tw.List(t.Context(), root, core.ReportOpen, 0, 10)
	if err != nil || total != 1 || list[0].About.Name != "cyd" {
		t.Errorf("open are %+v of %d, %v", list, total, err)
	}
	list, total, err = tw.List(t.Context(), root, 0, 1, 1)
	if err != nil || total != 2 || len(list) != 1 || list[0].ID != 1 {
		t.Errorf("all are %+v of %d, %v", list, total, err)
	}
	r, err = tw.Handle(t.Context(), root, home, 1, core.ReportOpen, "")
	if err != nil || r.State != core.ReportOpen || r.HandledBy.ID != 0 || !r.HandledAt.IsZero() {
		t.Errorf("opened again it is %+v, %v", r, err)
	}
	_, err = tw.Handle(t.Context(), root, home, 99, core.ReportHandled, "")
	tw.want(err, core.ErrReportNotFound)
	_, err = tw.Handle(t.Context(), root, home, 1, 9, "")
	tw.want(err, core.ErrInvalid)
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'report.file' AND actor_name = 'ann' AND ip = '192.0.2.7'`); n != 2 {
		t.Errorf("%d entries of filing", n)
	}
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'report.handle' AND target = 'report 1' AND detail IN ('handled', 'opened again')`); n != 2 {
		t.Errorf("%d entries of handling", n)
	}
}

// What one person had reported was looked for among all that is open, and those of one state among all.
func TestReportsAreLookedUpByTheirIndexes(t *testing.T) {
	tw := newTown(t)
	for _, c := range []struct {
		query string
		args  []any
		want  string
	}{
		{report.AgainQuery, []any{1, 2, 3, 4}, "report_reporter (reporter_id=?)"},
		{report.PageQuery, []any{1, 2, 3}, "report_state (state=?)"},
	} {
		rows, err := tw.DB.Query(t.Context(), `EXPLAIN QUERY PLAN `+c.query, c.args...)
		tw.Check(err)
		var plan []string
		for rows.Next() {
			var a, b, n int
			var step string
			tw.Check(rows.Scan(&a, &b, &n, &step))
			plan = append(plan, step)
		}
		tw.Check(errors.Join(rows.Err(), rows.Close()))
		all := strings.Join(plan, "\n")
		if !strings.Contains(all, c.want) || strings.Contains(all, "SCAN") {
			t.Errorf("%s\nis done by\n%s", c.query, all)
		}
	}
}
