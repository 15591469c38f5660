package contact_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
)

func TestEveryChangeRaisesTheVersionOfThoseWhoSeeIt(t *testing.T) {
	w := newTown(t, contact.Config{})
	ctx := t.Context()
	accept := func(by, from core.UserID) error {
		_, err := w.Accept(ctx, as(by), from, "")
		return err
	}
	for _, step := range []struct {
		what string
		do   func() error
		want []core.UserID
	}{
		{"a request", func() error { return w.Request(ctx, as(ann), bob, "") }, []core.UserID{ann, bob}},
		{"the same again", func() error { return w.Request(ctx, as(ann), bob, "") }, nil},
		{"accepted", func() error { return accept(bob, ann) }, []core.UserID{ann, bob}},
		{"accepted again", func() error { return accept(bob, ann) }, nil},
		{"a remark", func() error { return w.SetRemark(ctx, as(ann), bob, "b") }, []core.UserID{ann}},
		{"a friendship's end", func() error { return w.Unfriend(ctx, as(bob), ann) }, []core.UserID{ann, bob}},
		{"its end again", func() error { return w.Unfriend(ctx, as(bob), ann) }, nil},
		{"another request", func() error { return w.Request(ctx, as(cyd), bob, "") }, []core.UserID{bob, cyd}},
		{"refused", func() error { return w.Refuse(ctx, as(bob), cyd) }, []core.UserID{bob}},
		{"asked again within the day", func() error { return w.Request(ctx, as(cyd), bob, "") }, nil},
		{"a block", func() error { return w.Block(ctx, as(ann), cyd) }, []core.UserID{ann}},
		{"a request that is not heard", func() error { return w.Request(ctx, as(cyd), ann, "") }, []core.UserID{cyd}},
		{"the same, not heard again", func() error { return w.Request(ctx, as(cyd), ann, "") }, nil},
		{"a block's end", func() error { return w.Unblock(ctx, as(ann), cyd) }, []core.UserID{ann}},
		{"its end again", func() error { return w.Unblock(ctx, as(ann), cyd) }, nil},
		// Cyd saw the request wait all the time.
		{"the same, heard", func() error { return w.Request(ctx, as(cyd), ann, "") }, []core.UserID{ann}},
		{"accepted", func() error { return accept(ann, cyd) }, []core.UserID{ann, cyd}},
		{"a block that ends a friendship", func() error { return w.Block(ctx, as(ann), cyd) }, []core.UserID{ann, cyd}},
		{"asking whom one blocks", func() error { return w.Request(ctx, as(ann), cyd, "") }, []core.UserID{ann, cyd}},
		{"a block that takes a request back", func() error { return w.Block(ctx, as(ann), cyd) }, []core.UserID{ann, cyd}},
	} {
		w.must(step.do())
		if got := w.touched(); !slices.Equal(got, step.want) {
			t.Errorf("%s: told %v, want %v", step.what, got, step.want)
		}
	}
	if _, err := w.ContactsVersion(ctx, core.Actor{}); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody's version: %v", err)
	}
}

func TestWhoLeavesIsGoneFromTheContactsOfThoseWhoKnewThem(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.add(1005, "Eve")
	w.add(1006, "Fay")
	w.makeFriends(ann, bob)
	w.must(w.Request(t.Context(), as(ann), cyd, ""))
	w.must(w.Block(t.Context(), as(1005), ann))
	w.must(w.Block(t.Context(), as(ann), 1006)) // and that Fay never learns
	w.touched()
	w.must(w.db.Update(t.Context(), func(ctx context.Context) error { return w.Forget(ctx, ann) }))
	if got := w.touched(); !slices.Equal(got, []core.UserID{bob, cyd, 1005}) {
		t.Errorf("told %v", got)
	}
}

func TestNothingIsToldOfWhatWasNotCommitted(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.touched()
	err := w.db.Update(t.Context(), func(ctx context.Context) error {
		return errors.Join(w.Forget(ctx, ann), core.ErrBusy)
	})
	if !errors.Is(err, core.ErrBusy) {
		t.Fatal(err)
	}
	if got := w.touched(); got != nil {
		t.Errorf("told %v", got)
	}
}

func TestWhoIsNoLongerProvedChangesNothing(t *testing.T) {
	w := newTown(t, contact.Config{})
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	accounts := account.New(w.db, cluster.NewLocal(), nil, nil, audit.New(w.db), nil,
		account.Config{Log: log, Metrics: obs.NewMetrics(), Goroutines: obs.NewGoroutines(log)})
	w.Ask(accounts)
	u, err := accounts.Profile(ctx, accounts.Operator(), ann)
	w.must(err)
	actor := core.NewActor(u)
	w.must(w.db.Update(ctx, func(ctx context.Context) error { return w.befriend(ctx, ann, bob) }))
	w.must(w.SetRemark(ctx, actor, bob, "b"))
	w.must(w.Request(ctx, actor, cyd, ""))
	w.must(accounts.Ban(ctx, accounts.Operator(), core.Origin{}, ann, true))
	w.heard()
	w.touched()
	for what, err := range map[string]error{
		"request":  w.Request(ctx, actor, cyd, ""),
		"accept":   func() error { _, err := w.Accept(ctx, actor, cyd, ""); return err }(),
		"refuse":   w.Refuse(ctx, actor, cyd),
		"remark":   w.SetRemark(ctx, actor, bob, "x"),
		"unfriend": w.Unfriend(ctx, actor, bob),
		"block":    w.Block(ctx, actor, bob),
		"unblock":  w.Unblock(ctx, actor, bob),
	} {
		if !errors.Is(err, core.ErrLoginRequired) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if events, changes := w.heard(); len(events)+len(changes)+len(w.touched()) > 0 {
		t.Errorf("told %v, changed %v", events, changes)
	}
}

func TestPresenceIsToldToFriends(t *testing.T) {
	w := newTown(t, contact.Config{})
	ctx := t.Context()
	w.must(w.ShowPresence(ctx, ann, true))
	if events, _ := w.heard(); len(events) != 0 {
		t.Errorf("nobody's friend: %v", events)
	}
	w.makeFriends(ann, bob)
	w.makeFriends(ann, cyd)
	w.must(w.db.Update(ctx, func(ctx context.Context) error { return w.befriend(ctx, ann, dave) })) // who is disabled
	w.add(1005, "Eve")
	w.must(w.db.Update(ctx, func(ctx context.Context) error { return w.befriend(ctx, ann, 1005) }))
	w.exec(`INSERT INTO block (user_id, blocked_id, created_at) VALUES (1005, 1001, 1)`) // as imports may leave it
	w.add(1006, "Fay")
	w.exec(`INSERT INTO friend (self_id, friend_id) VALUES (1001, 1006)`) // on one side only
	w.heard()
	w.must(w.ShowPresence(ctx, ann, false))
	events, _ := w.heard()
	if len(events) != 1 {
		t.Fatalf("told %v", events)
	}
	ev := events[0].(core.PresenceChanged)
	if ev.User != ann || ev.Online || !slices.Equal(ev.To, []core.UserID{bob, cyd}) {
		t.Errorf("told %+v", ev)
	}
	if to, err := w.Watched(ctx, as(ann)); err != nil || !slices.Equal(to, ev.To) {
		t.Errorf("watches %v, %v", to, err)
	}
	if _, err := w.Watched(ctx, core.Actor{}); !errors.Is(err, core.ErrLoginRequired) {
		t.Errorf("nobody watches: %v", err)
	}
}

func TestStrangersCanBeLetInAndKeptOut(t *testing.T) {
	w := newTown(t, contact.Config{})
	for range 2 {
		if err := w.MayWrite(t.Context(), ann, bob); !errors.Is(err, core.ErrNotFriends) {
			t.Errorf("kept out: %v", err)
		}
		w.SetStrangers(true)
		if err := w.MayWrite(t.Context(), ann, bob); err != nil {
			t.Errorf("let in: %v", err)
		}
		w.SetStrangers(false)
	}
}
