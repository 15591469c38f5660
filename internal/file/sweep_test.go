package file

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"parley/internal/core"
)

// TestWhatACrashLeavesIsSweptAtOnce leaves an upload in the middle, one that is on disk but not listed, and one that was
// to be deleted.
func TestWhatACrashLeavesIsSweptAtOnce(t *testing.T) {
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
	tw.used(ann, kept.Size)
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
	if got := tw.blobFiles(); len(got) != 4 { // the picture, its thumbnail and the two in flight
		t.Errorf("after the sweep: %q", got)
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

func TestLaterSweepsLeaveYoungOrphansAlone(t *testing.T) {
	tw := newTown(t, Config{})
	tw.must(tw.Sweep(t.Context()))
	tw.share(ann, single("gone", "gone"), "gone")
	tw.exec(`DELETE FROM file`)
	tw.must(tw.Sweep(t.Context()))
	tw.holds(1)
	old := time.Now().Add(-grace - time.Minute)
	for _, path := range tw.blobFiles() {
		tw.must(os.Chtimes(path, old, old))
	}
	w, err := tw.Begin(t.Context(), ann, home, single("slow", "12"))
	tw.must(err)
	_, err = w.Write([]byte("12"))
	tw.must(err)
	_, _, err = w.blob.Finish()
	tw.must(err)
	slow := tw.blobFiles()
	for _, path := range slow {
		tw.must(os.Chtimes(path, old, old))
	}
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
	tw.used(ann, 4)
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
