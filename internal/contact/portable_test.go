package contact_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/contact"
	"parley/internal/core"
)

var operator = core.NewOperator()

// ties is everything that stands between the users of a server.
type ties struct {
	Friendships  []contact.Friendship
	Applications []contact.Application
	Blocks       []contact.Block
}

func (w *town) ties(ctx context.Context, actor core.Actor, only core.UserID) (t ties, err error) {
	err = errors.Join(
		w.Friendships(ctx, actor, only, func(f contact.Friendship) error { t.Friendships = append(t.Friendships, f); return nil }),
		w.Applications(ctx, actor, only, func(a contact.Application) error { t.Applications = append(t.Applications, a); return nil }),
		w.Blocks(ctx, actor, only, func(b contact.Block) error { t.Blocks = append(t.Blocks, b); return nil }))
	return t, err
}

// adopt returns how many of the ties were new.
func (w *town) adopt(ctx context.Context, actor core.Actor, t ties) (fresh int, err error) {
	count := func(ok bool, e error) {
		if ok {
			fresh++
		}
		err = errors.Join(err, e)
	}
	for _, f := range t.Friendships {
		count(w.AdoptFriendship(ctx, actor, f))
	}
	for _, a := range t.Applications {
		count(w.AdoptApplication(ctx, actor, a))
	}
	for _, b := range t.Blocks {
		count(w.AdoptBlock(ctx, actor, b))
	}
	return fresh, err
}

// TestTiesComeBackAsTheyWere moves every kind of tie to another server.
func TestTiesComeBackAsTheyWere(t *testing.T) {
	here, there := newTown(t, contact.Config{}), newTown(t, contact.Config{})
	here.makeFriends(ann, bob)
	here.makeFriends(bob, cyd)
	here.exec(`UPDATE friend SET back = '小明', created_at = 12345 WHERE self_id = ? AND friend_id = ?`, int64(ann), int64(bob))
	here.must(here.Request(t.Context(), as(ann), cyd, "hello"))
	here.must(here.Request(t.Context(), as(dave), ann, ""))
	here.must(here.Request(t.Context(), as(cyd), ann, "and you"))
	here.must(here.Block(t.Context(), as(cyd), ann))
	want, err := here.ties(t.Context(), operator, 0)
	here.must(err)
	if len(want.Friendships) != 4 || want.Friendships[0].Remark != "小明" || len(want.Applications) != 5 || len(want.Blocks) != 1 ||
		want.Applications[2].Status != contact.Refused || want.Applications[4].Status != contact.Withdrawn {
		t.Fatalf("%+v", want)
	}
	for _, fresh := range []int{10, 0} { // a second time nothing is new
		n, err := there.adopt(t.Context(), operator, want)
		there.must(err)
		if n != fresh {
			t.Errorf("%d ties are new, want %d", n, fresh)
		}
	}
	got, err := there.ties(t.Context(), operator, 0)
	there.must(err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if events, changes := there.heard(); len(events) != 0 || len(changes) != 10 {
		t.Errorf("%d events, %d changes", len(events), len(changes))
	}
	if d := cmp.Diff(here.friendsOf(ann), there.friendsOf(ann)); d != "" {
		t.Error(d)
	}
	there.must(there.MayWrite(t.Context(), ann, bob))
	if err := there.MayWrite(t.Context(), ann, cyd); !errors.Is(err, core.ErrNotFriends) {
		t.Errorf("past the block: %v", err)
	}
}

func TestTiesOfOne(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	w.makeFriends(bob, cyd)
	w.must(w.Block(t.Context(), as(cyd), ann))
	got, err := w.ties(t.Context(), operator, ann)
	w.must(err)
	if len(got.Friendships) != 2 || len(got.Applications) != 1 || len(got.Blocks) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAdoptRefuses(t *testing.T) {
	w := newTown(t, contact.Config{})
	for name, c := range map[string]struct {
		ties ties
		want error
	}{
		"oneself":        {ties{Friendships: []contact.Friendship{{Self: ann, Friend: ann}}}, core.ErrInvalid},
		"no such friend": {ties{Friendships: []contact.Friendship{{Self: ann, Friend: nobody}}}, core.ErrUserNotFound},
		"nobody's":       {ties{Friendships: []contact.Friendship{{Self: nobody, Friend: ann}}}, core.ErrUserNotFound},
		"long remark":    {ties{Friendships: []contact.Friendship{{Self: ann, Friend: bob, Remark: strings.Repeat("r", 256)}}}, core.ErrInvalid},
		"broken text":    {ties{Applications: []contact.Application{{From: ann, To: bob, Text: "\xff"}}}, core.ErrInvalid},
		"status":         {ties{Applications: []contact.Application{{From: ann, To: bob, Status: 4}}}, core.ErrInvalid},
		"to nobody":      {ties{Applications: []contact.Application{{From: ann, To: nobody}}}, core.ErrUserNotFound},
		"blocks nobody":  {ties{Blocks: []contact.Block{{User: ann, Blocked: nobody}}}, core.ErrUserNotFound},
	} {
		if n, err := w.adopt(t.Context(), operator, c.ties); n != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v, want %v", name, n, err, c.want)
		}
	}
	if got, err := w.ties(t.Context(), operator, 0); err != nil || !cmp.Equal(got, ties{}) {
		t.Errorf("%v %+v", err, got)
	}
}

func TestTiesFromTheWrongSide(t *testing.T) {
	w := newTown(t, contact.Config{})
	w.makeFriends(ann, bob)
	at := time.UnixMilli(1)
	for who, a := range map[string]core.Actor{"nobody": {}, "a user": as(cyd)} {
		got, err := w.ties(t.Context(), a, 0)
		if !errors.Is(err, core.ErrForbidden) || !cmp.Equal(got, ties{}) {
			t.Errorf("%s: %v %+v", who, err, got)
		}
		for _, ties := range []ties{
			{Friendships: []contact.Friendship{{ann, cyd, "", at}}},
			{Applications: []contact.Application{{ann, cyd, contact.Pending, "", at}}},
			{Blocks: []contact.Block{{ann, cyd, at}}},
		} {
			if n, err := w.adopt(t.Context(), a, ties); n != 0 || !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%s: %d, %v", who, n, err)
			}
		}
	}
}
