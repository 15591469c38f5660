package store_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/store"
)

// seen returns the names that the context's transaction shows, read in both ways.
func seen(t *testing.T, ctx context.Context, db *store.DB) []string { //nolint:revive // the context is what is tested
	t.Helper()
	var built, prepared []string
	if err := db.Q(ctx).NewSelect().Table("setting").Column("name").Order("name").Scan(ctx, &built); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, `SELECT name FROM setting ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		prepared = append(prepared, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM setting`, nil, &n); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(built, prepared) || n != len(built) {
		t.Errorf("the builder sees %v, a query %v, a row %d", built, prepared, n)
	}
	return built
}

func TestViewStaysWhereItBegan(t *testing.T) {
	db := open(t)
	ctx := t.Context()
	add := func(name string) {
		if err := db.Update(ctx, func(ctx context.Context) error { return put(ctx, db, name, "x") }); err != nil {
			t.Fatal(err)
		}
	}
	add("a")
	err := db.View(ctx, func(inside context.Context) error {
		add("b") // before the view has read anything
		if got := seen(t, inside, db); !slices.Equal(got, []string{"a"}) {
			t.Errorf("inside: %v", got)
		}
		add("c")
		rows, err := db.Query(inside, `SELECT name FROM setting`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() { // other queries while rows are read
			if err := db.View(inside, func(ctx context.Context) error { seen(t, ctx, db); return nil }); err != nil {
				return err
			}
		}
		if got := seen(t, inside, db); !slices.Equal(got, []string{"a"}) {
			t.Errorf("inside: %v", got)
		}
		if got := seen(t, ctx, db); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("outside: %v", got)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := seen(t, ctx, db); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("afterwards: %v", got)
	}
}

func TestViewPassesErrorsOnAndReturnsItsConnection(t *testing.T) {
	db := open(t)
	boom := errors.New("boom")
	for range 100 {
		if err := db.View(t.Context(), func(context.Context) error { return boom }); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := db.View(ctx, func(ctx context.Context) error {
			cancel()
			var n int
			return db.QueryRow(ctx, `SELECT count(*) FROM setting`, nil, &n)
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := db.View(t.Context(), func(ctx context.Context) error { return put(ctx, db, "a", "b") }); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a write through a view: %v", err)
	}
}

func TestViewInAUnitSeesItsChanges(t *testing.T) {
	db := open(t)
	err := db.Update(t.Context(), func(ctx context.Context) error {
		if err := put(ctx, db, "a", "x"); err != nil {
			return err
		}
		return db.View(ctx, func(ctx context.Context) error {
			if got := seen(t, ctx, db); !slices.Equal(got, []string{"a"}) {
				t.Errorf("%v", got)
			}
			return put(ctx, db, "b", "x")
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnitInAViewIsWritten(t *testing.T) {
	db := open(t)
	err := db.View(t.Context(), func(inside context.Context) error {
		err := db.Update(inside, func(ctx context.Context) error {
			if err := put(ctx, db, "a", "x"); err != nil {
				return err
			}
			if got := seen(t, ctx, db); !slices.Equal(got, []string{"a"}) {
				t.Errorf("in the unit: %v", got)
			}
			return nil
		})
		if got := seen(t, inside, db); len(got) != 0 {
			t.Errorf("in the view: %v", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestViewsDoNotWaitForEachOthersConnections: as many as the pool has hold one each, and then ask something new.
func TestViewsDoNotWaitForEachOthersConnections(t *testing.T) {
	db := open(t)
	readers := max(4, runtime.NumCPU())
	var begun, done sync.WaitGroup
	begun.Add(readers)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range readers {
		done.Go(func() {
			err := db.View(ctx, func(ctx context.Context) error {
				begun.Done()
				begun.Wait()
				var n int
				return db.QueryRow(ctx, `SELECT count(*) FROM setting WHERE name = 'nobody asked this before'`, nil, &n)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}
