package contact

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"parley/internal/core"
)

// Friendship is an entry of a user's friend list as it moves from one server to another. Two friends have one each.
type Friendship struct {
	Self, Friend core.UserID
	Remark       string
	At           time.Time
}

// Application is a friend request as it moves from one server to another.
type Application struct {
	From, To core.UserID
	Status   Status
	Text     string
	At       time.Time
}

// Block is one user's wish not to hear from another, as it moves from one server to another.
type Block struct {
	User, Blocked core.UserID
	At            time.Time
}

// Status is what became of a friend request.
type Status int

// The states of a friend request.
const (
	Pending   Status = pending
	Accepted  Status = accepted
	Withdrawn Status = withdrawn // by its sender, who blocked the other
	Refused   Status = refused   // by the one who was asked
)

// Friendships yields all entries of all friend lists, those that name only if it is not 0.
func (s *Service) Friendships(ctx context.Context, actor core.Actor, only core.UserID, yield func(Friendship) error) error {
	return s.export(ctx, actor, "friendships", only, `SELECT self_id, friend_id, back, created_at FROM friend
		WHERE ?1 IN (0, self_id, friend_id) ORDER BY self_id, friend_id`,
		func(scan func(...any) error) error {
			var f Friendship
			var at int64
			if err := scan(&f.Self, &f.Friend, &f.Remark, &at); err != nil {
				return err
			}
			f.At = time.UnixMilli(at).UTC()
			return yield(f)
		})
}

// Applications yields all friend requests in the order in which they were stored, those that name only if it is not 0. One that
// was never heard is as good as refused.
func (s *Service) Applications(ctx context.Context, actor core.Actor, only core.UserID, yield func(Application) error) error {
	return s.export(ctx, actor, "friend requests", only, `SELECT from_uid, to_uid, CASE status WHEN 4 THEN 3 ELSE status END, text, created_at FROM friend_apply
		WHERE ?1 IN (0, from_uid, to_uid) ORDER BY id`,
		func(scan func(...any) error) error {
			var a Application
			var at int64
			if err := scan(&a.From, &a.To, &a.Status, &a.Text, &at); err != nil {
				return err
			}
			a.At = time.UnixMilli(at).UTC()
			return yield(a)
		})
}

// Blocks yields all blocks, those that name only if it is not 0.
func (s *Service) Blocks(ctx context.Context, actor core.Actor, only core.UserID, yield func(Block) error) error {
	return s.export(ctx, actor, "blocks", only, `SELECT user_id, blocked_id, created_at FROM block
		WHERE ?1 IN (0, user_id, blocked_id) ORDER BY user_id, blocked_id`,
		func(scan func(...any) error) error {
			var b Block
			var at int64
			if err := scan(&b.User, &b.Blocked, &at); err != nil {
				return err
			}
			b.At = time.UnixMilli(at).UTC()
			return yield(b)
		})
}

func (s *Service) export(ctx context.Context, actor core.Actor, what string, only core.UserID, query string, each func(scan func(...any) error) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("export %s: %w", what, err)
		}
	}()
	if !actor.Operator() && !actor.Admin() {
		return core.ErrForbidden
	}
	rows, err := s.db.Query(ctx, query, only)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AdoptFriendship puts an entry into a friend list. One that is there already stays as it is, and false is returned.
// Nobody is told. Both users must exist.
func (s *Service) AdoptFriendship(ctx context.Context, actor core.Actor, f Friendship) (bool, error) {
	return s.adopt(ctx, actor, "a friendship", f.Self, f.Friend, f.Remark, `INSERT INTO friend (self_id, friend_id, back, created_at)
		VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, int64(f.Self), int64(f.Friend), f.Remark, f.At.UnixMilli())
}

// AdoptApplication stores a friend request. If the first has asked the second before, that one stays, and false is
// returned. Nobody is told. Both users must exist.
func (s *Service) AdoptApplication(ctx context.Context, actor core.Actor, a Application) (bool, error) {
	if a.Status < Pending || a.Status > Refused {
		return false, fmt.Errorf("adopt a friend request: its status: %w", core.ErrInvalid)
	}
	return s.adopt(ctx, actor, "a friend request", a.From, a.To, a.Text, `INSERT INTO friend_apply (from_uid, to_uid, status, text, created_at)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, int64(a.From), int64(a.To), int(a.Status), a.Text, a.At.UnixMilli())
}

// AdoptBlock stores a block and nothing of what a block ends. One that is there already stays, and false is returned.
// Both users must exist.
func (s *Service) AdoptBlock(ctx context.Context, actor core.Actor, b Block) (bool, error) {
	return s.adopt(ctx, actor, "a block", b.User, b.Blocked, "", `INSERT INTO block (user_id, blocked_id, created_at)
		VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, int64(b.User), int64(b.Blocked), b.At.UnixMilli())
}

// adopt stores a row between a and b unless it is there. note is checked.
func (s *Service) adopt(ctx context.Context, actor core.Actor, what string, a, b core.UserID, note, query string, args ...any) (fresh bool, err error) {
	switch {
	case !actor.Operator() && !actor.Admin():
		err = core.ErrForbidden
	case a == b, len(note) > maxNote, !utf8.ValidString(note):
		err = core.ErrInvalid
	default:
		err = s.db.Update(ctx, func(ctx context.Context) error {
			for _, uid := range []core.UserID{a, b} {
				if _, err := s.profile(ctx, uid); err != nil {
					return err
				}
			}
			n, err := s.db.Exec(ctx, query, args...)
			if fresh = n > 0; !fresh {
				return err
			}
			s.changed(ctx, a, b)
			return s.touch(ctx, a, b)
		})
	}
	if err != nil {
		return false, fmt.Errorf("adopt %s of %d and %d: %w", what, a, b, err)
	}
	return fresh, nil
}
