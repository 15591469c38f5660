package api

import (
	"slices"
	"strconv"
	"strings"

	"parley/internal/core"
)

// maxAsked is of how many users at once somebody can ask whether they are online.
const maxAsked = 100

type presenceRequest struct {
	UserIDs string `json:"-" query:"user_ids" doc:"up to 100 uids with commas between them"`
}

// presence is whether somebody is online.
type presence struct {
	UserID core.UserID `json:"user_id"`
	Online bool        `json:"online"`
}

// presences leaves out whoever is neither a friend nor in a room with the actor. docs/protocols/api.md#presence.
func presences(c *call, in presenceRequest) (items[presence], error) {
	asked, err := parseIDs(in.UserIDs)
	if err != nil {
		return items[presence]{}, err
	}
	known, err := c.watched(asked)
	if err != nil {
		return items[presence]{}, err
	}
	online := c.gw.Hub.Online(known)
	list := make([]presence, len(known))
	for i, id := range known {
		list[i] = presence{id, online[i]}
	}
	return items[presence]{list, len(list)}, nil
}

// watched returns, in their order, those of some users whose presence the actor may know.
func (c *call) watched(users []core.UserID) ([]core.UserID, error) {
	known, err := c.gw.Chat.Fellows(c.ctx(), c.actor, users)
	if err != nil {
		return nil, err
	}
	friends, err := c.gw.Contacts.Watched(c.ctx(), c.actor)
	if err != nil {
		return nil, err
	}
	for _, f := range friends {
		if slices.Contains(users, f) {
			known = append(known, f)
		}
	}
	slices.Sort(known)
	return slices.Compact(known), nil
}

func parseIDs(text string) (list []core.UserID, err error) {
	for field := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(field), 10, 64)
		if err != nil || len(list) == maxAsked {
			return nil, because(errBody, "user_ids are up to 100 numbers with commas between them")
		}
		list = append(list, core.UserID(id))
	}
	return list, nil
}
