package account

import (
	"context"

	"parley/internal/core"
)

// Present returns core.ErrLoginRequired if, in the unit of work of the context, the actor's account is no longer the one that
// they proved, and core.ErrForbidden if they must administer and no longer do. It is for services that store what an actor did.
func (s *Service) Present(ctx context.Context, actor core.Actor, admin bool) error {
	return s.present(ctx, actor, admin)
}
