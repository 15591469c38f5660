package contact_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/core"
)

func TestNobodyGetsNothing(t *testing.T) {
	w := newTown(t, contact.Config{Strangers: true})
	for _, actor := range []core.Actor{{}, core.NewOperator()} {
		for name, call := range map[string]func() error{
			"Search":   func() error { _, err := w.Search(t.Context(), actor, "Bob"); return err },
			"Request":  func() error { return w.Request(t.Context(), actor, bob, "") },
			"Requests": func() error { _, err := w.Requests(t.Context(), actor); return err },
			"Accept":   func() error { _, err := w.Accept(t.Context(), actor, bob, ""); return err },
			"Friends":  func() error { _, err := w.Friends(t.Context(), actor); return err },
			"Block":    func() error { return w.Block(t.Context(), actor, bob) },
			"Unblock":  func() error { return w.Unblock(t.Context(), actor, bob) },
			"MayWrite": func() error { return w.MayWrite(t.Context(), actor.User(), bob) },
		} {
			if err := call(); !errors.Is(err, core.ErrLoginRequired) {
				t.Errorf("%s as %q: %v", name, actor.Name(), err)
			}
		}
	}
}

func TestSearch(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, cyd)
	w.add(1010, "2020")
	w.exec(`INSERT INTO friend (self_id, friend_id) VALUES (1001, 1002)`) // bob never had ann in his list
	withEmail := func(u core.User, email string) core.User {
		u.Email, u.EmailVerified = email, true
		return u
	}
	for _, c := range []struct {
		query string
		want  core.User
		err   error
	}{
		{query: "1002", want: public(bob, "Bob")},
		{query: "Bob", want: public(bob, "Bob")},
		{query: "bOB", want: public(bob, "Bob")},
		{query: "Cyd", want: withEmail(public(cyd, "Cyd"), "cyd@example.org")},
		{query: "1003", want: withEmail(public(cyd, "Cyd"), "cyd@example.org")},
		{query: "Ann", want: withEmail(public(ann, "Ann"), "ann@example.org")},
		{query: "1010", want: public(1010, "2020")},
		{query: "Bo", err: core.ErrUserNotFound},
		{query: "B%", err: core.ErrUserNotFound},
		{query: "bob@example.org", err: core.ErrUserNotFound},
		{query: "", err: core.ErrUserNotFound},
		{query: "999999", err: core.ErrUserNotFound},
		{query: "99999999999999999999999", err: core.ErrUserNotFound},
		{query: "Dave", err: core.ErrUserNotFound},
		{query: "1004", err: core.ErrUserNotFound},
	} {
		got, err := w.Search(t.Context(), as(ann), c.query)
		if !errors.Is(err, c.err) || got != c.want {
			t.Errorf("%q: got %+v, %v\nwant %+v, %v", c.query, got, err, c.want, c.err)
		}
	}
}

// TestANameOfDigitsWasNotFound: it was taken for a uid that nobody has.
func TestANameOfDigitsWasNotFound(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.add(1010, "777123")
	w.add(1011, "99999999999999999999999")
	for query, want := range map[string]core.User{
		"777123": public(1010, "777123"), "1010": public(1010, "777123"), "99999999999999999999999": public(1011, "99999999999999999999999"),
	} {
		if got, err := w.Search(t.Context(), as(ann), query); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", query, got, err)
		}
	}
}

func TestRequestIsStoredOnceAndTold(t *testing.T) {
	w := newTown(t, contact.Config{})
	before := time.Now().Truncate(time.Millisecond)
	w.must(w.Request(t.Context(), as(ann), bob, "it is me"))
	w.must(w.Request(t.Context(), as(ann), bob, "me again"))
	w.must(w.Request(t.Context(), as(cyd), bob, ""))

	got, err := w.Requests(t.Context(), as(bob))
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if at := got[0].At; at.Before(before) || at.After(time.Now()) {
		t.Errorf("dated %v", at)
	}
	want := []core.FriendRequest{
		{From: public(ann, "Ann"), To: bob, Text: "it is me", At: got[0].At},
		{From: public(cyd, "Cyd"), To: bob, At: got[1].At},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	events, changes := w.heard()
	if !slices.Equal(events, []core.Event{core.FriendRequested{Request: want[0]}, core.FriendRequested{Request: want[1]}}) {
		t.Errorf("told: %+v", events)
	}
	if len(changes) != 0 {
		t.Errorf("asking changed %v", changes)
	}
	for _, uid := range []core.UserID{ann, cyd} {
		if got := w.pendingTo(uid); len(got) != 0 {
			t.Errorf("%d sees requests of %v", uid, got)
		}
	}
}

func TestRequestToWhoCannotBeAsked(t *testing.T) {
	w := newTown(t, contact.Config{})
	for _, to := range []core.UserID{ann, dave, nobody, 0, -1} {
		if err := w.Request(t.Context(), as(ann), to, ""); !errors.Is(err, core.ErrUserNotFound) {
			t.Errorf("to %d: %v", to, err)
		}
	}
	if events, _ := w.heard(); len(events) != 0 {
		t.Errorf("told: %+v", events)
	}
}

func TestRequestToAFriendChangesNothing(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	if got := append(w.pendingTo(ann), w.pendingTo(bob)...); len(got) != 0 {
		t.Errorf("pending from %v", got)
	}
	if events, _ := w.heard(); len(events) != 0 {
		t.Errorf("told: %+v", events)
	}
}

func TestRequestAfterALostFriendshipIsPendingAgain(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.exec(`DELETE FROM friend`)
	w.must(w.Request(t.Context(), as(ann), bob, "again"))
	if got := w.pendingTo(bob); !slices.Equal(got, []core.UserID{ann}) {
		t.Errorf("pending from %v", got)
	}
	if events, _ := w.heard(); len(events) != 1 {
		t.Errorf("told: %+v", events)
	}
}

func TestTextsAreCutAtACharacter(t *testing.T) {
	w := newTown(t, contact.Config{})
	long := strings.Repeat("友", 86) // 258 bytes
	w.must(w.Request(t.Context(), as(ann), bob, long))
	got, err := w.Requests(t.Context(), as(bob))
	w.must(err)
	if want := long[:255]; got[0].Text != want {
		t.Errorf("text of %d bytes: %q", len(got[0].Text), got[0].Text)
	}
	_, err = w.Accept(t.Context(), as(bob), ann, "x"+long)
	w.must(err)
	if got, want := w.friendsOf(bob)[ann], ("x" + long)[:253]; got != want {
		t.Errorf("remark of %d bytes: %q", len(got), got)
	}
}

func TestRequestsByOneUserAreLimited(t *testing.T) {
	w := newTown(t, contact.Config{})
	now := time.Now()
	n := 0
	w.crowd(2000, 201, func(ctx context.Context, uid core.UserID) error {
		at := now.Add(-59*time.Minute + time.Duration(n)*time.Millisecond)
		switch n++; n {
		case 200: // the last but one was asked too long ago to count
			at = now.Add(-61 * time.Minute)
		case 201:
			return nil
		}
		_, err := w.db.Exec(ctx, `INSERT INTO friend_apply (from_uid, to_uid, status, created_at) VALUES (?, ?, ?, ?)`,
			int64(ann), int64(uid), n%2, at.UnixMilli())
		return err
	})
	w.must(w.Request(t.Context(), as(ann), bob, "")) // the 200th of the hour
	for _, to := range []core.UserID{cyd, 2200} {
		err := w.Request(t.Context(), as(ann), to, "")
		if after := core.RetryAfter(err); !errors.Is(err, core.ErrThrottled) || after <= 0 || after > time.Minute {
			t.Errorf("to %d: %v, wait %v", to, err, after)
		}
	}
	w.must(w.Request(t.Context(), as(ann), bob, "")) // nothing new is asked
	w.must(w.Request(t.Context(), as(cyd), 2200, ""))
	if got := w.pendingTo(cyd); len(got) != 0 {
		t.Errorf("cyd is asked by %v", got)
	}
}

func TestRequestsToOneUserAreLimited(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.crowd(2000, 1000, func(ctx context.Context, uid core.UserID) error {
		status := 0
		if uid == 2000 {
			status = 1
		}
		_, err := w.db.Exec(ctx, `INSERT INTO friend_apply (from_uid, to_uid, status) VALUES (?, ?, ?)`, int64(uid), int64(bob), status)
		return err
	})
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	if err := w.Request(t.Context(), as(cyd), bob, ""); !errors.Is(err, core.ErrThrottled) {
		t.Errorf("the 1,001st: %v", err)
	}
	w.must(w.Request(t.Context(), as(ann), bob, "")) // hers is among the thousand
	if got := w.pendingTo(bob); len(got) != 1000 {
		t.Errorf("%d are pending", len(got))
	}
	_, err := w.Accept(t.Context(), as(bob), ann, "")
	w.must(err)
	w.must(w.Request(t.Context(), as(cyd), bob, ""))
}

func TestAccept(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	w.heard()
	got, err := w.Accept(t.Context(), as(bob), ann, "sister")
	if err != nil || got != public(ann, "Ann") {
		t.Fatalf("%+v, %v", got, err)
	}
	events, changes := w.heard()
	if !slices.Equal(events, []core.Event{core.FriendAccepted{By: public(bob, "Bob"), To: ann}}) {
		t.Errorf("told: %+v", events)
	}
	if !slices.Equal(changes, []pair{{bob, ann}}) {
		t.Errorf("changed: %v", changes)
	}
	for uid, want := range map[core.UserID]core.Friend{
		bob: {User: public(ann, "Ann"), Remark: "sister"},
		ann: {User: public(bob, "Bob")},
	} {
		if got, err := w.Friends(t.Context(), as(uid)); err != nil || !slices.Equal(got, []core.Friend{want}) {
			t.Errorf("friends of %d: %+v, %v", uid, got, err)
		}
	}
	if got := w.pendingTo(bob); len(got) != 0 {
		t.Errorf("still pending: %v", got)
	}

	// Once more, from either side: nothing happens, and the remark stays.
	if got, err := w.Accept(t.Context(), as(bob), ann, "other"); err != nil || got != public(ann, "Ann") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := w.Accept(t.Context(), as(ann), bob, "other"); err != nil || got != public(bob, "Bob") {
		t.Errorf("%+v, %v", got, err)
	}
	if events, changes := w.heard(); len(events)+len(changes) != 0 {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	if a, b := w.friendsOf(ann)[bob], w.friendsOf(bob)[ann]; a != "" || b != "sister" {
		t.Errorf("remarks %q and %q", a, b)
	}
}

func TestAcceptAnswersBothDirections(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	_, err := w.Accept(t.Context(), as(bob), ann, "")
	w.must(err)
	if got := append(w.pendingTo(ann), w.pendingTo(bob)...); len(got) != 0 {
		t.Errorf("still pending: %v", got)
	}
}

func TestAcceptMendsHalfAFriendship(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.exec(`INSERT INTO friend (self_id, friend_id, back) VALUES (?, ?, 'old')`, int64(ann), int64(bob))
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	_, err := w.Accept(t.Context(), as(bob), ann, "new")
	w.must(err)
	if a, b := w.friendsOf(ann)[bob], w.friendsOf(bob)[ann]; a != "old" || b != "new" {
		t.Errorf("remarks %q and %q", a, b)
	}
}

func TestAcceptWithoutARequest(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.must(w.Request(t.Context(), as(ann), bob, ""))
	w.exec(`INSERT INTO friend_apply (from_uid, to_uid) VALUES (?, ?)`, int64(dave), int64(bob)) // before he was disabled
	w.heard()
	for _, c := range []pair{{ann, bob}, {cyd, ann}, {bob, cyd}, {bob, bob}, {bob, dave}, {bob, nobody}, {bob, 0}} {
		if u, err := w.Accept(t.Context(), as(c.a), c.b, ""); !errors.Is(err, core.ErrRequestNotFound) || u != (core.User{}) {
			t.Errorf("%d accepts %d: %+v, %v", c.a, c.b, u, err)
		}
	}
	if got := w.pendingTo(bob); !slices.Equal(got, []core.UserID{ann}) {
		t.Errorf("pending: %v", got)
	}
	for _, uid := range []core.UserID{ann, bob, cyd} {
		if got := w.friendsOf(uid); len(got) != 0 {
			t.Errorf("friends of %d: %v", uid, got)
		}
	}
	if events, changes := w.heard(); len(events)+len(changes) != 0 {
		t.Errorf("told %+v, changed %v", events, changes)
	}
}

func TestNothingIsToldOfWhatIsRolledBack(t *testing.T) {
	w := newTown(t, contact.Config{})
	boom := errors.New("boom")
	err := w.db.Update(t.Context(), func(ctx context.Context) error {
		if err := w.Request(ctx, as(ann), bob, ""); err != nil {
			return err
		}
		if _, err := w.Accept(ctx, as(bob), ann, ""); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if events, changes := w.heard(); len(events)+len(changes) != 0 {
		t.Errorf("told %+v, changed %v", events, changes)
	}
	if err := w.MayWrite(t.Context(), ann, bob); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("may write: %v", err)
	}
}

func TestFriendsOfSomebodyPopular(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.crowd(2000, 5000, func(ctx context.Context, uid core.UserID) error { return w.befriend(ctx, ann, uid) })
	got, err := w.Friends(t.Context(), as(ann))
	if err != nil || len(got) != 5000 {
		t.Fatalf("%d friends, %v", len(got), err)
	}
	for i, f := range got {
		uid := core.UserID(2000 + i)
		if want := (core.Friend{User: public(uid, fmt.Sprint("u", uid))}); f != want {
			t.Fatalf("friend %d: got %+v, want %+v", i, f, want)
		}
	}
	w.must(w.Request(t.Context(), as(bob), ann, ""))
	_, err = w.Accept(t.Context(), as(ann), bob, "")
	w.must(err)
	if got := w.friendsOf(ann); len(got) != 5001 {
		t.Errorf("%d friends", len(got))
	}
}
