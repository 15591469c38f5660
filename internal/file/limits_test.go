package file

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/core"
)

// TestLimitsCanBeChangedWhileTheServiceRuns, and an upload that has begun heeds the new ones.
func TestLimitsCanBeChangedWhileTheServiceRuns(t *testing.T) {
	const kib = 1 << 10
	tw := newTown(t, Config{})
	w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "long", Size: -1})
	tw.must(err)
	tw.SetMaxFile(10 * kib)
	_, err = w.Write(make([]byte, 11*kib))
	tw.want(err, core.ErrFileTooLarge)
	w.Abort()
	_, err = tw.send(ann, single("a", strings.Repeat("x", 11*kib)), "")
	tw.want(err, core.ErrFileTooLarge)
	tw.SetMaxFile(0)
	tw.share(ann, single("a", strings.Repeat("x", 11*kib)), strings.Repeat("x", 11*kib))

	tw.SetQuota(12 * kib)
	if _, quota, err := tw.Usage(t.Context(), ann, ann.User()); err != nil || quota != 12*kib {
		t.Errorf("the quota is %d: %v", quota, err)
	}
	_, err = tw.send(ann, single("b", "x"), "x")
	tw.want(err, core.ErrQuotaUsedUp)

	tw.exec(`UPDATE file SET created_at = 1`)
	tw.must(tw.Sweep(t.Context()))
	tw.holds(1)
	tw.SetKeep(time.Hour)
	tw.must(tw.Sweep(t.Context()))
	tw.holds(0)
}

func TestTotalsAreForThoseWhoAdminister(t *testing.T) {
	tw := newTown(t, Config{})
	tw.share(ann, single("a", "12345"), "12345")
	tw.share(bob, below("docs", "b", "678"), "678")
	if files, bytes, err := tw.Totals(t.Context(), eve); err != nil || files != 2 || bytes != 8 {
		t.Errorf("%d files of %d bytes, %v", files, bytes, err)
	}
	for _, actor := range []core.Actor{ann, nobody} {
		if _, _, err := tw.Totals(t.Context(), actor); !errors.Is(err, core.ErrForbidden) {
			t.Error(err)
		}
	}
}

// All files of a folder were sorted for each page of them.
func TestAPageOfFilesIsReadAlongAnIndex(t *testing.T) {
	tw := newTown(t, Config{})
	rows, err := tw.db.Query(t.Context(), `EXPLAIN QUERY PLAN `+newestQuery, 0, 0, 1, 0, 50, 0)
	tw.must(err)
	defer rows.Close()
	for rows.Next() {
		var a, b, c int
		var step string
		tw.must(rows.Scan(&a, &b, &c, &step))
		if !strings.HasPrefix(step, "SEARCH") {
			t.Error(step)
		}
	}
	tw.must(rows.Err())
}
