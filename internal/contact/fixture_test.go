package contact_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// The users of most tests. Dave is disabled, nobody does not exist.
const (
	ann    core.UserID = 1001
	bob    core.UserID = 1002
	cyd    core.UserID = 1003
	dave   core.UserID = 1004
	nobody core.UserID = 999_999
)

type pair struct{ a, b core.UserID }

// town is a database with a few people in it and the service under test.
type town struct {
	testing.TB
	db *store.DB
	*contact.Service

	mu       sync.Mutex // guards the following
	events   []core.Event
	changes  []pair
	versions map[core.UserID]int64 // of whose contacts were said to have changed
}

func newTown(t testing.TB, cfg contact.Config) *town {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{
		Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: slog.New(slog.DiscardHandler), Metrics: obs.NewMetrics(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &town{TB: t, db: db, versions: map[core.UserID]int64{}}
	w.Service = contact.New(db, strings.ToLower, func(e core.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if c, ok := e.(core.ContactsChanged); ok {
			w.versions[c.User] = c.Version
			return
		}
		w.events = append(w.events, e)
	}, cfg)
	w.OnChange(func(a, b core.UserID) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, pair{a, b})
	})
	w.add(ann, "Ann")
	w.add(bob, "Bob")
	w.add(cyd, "Cyd")
	w.add(dave, "Dave")
	w.exec(`UPDATE "user" SET disabled = 1 WHERE uid = ?`, int64(dave))
	return w
}

func (w *town) exec(query string, args ...any) {
	w.Helper()
	err := w.db.Update(context.Background(), func(ctx context.Context) error {
		_, err := w.db.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

const insertUser = `INSERT INTO "user" (uid, name, name_key, email, email_key, phone, nick, "desc", icon, avatar, sex, password, created_at)
	VALUES (?, ?, ?, ?, ?, '10086', ?, 'about me', ':/res/head_1.jpg', 'face.png', 1, 'secret', 1)`

func userArgs(uid core.UserID, name string) []any {
	key := strings.ToLower(name)
	return []any{int64(uid), name, key, key + "@example.org", key + "@example.org", "nick of " + name}
}

func (w *town) add(uid core.UserID, name string) {
	w.Helper()
	w.exec(insertUser, userArgs(uid, name)...)
}

// crowd adds n users with uids from first on and runs each for every one of them.
func (w *town) crowd(first core.UserID, n int, each func(ctx context.Context, uid core.UserID) error) {
	w.Helper()
	err := w.db.Update(context.Background(), func(ctx context.Context) error {
		for uid := first; uid < first+core.UserID(n); uid++ {
			if _, err := w.db.Exec(ctx, insertUser, userArgs(uid, fmt.Sprint("u", uid))...); err != nil {
				return err
			}
			if err := each(ctx, uid); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// befriend makes users friends without the service.
func (w *town) befriend(ctx context.Context, a, b core.UserID) error {
	_, err := w.db.Exec(ctx, `INSERT INTO friend (self_id, friend_id) VALUES (?, ?), (?, ?)`, int64(a), int64(b), int64(b), int64(a))
	return err
}

func as(uid core.UserID) core.Actor { return core.NewActor(core.User{ID: uid, Name: "whatever"}) }

// public is the profile of a user of the town as others may see it.
func public(uid core.UserID, name string) core.User {
	return core.User{
		ID: uid, Name: name, Nick: "nick of " + name, Desc: "about me", Icon: ":/res/head_1.jpg", Avatar: "face.png", Sex: 1,
	}
}

// must fails the test on an error; it is for steps that only prepare.
func (w *town) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// touched returns whose contacts were said to have changed since the last call, and checks that the version said is the
// one that they are given when they ask.
func (w *town) touched() (users []core.UserID) {
	w.Helper()
	w.mu.Lock()
	versions := w.versions
	w.versions = map[core.UserID]int64{}
	w.mu.Unlock()
	for u, version := range versions {
		if now, err := w.ContactsVersion(w.Context(), as(u)); err == nil && now != version {
			w.Errorf("%d was told of version %d, it is %d", u, version, now)
		}
		users = append(users, u)
	}
	slices.Sort(users)
	return users
}

// heard returns the events, but for those of versions, and changes since the last call.
func (w *town) heard() (events []core.Event, changes []pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, changes = w.events, w.changes
	w.events, w.changes = nil, nil
	return events, changes
}

// pendingTo returns who waits for an answer of uid.
func (w *town) pendingTo(uid core.UserID) (from []core.UserID) {
	w.Helper()
	list, err := w.Requests(w.Context(), as(uid))
	w.must(err)
	for _, r := range list {
		if r.To != uid {
			w.Errorf("a request to %d among those to %d", r.To, uid)
		}
		from = append(from, r.From.ID)
	}
	return from
}

// friendsOf returns the remarks in uid's list by friend.
func (w *town) friendsOf(uid core.UserID) map[core.UserID]string {
	w.Helper()
	list, err := w.Friends(w.Context(), as(uid))
	w.must(err)
	m := make(map[core.UserID]string, len(list))
	for _, f := range list {
		m[f.User.ID] = f.Remark
	}
	return m
}

func (w *town) makeFriends(a, b core.UserID) {
	w.Helper()
	w.must(w.Request(w.Context(), as(a), b, ""))
	_, err := w.Accept(w.Context(), as(b), a, "")
	w.must(err)
	w.heard()
}
