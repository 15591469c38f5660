// Package fresh gives tests databases that are empty and up to date. Each is a copy of one that was made for all tests of a
// package: to migrate takes a while, under the race detector above all.
package fresh

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"parley/internal/obs"
	"parley/internal/store"
)

// Database makes a database at a path, unless there is a file already, and returns the path.
func Database(t testing.TB, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	content, err := template()
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var template = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "parley-fresh-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "parley.db")
	db, err := store.Open(context.Background(), store.Config{Path: path, Log: slog.New(slog.DiscardHandler), Metrics: obs.NewMetrics()})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
