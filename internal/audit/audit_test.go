package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"parley/internal/audit"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

func open(t *testing.T) (*store.DB, *audit.Log) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{
		Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: slog.New(slog.DiscardHandler), Metrics: obs.NewMetrics(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, audit.New(db)
}

type entry struct {
	At                                        int64
	Actor                                     int64
	Name, Action, Target, Detail, Gateway, IP string
}

func entries(t *testing.T, db *store.DB) (out []entry) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT at, actor_id, actor_name, action, target, detail, gateway, ip FROM audit ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.At, &e.Actor, &e.Name, &e.Action, &e.Target, &e.Detail, &e.Gateway, &e.IP); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordKeepsWhoDidWhatAndFromWhere(t *testing.T) {
	db, log := open(t)
	from := func(gateway core.Gateway, ip string) core.Origin {
		return core.Origin{Gateway: gateway, IP: netip.MustParseAddr(ip)}
	}
	before := time.Now().UnixMilli()
	for _, err := range []error{
		log.Record(t.Context(), core.NewActor(core.User{ID: 1001, Name: "ann"}), "password", "ann", "by its owner", from("llfc", "::ffff:192.0.2.7")),
		log.Record(t.Context(), core.NewOperator(), "disable", "bob", "", core.Origin{}),
		log.Record(t.Context(), core.Actor{}, "setup", "root", "", from("http", "2001:db8::1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := entries(t, db)
	for i := range got {
		if got[i].At < before || got[i].At > time.Now().UnixMilli() {
			t.Errorf("entry %d is dated %d", i, got[i].At)
		}
		got[i].At = 0
	}
	want := []entry{
		{Actor: 1001, Name: "ann", Action: "password", Target: "ann", Detail: "by its owner", Gateway: "llfc", IP: "192.0.2.7"},
		{Name: "operator", Action: "disable", Target: "bob"},
		{Action: "setup", Target: "root", Gateway: "http", IP: "2001:db8::1"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRecordSharesTheFateOfItsUnit(t *testing.T) {
	db, log := open(t)
	boom := errors.New("boom")
	for _, outcome := range []error{boom, nil} {
		err := db.Update(t.Context(), func(ctx context.Context) error {
			if err := log.Record(ctx, core.NewOperator(), "disable", "bob", "", core.Origin{}); err != nil {
				return err
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Fatalf("got %v, want %v", err, outcome)
		}
	}
	if got := len(entries(t, db)); got != 1 {
		t.Errorf("%d entries, want the committed one alone", got)
	}
}

func TestRecordReportsThatItCouldNot(t *testing.T) {
	db, log := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err := log.Record(t.Context(), core.NewOperator(), "disable", "bob", "", core.Origin{})
	if !errors.Is(err, core.ErrStopping) {
		t.Errorf("got %v", err)
	}
}

// TestRecordOfTextWithNUL: a name with such a character could not be recorded, and so not be imported.
func TestRecordOfTextWithNUL(t *testing.T) {
	db, log := open(t)
	if err := log.Record(t.Context(), core.NewOperator(), "import", "user 'a\x00b'?1", "it's\x00 from ?", core.Origin{}); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, db); len(got) != 1 || got[0].Target != "user 'a\uFFFDb'?1" || got[0].Detail != "it's\uFFFD from ?" {
		t.Errorf("%+v", got)
	}
}

func TestPagesAreForThoseWhoAdminister(t *testing.T) {
	_, log := open(t)
	admin := core.NewActor(core.User{ID: 7, Name: "ann", Admin: true})
	for _, action := range []string{"first", "second", "third"} {
		if err := log.Record(t.Context(), admin, action, "user 8", "", core.Origin{Gateway: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	list, total, err := log.Page(t.Context(), admin, 1, 1)
	if err != nil || total != 3 || len(list) != 1 || list[0].Action != "second" || list[0].Name != "ann" || list[0].At.IsZero() {
		t.Errorf("%+v of %d, %v", list, total, err)
	}
	for _, actor := range []core.Actor{{}, core.NewActor(core.User{ID: 8, Name: "bob"})} {
		if _, _, err := log.Page(t.Context(), actor, 0, 10); !errors.Is(err, core.ErrForbidden) {
			t.Error(err)
		}
	}
}
