package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// Ann and Bob are members of the lobby, Cyd is not; Eve administers and is no member either.
var (
	ann = core.NewActor(core.User{ID: 1001, Name: "Ann", Avatar: "ann.png"})
	bob = core.NewActor(core.User{ID: 1002, Name: "Bob"})
	cyd = core.NewActor(core.User{ID: 1003, Name: "Cyd"})
	eve = core.NewActor(core.User{ID: 1004, Name: "Eve", Admin: true})

	operator = core.NewOperator()
	nobody   core.Actor
	home     = core.Origin{Gateway: "test", IP: netip.MustParseAddr("192.0.2.7")}
)

// town is a data folder with a few people in it and the service under test.
type town struct {
	testing.TB
	*Service
	rooms      *chat.Service
	dir        string
	db         *store.DB
	goroutines *obs.Goroutines

	mu     sync.Mutex // guards events
	events []core.Event
}

func newTown(t testing.TB, limits Config) *town {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	tw := &town{TB: t, dir: t.TempDir(), goroutines: obs.NewGoroutines(log)}
	metrics := obs.NewMetrics()
	db, err := store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(tw.dir, "parley.db")), Log: log, Metrics: metrics})
	tw.must(err)
	contacts := contact.New(db, strings.ToLower, func(core.Event) {}, contact.Config{})
	rooms := chat.New(chat.Config{
		DB: db, Audit: audit.New(db), Contacts: contacts, Publish: tw.publish, Log: log, Metrics: metrics,
		Goroutines: obs.NewGoroutines(log), // its own, for they run until it is closed
	})
	tw.rooms = rooms
	t.Cleanup(func() {
		rooms.Drain(context.Background())
		rooms.Close()
		tw.settle()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, a := range []core.Actor{ann, bob, cyd, eve} {
		tw.db = db
		tw.exec(`INSERT INTO "user" (uid, name, name_key, avatar, created_at) VALUES (?, ?, ?, ?, 1)`, int64(a.User()), a.Name(), a.Name(), a.Avatar())
	}
	for _, a := range []core.Actor{ann, bob} {
		tw.must(db.Update(context.Background(), func(ctx context.Context) error { return rooms.JoinLobby(ctx, a.User()) }))
	}
	rooms.OnDetach(func(ctx context.Context, file core.FileID, by core.UserID) error { return tw.Detach(ctx, file, by) })
	limits.DB, limits.Rooms, limits.Audit, limits.Log, limits.Goroutines = db, rooms, audit.New(db), log, tw.goroutines
	tw.Service = &Service{cfg: limits}
	tw.restart()
	return tw
}

func (tw *town) publish(ev core.Event) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	tw.events = append(tw.events, ev)
}

// changes returns what of messages has changed since it was called last.
func (tw *town) changes() (list []core.MessageChanged) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	for _, ev := range tw.events {
		if c, ok := ev.(core.MessageChanged); ok {
			list = append(list, c)
		}
	}
	tw.events = nil
	return list
}

// restart gives the town a new service, as after a crash: nothing of what the old one was doing is ended.
func (tw *town) restart() {
	tw.Helper()
	cfg := tw.cfg
	disk, err := blob.OpenDisk(filepath.Join(tw.dir, "blobs"), tw.goroutines)
	tw.must(err)
	cfg.Blobs, cfg.Metrics = disk, obs.NewMetrics()
	tw.Service, err = New(context.Background(), cfg)
	tw.must(err)
	tw.OnChange(tw.rooms.FilesChanged)
	tw.free = func() (uint64, bool) { return 1 << 40, true }
}

func (tw *town) must(err error) {
	tw.Helper()
	if err != nil {
		tw.Fatal(err)
	}
}

func (tw *town) want(err, want error) {
	tw.Helper()
	if !errors.Is(err, want) {
		tw.Errorf("error %v, not %v", err, want)
	}
}

func (tw *town) exec(query string, args ...any) {
	tw.Helper()
	tw.must(tw.db.Update(context.Background(), func(ctx context.Context) error {
		_, err := tw.db.Exec(ctx, query, args...)
		return err
	}))
}

// settle waits until what follows commits is done.
func (tw *town) settle() {
	tw.Helper()
	tw.must(tw.goroutines.Wait(context.Background()))
}

// single and below are uploads to the lobby.
func single(name string, content string) Upload {
	return Upload{Area: core.Lobby, Name: name, Size: int64(len(content))}
}

func below(folder, path, content string) Upload {
	return Upload{Area: core.Lobby, Folder: folder, Name: path, Size: int64(len(content))}
}

// send uploads content and returns what the service says of it.
func (tw *town) send(actor core.Actor, u Upload, content string) (core.File, error) {
	tw.Helper()
	w, err := tw.Begin(context.Background(), actor, home, u)
	if err != nil {
		return core.File{}, err
	}
	defer w.Abort()
	if _, err := w.ReadFrom(struct{ io.Reader }{strings.NewReader(content)}); err != nil {
		return core.File{}, err
	}
	return w.Commit(context.Background())
}

// share is an upload that must go well.
func (tw *town) share(actor core.Actor, u Upload, content string) core.File {
	tw.Helper()
	f, err := tw.send(actor, u, content)
	tw.must(err)
	if f.SHA256 != sha256.Sum256([]byte(content)) || f.Size != int64(len(content)) || f.Owner.ID != actor.User() || f.Owner.Name != actor.Name() {
		tw.Errorf("shared as %+v", f)
	}
	got, err := tw.Get(context.Background(), actor, f.ID)
	if err != nil || got != f {
		tw.Errorf("got %+v, not %+v: %v", got, f, err)
	}
	return f
}

// read returns a file's content.
func (tw *town) read(id core.FileID) string {
	tw.Helper()
	f, r, err := tw.Open(context.Background(), ann, id)
	tw.must(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	tw.must(err)
	if f.Size != int64(len(b)) || f.SHA256 != sha256.Sum256(b) {
		tw.Errorf("%d bytes of %+v", len(b), f)
	}
	return string(b)
}

// names returns what is in a folder of the lobby, in its order; a folder's name ends with a slash.
func (tw *town) names(parent core.FileID) (names []string) {
	tw.Helper()
	list, err := tw.List(context.Background(), ann, core.Lobby, parent)
	tw.must(err)
	for _, f := range list {
		name := f.Name
		if f.Kind == core.Folder {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

func (tw *town) listed(parent core.FileID, want ...string) {
	tw.Helper()
	if got := tw.names(parent); !slices.Equal(got, want) {
		tw.Errorf("listed are %q, not %q", got, want)
	}
}

// blobFiles returns the files in the blob folder, whole or not.
func (tw *town) blobFiles() (paths []string) {
	tw.Helper()
	tw.must(filepath.WalkDir(filepath.Join(tw.dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// holds checks that there are n blobs, and nothing in flight.
func (tw *town) holds(n int) {
	tw.Helper()
	tw.settle()
	if got := tw.blobFiles(); len(got) != n {
		tw.Errorf("%d blobs, not %d: %q", len(got), n, got)
	}
	i := &tw.inflight
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.blobs)+len(i.claims)+len(i.promised)+len(i.running) > 0 {
		tw.Errorf("still in flight: %v, %v, %v", i.blobs, i.claims, i.promised)
	}
}

func (tw *town) used(actor core.Actor, want int64) {
	tw.Helper()
	used, _, err := tw.Usage(context.Background(), actor, actor.User())
	if err != nil || used != want {
		tw.Errorf("%d bytes used, not %d: %v", used, want, err)
	}
}

func (tw *town) thumbnail(actor core.Actor, id core.FileID) ([]byte, error) {
	_, r, err := tw.Thumbnail(context.Background(), actor, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

func nothing(context.Context) error { return nil }

func date(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
