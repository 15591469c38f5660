package transfer

import (
	"context"
	"strconv"
	"time"

	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/legacy"
)

// pair is two users, in this order.
type pair struct{ a, b core.UserID }

// between gathers the pairs that are connected already and concern the people of the source.
type between struct {
	mine    map[core.UserID]struct{}
	linked  map[pair]struct{}
	blocked map[pair]struct{}
}

func (b *between) add(to map[pair]struct{}, p pair) {
	if _, ok := b.mine[p.a]; ok {
		to[p] = struct{}{}
	}
}

// connections gathers blocks, and what each adds.
func (r *run) connections(ctx context.Context, each func(func(pair) error) error) (*between, error) {
	b := &between{mine: map[core.UserID]struct{}{}, linked: map[pair]struct{}{}, blocked: map[pair]struct{}{}}
	for _, id := range r.local {
		b.mine[id] = struct{}{}
	}
	err := r.Contacts.Blocks(ctx, r.actor, 0, func(x contact.Block) error {
		b.add(b.blocked, pair{x.User, x.Blocked})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b, each(func(p pair) error { b.add(b.linked, p); return nil })
}

// admit says who two foreign users are here, and whether a connection between them is to be made. It counts what becomes of it.
func (r *run) admit(b *between, n *links, x, y int64) (pair, bool) {
	n.found++
	p := pair{r.local[strconv.FormatInt(x, 10)], r.local[strconv.FormatInt(y, 10)]}
	_, ab := b.blocked[p]
	_, ba := b.blocked[pair{p.b, p.a}]
	_, linked := b.linked[p]
	switch {
	case p.a == 0 || p.b == 0 || p.a == p.b:
		n.orphans++
	case linked:
		n.here++
	case ab || ba:
		n.blocked++
	default:
		n.fresh++
		b.linked[p] = struct{}{}
		return p, true
	}
	return p, false
}

func (r *run) friendships(ctx context.Context) error {
	b, err := r.connections(ctx, func(yield func(pair) error) error {
		return r.Contacts.Friendships(ctx, r.actor, 0, func(f contact.Friendship) error { return yield(pair{f.Self, f.Friend}) })
	})
	if err != nil {
		return err
	}
	now := time.Now()
	return inBatches(ctx, r, "entries in friend lists", r.old.Counts().Friendships, r.old.Friendships, func(ctx context.Context, list []legacy.Friendship) error {
		for _, f := range list {
			p, ok := r.admit(b, &r.tally.friends, f.Self, f.Friend)
			if !ok || r.job.DryRun {
				continue
			}
			_, err := r.Contacts.AdoptFriendship(ctx, r.actor, contact.Friendship{Self: p.a, Friend: p.b, Remark: cutBytes(f.Remark, maxNote), At: now})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *run) requests(ctx context.Context) error {
	b, err := r.connections(ctx, func(yield func(pair) error) error {
		return r.Contacts.Applications(ctx, r.actor, 0, func(a contact.Application) error { return yield(pair{a.From, a.To}) })
	})
	if err != nil {
		return err
	}
	now := time.Now()
	return inBatches(ctx, r, "friend requests", r.old.Counts().Applications, r.old.Applications, func(ctx context.Context, list []legacy.Application) error {
		for _, a := range list {
			p, ok := r.admit(b, &r.tally.requests, a.From, a.To)
			if !ok || r.job.DryRun {
				continue
			}
			status := contact.Pending
			if a.Accepted {
				status = contact.Accepted
			}
			if _, err := r.Contacts.AdoptApplication(ctx, r.actor, contact.Application{From: p.a, To: p.b, Status: status, At: now}); err != nil {
				return err
			}
		}
		return nil
	})
}
