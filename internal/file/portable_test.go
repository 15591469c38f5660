package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/blob"
	"parley/internal/core"
)

func (tw *town) records(only core.UserID) (list []core.File) {
	tw.Helper()
	tw.must(tw.Records(context.Background(), operator, only, func(f core.File) error { list = append(list, f); return nil }))
	return list
}

// TestFilesComeBackAsTheyWere moves files and folders to another server.
func TestFilesComeBackAsTheyWere(t *testing.T) {
	here, there := newTown(t, Config{}), newTown(t, Config{Quota: 1, MaxFile: 1}) // which are for people
	here.share(ann, single("a.txt", "one"), "one")
	gone := here.share(bob, single("gone.txt", "gone"), "gone")
	here.share(ann, below("trip", `day 1\sea.png`, "\x89PNG\r\n\x1a\n"), "\x89PNG\r\n\x1a\n")
	here.share(bob, single("empty", ""), "")
	big := strings.Repeat("0123456789", 100_000)
	here.share(bob, single("big.txt", big), big)
	here.must(here.Delete(t.Context(), bob, home, gone.ID))
	want := here.records(0)
	if len(want) != 6 || want[1].Kind != core.Folder || want[1].ID != 3 {
		t.Fatalf("%+v", want)
	}
	for _, f := range want {
		var r io.Reader
		if f.Kind == core.PlainFile {
			r = strings.NewReader(here.read(f.ID))
		}
		got, err := there.AdoptFile(t.Context(), operator, f, r)
		there.must(err)
		if d := cmp.Diff(f, got); d != "" {
			t.Error(d)
		}
		if f.Kind == core.PlainFile && there.read(got.ID) != here.read(f.ID) {
			t.Errorf("%s has other bytes", f.Name)
		}
	}
	if d := cmp.Diff(want, there.records(0)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[:4:4], here.records(ann.User())); d != "" {
		t.Error(d)
	}
	there.must(there.Sweep(t.Context()))
	if there.read(want[5].ID) != big || len(there.inflight.blobs) != 0 {
		t.Error("what was adopted is swept, or still in flight")
	}
}

func TestAdoptFindsOutWhatIsNotSaid(t *testing.T) {
	tw := newTown(t, Config{})
	tw.share(bob, single("a.txt", "Bob's"), "Bob's")
	got, err := tw.AdoptFile(t.Context(), operator, core.File{
		Area: core.Lobby, Owner: core.Author{ID: ann.User()}, Kind: core.PlainFile, Name: "a.txt", Size: -1,
	}, iotest.OneByteReader(strings.NewReader("hello")))
	tw.must(err)
	if got.ID != 2 || got.Name != "a (2).txt" || got.Size != 5 || got.SHA256 != sha256.Sum256([]byte("hello")) ||
		!strings.HasPrefix(got.Type, "text/plain") || time.Since(got.At) > time.Minute || got.Owner.Name != "Ann" {
		t.Errorf("%+v", got)
	}
	// One's own file is not replaced either.
	got, err = tw.AdoptFile(t.Context(), operator, core.File{
		Area: core.Lobby, Owner: core.Author{ID: ann.User()}, Kind: core.PlainFile, Name: "a (2).txt", Size: -1,
	}, strings.NewReader("other"))
	tw.must(err)
	if got.Name == "a (2).txt" {
		t.Errorf("%+v", got)
	}
}

func TestAdoptFileRefuses(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "one"), "one")
	with := func(edit func(*core.File)) core.File {
		f := core.File{Area: core.Lobby, Owner: core.Author{ID: ann.User()}, Kind: core.PlainFile, Name: "new.txt", Size: 5}
		edit(&f)
		return f
	}
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		f    core.File
		r    io.Reader
		want error
	}{
		"climbing":              {with(func(f *core.File) { f.Name = "../x" }), nil, core.ErrInvalidFileName},
		"no name":               {with(func(f *core.File) { f.Name = "" }), nil, core.ErrInvalidFileName},
		"no kind":               {with(func(f *core.File) { f.Kind = 0 }), nil, core.ErrInvalid},
		"heavy folder":          {with(func(f *core.File) { f.Kind = core.Folder }), nil, core.ErrInvalid},
		"negative":              {with(func(f *core.File) { f.ID = -1 }), nil, core.ErrInvalid},
		"broken path":           {with(func(f *core.File) { f.Sent = "\xff" }), nil, core.ErrInvalid},
		"number taken":          {with(func(f *core.File) { f.ID = 1 }), nil, core.ErrInvalid},
		"no room":               {with(func(f *core.File) { f.Area = 99 }), nil, core.ErrConversationNotFound},
		"no owner":              {with(func(f *core.File) { f.Owner.ID = 9 }), nil, core.ErrUserNotFound},
		"in a file":             {with(func(f *core.File) { f.Parent = 1 }), nil, core.ErrFileNotFound},
		"in nothing":            {with(func(f *core.File) { f.Parent = 77 }), nil, core.ErrFileNotFound},
		"too short":             {with(func(f *core.File) { f.Size = 6 }), nil, core.ErrIncomplete},
		"too long":              {with(func(f *core.File) { f.Size = 4 }), nil, core.ErrIncomplete},
		"another sum":           {with(func(f *core.File) { f.SHA256[0] = 1 }), nil, core.ErrIncomplete},
		"reader that ends":      {with(func(*core.File) {}), iotest.ErrReader(boom), boom},
		"reader that ends late": {with(func(*core.File) {}), io.MultiReader(strings.NewReader(strings.Repeat("x", maxHead+5)), iotest.ErrReader(boom)), boom},
	} {
		r := c.r
		if r == nil {
			r = strings.NewReader("bytes")
		}
		if _, err := tw.AdoptFile(t.Context(), operator, c.f, r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	tw.free = func() (uint64, bool) { return reserve, true }
	_, err := tw.AdoptFile(t.Context(), operator, with(func(*core.File) {}), strings.NewReader("bytes"))
	tw.want(err, core.ErrDiskFull)
	for _, a := range []core.Actor{nobody, ann, cyd} {
		_, err := tw.AdoptFile(t.Context(), a, with(func(*core.File) {}), strings.NewReader("bytes"))
		tw.want(err, core.ErrForbidden)
		tw.want(tw.Records(t.Context(), a, 0, func(core.File) error { t.Error("a record for " + a.Name()); return nil }), core.ErrForbidden)
	}
	tw.holds(1)
	if list := tw.records(0); len(list) != 1 || list[0].ID != f.ID || len(tw.inflight.blobs) != 0 {
		t.Errorf("left behind: %v %v", list, tw.inflight.blobs)
	}
}

// TestAdoptInAUnitThatFails leaves bytes behind, which nobody sees, and which the next process sweeps after a day.
func TestAdoptInAUnitThatFails(t *testing.T) {
	tw := newTown(t, Config{})
	boom := errors.New("boom")
	err := tw.db.Update(t.Context(), func(ctx context.Context) error {
		_, err := tw.AdoptFile(ctx, operator, core.File{
			Area: core.Lobby, Owner: core.Author{ID: ann.User()}, Kind: core.PlainFile, Name: "new.txt", Size: 5,
		}, strings.NewReader("bytes"))
		return errors.Join(err, boom)
	})
	tw.want(err, boom)
	if len(tw.records(0)) != 0 {
		t.Error("the row stayed")
	}
	tw.restart()
	tw.age()
	tw.must(tw.Sweep(t.Context()))
	tw.holds(0)
}

// TestRecordsOfOneMoment deletes a file while records are read.
func TestRecordsOfOneMoment(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "one"), "one")
	tw.must(tw.db.View(t.Context(), func(ctx context.Context) error {
		tw.must(tw.Delete(t.Context(), ann, home, f.ID))
		tw.settle()
		seen := 0
		tw.must(tw.Records(ctx, operator, 0, func(g core.File) error {
			seen++
			_, _, err := tw.Open(ctx, operator, g.ID)
			tw.want(err, blob.ErrNotFound)
			return nil
		}))
		if seen != 1 {
			t.Errorf("%d records", seen)
		}
		return nil
	}))
	tw.holds(0)
}
