package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/core"
)

// TestWhatACrashLeavesIsSwept leaves an upload in the middle, one that is on disk but not listed, and one that was to be
// deleted. What is whole stays for a day.
func TestWhatACrashLeavesIsSwept(t *testing.T) {
	tw := newTown(t, Config{})
	png := drawn(t, "png", 3, 2)
	kept := tw.share(ann, single("kept.png", png), png)
	if _, err := tw.thumbnail(ann, kept.ID); err != nil {
		t.Error(err)
	}
	half, err := tw.Begin(t.Context(), ann, home, single("half", "12"))
	tw.must(err)
	_, err = half.Write([]byte("1"))
	tw.must(err)
	whole, err := tw.Begin(t.Context(), ann, home, single("whole", "1"))
	tw.must(err)
	_, err = whole.Write([]byte("1"))
	tw.must(err)
	_, _, err = whole.blob.Finish()
	tw.must(err)
	tw.share(ann, single("gone", "gone"), "gone")
	tw.exec(`DELETE FROM file WHERE name = 'gone'`)

	tw.restart()
	tw.listed(0, "kept.png")
	tw.used(ann, minWeight)
	now, err := tw.Begin(t.Context(), ann, home, single("now", "1"))
	tw.must(err)
	_, err = now.Write([]byte("1"))
	tw.must(err)
	then, err := tw.Begin(t.Context(), ann, home, single("then", "1"))
	tw.must(err)
	_, err = then.Write([]byte("1"))
	tw.must(err)
	_, _, err = then.blob.Finish() // it is about to be committed
	tw.must(err)
	tw.must(tw.Sweep(t.Context()))
	// The picture, its thumbnail, the two in flight, and what is young but whole.
	if got := tw.blobFiles(); len(got) != 6 {
		t.Errorf("after the sweep: %q", got)
	}
	tw.age()
	tw.must(tw.Sweep(t.Context()))
	if got := tw.blobFiles(); len(got) != 4 {
		t.Errorf("after a day: %q", got)
	}
	_, err = now.Commit(t.Context())
	tw.must(err)
	then.Abort()
	if got := tw.read(kept.ID); got != png {
		t.Errorf("%d bytes kept", len(got))
	}
	tw.listed(0, "kept.png", "now")
	tw.must(half.blob.Discard()) // as the end of its process would
}

// age makes all blobs old enough to be swept.
func (tw *town) age() {
	tw.Helper()
	old := time.Now().Add(-grace - time.Minute)
	for _, path := range tw.blobFiles() {
		tw.must(os.Chtimes(path, old, old))
	}
}

// TestAnOlderDatabaseCostAllFiles starts with a database that knows less than half of what is there, and then puts back
// the one that knows it all.
func TestAnOlderDatabaseCostAllFiles(t *testing.T) {
	tw := newTown(t, Config{})
	for i := range doubtful {
		tw.share(ann, single(fmt.Sprint(i), "content"), "content")
	}
	tw.age()
	tw.exec(`CREATE TABLE away AS SELECT * FROM file`)
	for _, known := range []int{0, doubtful/2 - 1} {
		tw.exec(`DELETE FROM file`)
		tw.exec(`INSERT INTO file SELECT * FROM away LIMIT ?`, known)
		tw.restart()
		var log bytes.Buffer
		tw.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		for range 2 {
			tw.must(tw.Sweep(t.Context()))
		}
		if got := log.String(); strings.Count(got, "level=ERROR") != 2 || !strings.Contains(got, fmt.Sprintf("orphans=%d known=%d", doubtful-known, known)) {
			t.Errorf("the log says %q", got)
		}
		tw.holds(doubtful)
	}
	tw.exec(`INSERT INTO file SELECT * FROM away WHERE id NOT IN (SELECT id FROM file)`)
	tw.exec(`DELETE FROM file WHERE id <= ?`, doubtful/2) // half of them may well be orphans
	tw.must(tw.Sweep(t.Context()))
	tw.holds(doubtful / 2)
}

// TestFilesThatExpireLookedLikeOrphans has nearly all files expire at once.
func TestFilesThatExpireLookedLikeOrphans(t *testing.T) {
	tw := newTown(t, Config{Keep: 24 * time.Hour})
	for i := range 2 * doubtful {
		tw.share(ann, single(fmt.Sprint(i), "content"), "content")
	}
	tw.exec(`UPDATE file SET created_at = 1 WHERE id > 1`)
	tw.age()
	var log bytes.Buffer
	tw.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	tw.must(tw.Sweep(t.Context()))
	tw.holds(1)
	if got := log.String(); strings.Contains(got, "level=ERROR") {
		t.Errorf("the log says %q", got)
	}
}

func TestSweepsLeaveYoungOrphansAlone(t *testing.T) {
	tw := newTown(t, Config{})
	tw.must(tw.Sweep(t.Context()))
	tw.share(ann, single("gone", "gone"), "gone")
	tw.exec(`DELETE FROM file`)
	tw.must(tw.Sweep(t.Context()))
	tw.holds(1)
	tw.restart()
	tw.must(tw.Sweep(t.Context()))
	tw.holds(1)
	tw.age()
	w, err := tw.Begin(t.Context(), ann, home, single("slow", "12"))
	tw.must(err)
	_, err = w.Write([]byte("12"))
	tw.must(err)
	_, _, err = w.blob.Finish()
	tw.must(err)
	slow := tw.blobFiles()
	tw.age()
	tw.must(tw.Sweep(t.Context()))
	if got := tw.blobFiles(); len(got) != 1 || len(slow) != 2 {
		t.Errorf("%q of %q are left", got, slow)
	}
	w.Abort()
	tw.must(tw.Sweep(t.Context()))
	tw.holds(0)
}

func TestOldFilesAreNotKept(t *testing.T) {
	tw := newTown(t, Config{Keep: 24 * time.Hour})
	png := drawn(t, "png", 3, 2)
	old := tw.share(ann, below("old", "x/a.png", png), png)
	if _, err := tw.thumbnail(ann, old.ID); err != nil {
		t.Error(err)
	}
	tw.share(bob, single("b", "b"), "b")
	tw.exec(`UPDATE file SET created_at = ?`, date(2020).UnixMilli())
	for i := range sweepBatch {
		tw.exec(`INSERT INTO file (conversation_id, owner_id, kind, name, created_at) VALUES (1, 1001, 1, ?, 1)`, candidate("many", core.PlainFile, i+1))
	}
	tw.share(ann, below("old", "y/new", "new"), "new")
	tw.share(ann, below("new", "z", "z"), "z")
	tw.share(bob, single("c", "c"), "c")
	tw.must(tw.Sweep(t.Context()))
	tw.listed(0, "old/", "new/", "c")
	folder, err := tw.Find(t.Context(), ann, core.Lobby, "old")
	tw.must(err)
	tw.listed(folder.ID, "y/")
	tw.used(ann, 5*minWeight) // old/y/new and new/z
	tw.holds(3)
	if files, bytes := tw.files.Load(), tw.bytes.Load(); files != 3 || bytes != 5 {
		t.Errorf("the metrics say %d files of %d bytes", files, bytes)
	}
}

func TestNothingExpiresUnlessItShall(t *testing.T) {
	tw := newTown(t, Config{})
	tw.share(ann, below("old", "a", "x"), "x")
	tw.exec(`UPDATE file SET created_at = 1`)
	tw.must(tw.Sweep(t.Context()))
	tw.listed(0, "old/")
	tw.holds(1)
}

func TestASweepEndsWithItsContext(t *testing.T) {
	tw := newTown(t, Config{Keep: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tw.Sweep(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTheFilesOfAClosedRoom(t *testing.T) {
	tw := newTown(t, Config{})
	png := drawn(t, "png", 3, 2)
	picture := tw.share(ann, single("picture.png", png), png)
	if _, err := tw.thumbnail(ann, picture.ID); err != nil {
		t.Error(err)
	}
	for i := range sweepBatch {
		tw.share(bob, single(fmt.Sprint("file ", i), "x"), "x")
	}
	abandon := func(room core.ConversationID) (more bool) {
		t.Helper()
		tw.must(tw.db.Update(t.Context(), func(ctx context.Context) (err error) {
			more, err = tw.Abandon(ctx, room)
			return err
		}))
		return more
	}
	if abandon(core.Lobby + 1); len(tw.names(0)) != sweepBatch+1 {
		t.Error("the files of another room are gone")
	}
	if !abandon(core.Lobby) || abandon(core.Lobby) {
		t.Error("they do not go in two steps")
	}
	tw.listed(0)
	tw.used(ann, 0)
	tw.settle()
	if got := tw.blobFiles(); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
}
