package file

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/core"
)

// follow returns what a link leads to.
func (tw *town) follow(l Link) (string, error) {
	tw.Helper()
	_, r, err := tw.OpenLink(context.Background(), l)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	tw.must(err)
	return string(b), nil
}

func (tw *town) leads(l Link, want string) {
	tw.Helper()
	if got, err := tw.follow(l); err != nil || got != want {
		tw.Errorf("the link leads to %q, not %q: %v", got, want, err)
	}
}

func (tw *town) leadsNowhere(l Link, want error) {
	tw.Helper()
	got, err := tw.follow(l)
	tw.want(err, want)
	if got != "" {
		tw.Errorf("the link leads to %q", got)
	}
}

func TestALinkIsForWhoeverHasIt(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "words"), "words")
	l := tw.Link(f, false, time.Hour)
	tw.leads(l, "words")
	tw.restart()
	tw.leads(l, "words") // the key is kept
	if again := tw.Link(f, false, time.Hour); again != l {
		t.Errorf("%+v is another link than %+v", again, l)
	}
}

func TestForgedLinksLeadNowhere(t *testing.T) {
	tw := newTown(t, Config{})
	picture := drawn(t, "png", 10, 10)
	f, other := tw.share(ann, single("a.png", picture), picture), tw.share(bob, single("b.txt", "other"), "other")
	good, folder := tw.Link(f, false, time.Hour), tw.share(ann, below("docs", "c.txt", "c"), "c").Parent
	for what, forge := range map[string]func(*Link){
		"no proof":              func(l *Link) { l.Proof = "" },
		"a guessed proof":       func(l *Link) { l.Proof = "AAAAAAAAAAAAAAAAAAAAAA" },
		"a part of the proof":   func(l *Link) { l.Proof = l.Proof[:10] },
		"another file":          func(l *Link) { l.File = other.ID },
		"a folder":              func(l *Link) { l.File = folder },
		"no file":               func(l *Link) { l.File = 1 << 40 },
		"longer":                func(l *Link) { l.Expires = l.Expires.Add(time.Hour) },
		"a thumbnail's":         func(l *Link) { *l = tw.Link(f, true, time.Hour) },
		"made without the file": func(l *Link) { *l = tw.Link(core.File{ID: f.ID}, false, time.Hour) },
	} {
		l := good
		forge(&l)
		t.Log(what)
		tw.leadsNowhere(l, core.ErrFileNotFound)
	}
	if _, _, err := tw.OpenThumbnailLink(t.Context(), good); err == nil {
		t.Error("the link to a file leads to its thumbnail")
	}
	_, r, err := tw.OpenThumbnailLink(t.Context(), tw.Link(f, true, time.Hour))
	tw.must(err)
	tw.must(r.Close())

	elsewhere := newTown(t, Config{})
	same := elsewhere.share(ann, single("a.png", picture), picture)
	if same.ID != f.ID || same.SHA256 != f.SHA256 {
		t.Fatalf("%+v", same)
	}
	tw.leadsNowhere(elsewhere.Link(same, false, time.Hour), core.ErrFileNotFound)
}

func TestALinkLeadsToWhatItWasMadeFor(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "first"), "first")
	l := tw.Link(f, false, time.Hour)
	replaced := tw.share(ann, single("a.txt", "second"), "second")
	if replaced.ID != f.ID {
		t.Fatalf("%d replaced %d", replaced.ID, f.ID)
	}
	tw.leadsNowhere(l, core.ErrFileNotFound)
	l = tw.Link(replaced, false, time.Hour)
	tw.leads(l, "second")
	tw.must(tw.Delete(t.Context(), ann, home, f.ID))
	tw.leadsNowhere(l, core.ErrFileNotFound)
}

// TestALinkEnds after it was good as long as was promised. Made again within a day it is the same.
func TestALinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{linkKey: []byte("a key")}
		f := core.File{ID: 7}
		for _, life := range []time.Duration{time.Second, 24 * time.Hour, 30 * 24 * time.Hour} {
			l := s.Link(f, false, life)
			if is := time.Until(l.Expires); is < life || is > life+24*time.Hour {
				t.Errorf("good for %v, not %v", is, life)
			}
			time.Sleep(time.Second)
			if again := s.Link(f, false, life-time.Second); again != l {
				t.Errorf("%+v is another link than %+v", again, l)
			}
			time.Sleep(24 * time.Hour)
			if next := s.Link(f, false, life); next == l {
				t.Error("the same link as yesterday")
			}
		}
	})
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "words"), "words")
	past := Link{File: f.ID, Expires: time.Now().Add(-time.Second)}
	past.Proof = tw.prove(past, f.SHA256)
	tw.leadsNowhere(past, core.ErrForbidden)
}
