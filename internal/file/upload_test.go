package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"parley/internal/core"
)

func TestAFileIsSharedAndFetched(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("report.html", "<html><body>hello</body></html>"), "<html><body>hello</body></html>")
	if f.Kind != core.PlainFile || f.Parent != 0 || f.Sent != "" || f.Area != core.Lobby || !strings.HasPrefix(f.Type, "text/html") || f.Owner.Avatar != "ann.png" {
		t.Errorf("%+v", f)
	}
	if got := tw.read(f.ID); got != "<html><body>hello</body></html>" {
		t.Errorf("%q", got)
	}
	got, r, err := tw.Open(t.Context(), bob, f.ID)
	tw.must(err)
	defer r.Close()
	if got != f {
		t.Errorf("opened %+v, not %+v", got, f)
	}
	if _, err := r.Seek(-7, io.SeekEnd); err != nil {
		t.Error(err)
	}
	if end, err := io.ReadAll(r); err != nil || string(end) != "</html>" {
		t.Errorf("%q, %v", end, err)
	}
	empty := tw.share(bob, single("empty", ""), "")
	if tw.read(empty.ID) != "" {
		t.Error("an empty file is not empty")
	}
	tw.listed(0, "report.html", "empty")
	tw.holds(2)
}

// puts are the ways of giving a Writer its bytes.
var puts = map[string]func(w *Writer, content string) error{
	"read":  func(w *Writer, content string) error { _, err := w.ReadFrom(strings.NewReader(content)); return err },
	"write": func(w *Writer, content string) error { _, err := io.WriteString(w, content); return err },
}

func TestASizeThatLiesKeepsNothing(t *testing.T) {
	tw := newTown(t, Config{})
	for name, put := range puts {
		for _, content := range []string{"", "12345678", "1234567890A", strings.Repeat("x", 3<<20)} {
			w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "lie", Size: 10})
			tw.must(err)
			if err := put(w, content); len(content) <= 10 && err != nil || len(content) > 10 && !errors.Is(err, core.ErrIncomplete) {
				t.Errorf("%s %d bytes: %v", name, len(content), err)
			}
			if n := len(tw.blobFiles()); n != 1 {
				t.Errorf("%d blobs on the way", n)
			}
			for range 2 {
				_, err = w.Commit(t.Context())
				tw.want(err, core.ErrIncomplete)
			}
			if _, err := w.Write([]byte("more")); err == nil {
				t.Error("an upload that is over takes more")
			}
			tw.listed(0)
			tw.holds(0)
		}
	}
}

func TestABrokenUploadLeavesNothing(t *testing.T) {
	tw := newTown(t, Config{})
	broken := errors.New("the line is dead")
	for _, size := range []int64{-1, 3 << 20, 5 << 20} {
		w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "half", Size: size})
		tw.must(err)
		_, err = w.ReadFrom(io.MultiReader(strings.NewReader(strings.Repeat("x", 3<<20)), iotest.ErrReader(broken)))
		tw.want(err, broken)
		_, err = w.Commit(t.Context())
		tw.want(err, broken)
		w.Abort()
	}
	w, err := tw.Begin(t.Context(), ann, home, single("given up", "x"))
	tw.must(err)
	w.Abort()
	w.Abort()
	_, err = w.Commit(t.Context())
	tw.want(err, core.ErrInvalid)
	tw.listed(0)
	tw.used(ann, 0)
	tw.holds(0)
}

func TestNamesGiveWay(t *testing.T) {
	tw := newTown(t, Config{})
	for i, step := range []struct {
		by   core.Actor
		u    Upload
		want string
	}{
		{ann, single("a.txt", "1"), "a.txt"},
		{bob, single("a.txt", "2"), "a (2).txt"},
		{ann, single("a.txt", "3"), "a.txt"},     // her own
		{bob, single("a.txt", "4"), "a (2).txt"}, // his own
		{ann, single("a (2).txt", "5"), "a (2) (2).txt"},
		{ann, below("docs", "x/y.txt", "6"), "y.txt"},
		{ann, single("docs", "7"), "docs (2)"}, // a folder is no file
		{bob, below("docs", "y.txt", "8"), "y.txt"},
		{bob, below("a.txt", "y.txt", "9"), "y.txt"},
		{ann, below("docs", "x", "A"), "x (2)"},
		{ann, below("docs", `x (2)\y`, "B"), "y"},
	} {
		content := fmt.Sprintf("version %d", i)
		step.u.Size = int64(len(content))
		if f := tw.share(step.by, step.u, content); f.Name != step.want || tw.read(f.ID) != content {
			t.Errorf("%+v became %q", step.u, f.Name)
		}
	}
	got := tw.names(0)
	slices.Sort(got)
	if want := []string{"a (2) (2).txt", "a (2).txt", "a.txt", "a.txt (2)/", "docs (2)", "docs (3)/", "docs/"}; !slices.Equal(got, want) {
		t.Errorf("listed are %q", got)
	}
	tw.holds(9)
}

// What made way for somebody else's name took the place of another thing of its owner that was called just that.
func TestWhatMakesWayReplacesNothingElse(t *testing.T) {
	tw := newTown(t, Config{})
	for _, step := range []struct {
		by   core.Actor
		u    Upload
		want string
	}{
		{bob, single("report.pdf", ""), "report.pdf"},
		{ann, single("report (2).pdf", ""), "report (2).pdf"},
		{ann, single("report.pdf", ""), "report (3).pdf"},
		{ann, single("report.pdf", ""), "report (3).pdf"}, // the same name again
		{ann, single("report (3).pdf", ""), "report (3).pdf"},
		{ann, single("report.pdf", ""), "report (4).pdf"}, // the third has got a name of its own
		{bob, below("project", "a.c", ""), "a.c"},
		{ann, below("project (2)", "a.c", ""), "a.c"},
		{ann, below("project", "a.c", ""), "a.c"},
	} {
		content := fmt.Sprintf("%s of %s", step.u.Folder+step.u.Name, step.by.Name())
		step.u.Size = int64(len(content))
		if f := tw.share(step.by, step.u, content); f.Name != step.want {
			t.Errorf("%s became %q, want %q", content, f.Name, step.want)
		}
	}
	got := tw.names(0)
	slices.Sort(got)
	want := []string{"project (2)/", "project (3)/", "project/", "report (2).pdf", "report (3).pdf", "report (4).pdf", "report.pdf"}
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q", got)
	}
}

func TestAnOwnFileIsReplacedInOneStep(t *testing.T) {
	tw := newTown(t, Config{})
	old := tw.share(ann, single("a.txt", "old"), "old")
	tw.share(bob, single("b.txt", "b"), "b")
	_, reader, err := tw.Open(t.Context(), bob, old.ID)
	tw.must(err)
	defer reader.Close()
	w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "a.txt", Size: -1})
	tw.must(err)
	_, err = w.Write([]byte("new content"))
	tw.must(err)
	if got := tw.read(old.ID); got != "old" {
		t.Errorf("before the commit: %q", got)
	}
	f, err := w.Commit(t.Context())
	tw.must(err)
	if got := tw.read(old.ID); f.ID != old.ID || got != "new content" || f.At.Before(old.At) {
		t.Errorf("after the commit: %q, %+v", got, f)
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != "old" {
		t.Errorf("who was reading the old content got %q: %v", got, err)
	}
	tw.used(ann, minWeight)
	tw.holds(2)
}

func TestTwoUploadsOfOneNameAtOnceAreNoMixture(t *testing.T) {
	tw := newTown(t, Config{})
	var all sync.WaitGroup
	contents := map[string]bool{}
	for i := range 20 {
		content := strings.Repeat(string(rune('a'+i)), 100_000+i)
		contents[content] = true
		all.Go(func() {
			if f, err := tw.send(ann, below("docs", "sub/one.txt", content), content); err != nil || f.Name != "one.txt" {
				t.Errorf("%q: %v", f.Name, err)
			}
		})
	}
	all.Wait()
	tw.listed(0, "docs/")
	docs, err := tw.Find(t.Context(), ann, core.Lobby, "docs")
	tw.must(err)
	files, err := tw.Tree(t.Context(), bob, docs.ID)
	tw.must(err)
	if len(files) != 1 || !contents[tw.read(files[0].ID)] {
		t.Errorf("%+v", files)
	}
	tw.holds(1)
}

func TestUploadsOfOneNameByManyUsersAllStay(t *testing.T) {
	tw := newTown(t, Config{})
	var all sync.WaitGroup
	for i := range 20 {
		actor := core.NewActor(core.User{ID: core.UserID(2000 + i)})
		tw.exec(`INSERT INTO member (user_id, conversation_id, joined_at) VALUES (?, 1, 1)`, int64(actor.User()))
		all.Go(func() {
			if _, err := tw.send(actor, single("a.txt", "content"), "content"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var want []string
	for i := range 20 {
		want = append(want, candidate("a.txt", core.PlainFile, i+1))
	}
	got := tw.names(0)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %q", got)
	}
}

func TestNamesAreNotTriedForEver(t *testing.T) {
	tw := newTown(t, Config{})
	for i := range maxCandidates {
		tw.exec(`INSERT INTO file (conversation_id, owner_id, kind, name, created_at) VALUES (1, 1002, 2, ?, 1)`, candidate("a", core.PlainFile, i+1))
	}
	_, err := tw.send(ann, single("a", "x"), "x")
	tw.want(err, core.ErrNameTaken)
	tw.holds(0)
}

func TestWhatCannotEndWellIsNotBegun(t *testing.T) {
	const kib = 1 << 10
	tw := newTown(t, Config{MaxFile: 100 * kib, Quota: 150 * kib})
	tw.share(ann, Upload{Area: core.Lobby, Name: "mine", Size: 60 * kib}, strings.Repeat("x", 60*kib))
	for _, tt := range []struct {
		by   core.Actor
		u    Upload
		want error
	}{
		{nobody, single("a", "x"), core.ErrLoginRequired},
		{operator, single("a", "x"), core.ErrLoginRequired},
		{cyd, single("a", "x"), core.ErrConversationNotFound},
		{eve, single("a", "x"), core.ErrConversationNotFound},
		{ann, Upload{Area: 99, Name: "a"}, core.ErrConversationNotFound},
		{ann, single("", "x"), core.ErrInvalidFileName},
		{ann, single("a/b", "x"), core.ErrInvalidFileName},
		{ann, below("..", "b", "x"), core.ErrInvalidFileName},
		{ann, below("a/b", "b", "x"), core.ErrInvalidFileName},
		{ann, below("a", "../b", "x"), core.ErrInvalidFileName},
		{ann, below("a", "", "x"), core.ErrInvalidFileName},
		{ann, Upload{Area: core.Lobby, Name: "a", Size: -2}, core.ErrInvalid},
		{ann, Upload{Area: core.Lobby, Name: "a", Size: 100*kib + 1}, core.ErrFileTooLarge},
		{ann, Upload{Area: core.Lobby, Name: "a", Size: 1<<63 - 1}, core.ErrFileTooLarge},
		{ann, Upload{Area: core.Lobby, Name: "a", Size: 90*kib + 1}, core.ErrQuotaUsedUp},
		{ann, Upload{Area: core.Lobby, Folder: "a", Name: "b/c", Size: 82*kib + 1}, core.ErrQuotaUsedUp},
	} {
		if _, err := tw.Begin(t.Context(), tt.by, home, tt.u); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, not %v", tt.u, err, tt.want)
		}
	}
	tw.holds(1)
}

func TestAHugeSizeIsRefusedWithoutLimitsToo(t *testing.T) {
	tw := newTown(t, Config{})
	tw.free = func() (uint64, bool) { return 0, false }
	_, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "a", Size: 1<<63 - 1})
	tw.want(err, core.ErrFileTooLarge)
	tw.holds(0)
}

// TestEmptyFilesWereOutsideEveryLimit fills a quota with files and folders that have no bytes.
func TestEmptyFilesWereOutsideEveryLimit(t *testing.T) {
	tw := newTown(t, Config{Quota: 10 * minWeight})
	for i := range 5 {
		tw.share(ann, single(fmt.Sprint(i), ""), "")
	}
	f := tw.share(ann, below("a", "b/c/d", ""), "") // three folders and a file
	tw.used(ann, 9*minWeight)
	tw.must(tw.Delete(t.Context(), ann, home, f.ID)) // the folders stay
	tw.used(ann, 8*minWeight)
	tw.share(ann, Upload{Area: core.Lobby, Name: "5", Size: -1}, "")
	_, err := tw.send(ann, below("e", "f", ""), "")
	tw.want(err, core.ErrQuotaUsedUp)
	tw.share(ann, below("a", "f", ""), "")
	tw.used(ann, 10*minWeight)
	for _, size := range []int64{0, -1} {
		_, err := tw.send(ann, Upload{Area: core.Lobby, Name: "6", Size: size}, "")
		tw.want(err, core.ErrQuotaUsedUp)
	}
	tw.share(bob, single("6", ""), "")
	tw.holds(8)
}

func TestNobodyAndNoRoomHasTooManyFiles(t *testing.T) {
	tw := newTown(t, Config{})
	tw.most = bounds{owned: 250, inRoom: 1000}
	fill := func(owner core.UserID, n int) {
		tw.exec(`WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
			INSERT INTO file (conversation_id, owner_id, kind, name, created_at) SELECT 1, ?, 2, 'of ' || ? || ' ' || n, 1 FROM i`, n, int64(owner), int64(owner))
	}
	full := func(actor core.Actor, u Upload) {
		t.Helper()
		_, err := tw.send(actor, u, "")
		tw.want(err, core.ErrQuotaUsedUp)
	}
	mine := tw.share(ann, single("mine", ""), "")
	fill(ann.User(), 250-2)
	late, err := tw.Begin(t.Context(), ann, home, single("late", ""))
	tw.must(err)
	full(ann, below("a", "b", ""))
	tw.share(ann, single("last", ""), "")
	full(ann, single("one more", ""))
	_, err = late.Commit(t.Context())
	tw.want(err, core.ErrQuotaUsedUp)
	tw.share(ann, single("mine", "replaced"), "replaced")
	if got := tw.read(mine.ID); got != "replaced" {
		t.Errorf("%q", got)
	}

	fill(9001, 1000-250-1)
	tw.share(bob, single("the room's last", ""), "")
	full(bob, single("one more", ""))
	tw.holds(3)
}

func TestReplacingAnOwnFileNeededTwiceItsSize(t *testing.T) {
	const kib = 1 << 10
	put := func(tw *town, name string, n int) (core.File, error) {
		return tw.send(ann, Upload{Area: core.Lobby, Folder: "docs", Name: name, Size: int64(n * kib)}, strings.Repeat("x", n*kib))
	}
	tw := newTown(t, Config{Quota: 104 * kib}) // 4 for the folder
	_, err := put(tw, "a", 70)
	tw.must(err)
	for _, n := range []int{70, 100, 5, 70} {
		_, err := put(tw, "a", n)
		tw.must(err)
	}
	_, err = put(tw, "a", 101)
	tw.want(err, core.ErrQuotaUsedUp)
	_, err = put(tw, "b", 31)
	tw.want(err, core.ErrQuotaUsedUp)
	_, err = tw.send(ann, Upload{Area: core.Lobby, Folder: "docs", Name: "a", Size: -1}, strings.Repeat("x", 100*kib))
	tw.must(err)
	_, err = tw.send(ann, Upload{Area: core.Lobby, Folder: "docs", Name: "a", Size: -1}, strings.Repeat("x", 100*kib+1))
	tw.want(err, core.ErrQuotaUsedUp)
	tw.used(ann, 104*kib)

	// Somebody else's file of that name frees nothing.
	_, err = tw.send(bob, Upload{Area: core.Lobby, Name: "docs", Size: 104 * kib}, strings.Repeat("x", 104*kib))
	tw.must(err)
	_, err = tw.send(ann, Upload{Area: core.Lobby, Name: "docs (2)", Size: kib}, strings.Repeat("x", kib))
	tw.want(err, core.ErrQuotaUsedUp)

	// A quota that has become smaller keeps nobody from making a file smaller.
	tw.SetQuota(50 * kib)
	_, err = put(tw, "a", 90)
	tw.must(err)
	tw.holds(2)
}

// TestAReplacementCountsInFullWhenTheOldFileIsGone deletes what an upload was to replace, and uses the space.
func TestAReplacementCountsInFullWhenTheOldFileIsGone(t *testing.T) {
	const kib = 1 << 10
	tw := newTown(t, Config{Quota: 100 * kib})
	old := tw.share(ann, Upload{Area: core.Lobby, Name: "a", Size: 90 * kib}, strings.Repeat("x", 90*kib))
	w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "a", Size: 90 * kib})
	tw.must(err)
	_, err = w.Write(make([]byte, 90*kib))
	tw.must(err)
	tw.must(tw.Delete(t.Context(), ann, home, old.ID))
	tw.share(ann, Upload{Area: core.Lobby, Name: "b", Size: 90 * kib}, strings.Repeat("x", 90*kib))
	_, err = w.Commit(t.Context())
	tw.want(err, core.ErrQuotaUsedUp)
	tw.listed(0, "b")
	tw.used(ann, 90*kib)
	tw.holds(1)
}

func TestAMemberWhoLeftMeanwhileKeepsNothing(t *testing.T) {
	tw := newTown(t, Config{})
	w, err := tw.Begin(t.Context(), ann, home, single("a", "x"))
	tw.must(err)
	_, err = w.Write([]byte("x"))
	tw.must(err)
	tw.exec(`DELETE FROM member WHERE user_id = ?`, int64(ann.User()))
	_, err = w.Commit(t.Context())
	tw.want(err, core.ErrConversationNotFound)
	tw.holds(0)
}

func TestUploadsInFlightCountAgainstTheQuota(t *testing.T) {
	const kib = 1 << 10
	tw := newTown(t, Config{Quota: 1000 * kib})
	start := make(chan struct{})
	results := make(chan *Writer, 10)
	for i := range 10 {
		go func() {
			<-start
			w, err := tw.Begin(context.Background(), ann, home, Upload{Area: core.Lobby, Name: fmt.Sprint(i), Size: 300 * kib})
			if err != nil && !errors.Is(err, core.ErrQuotaUsedUp) {
				t.Error(err)
			}
			results <- w
		}()
	}
	close(start)
	var begun []*Writer
	for range 10 {
		if w := <-results; w != nil {
			begun = append(begun, w)
		}
	}
	if len(begun) != 3 {
		t.Fatalf("%d uploads of 300 KiB have begun", len(begun))
	}
	_, err := tw.Begin(t.Context(), bob, home, Upload{Area: core.Lobby, Name: "bob's", Size: 1000 * kib})
	tw.must(err) // it is each user's own quota; the test's end finds it in flight
	if n := tw.inflight.uploads(); n != 4 {
		t.Errorf("%d uploads in flight", n)
	}
	begun[0].Abort()
	for _, w := range begun[1:] {
		_, err := w.Write(make([]byte, 300*kib))
		tw.must(err)
		_, err = w.Commit(t.Context())
		tw.must(err)
	}
	tw.used(ann, 600*kib)
	_, err = tw.send(ann, Upload{Area: core.Lobby, Name: "more", Size: 400*kib + 1}, strings.Repeat("x", 400*kib+1))
	tw.want(err, core.ErrQuotaUsedUp)
	tw.share(ann, Upload{Area: core.Lobby, Name: "more", Size: 400 * kib}, strings.Repeat("x", 400*kib))
	tw.used(ann, 1000*kib)
}

func TestAnUploadOfUnknownSizeIsCountedAsItGoes(t *testing.T) {
	const mib = 1 << 20
	tw := newTown(t, Config{Quota: 20 * mib, MaxFile: 30 * mib})
	unknown := func(name string) *Writer {
		w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: name, Size: -1})
		tw.must(err)
		return w
	}
	first, second := unknown("first"), unknown("second")
	_, err := first.Write(make([]byte, 15*mib))
	tw.must(err)
	_, err = second.Write(make([]byte, 3*mib))
	tw.must(err) // less than a step is left, but enough
	_, err = second.Write(make([]byte, 2*mib))
	tw.want(err, core.ErrQuotaUsedUp)
	_, err = second.Commit(t.Context())
	tw.want(err, core.ErrQuotaUsedUp)
	_, err = first.ReadFrom(strings.NewReader(strings.Repeat("x", 5*mib)))
	tw.must(err)
	f, err := first.Commit(t.Context())
	if err != nil || f.Size != 20*mib {
		t.Errorf("%+v: %v", f, err)
	}
	tw.used(ann, 20*mib)
	tw.holds(1)

	tw.SetQuota(0)
	third := unknown("third")
	_, err = third.Write(make([]byte, 30*mib))
	tw.must(err)
	_, err = third.Write([]byte("x"))
	tw.want(err, core.ErrFileTooLarge)
	third.Abort()
	tw.holds(1)
}

func TestSomeOfTheDiskIsLeftFree(t *testing.T) {
	tw := newTown(t, Config{})
	tw.free = func() (uint64, bool) { return reserve + 1000, true }
	_, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "a", Size: 1001})
	tw.want(err, core.ErrDiskFull)
	w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "a", Size: 600})
	tw.must(err)
	_, err = tw.Begin(t.Context(), bob, home, Upload{Area: core.Lobby, Name: "b", Size: 600})
	tw.want(err, core.ErrDiskFull)
	_, err = w.Write(make([]byte, 600))
	tw.must(err)
	unknown, err := tw.Begin(t.Context(), bob, home, Upload{Area: core.Lobby, Name: "b", Size: -1})
	tw.must(err)
	_, err = unknown.Write(make([]byte, 1000))
	tw.must(err)
	tw.free = func() (uint64, bool) { return reserve, true }
	_, err = unknown.Write(make([]byte, 1))
	tw.want(err, core.ErrDiskFull)
	unknown.Abort()
	_, err = w.Commit(t.Context())
	tw.must(err)
	tw.free = func() (uint64, bool) { return reserve - 1, true }
	_, err = tw.Begin(t.Context(), bob, home, single("c", ""))
	tw.want(err, core.ErrDiskFull)
	tw.free = func() (uint64, bool) { return 0, false }
	tw.share(bob, single("c", "if nobody knows, it is tried"), "if nobody knows, it is tried")
	tw.holds(2)
}

// TestASlowUploadClaimedTheWholeDisk begins one that is as large as what is free.
func TestASlowUploadClaimedTheWholeDisk(t *testing.T) {
	tw := newTown(t, Config{})
	const size = 10 * ahead
	tw.free = func() (uint64, bool) { return reserve + size, true }
	slow, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "slow", Size: size})
	tw.must(err)
	_, err = tw.Begin(t.Context(), bob, home, Upload{Area: core.Lobby, Name: "too large", Size: size + 1})
	tw.want(err, core.ErrDiskFull)
	var begun []*Writer
	for range 9 {
		w, err := tw.Begin(t.Context(), bob, home, Upload{Area: core.Lobby, Name: "b", Size: 5 * ahead})
		tw.must(err)
		begun = append(begun, w)
	}
	_, err = tw.Begin(t.Context(), bob, home, single("one more", "x"))
	tw.want(err, core.ErrDiskFull) // all of it is claimed
	for _, w := range begun[1:] {
		w.Abort()
	}

	// They claim as they go, the last bytes one by one.
	tw.must(slow.reach(ahead))
	tw.inflight.wrote(&slow.claim, ahead)
	if got := slow.claim.disk; got != ahead {
		t.Errorf("%d bytes claimed", got)
	}
	tw.must(slow.reach(ahead + 1))
	if got := slow.claim.disk; got != 2*ahead+1 {
		t.Errorf("%d bytes claimed", got)
	}
	tw.free = func() (uint64, bool) { return reserve + ahead + 5, true } // all but 5 bytes are the other one's
	tw.inflight.wrote(&slow.claim, ahead+1)
	tw.must(slow.reach(2*ahead + 6))
	tw.want(slow.reach(2*ahead+7), core.ErrDiskFull)
	tw.must(slow.reach(2*ahead + 6))
	slow.Abort()
	begun[0].Abort()
	tw.holds(0)
}

// zeros is a fast source of n bytes.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), z.left))
	if z.left -= int64(n); n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestALongUploadNeedsConstantMemory(t *testing.T) {
	tw := newTown(t, Config{Quota: 1 << 30})
	for _, size := range []int64{64 << 20, -1} {
		w, err := tw.Begin(t.Context(), ann, home, Upload{Area: core.Lobby, Name: "long", Size: size})
		tw.must(err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if n, err := w.ReadFrom(&zeros{64 << 20}); err != nil || n != 64<<20 {
			t.Fatalf("%d bytes: %v", n, err)
		}
		runtime.ReadMemStats(&after)
		// The pool may lose a slab to a collection, and under the race detector it loses every fourth.
		if got := after.TotalAlloc - before.TotalAlloc; got > 40<<20 {
			t.Errorf("%d bytes allocated", got)
		}
		_, err = w.Commit(t.Context())
		tw.must(err)
	}
	tw.holds(1)
}

// TestTooManyUploadsAtOnce of one user keep nobody else away, and each that ends makes room for another.
func TestTooManyUploadsAtOnce(t *testing.T) {
	tw := newTown(t, Config{})
	var open []*Writer
	for i := range maxRunning {
		w, err := tw.Begin(t.Context(), ann, home, single(fmt.Sprint(i), ""))
		tw.must(err)
		open = append(open, w)
	}
	_, err := tw.Begin(t.Context(), ann, home, single("one more", ""))
	tw.want(err, core.ErrThrottled)
	tw.share(bob, single("another's", "x"), "x")
	open[0].Abort()
	tw.share(ann, single("one more", "x"), "x")
	for _, w := range open[1:] {
		w.Abort()
	}
	tw.holds(2)
}
