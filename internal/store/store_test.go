package store_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) *store.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "a b%.db"))
}

func openAt(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{
		Path: path, Log: slog.New(slog.DiscardHandler), Metrics: obs.NewMetrics(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func put(ctx context.Context, db *store.DB, name, value string) error {
	_, err := db.Exec(ctx, `INSERT INTO setting (name, value) VALUES (?, ?)`, name, value)
	return err
}

func names(t *testing.T, db *store.DB) (out []string) {
	t.Helper()
	err := db.Q(context.Background()).NewSelect().Table("setting").Column("name").Order("name").Scan(context.Background(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnitsShareCommitsButNotFailures(t *testing.T) {
	db := open(t)
	var wg sync.WaitGroup
	boom := errors.New("boom")
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(ctx context.Context) error {
				if err := put(ctx, db, string(rune('a'+i%26))+string(rune('a'+i/26)), "x"); err != nil {
					return err
				}
				if i%2 == 1 {
					return boom
				}
				return nil
			})
			if i%2 == 0 && err != nil || i%2 == 1 && !errors.Is(err, boom) {
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := len(names(t, db)); got != 100 {
		t.Errorf("%d units are stored, want 100", got)
	}
}

func TestPanicRollsBackItsUnitAlone(t *testing.T) {
	db := open(t)
	before := obs.Panics()
	err := db.Update(context.Background(), func(ctx context.Context) error {
		_ = put(ctx, db, "lost", "x")
		panic("in a unit")
	})
	if err == nil || obs.Panics() != before+1 {
		t.Fatalf("err %v, panics %d", err, obs.Panics()-before)
	}
	if err := db.Update(context.Background(), func(ctx context.Context) error { return put(ctx, db, "kept", "x") }); err != nil {
		t.Fatal(err)
	}
	if got := names(t, db); len(got) != 1 || got[0] != "kept" {
		t.Errorf("stored: %v", got)
	}
}

func TestHooksRunAfterTheCommitInItsOrder(t *testing.T) {
	db := open(t)
	var mu sync.Mutex
	var committed, published []int
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(ctx context.Context) error {
				mu.Lock()
				committed = append(committed, i)
				mu.Unlock()
				return db.Update(ctx, func(ctx context.Context) error { // a nested unit is the same unit
					store.AfterCommit(ctx, func() { published = append(published, i) })
					return nil
				})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(published) != 300 {
		t.Fatalf("%d hooks ran", len(published))
	}
	for i := range published {
		if committed[i] != published[i] {
			t.Fatalf("hook %d is of unit %d, commit was of unit %d", i, published[i], committed[i])
		}
	}
}

func TestFailedUnitPublishesNothing(t *testing.T) {
	db := open(t)
	ran := false
	err := db.Update(context.Background(), func(ctx context.Context) error {
		store.AfterCommit(ctx, func() { ran = true })
		return core.ErrInvalid
	})
	if !errors.Is(err, core.ErrInvalid) || ran {
		t.Errorf("err %v, hook ran: %v", err, ran)
	}
}

func TestWhatAFailedUnitLeftIsUndone(t *testing.T) {
	db := open(t)
	for _, want := range []error{nil, core.ErrInvalid} {
		undone := false
		err := db.Update(context.Background(), func(ctx context.Context) error {
			store.AfterRollback(ctx, func() { undone = true })
			return want
		})
		if !errors.Is(err, want) || undone != (want != nil) {
			t.Errorf("err %v, undone: %v", err, undone)
		}
	}
}

func TestWriteOutsideAUnitIsRefused(t *testing.T) {
	db := open(t)
	if err := put(context.Background(), db, "a", "b"); err == nil {
		t.Error("a write outside a unit of work went through")
	}
	if _, err := db.Q(context.Background()).NewDelete().Table("user_id").Where("1=1").Exec(context.Background()); err == nil {
		t.Error("the read pool took a write")
	}
}

func TestUniqueViolationIsRecognised(t *testing.T) {
	db := open(t)
	add := func(ctx context.Context) error { return put(ctx, db, "same", "x") }
	if err := db.Update(context.Background(), add); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(context.Background(), add); !store.IsUnique(err) {
		t.Errorf("got %v", err)
	}
}

func TestClosedStoreRefusesWork(t *testing.T) {
	db := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err := db.Update(context.Background(), func(context.Context) error { return nil })
	if !errors.Is(err, core.ErrStopping) {
		t.Errorf("got %v", err)
	}
}

func TestBackupIsACompleteDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openAt(t, path)
	ctx := context.Background()
	if err := db.Update(ctx, func(ctx context.Context) error { return put(ctx, db, "kept", "x") }); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := store.Backup(ctx, path, to); err != nil {
		t.Fatal(err)
	}
	if found, err := store.Check(ctx, to); err != nil || len(found) > 0 {
		t.Fatalf("the copy is damaged: %v %v", found, err)
	}
	cp, err := store.Open(ctx, store.Config{Path: to, Log: slog.New(slog.DiscardHandler), Metrics: obs.NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	defer cp.Close()
	if got := names(t, cp); len(got) != 1 || got[0] != "kept" {
		t.Errorf("in the copy: %v", got)
	}
}

func TestSizeGrowsWithWhatIsStored(t *testing.T) {
	db := open(t)
	before, err := db.Size()
	if err != nil || before < 4096 {
		t.Fatalf("%d bytes, %v", before, err)
	}
	err = db.Update(t.Context(), func(ctx context.Context) error {
		_, err := db.Exec(ctx, `INSERT INTO setting (name, value) VALUES ('large', ?)`, strings.Repeat("x", 1<<20))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if after, err := db.Size(); err != nil || after < before+1<<20 {
		t.Errorf("%d bytes after %d, %v", after, before, err)
	}
}
