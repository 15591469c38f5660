package contact

import (
	"context"
	"fmt"

	"parley/internal/core"
)

// ShowPresence tells a user's friends that the user came online or went offline.
func (s *Service) ShowPresence(ctx context.Context, user core.UserID, online bool) error {
	to, err := s.mutual(ctx, user)
	if err != nil {
		return fmt.Errorf("show presence: %w", err)
	}
	if len(to) > 0 {
		s.publish(core.PresenceChanged{User: user, Online: online, To: to})
	}
	return nil
}

// Watched returns the friends whose presence the actor may see: those who would be told of the actor's.
func (s *Service) Watched(ctx context.Context, actor core.Actor) ([]core.UserID, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	friends, err := s.mutual(ctx, actor.User())
	if err != nil {
		return nil, fmt.Errorf("friends who show their presence: %w", err)
	}
	return friends, nil
}

const mutualQuery = `SELECT f.friend_id FROM friend f JOIN "user" u ON u.uid = f.friend_id
WHERE f.self_id = ?1 AND u.disabled = 0 AND EXISTS (SELECT 1 FROM friend WHERE self_id = f.friend_id AND friend_id = ?1)
	AND NOT EXISTS (SELECT 1 FROM block WHERE user_id = f.friend_id AND blocked_id = ?1)
	AND NOT EXISTS (SELECT 1 FROM block WHERE user_id = ?1 AND blocked_id = f.friend_id)
ORDER BY f.friend_id`

// mutual returns the friends of a user who are not kept apart by a block.
func (s *Service) mutual(ctx context.Context, user core.UserID) (friends []core.UserID, err error) {
	rows, err := s.db.Query(ctx, mutualQuery, int64(user))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var friend core.UserID
		if err := rows.Scan(&friend); err != nil {
			return nil, err
		}
		friends = append(friends, friend)
	}
	return friends, rows.Err()
}
