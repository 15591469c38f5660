package contact_test

import (
	"errors"
	"slices"
	"testing"

	"parley/internal/contact"
	"parley/internal/core"
)

func TestMayWrite(t *testing.T) {
	for _, strangers := range []bool{false, true} {
		w := newTown(t, contact.Config{Strangers: strangers})
		w.makeFriends(ann, bob)
		w.must(w.Request(t.Context(), as(ann), cyd, "")) // asking is not being friends
		w.add(1005, "Eve")
		w.must(w.Block(t.Context(), as(bob), 1005))
		w.exec(`INSERT INTO friend (self_id, friend_id) VALUES (1001, 1004), (1004, 1001)`) // ann and dave, who is disabled
		stranger := error(core.ErrNotFriends)
		if strangers {
			stranger = nil
		}
		for _, c := range []struct {
			from, to core.UserID
			want     error
		}{
			{ann, bob, nil},
			{bob, ann, nil},
			{ann, cyd, stranger},
			{cyd, ann, stranger},
			{1005, bob, core.ErrNotFriends},
			{bob, 1005, core.ErrNotFriends},
			{ann, ann, core.ErrNotFriends},
			{ann, dave, core.ErrUserNotFound},
			{ann, nobody, core.ErrUserNotFound},
			{ann, 0, core.ErrUserNotFound},
			{0, ann, core.ErrLoginRequired},
			{-1, ann, core.ErrLoginRequired},
		} {
			if err := w.MayWrite(t.Context(), c.from, c.to); !errors.Is(err, c.want) {
				t.Errorf("strangers %v: %d to %d: %v, want %v", strangers, c.from, c.to, err, c.want)
			}
		}
	}
}

func TestBlockEndsWhatWasBetweenThem(t *testing.T) {
	w := newTown(t, contact.Config{Strangers: true})
	w.makeFriends(ann, bob)
	w.must(w.Request(t.Context(), as(cyd), ann, ""))
	w.must(w.Request(t.Context(), as(ann), cyd, ""))
	w.must(w.Request(t.Context(), as(cyd), bob, ""))
	w.heard()
	for _, uid := range []core.UserID{bob, cyd} {
		w.must(w.Block(t.Context(), as(ann), uid))
		w.must(w.Block(t.Context(), as(ann), uid))
	}
	if events, changes := w.heard(); len(events) != 0 || !slices.Equal(slices.Compact(changes), []pair{{ann, bob}, {ann, cyd}}) {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	for _, uid := range []core.UserID{ann, bob} {
		if got := w.friendsOf(uid); len(got) != 0 {
			t.Errorf("friends of %d: %v", uid, got)
		}
	}
	if got := append(w.pendingTo(ann), w.pendingTo(cyd)...); len(got) != 0 {
		t.Errorf("pending from %v", got)
	}
	if got := w.pendingTo(bob); !slices.Equal(got, []core.UserID{cyd}) {
		t.Errorf("between others: pending from %v", got)
	}
	if _, err := w.Accept(t.Context(), as(cyd), ann, ""); !errors.Is(err, core.ErrRequestNotFound) {
		t.Errorf("accepting what was taken back: %v", err)
	}
}

func TestBlockedUserIsNotTold(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Block(t.Context(), as(ann), bob))
	w.heard()
	w.must(w.Request(t.Context(), as(bob), ann, "please"))
	if events, changes := w.heard(); len(events)+len(changes) != 0 {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	if got := w.pendingTo(ann); len(got) != 0 {
		t.Errorf("pending from %v", got)
	}
	if _, err := w.Search(t.Context(), as(bob), "Ann"); err != nil {
		t.Errorf("search: %v", err)
	}
	// Only who blocked can take it back.
	w.must(w.Unblock(t.Context(), as(bob), ann))
	if err := w.MayWrite(t.Context(), bob, ann); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("may write: %v", err)
	}
	w.must(w.Request(t.Context(), as(bob), ann, "please"))
	if got := w.pendingTo(ann); len(got) != 0 {
		t.Errorf("pending from %v", got)
	}
}

func TestUnblock(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.must(w.Block(t.Context(), as(ann), bob))
	w.heard()
	w.must(w.Unblock(t.Context(), as(ann), bob))
	w.must(w.Unblock(t.Context(), as(ann), bob))
	w.must(w.Unblock(t.Context(), as(ann), nobody))
	if _, changes := w.heard(); !slices.Equal(changes, []pair{{ann, bob}}) {
		t.Errorf("changed: %v", changes)
	}
	if got := w.friendsOf(ann); len(got) != 0 {
		t.Errorf("the friendship came back: %v", got)
	}
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	_, err := w.Accept(t.Context(), as(ann), bob, "")
	w.must(err)
	if err := w.MayWrite(t.Context(), bob, ann); err != nil {
		t.Errorf("may write: %v", err)
	}
}

func TestBlockOfWhoCannotBeBlocked(t *testing.T) {
	w := newTown(t, contact.Config{})
	for uid, want := range map[core.UserID]error{ann: core.ErrInvalid, nobody: core.ErrUserNotFound, 0: core.ErrUserNotFound} {
		if err := w.Block(t.Context(), as(ann), uid); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", uid, err, want)
		}
	}
	if err := w.Block(t.Context(), as(ann), dave); err != nil {
		t.Errorf("a disabled user: %v", err)
	}
}

func TestWhoAsksNoLongerBlocks(t *testing.T) {
	w := newTown(t, contact.Config{Strangers: true})
	w.must(w.Block(t.Context(), as(ann), bob))
	w.heard()
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	if events, changes := w.heard(); len(events) != 1 || !slices.Equal(changes, []pair{{ann, bob}}) {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	if err := w.MayWrite(t.Context(), bob, ann); err != nil {
		t.Errorf("may write: %v", err)
	}
}

func TestAskingBlockingAndAskingAgainRingsOnce(t *testing.T) {
	w := newTown(t, contact.Config{})
	for range 3 {
		w.must(w.Request(t.Context(), as(ann), bob, ""))
		w.must(w.Block(t.Context(), as(ann), bob))
	}
	w.must(w.Request(t.Context(), as(ann), bob, "sorry"))
	if events, _ := w.heard(); len(events) != 1 {
		t.Errorf("bob was told %d times", len(events))
	}
	if got := w.pendingTo(bob); !slices.Equal(got, []core.UserID{ann}) {
		t.Errorf("pending from %v", got)
	}
	w.must(w.Block(t.Context(), as(ann), bob))
	w.exec(`UPDATE friend_apply SET created_at = created_at - 3600000`)
	w.must(w.Request(t.Context(), as(ann), bob, "an hour later"))
	if events, _ := w.heard(); len(events) != 1 {
		t.Errorf("an hour later bob was told %d times", len(events))
	}
}
