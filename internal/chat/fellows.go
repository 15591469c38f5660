package chat

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// Fellows returns who of some users are in a room with the actor. That somebody is in the lobby makes them nobody's fellow.
func (s *Service) Fellows(ctx context.Context, actor core.Actor, users []core.UserID) (fellows []core.UserID, err error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	if len(users) > maxListed {
		return nil, core.ErrInvalid
	}
	which, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		var id core.UserID
		err := scan(&id)
		fellows = append(fellows, id)
		return err
	}, `SELECT DISTINCT o.user_id FROM json_each(?1) j
		JOIN member o ON o.user_id = j.value
		JOIN conversation c ON c.id = o.conversation_id AND c.kind = 2
		JOIN member m ON m.conversation_id = c.id AND m.user_id = ?2
		WHERE c.id <> ?3 AND o.user_id <> ?2`, string(which), int64(actor.User()), int64(core.Lobby))
	if err != nil {
		return nil, fmt.Errorf("fellow members: %w", err)
	}
	slices.Sort(fellows)
	return fellows, nil
}
