package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"parley/internal/config"
)

// A room that was being deleted when the server stopped could lose its messages before the service of files was there to be told.
func TestARoomThatWasBeingClosedGoesWithItsFiles(t *testing.T) {
	ctx := t.Context()
	cfg, err := config.Load("", []string{"data_dir=" + t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	open := func() *App {
		a, err := Open(ctx, cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	end := func(a *App) {
		if err := a.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}
	a := open()
	err = a.db.Update(ctx, func(ctx context.Context) error {
		if _, err := a.db.Exec(ctx, `INSERT INTO conversation (id, kind, name, created_at, closed) VALUES (7, 2, 'den', 1, 1)`); err != nil {
			return err
		}
		_, err := a.db.Exec(ctx, `INSERT INTO file (conversation_id, owner_id, kind, name, created_at) VALUES (7, 1001, 2, 'folder', 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	end(a)

	a = open()
	defer end(a)
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		var stage, files int
		err := a.db.QueryRow(ctx, `SELECT closed, (SELECT count(*) FROM file) FROM conversation WHERE id = 7`, nil, &stage, &files)
		if err != nil {
			t.Fatal(err)
		}
		if stage == 2 {
			if files != 0 {
				t.Errorf("%d files are left", files)
			}
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the room is never deleted")
		}
	}
}
