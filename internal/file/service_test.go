package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/internal/core"
)

// calls are the methods that look at or change a stored thing, by name.
var calls = map[string]func(tw *town, a core.Actor, id core.FileID) error{
	"list": func(tw *town, a core.Actor, _ core.FileID) error {
		_, err := tw.List(tw.Context(), a, core.Lobby, 0)
		return err
	},
	"find": func(tw *town, a core.Actor, _ core.FileID) error {
		_, err := tw.Find(tw.Context(), a, core.Lobby, "docs")
		return err
	},
	"get":  func(tw *town, a core.Actor, id core.FileID) error { _, err := tw.Get(tw.Context(), a, id); return err },
	"tree": func(tw *town, a core.Actor, id core.FileID) error { _, err := tw.Tree(tw.Context(), a, id); return err },
	"open": func(tw *town, a core.Actor, id core.FileID) error {
		_, r, err := tw.Open(tw.Context(), a, id)
		if err == nil {
			err = r.Close()
		}
		return err
	},
	"thumbnail": func(tw *town, a core.Actor, id core.FileID) error { _, err := tw.thumbnail(a, id); return err },
	"delete":    func(tw *town, a core.Actor, id core.FileID) error { return tw.Delete(tw.Context(), a, home, id) },
	"usage": func(tw *town, a core.Actor, _ core.FileID) error {
		_, _, err := tw.Usage(tw.Context(), a, ann.User())
		return err
	},
}

func TestWhoMayDoWhat(t *testing.T) {
	for _, tt := range []struct {
		name, who string
		actor     core.Actor
		want      map[string]error
	}{
		{"nobody", "nobody", nobody, map[string]error{
			"list": core.ErrLoginRequired, "find": core.ErrLoginRequired, "get": core.ErrLoginRequired, "tree": core.ErrLoginRequired,
			"open": core.ErrLoginRequired, "thumbnail": core.ErrLoginRequired, "delete": core.ErrLoginRequired, "usage": core.ErrLoginRequired,
		}},
		{"who is no member", "cyd", cyd, map[string]error{
			"list": core.ErrConversationNotFound, "find": core.ErrConversationNotFound, "get": core.ErrFileNotFound, "tree": core.ErrFileNotFound,
			"open": core.ErrFileNotFound, "thumbnail": core.ErrFileNotFound, "delete": core.ErrFileNotFound, "usage": core.ErrForbidden,
		}},
		{"another member", "bob", bob, map[string]error{"delete": core.ErrForbidden, "usage": core.ErrForbidden}},
		{"an administrator who is no member", "eve", eve, map[string]error{
			"list": core.ErrConversationNotFound, "find": core.ErrConversationNotFound, "get": core.ErrFileNotFound, "tree": core.ErrFileNotFound,
			"open": core.ErrFileNotFound, "thumbnail": core.ErrFileNotFound,
		}},
		{"the operator", "operator", operator, nil},
		{"the owner", "ann", ann, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tw := newTown(t, Config{})
			f := tw.share(ann, below("docs", "a.png", drawn(t, "png", 3, 2)), drawn(t, "png", 3, 2))
			for _, call := range []string{"list", "find", "get", "tree", "open", "thumbnail", "usage", "delete"} {
				id := f.ID
				if call == "tree" {
					id = f.Parent
				}
				if err := calls[call](tw, tt.actor, id); !errors.Is(err, tt.want[call]) {
					t.Errorf("%s: %v, not %v", call, err, tt.want[call])
				}
			}
		})
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, below("docs", "a", "x"), "x")
	tw.exec(`INSERT INTO conversation (id, kind, name, created_at) VALUES (7, 2, 'other', 1)`)
	tw.exec(`INSERT INTO member (user_id, conversation_id, joined_at) VALUES (?, 7, 1)`, int64(ann.User()))
	for name, err := range map[string]error{
		"an unknown file":           calls["get"](tw, ann, 999),
		"an unknown folder":         calls["tree"](tw, ann, 999),
		"a file as a folder":        calls["tree"](tw, ann, f.ID),
		"a folder as a file":        calls["open"](tw, ann, f.Parent),
		"a folder's picture":        calls["thumbnail"](tw, ann, f.Parent),
		"deleting an unknown file":  calls["delete"](tw, eve, 999),
		"a name below the top":      second(tw.Find(t.Context(), ann, core.Lobby, "a")),
		"a name of another room":    second(tw.Find(t.Context(), ann, 7, "docs")),
		"a very long name":          second(tw.Find(t.Context(), ann, core.Lobby, strings.Repeat("x", 1<<20))),
		"a file's list":             second(tw.List(t.Context(), ann, core.Lobby, f.ID)),
		"another room's folder":     second(tw.List(t.Context(), ann, 7, f.Parent)),
		"an unknown folder's list":  second(tw.List(t.Context(), ann, core.Lobby, 999)),
		"a folder that is negative": second(tw.List(t.Context(), ann, core.Lobby, -1)),
	} {
		if !errors.Is(err, core.ErrFileNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAFolderIsListedAsATreeAndInTheOrderOfItsPaths(t *testing.T) {
	tw := newTown(t, Config{})
	for _, path := range []string{"b.txt", `sub\deep/z`, "sub/a", "a.txt", "sub-more/x", "cafe\u0301/x"} {
		tw.share(ann, below("docs", path, path), path)
	}
	tw.share(ann, single("beside", "x"), "x")
	docs, err := tw.Find(t.Context(), bob, core.Lobby, "docs")
	tw.must(err)
	if docs.Kind != core.Folder || docs.Size != 0 || docs.Type != "" || docs.Sent != "" || docs.Owner.ID != ann.User() {
		t.Errorf("%+v", docs)
	}
	files, err := tw.Tree(t.Context(), bob, docs.ID)
	tw.must(err)
	var sent []string
	for _, f := range files {
		sent = append(sent, f.Sent)
		if got := tw.read(f.ID); got != f.Sent {
			t.Errorf("%s holds %q", f.Sent, got)
		}
	}
	if want := []string{"a.txt", "b.txt", "cafe\u0301/x", "sub-more/x", "sub/a", `sub\deep/z`}; !slices.Equal(sent, want) {
		t.Errorf("%q", sent)
	}
	tw.listed(0, "docs/", "beside")
	tw.listed(docs.ID, "b.txt", "sub/", "a.txt", "sub-more/", "café/")
}

func TestAFolderGoesWithAllInIt(t *testing.T) {
	tw := newTown(t, Config{})
	png := drawn(t, "png", 3, 2)
	a := tw.share(ann, below("docs", "x/y/a.png", png), png)
	tw.share(ann, below("docs", "b", "b"), "b")
	tw.share(bob, single("c", "c"), "c")
	if _, err := tw.thumbnail(bob, a.ID); err != nil {
		t.Error(err)
	}
	tw.holds(4)
	docs, err := tw.Find(t.Context(), ann, core.Lobby, "docs")
	tw.must(err)
	_, open, err := tw.Open(t.Context(), bob, a.ID)
	tw.must(err)
	defer open.Close()
	tw.must(tw.Delete(t.Context(), ann, home, a.ID))
	tw.holds(2)
	tw.listed(a.Parent) // an empty folder stays
	tw.must(tw.Delete(t.Context(), ann, home, docs.ID))
	tw.listed(0, "c")
	tw.used(ann, 0)
	tw.holds(1)
	if b, err := io.ReadAll(open); err != nil || string(b) != png {
		t.Errorf("who was reading got %d bytes: %v", len(b), err)
	}
	tw.want(tw.Delete(t.Context(), ann, home, docs.ID), core.ErrFileNotFound)
}

func TestUploadsAndDeletionsAreOnRecord(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a.txt", "12345"), "12345")
	tw.must(tw.Delete(t.Context(), eve, home, f.ID))
	rows, err := tw.db.Query(t.Context(), `SELECT actor_name || ' ' || action || ' ' || target || ' ' || detail || ' ' || gateway || ' ' || ip FROM audit ORDER BY id`)
	tw.must(err)
	defer rows.Close()
	for _, want := range []string{
		fmt.Sprintf(`Ann file.upload file %d "a.txt" of user 1001 in conversation 1, 5 bytes test 192.0.2.7`, f.ID),
		fmt.Sprintf(`Eve file.delete file %d "a.txt" of user 1001 in conversation 1, 5 bytes test 192.0.2.7`, f.ID),
	} {
		var got string
		if !rows.Next() || rows.Scan(&got) != nil || got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if rows.Next() || rows.Err() != nil {
		t.Errorf("more on record: %v", rows.Err())
	}
}

func TestUsageIsForTheUserAndForAdministrators(t *testing.T) {
	tw := newTown(t, Config{Quota: 10_000})
	tw.share(ann, single("a", "12345"), "12345")
	long := strings.Repeat("x", 5000)
	tw.share(ann, single("b", long), long)
	for _, a := range []core.Actor{ann, eve, operator} {
		if used, quota, err := tw.Usage(t.Context(), a, ann.User()); used != minWeight+5000 || quota != 10_000 || err != nil {
			t.Errorf("%s: %d of %d: %v", a.Name(), used, quota, err)
		}
	}
	tw.used(bob, 0)
}

// TestALostBlobIsNoMissingFile takes a file's bytes away: that is damage, and must not look like a file that is not there.
func TestALostBlobIsNoMissingFile(t *testing.T) {
	tw := newTown(t, Config{})
	f := tw.share(ann, single("a", "x"), "x")
	for _, path := range tw.blobFiles() {
		tw.must(os.Remove(filepath.Clean(path)))
	}
	if _, _, err := tw.Open(t.Context(), ann, f.ID); core.KindOf(err) != core.Internal || err == nil {
		t.Errorf("%v", err)
	}
}
