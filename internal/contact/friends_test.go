package contact_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"parley/internal/contact"
	"parley/internal/core"
)

func TestWhoIsRefusedRingsNoSecondTimeForADay(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), bob, "hello"))
	w.must(w.Refuse(t.Context(), as(bob), ann))
	if events, changes := w.heard(); len(events) != 1 || len(changes) != 0 {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	w.must(w.Request(t.Context(), as(ann), bob, "hello?"))
	if events, _ := w.heard(); len(events) != 0 || len(w.pendingTo(bob)) != 0 {
		t.Errorf("told %+v, waiting %v", events, w.pendingTo(bob))
	}
	w.exec(`UPDATE friend_apply SET created_at = created_at - ?`, int64(24*3600*1000))
	w.must(w.Request(t.Context(), as(ann), bob, "hello again"))
	if events, _ := w.heard(); len(events) != 1 || !slices.Equal(w.pendingTo(bob), []core.UserID{ann}) {
		t.Errorf("told %+v, waiting %v", events, w.pendingTo(bob))
	}
}

// TestARefusalBindsOnlyTheOtherOne: who has refused may ask in turn, and is accepted as ever.
func TestARefusalBindsOnlyTheOtherOne(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	w.must(w.Refuse(t.Context(), as(bob), ann))
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	if _, err := w.Accept(t.Context(), as(ann), bob, ""); err != nil {
		t.Error(err)
	}
	if len(w.friendsOf(ann)) != 1 || len(w.friendsOf(bob)) != 1 {
		t.Errorf("%v, %v", w.friendsOf(ann), w.friendsOf(bob))
	}
}

func TestOnlyWhatWaitsCanBeRefused(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.must(w.Request(t.Context(), as(ann), cyd, ""))
	for _, c := range []struct {
		by, from core.UserID
		want     error
	}{
		{bob, ann, core.ErrRequestNotFound}, // accepted
		{cyd, bob, core.ErrRequestNotFound}, // never asked
		{ann, cyd, core.ErrRequestNotFound}, // one's own
		{bob, cyd, core.ErrRequestNotFound}, // somebody else's
		{cyd, nobody, core.ErrRequestNotFound},
		{0, ann, core.ErrLoginRequired},
		{cyd, ann, nil},
		{cyd, ann, core.ErrRequestNotFound}, // refused already
	} {
		if err := w.Refuse(t.Context(), as(c.by), c.from); !errors.Is(err, c.want) {
			t.Errorf("%d refuses %d: %v, want %v", c.by, c.from, err, c.want)
		}
	}
	if _, err := w.Accept(t.Context(), as(cyd), ann, ""); !errors.Is(err, core.ErrRequestNotFound) {
		t.Errorf("what was refused is accepted: %v", err)
	}
}

func TestSentRequests(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), cyd, "first"))
	w.must(w.Request(t.Context(), as(ann), bob, "second"))
	w.must(w.Request(t.Context(), as(bob), cyd, "not ann's"))
	list, err := w.Sent(t.Context(), as(ann))
	w.must(err)
	if len(list) != 2 || list[0].To != public(cyd, "Cyd") || list[0].Text != "first" || list[1].To.ID != bob || list[1].At.IsZero() {
		t.Errorf("%+v", list)
	}
	_, err = w.Accept(t.Context(), as(bob), ann, "")
	w.must(err)
	if list, err := w.Sent(t.Context(), as(ann)); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	w.must(w.Block(t.Context(), as(ann), cyd))
	if list, err := w.Sent(t.Context(), as(ann)); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestTheListOfWhatOneAskedToldOfRefusals, and of blocks.
func TestTheListOfWhatOneAskedToldOfRefusals(t *testing.T) {
	for name, answer := range map[string]func(w *town) error{
		"waits":       func(*town) error { return nil },
		"is refused":  func(w *town) error { return w.Refuse(t.Context(), as(bob), ann) },
		"is blocked":  func(w *town) error { return w.Block(t.Context(), as(bob), ann) },
		"was blocked": nil,
		"is unblocked": func(w *town) error {
			w.must(w.Block(t.Context(), as(bob), ann))
			return w.Unblock(t.Context(), as(bob), ann)
		},
	} {
		w := newTown(t, contact.Config{})
		if answer == nil {
			w.must(w.Block(t.Context(), as(bob), ann))
			w.heard()
		}
		w.must(w.Request(t.Context(), as(ann), bob, "hello"))
		if answer == nil {
			if events, _ := w.heard(); len(events) != 0 || len(w.pendingTo(bob)) != 0 {
				t.Errorf("%s: told %+v", name, events)
			}
		} else {
			w.must(answer(w))
		}
		w.must(w.Request(t.Context(), as(ann), bob, "hello?"))
		list, err := w.Sent(t.Context(), as(ann))
		if err != nil || len(list) != 1 || list[0].To.ID != bob || list[0].Text != "hello" && name != "is unblocked" {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
		// It is settled when the other asks, and so lifts their block.
		w.must(w.Request(t.Context(), as(bob), ann, ""))
		_, err = w.Accept(t.Context(), as(ann), bob, "")
		w.must(err)
		if list, err := w.Sent(t.Context(), as(ann)); err != nil || len(list) != 0 {
			t.Errorf("%s, and accepted: %+v, %v", name, list, err)
		}
	}
}

func TestRemarks(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.must(w.SetRemark(t.Context(), as(ann), bob, "from work"))
	if w.friendsOf(ann)[bob] != "from work" || w.friendsOf(bob)[ann] != "" {
		t.Errorf("%v, %v", w.friendsOf(ann), w.friendsOf(bob))
	}
	for uid, want := range map[core.UserID]error{cyd: core.ErrNotFriends, nobody: core.ErrNotFriends, ann: core.ErrNotFriends} {
		if err := w.SetRemark(t.Context(), as(ann), uid, "x"); !errors.Is(err, want) {
			t.Errorf("%d: %v", uid, err)
		}
	}
	if err := w.SetRemark(t.Context(), core.Actor{}, bob, "x"); !errors.Is(err, core.ErrLoginRequired) {
		t.Error(err)
	}
}

func TestUnfriendEndsItForBoth(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.makeFriends(ann, cyd)
	w.makeFriends(bob, cyd)
	w.must(w.Unfriend(t.Context(), as(ann), bob))
	w.must(w.Unfriend(t.Context(), as(ann), bob))
	if events, changes := w.heard(); len(events) != 0 || !slices.Equal(changes, []pair{{ann, bob}}) {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	if err := w.MayWrite(t.Context(), bob, ann); !errors.Is(err, core.ErrNotFriends) {
		t.Error(err)
	}
	if len(w.friendsOf(ann)) != 1 || len(w.friendsOf(bob)) != 1 || len(w.friendsOf(cyd)) != 2 {
		t.Error("other friendships ended as well")
	}
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	if !slices.Equal(w.pendingTo(ann), []core.UserID{bob}) {
		t.Error("they cannot become friends again")
	}
	if err := w.Unfriend(t.Context(), core.Actor{}, bob); !errors.Is(err, core.ErrLoginRequired) {
		t.Error(err)
	}
}

func TestBlockedAreListedToTheBlockerOnly(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Block(t.Context(), as(ann), cyd))
	w.must(w.Block(t.Context(), as(ann), bob))
	list, err := w.Blocked(t.Context(), as(ann))
	if err != nil || !slices.Equal(list, []core.User{public(bob, "Bob"), public(cyd, "Cyd")}) {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := w.Blocked(t.Context(), as(bob)); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, err := range []error{second(w.Blocked(t.Context(), core.Actor{})), second(w.Sent(t.Context(), core.Actor{}))} {
		if !errors.Is(err, core.ErrLoginRequired) {
			t.Error(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestForgetTakesAUserOutOfAllLists(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.makeFriends(bob, cyd)
	w.must(w.Request(t.Context(), as(ann), cyd, ""))
	w.must(w.Block(t.Context(), as(cyd), ann))
	w.must(w.db.Update(t.Context(), func(ctx context.Context) error { return w.Forget(ctx, ann) }))
	var n int
	w.must(w.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM friend WHERE 1001 IN (self_id, friend_id))
		+ (SELECT count(*) FROM friend_apply WHERE 1001 IN (from_uid, to_uid)) + (SELECT count(*) FROM block WHERE 1001 IN (user_id, blocked_id))`, nil, &n))
	if n != 0 || len(w.friendsOf(bob)) != 1 || len(w.friendsOf(cyd)) != 1 {
		t.Errorf("%d entries left, friends %v and %v", n, w.friendsOf(bob), w.friendsOf(cyd))
	}
}
