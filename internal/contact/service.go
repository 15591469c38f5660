// Package contact is who knows whom: searching people, friend requests, friends with their remarks, and blocks.
package contact

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	maxNote    = 255  // bytes of a request's text and of a remark; the rest is cut off
	maxPending = 1000 // unanswered requests to one user
	maxPerHour = 200  // requests by one user

	refusalHolds = 24 * time.Hour // from the request that was refused
)

// Config is what an operator may choose.
type Config struct {
	Strangers bool // people who are not friends may write to each other
}

// Accounts knows whether an actor is still who they were proved to be.
type Accounts interface {
	// Present returns core.ErrLoginRequired if they are not, judged in the unit of work of the context.
	Present(ctx context.Context, actor core.Actor, admin bool) error
}

// Service keeps the rules of friendship. A friendship is two entries, one in each user's list.
type Service struct {
	db        *store.DB
	nameKey   func(string) string
	publish   func(core.Event)
	strangers atomic.Bool              // people who are not friends may write to each other
	accounts  Accounts                 // nil: nobody is asked
	onChange  []func(a, b core.UserID) // complete before the first call of a method
}

// New returns the service. nameKey folds a name to the key that names are unique by. publish gets the events after
// their commit, in commit order, and must not block.
func New(db *store.DB, nameKey func(string) string, publish func(core.Event), cfg Config) *Service {
	s := &Service{db: db, nameKey: nameKey, publish: publish}
	s.SetStrangers(cfg.Strangers)
	return s
}

// SetStrangers says whether people who are not friends may write to each other from now on.
func (s *Service) SetStrangers(may bool) {
	s.strangers.Store(may)
	for _, fn := range s.onChange {
		fn(0, 0)
	}
}

// Ask has accounts judge the actor in the unit of work of every change: until then time has passed. It must be called before
// the service is used.
func (s *Service) Ask(accounts Accounts) { s.accounts = accounts }

// update runs what an actor changes as one unit of work.
func (s *Service) update(ctx context.Context, actor core.Actor, fn func(context.Context) error) error {
	if !actor.Known() {
		return core.ErrLoginRequired
	}
	return s.db.Update(ctx, func(ctx context.Context) error {
		if s.accounts != nil {
			if err := s.accounts.Present(ctx, actor, false); err != nil {
				return err
			}
		}
		return fn(ctx)
	})
}

// OnChange has fn called after each commit that changed a friendship or a block between a and b, so that what was known
// of who may write to whom can be dropped; 0 and 0 stand for everybody. fn must not block. It must be called before the service is used.
func (s *Service) OnChange(fn func(a, b core.UserID)) { s.onChange = append(s.onChange, fn) }

func (s *Service) changed(ctx context.Context, a, b core.UserID) {
	store.AfterCommit(ctx, func() {
		for _, fn := range s.onChange {
			fn(a, b)
		}
	})
}

func (s *Service) publishLater(ctx context.Context, e core.Event) {
	store.AfterCommit(ctx, func() { s.publish(e) })
}

// Search finds a user by uid or by the exact name. The e-mail address is filled in
// only if it is the actor's own or a friend's.
func (s *Service) Search(ctx context.Context, actor core.Actor, query string) (core.User, error) {
	if !actor.Known() {
		return core.User{}, core.ErrLoginRequired
	}
	u, err := s.find(ctx, actor.User(), query)
	if err != nil {
		return core.User{}, fmt.Errorf("search: %w", err)
	}
	return u, nil
}

// find takes digits for a uid if somebody has it: a name may be all digits as well, but then nobody's uid is the same.
func (s *Service) find(ctx context.Context, viewer core.UserID, query string) (core.User, error) {
	if uid, err := strconv.ParseInt(query, 10, 64); err == nil && allDigits(query) {
		u, err := s.userByID(ctx, viewer, core.UserID(uid))
		if !errors.Is(err, core.ErrUserNotFound) {
			return u, err
		}
	}
	return s.userByName(ctx, viewer, s.nameKey(query))
}

// Request asks to become the actor's friend. It is done at once, and nobody is told, if they are friends or the
// request is pending already; a user who has blocked the actor is not told either. Whoever asks no longer blocks.
func (s *Service) Request(ctx context.Context, actor core.Actor, to core.UserID, text string) error {
	if actor.Known() && to == actor.User() {
		return core.ErrUserNotFound
	}
	err := s.update(ctx, actor, func(ctx context.Context) error {
		return s.request(ctx, actor.User(), to, cut(text, maxNote))
	})
	if err != nil {
		return fmt.Errorf("friend request: %w", err)
	}
	return nil
}

func (s *Service) request(ctx context.Context, from, to core.UserID, text string) error {
	rel, err := s.relation(ctx, from, to)
	if err != nil || rel.friends || rel.status == pending {
		return err
	}
	now := time.Now()
	// The limits come before the block, so that running into them does not tell who has blocked the sender.
	if err := s.throttle(ctx, from, to, now); err != nil {
		return err
	}
	// Whoever was refused may ask again after a while; until then nobody is told, as with a block. Those who asked see it wait.
	if rel.status == refused && now.Sub(rel.at) < refusalHolds {
		return nil
	}
	// Who sees a request wait must not learn from the version that it did not: it stays where asking again changes nothing.
	waits := rel.status == refused || rel.status == unheard
	if rel.blocked && waits {
		return nil
	}
	if rel.blocked {
		return errors.Join(s.touch(ctx, from), s.saveRequest(ctx, rel, from, to, unheard, text, now))
	}
	lifted, err := s.deleteBlock(ctx, from, to)
	if err != nil {
		return err
	}
	if lifted {
		s.changed(ctx, from, to)
	}
	if lifted || !waits {
		if err := s.touch(ctx, from); err != nil {
			return err
		}
	}
	at := now
	// A request that its sender took back by blocking keeps its date for an hour and rings no second time: otherwise
	// asking, blocking and asking again would ring as often as one likes.
	again := rel.status == withdrawn && now.Sub(rel.at) < time.Hour
	if again {
		at = rel.at
	}
	if err := s.saveRequest(ctx, rel, from, to, pending, text, at); err != nil {
		return err
	}
	if err := s.touch(ctx, to); err != nil || again {
		return err
	}
	sender, err := s.profile(ctx, from)
	if err != nil {
		return err
	}
	s.publishLater(ctx, core.FriendRequested{Request: core.FriendRequest{From: sender, To: to, Text: text, At: time.UnixMilli(at.UnixMilli())}})
	return nil
}

func (s *Service) throttle(ctx context.Context, from, to core.UserID, now time.Time) error {
	oldest, full, err := s.oldestOfLast(ctx, from, maxPerHour, now.Add(-time.Hour))
	if err != nil {
		return err
	}
	if full {
		return core.RetryLater(core.ErrThrottled, oldest.Add(time.Hour).Sub(now))
	}
	waiting, err := s.countPending(ctx, to)
	if err != nil {
		return err
	}
	if waiting >= maxPending {
		return core.ErrThrottled
	}
	return nil
}

// Requests returns the unanswered requests to the actor, the oldest first. Those of disabled users are left out.
func (s *Service) Requests(ctx context.Context, actor core.Actor) ([]core.FriendRequest, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	list, err := s.pendingRequests(ctx, actor.User())
	if err != nil {
		return nil, fmt.Errorf("friend requests: %w", err)
	}
	return list, nil
}

// Accept makes the actor and from, who asked for it, friends, and returns from's public profile. The remark stands in
// the actor's list. Accepting a friend again changes nothing.
func (s *Service) Accept(ctx context.Context, actor core.Actor, from core.UserID, remark string) (core.User, error) {
	var friend core.User
	err := s.update(ctx, actor, func(ctx context.Context) (err error) {
		friend, err = s.accept(ctx, actor.User(), from, cut(remark, maxNote))
		return err
	})
	if err != nil {
		return core.User{}, fmt.Errorf("accept a friend request: %w", err)
	}
	return friend, nil
}

func (s *Service) accept(ctx context.Context, by, from core.UserID, remark string) (core.User, error) {
	rel, err := s.relation(ctx, by, from)
	if core.KindOf(err) == core.NotFound {
		return core.User{}, core.ErrRequestNotFound
	}
	if err != nil {
		return core.User{}, err
	}
	friend, err := s.profile(ctx, from)
	if err != nil {
		return core.User{}, err
	}
	asked, err := s.markAccepted(ctx, from, by)
	if err != nil {
		return core.User{}, err
	}
	if !asked && rel.friends {
		return friend, nil
	}
	if !asked {
		return core.User{}, core.ErrRequestNotFound
	}
	if err := s.settle(ctx, by, from); err != nil {
		return core.User{}, err
	}
	if err := s.insertFriends(ctx, by, from, remark); err != nil {
		return core.User{}, err
	}
	acceptor, err := s.profile(ctx, by)
	if err != nil {
		return core.User{}, err
	}
	s.publishLater(ctx, core.FriendAccepted{By: acceptor, To: from})
	s.changed(ctx, by, from)
	return friend, s.touch(ctx, by, from)
}

// Friends returns the actor's friends in the order of their uids.
func (s *Service) Friends(ctx context.Context, actor core.Actor) ([]core.Friend, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	list, err := s.friends(ctx, actor.User())
	if err != nil {
		return nil, fmt.Errorf("friends: %w", err)
	}
	return list, nil
}

// Block keeps uid from writing to the actor and from asking for friendship. It ends a friendship and takes back what
// either asked of the other. Uid is not told.
func (s *Service) Block(ctx context.Context, actor core.Actor, uid core.UserID) error {
	if actor.Known() && uid == actor.User() {
		return core.Because(core.ErrInvalid, "Nobody can block themselves")
	}
	err := s.update(ctx, actor, func(ctx context.Context) error {
		if _, err := s.profile(ctx, uid); err != nil {
			return err
		}
		seen, err := s.insertBlock(ctx, actor.User(), uid)
		if err != nil {
			return err
		}
		s.changed(ctx, actor.User(), uid)
		if seen { // a friend, or a request, is gone from their lists
			err = s.touch(ctx, uid)
		}
		return errors.Join(err, s.touch(ctx, actor.User()))
	})
	if err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return nil
}

// Unblock takes a block back. What the block ended stays ended.
func (s *Service) Unblock(ctx context.Context, actor core.Actor, uid core.UserID) error {
	err := s.update(ctx, actor, func(ctx context.Context) error {
		lifted, err := s.deleteBlock(ctx, actor.User(), uid)
		if err != nil || !lifted {
			return err
		}
		s.changed(ctx, actor.User(), uid)
		return s.touch(ctx, actor.User())
	})
	if err != nil {
		return fmt.Errorf("unblock: %w", err)
	}
	return nil
}

// MayWrite says whether from may send to a direct message: nil, ErrUserNotFound if one of them does not exist or is
// disabled, ErrNotFriends for a stranger, for a block in either direction, and for oneself.
func (s *Service) MayWrite(ctx context.Context, from, to core.UserID) error {
	if from <= 0 {
		return core.ErrLoginRequired
	}
	friend, blocked, err := s.standing(ctx, from, to)
	switch {
	case err != nil:
		return fmt.Errorf("may write: %w", err)
	case blocked, from == to, !friend && !s.strangers.Load():
		return core.ErrNotFriends
	}
	return nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// cut returns the first n bytes of s at most, without a broken character at the end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
