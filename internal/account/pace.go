package account

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"parley/internal/core"
)

// Pace counts a request, for gateways whose clients ask one by one: core.ErrThrottled if the network it comes from, or the
// user who makes it, has made too many within a minute.
func (s *Service) Pace(ctx context.Context, actor core.Actor, from core.Origin) error {
	limit := s.live.requests.Load()
	if limit <= 0 {
		return nil
	}
	who := "ip:" + network(from.IP)
	if actor.Known() {
		who = strconv.FormatInt(int64(actor.User()), 10)
	}
	if err := s.throttle.count(ctx, "parley:pace:"+who, limit, time.Minute); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return nil
}
