package contact

import (
	"context"
	"fmt"
	"time"

	"parley/internal/core"
)

// Refuse answers a request to the actor with no. Its sender is not told, and rings no second time for a day.
func (s *Service) Refuse(ctx context.Context, actor core.Actor, from core.UserID) error {
	err := s.update(ctx, actor, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE friend_apply SET status = ? WHERE from_uid = ? AND to_uid = ? AND status = ?`,
			refused, int64(from), int64(actor.User()), pending)
		if err == nil && n == 0 {
			err = core.ErrRequestNotFound
		}
		if err != nil {
			return err
		}
		return s.touch(ctx, actor.User())
	})
	if err != nil {
		return fmt.Errorf("refuse a friend request: %w", err)
	}
	return nil
}

// Sent returns the actor's requests to others that were not accepted, the oldest first. Those that were refused, or
// never reached who has blocked the actor, are among them: nobody is told of that.
func (s *Service) Sent(ctx context.Context, actor core.Actor) ([]SentRequest, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	list, err := s.sent(ctx, actor.User())
	if err != nil {
		return nil, fmt.Errorf("sent friend requests: %w", err)
	}
	return list, nil
}

// SentRequest is a request as its sender sees it.
type SentRequest struct {
	To   core.User // as others may see it
	Text string
	At   time.Time
}

func (s *Service) sent(ctx context.Context, from core.UserID) (list []SentRequest, err error) {
	rows, err := s.db.Query(ctx, `SELECT `+publicColumns+`, a.text, a.created_at
		FROM friend_apply a JOIN "user" u ON u.uid = a.to_uid
		WHERE a.from_uid = ? AND a.status IN (?, ?, ?) AND u.disabled = 0
			AND NOT EXISTS (SELECT 1 FROM block b WHERE b.user_id = a.from_uid AND b.blocked_id = a.to_uid)
		ORDER BY a.created_at, a.id`, int64(from), pending, refused, unheard)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var r SentRequest
	var at int64
	dest := publicDest(&r.To, &r.Text, &at)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		r.At = time.UnixMilli(at)
		list = append(list, r)
	}
	return list, rows.Err()
}

// SetRemark changes what stands beside a friend in the actor's list: core.ErrNotFriends if it is none.
func (s *Service) SetRemark(ctx context.Context, actor core.Actor, friend core.UserID, remark string) error {
	err := s.update(ctx, actor, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `UPDATE friend SET back = ? WHERE self_id = ? AND friend_id = ?`, cut(remark, maxNote), int64(actor.User()), int64(friend))
		if err == nil && n == 0 {
			err = core.ErrNotFriends
		}
		if err != nil {
			return err
		}
		return s.touch(ctx, actor.User())
	})
	if err != nil {
		return fmt.Errorf("set a remark: %w", err)
	}
	return nil
}

// Unfriend ends a friendship on both sides; the other is not told. It is done at once if there is none.
func (s *Service) Unfriend(ctx context.Context, actor core.Actor, friend core.UserID) error {
	a, b := int64(actor.User()), int64(friend)
	err := s.update(ctx, actor, func(ctx context.Context) error {
		n, err := s.db.Exec(ctx, `DELETE FROM friend WHERE (self_id, friend_id) IN (VALUES (?1, ?2), (?2, ?1))`, a, b)
		if err != nil || n == 0 {
			return err
		}
		s.changed(ctx, actor.User(), friend)
		return s.touch(ctx, actor.User(), friend)
	})
	if err != nil {
		return fmt.Errorf("end a friendship: %w", err)
	}
	return nil
}

// Blocked returns whom the actor has blocked, in the order of their uids.
func (s *Service) Blocked(ctx context.Context, actor core.Actor) ([]core.User, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	list, err := s.blocked(ctx, actor.User())
	if err != nil {
		return nil, fmt.Errorf("blocked people: %w", err)
	}
	return list, nil
}

func (s *Service) blocked(ctx context.Context, user core.UserID) (list []core.User, err error) {
	rows, err := s.db.Query(ctx, `SELECT `+publicColumns+` FROM block b JOIN "user" u ON u.uid = b.blocked_id
		WHERE b.user_id = ? ORDER BY b.blocked_id`, int64(user))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var u core.User
	dest := publicDest(&u)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, rows.Err()
}

// Forget takes a user out of everybody's lists, in the unit of work that deletes the account.
func (s *Service) Forget(ctx context.Context, user core.UserID) error {
	if err := s.touchThose(ctx, `uid IN (SELECT friend_id FROM friend WHERE self_id = ?1 UNION SELECT self_id FROM friend WHERE friend_id = ?1
		UNION SELECT to_uid FROM friend_apply WHERE from_uid = ?1 AND status = ?2
		UNION SELECT from_uid FROM friend_apply WHERE to_uid = ?1 AND status IN (?2, ?3, ?4)
		UNION SELECT user_id FROM block WHERE blocked_id = ?1)`, int64(user), pending, refused, unheard); err != nil {
		return fmt.Errorf("forget a user: %w", err)
	}
	for _, query := range []string{
		`DELETE FROM friend WHERE self_id = ?1 OR friend_id = ?1`,
		`DELETE FROM friend_apply WHERE from_uid = ?1 OR to_uid = ?1`,
		`DELETE FROM block WHERE user_id = ?1 OR blocked_id = ?1`,
	} {
		if _, err := s.db.Exec(ctx, query, int64(user)); err != nil {
			return fmt.Errorf("forget a user: %w", err)
		}
	}
	return nil
}
