package transfer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/internal/transfer"
	"parley/test/fresh"
)

var (
	operator = core.NewOperator()
	home     = core.Origin{Gateway: "test"}
)

// house is a server's services on a data folder.
type house struct {
	testing.TB
	dir      string
	db       *store.DB
	accounts *account.Service
	contacts *contact.Service
	chat     *chat.Service
	files    *file.Service
	archives *transfer.Archives
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, dir: t.TempDir()}
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	goroutines := obs.NewGoroutines(log)
	var err error
	h.db, err = store.Open(t.Context(), store.Config{Path: fresh.Database(t, filepath.Join(h.dir, "parley.db")), Log: log, Metrics: metrics})
	h.must(err)
	h.contacts = contact.New(h.db, account.NameKey, func(core.Event) {}, contact.Config{})
	h.chat = chat.New(chat.Config{
		DB: h.db, Audit: audit.New(h.db), Contacts: h.contacts, Publish: func(core.Event) {}, Log: log, Metrics: metrics, Goroutines: goroutines,
	})
	trail := audit.New(h.db)
	h.accounts = account.New(h.db, cluster.NewLocal(), nil, nil, trail, h.chat, account.Config{Log: log, Metrics: metrics})
	blobs, err := blob.OpenDisk(filepath.Join(h.dir, "files"), goroutines)
	h.must(err)
	h.files, err = file.New(context.Background(), file.Config{
		DB: h.db, Blobs: blobs, Rooms: h.chat, Audit: trail, Log: log, Metrics: metrics, Goroutines: goroutines,
	})
	h.must(err)
	h.archives = transfer.NewArchives(transfer.ArchivesConfig{
		DB: h.db, Accounts: h.accounts, Contacts: h.contacts, Chat: h.chat, Files: h.files, Audit: trail,
		AvatarDir: filepath.Join(h.dir, "avatars"), Log: log,
	})
	t.Cleanup(func() {
		h.chat.Drain(context.Background())
		h.chat.Close()
		h.must(goroutines.Wait(context.Background()))
		h.must(h.db.Close())
	})
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) exec(query string, args ...any) {
	h.Helper()
	h.must(h.db.Update(h.Context(), func(ctx context.Context) error {
		_, err := h.db.Exec(ctx, query, args...)
		return err
	}))
}

func (h *house) count(query string) (n int) {
	h.Helper()
	h.must(h.db.QueryRow(h.Context(), query, nil, &n))
	return n
}

func (h *house) add(u account.NewUser) core.Actor {
	h.Helper()
	u.Password = "secret of " + u.Name
	user, err := h.accounts.Add(h.Context(), operator, home, u)
	h.must(err)
	return core.NewActor(user)
}

func (h *house) befriend(a, b core.Actor, remark string) {
	h.Helper()
	h.must(h.contacts.Request(h.Context(), a, b.User(), "shall we?"))
	_, err := h.contacts.Accept(h.Context(), b, a.User(), remark)
	h.must(err)
}

func (h *house) say(from core.Actor, to chat.Target, retry chat.RetryRule, id, text string) {
	h.Helper()
	done := make(chan error, 1)
	err := h.chat.Post(h.Context(), from, chat.Post{To: to, Origin: "test", Retry: retry, Drafts: []chat.Draft{{ClientID: id, Text: text}}},
		func(_ []core.Message, err error) { done <- err })
	h.must(err)
	h.must(<-done)
}

func (h *house) share(owner core.Actor, folder, name, content string) core.File {
	h.Helper()
	w, err := h.files.Begin(h.Context(), owner, home, file.Upload{Area: core.Lobby, Folder: folder, Name: name, Size: int64(len(content))})
	h.must(err)
	_, err = io.Copy(w, strings.NewReader(content))
	h.must(err)
	f, err := w.Commit(h.Context())
	h.must(err)
	return f
}

// attach has one of the house send files to another without words: one's own, one of the other's, and one that is deleted
// afterwards. It returns the one's own.
func (h *house) attach(one, two string) (own core.FileID) {
	h.Helper()
	from, other := h.actor(one), h.actor(two)
	opened, err := h.chat.OpenDirect(h.Context(), from, other.User())
	h.must(err)
	for _, owner := range []core.Actor{from, other, from} {
		w, err := h.files.Begin(h.Context(), owner, home, file.Upload{Area: opened.Conversation.ID, Name: "attached.png", Size: 4, KeepBoth: true})
		h.must(err)
		_, err = io.Copy(w, strings.NewReader("file"))
		h.must(err)
		f, err := w.Commit(h.Context())
		h.must(err)
		done := make(chan error, 1)
		h.must(h.chat.Post(h.Context(), from, chat.Post{To: user(other), Origin: "test", Drafts: []chat.Draft{{File: f.ID}}},
			func(_ []core.Message, err error) { done <- err }))
		h.must(<-done)
		switch f.Name {
		case "attached.png":
			own = f.ID
		case "attached (3).png":
			h.must(h.files.Delete(h.Context(), from, home, f.ID))
		}
	}
	return own
}

// actor is somebody of the house by name.
func (h *house) actor(name string) core.Actor {
	h.Helper()
	u := core.User{Name: name}
	h.must(h.db.QueryRow(h.Context(), `SELECT uid, epoch FROM "user" WHERE name = ?`, []any{name}, (*int64)(&u.ID), &u.Epoch))
	return core.NewActor(u)
}

func (h *house) picture(user, name, content string, at time.Time) {
	h.Helper()
	path := filepath.Join(h.dir, "avatars", user, name)
	h.must(os.MkdirAll(filepath.Dir(path), 0o700))
	h.must(os.WriteFile(path, []byte(content), 0o600))
	h.must(os.Chtimes(path, at, at))
}

func lobby() chat.Target                 { return chat.Target{Room: core.Lobby} }
func user(a core.Actor) chat.Target      { return chat.Target{User: a.User()} }
func noAdvance(string, int64, int64)     {}
func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

const room core.ConversationID = 10

// lived is a house in which something of every kind has happened.
func lived(t testing.TB) *house {
	t.Helper()
	h := newHouse(t)
	root := h.add(account.NewUser{Name: "root", Admin: true})
	ann := h.add(account.NewUser{Name: "Ann", Email: "ann@example.com", Phone: "+8613800138000"})
	bob := h.add(account.NewUser{Name: "小包", Email: "bob@example.com"})
	cyd := h.add(account.NewUser{Name: "cyd"})
	dan := h.add(account.NewUser{Name: "dan"})
	h.must(h.accounts.SetPassword(h.Context(), operator, home, "Ann", "another"))
	h.must(h.accounts.SetDisabled(h.Context(), operator, home, "dan", true))
	h.exec(`UPDATE "user" SET "desc" = 'two
lines', sex = 1, avatar = 'me.png' WHERE name = 'Ann'`)
	h.befriend(ann, bob, "remark of Bob's")
	h.befriend(bob, cyd, "")
	h.exec(`UPDATE friend SET back = 'remark of Ann''s' WHERE self_id = ? AND friend_id = ?`, int64(ann.User()), int64(bob.User()))
	h.must(h.contacts.Request(h.Context(), ann, cyd.User(), "please"))
	h.must(h.contacts.Request(h.Context(), dan, ann.User(), "I am Dan"))
	h.must(h.contacts.Request(h.Context(), root, ann.User(), "from root"))
	h.must(h.contacts.Block(h.Context(), root, ann.User())) // which Ann is not told
	h.must(h.contacts.Block(h.Context(), ann, dan.User()))
	h.exec(`INSERT INTO conversation (id, kind, name, created_at) VALUES (?, 2, 'den', 77)`, int64(room))
	h.exec(`INSERT INTO member (user_id, conversation_id, role, joined_at) VALUES (1002, 10, 3, 78), (1003, 10, 2, 79)`)
	h.exec(`UPDATE conversation SET topic = 'two
lines' WHERE id = 10`)
	h.exec(`INSERT INTO restriction (conversation_id, user_id, muted_until, shut_out) VALUES (10, 1002, 0, 1), (10, 1004, 99, 0)`)
	for i := range 5 {
		h.say(root, lobby(), chat.RetryForever, fmt.Sprint("r", i), fmt.Sprint("root says ", i))
		h.say(ann, lobby(), chat.RetryForever, fmt.Sprint("a", i), fmt.Sprint("Ann says <&> \"", i, "\" \u2028\U0001F600"))
		h.say(bob, chat.Target{Room: room}, chat.RetryRecent, "1", fmt.Sprint("den, Bob ", i))
		h.say(ann, chat.Target{Room: room}, chat.RetryForever, "", fmt.Sprint("den, Ann ", i))
	}
	h.say(ann, user(bob), chat.RetryForever, "d1", "to Bob")
	h.say(bob, user(ann), chat.RetryRecent, "1", strings.Repeat("long ", 10_000))
	h.say(bob, user(cyd), chat.RetryForever, "", "of which Ann knows nothing")
	h.change(root, ann, bob)
	for _, a := range []core.Actor{ann, bob} {
		for _, g := range []core.Gateway{"one", "two"} {
			_, err := h.chat.Behind(h.Context(), a.User(), g)
			h.must(err)
		}
	}
	h.exec(`UPDATE cursor SET seq = 7 WHERE conversation_id = 1 AND user_id = 1002`)
	h.share(ann, "", "notes.txt", "some text")
	h.share(ann, "holiday", `2026\sea.txt`, "the sea")
	h.share(ann, "holiday", "list.txt", "")
	h.share(bob, "", "notes.txt", "Bob's")
	h.share(bob, "", "big.bin", strings.Repeat("0123456789abcdef", 300_000))
	h.must(h.files.Delete(h.Context(), operator, home, h.share(bob, "", "gone.txt", "gone").ID))
	h.share(cyd, "work", "a/b/c.txt", "deep")
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	h.picture("Ann", "me.png", "a picture of Ann", at)
	h.picture("小包", "脸.png", strings.Repeat("p", 3000), at)
	h.picture("小包", strings.Repeat("n", 200)+".png", "", at)
	h.picture("nobody", "old.png", "left by somebody who is no user", at)
	h.picture("cyd", "page.html", "no picture", at)
	h.must(os.WriteFile(h.path("avatars/stray.png"), nil, 0o600))
	h.exec(`INSERT INTO imported (source, noun, foreign_id, local_id) VALUES ('x', 'user', '7', 1001), ('x', 'file', 'b', 2)`)
	h.exec(`UPDATE user_id SET id = 1234`)
	return h
}

// change has messages answered, edited, deleted and reacted to.
func (h *house) change(root, ann, bob core.Actor) {
	h.Helper()
	ctx := h.Context()
	for seq, who := range map[core.Seq]core.Actor{1: root, 2: ann} {
		_, err := h.chat.React(ctx, bob, core.Lobby, seq, "👍", true)
		h.must(err)
		_, err = h.chat.React(ctx, ann, core.Lobby, seq, "❤️", true)
		h.must(err)
		_, err = h.chat.Edit(ctx, who, core.Lobby, seq, who.Name()+" says @小包 and @root")
		h.must(err)
	}
	h.must(h.chat.MarkRead(ctx, ann, core.Lobby, 5))
	h.must(h.chat.MarkRead(ctx, bob, core.Lobby, 7))
	h.must(h.chat.Delete(ctx, bob, core.Origin{}, room, 1))
	h.must(h.chat.Delete(ctx, ann, core.Origin{}, room, 2))
	for _, reply := range []core.Seq{3, 4} { // Bob's and Ann's
		done := make(chan error, 1)
		h.must(h.chat.Post(ctx, ann, chat.Post{To: chat.Target{Room: room}, Origin: "test", Drafts: []chat.Draft{{Text: "den, Ann again", ReplyTo: reply}}},
			func(_ []core.Message, err error) { done <- err }))
		h.must(<-done)
	}
}

// export writes an archive and returns its path.
func (h *house) export(who string) string {
	h.Helper()
	path := filepath.Join(h.TempDir(), "archive.tar")
	out, err := h.archives.Export(h.Context(), operator, home, transfer.Export{File: path, User: who}, noAdvance)
	h.must(err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != out.Size {
		h.Errorf("%v %v %+v", err, info.Mode(), out)
	}
	if len(out.LeftOut) != 0 {
		h.Errorf("left out: %v", out.LeftOut)
	}
	return path
}

func (h *house) restore(path string, dryRun bool) (transfer.Restored, error) {
	return h.archives.Restore(h.Context(), operator, home, transfer.Restore{File: path, DryRun: dryRun}, noAdvance)
}

// part is an entry of an archive.
type part struct {
	name    string
	content string
}

func partsOf(t testing.TB, path string) (parts []part) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{h.Name, string(content)})
	}
}

func content(parts []part, name string) string {
	for _, p := range parts {
		if p.name == name {
			return p.content
		}
	}
	return ""
}

// same compares two archives but for their times of writing.
func same(t testing.TB, a, b string) {
	t.Helper()
	first, second := partsOf(t, a), partsOf(t, b)
	if len(first) != len(second) {
		t.Fatalf("%d parts and %d parts", len(first), len(second))
	}
	for i := range first {
		f, s := first[i], second[i]
		switch {
		case f.name != s.name:
			t.Errorf("%s and %s", f.name, s.name)
		case f.name == "manifest.json":
			if f, s := timeless(f.content), timeless(s.content); f != s {
				t.Errorf("%s and %s", f, s)
			}
		case f.name != "complete.json" && f.content != s.content:
			t.Errorf("%s differs:\n%s\n%s", f.name, short(f.content), short(s.content))
		}
	}
}

// timeless cuts the time of writing out of a manifest.
func timeless(manifest string) string {
	before, after, _ := strings.Cut(manifest, `"created":"`)
	return strings.TrimRight(before+after[strings.IndexByte(after, '"'):], " \n")
}

func short(s string) string { return s[:min(len(s), 3000)] }

// cancelAfter returns a context that ends at the nth call of the function.
func cancelAfter(t testing.TB, n int) (context.Context, transfer.Advance) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, func(string, int64, int64) {
		if n--; n == 0 {
			cancel()
		}
	}
}
