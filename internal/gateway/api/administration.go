package api

import (
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

// overseenRoom is a room as those see it who administer the server, whether they are in it or not.
type overseenRoom struct {
	room
	Members   int       `json:"members" doc:"how many they are"`
	Messages  int64     `json:"messages" doc:"how many were sent"`
	Owner     *author   `json:"owner,omitzero" doc:"absent of the lobby, and of a room that nobody owns"`
	CreatedAt time.Time `json:"created_at"`
}

func (s shapes) overseen(r chat.RoomInfo) overseenRoom {
	v := overseenRoom{room: roomOf(r.Conversation), Members: r.Members, Messages: r.Messages, CreatedAt: r.CreatedAt.UTC()}
	if r.Owner.ID != 0 {
		owner := s.author(r.Owner)
		v.Owner = &owner
	}
	return v
}

// docs/protocols/api.md#administration.
func allRooms(c *call, in span) (part[overseenRoom], error) {
	return partOf(in, c.shapes().overseen, func(most int) ([]chat.RoomInfo, error) {
		return c.gw.Chat.AllRooms(c.ctx(), c.actor, core.ConversationID(in.After), most)
	})
}

// docs/protocols/api.md#rooms.
func closeRoom(c *call, in conversationRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.CloseRoom(c.ctx(), c.actor, c.from, in.ID)
}
