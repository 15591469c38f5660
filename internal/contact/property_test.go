package contact_test

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/core"
)

// ledger is what three users' dealings come to, kept by a second, simpler hand.
type ledger struct {
	friends, asked, blocked map[pair]bool
}

func (l *ledger) apply(op string, a, b core.UserID) {
	switch op {
	case "request":
		if !l.friends[pair{a, b}] && !l.blocked[pair{b, a}] {
			l.asked[pair{a, b}] = true
			delete(l.blocked, pair{a, b})
		}
	case "accept":
		if l.asked[pair{b, a}] {
			delete(l.asked, pair{a, b})
			delete(l.asked, pair{b, a})
			l.friends[pair{a, b}], l.friends[pair{b, a}] = true, true
		}
	case "block":
		for _, p := range []pair{{a, b}, {b, a}} {
			delete(l.friends, p)
			delete(l.asked, p)
		}
		l.blocked[pair{a, b}] = true
	case "unblock":
		delete(l.blocked, pair{a, b})
	}
}

func TestAnyDealingsKeepFriendshipMutual(t *testing.T) {
	w := newTown(t, contact.Config{})
	rapid.Check(t, func(rt *rapid.T) {
		l := &ledger{friends: map[pair]bool{}, asked: map[pair]bool{}, blocked: map[pair]bool{}}
		users := []core.UserID{ann, bob, cyd}
		// All of a run's dealings are one unit of work, which is taken back at its end.
		end := errors.New("end of the run")
		err := w.db.Update(context.Background(), func(ctx context.Context) error {
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				op := rapid.SampledFrom([]string{"request", "accept", "block", "unblock"}).Draw(rt, "op")
				ab := rapid.Permutation(users).Draw(rt, "who")
				l.apply(op, ab[0], ab[1])
				if err := w.do(ctx, op, ab[0], ab[1]); err != nil && !errors.Is(err, core.ErrRequestNotFound) {
					return err
				}
			}
			for _, a := range users {
				if err := w.compare(ctx, rt, l, a, users); err != nil {
					return err
				}
			}
			return end
		})
		if !errors.Is(err, end) {
			rt.Fatal(err)
		}
	})
}

func (w *town) do(ctx context.Context, op string, a, b core.UserID) error {
	switch op {
	case "request":
		return w.Request(ctx, as(a), b, "")
	case "block":
		return w.Block(ctx, as(a), b)
	case "unblock":
		return w.Unblock(ctx, as(a), b)
	}
	_, err := w.Accept(ctx, as(a), b, "")
	return err
}

func (w *town) compare(ctx context.Context, rt *rapid.T, l *ledger, a core.UserID, users []core.UserID) error {
	friends, err := w.Friends(ctx, as(a))
	if err != nil {
		return err
	}
	requests, err := w.Requests(ctx, as(a))
	if err != nil {
		return err
	}
	isFriend, asked := map[core.UserID]bool{}, map[core.UserID]bool{}
	for _, f := range friends {
		isFriend[f.User.ID] = true
	}
	for _, r := range requests {
		asked[r.From.ID] = true
	}
	for _, b := range users {
		if isFriend[b] != l.friends[pair{a, b}] {
			rt.Errorf("%d has %d as a friend: %v", a, b, isFriend[b])
		}
		if asked[b] != l.asked[pair{b, a}] {
			rt.Errorf("%d is asked by %d: %v", a, b, asked[b])
		}
		if may := w.MayWrite(ctx, a, b) == nil; may != l.friends[pair{a, b}] {
			rt.Errorf("%d may write to %d: %v", a, b, may)
		}
	}
	return nil
}
