package api

import (
	"slices"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

type newRoomRequest struct {
	Name    string        `json:"name" example:"The choir"`
	Topic   string        `json:"topic,omitzero" example:"When and where we sing"`
	Public  bool          `json:"is_public,omitzero" example:"false" doc:"everybody may find it and join"`
	Members []core.UserID `json:"member_ids,omitzero" example:"[1002,1003]" doc:"who are in it from the beginning"`
}

// docs/protocols/api.md#rooms.
func makeRoom(c *call, in newRoomRequest) (conversation, error) {
	r, err := c.gw.Chat.CreateRoom(c.ctx(), c.actor, chat.RoomForm{Name: in.Name, Topic: in.Topic, Public: in.Public, Members: in.Members})
	if err != nil {
		return conversation{}, err
	}
	return c.conversation(r.ID)
}

// docs/protocols/api.md#rooms.
func publicRooms(c *call, in span) (part[room], error) {
	return partOf(in, roomOf, func(most int) ([]core.Conversation, error) {
		return c.gw.Chat.PublicRooms(c.ctx(), c.actor, core.ConversationID(in.After), most)
	})
}

type editRoomRequest struct {
	conversationRequest
	Name   *string `json:"name,omitzero" example:"The choir" doc:"what is absent stays as it is"`
	Topic  *string `json:"topic,omitzero" example:"When and where we sing"`
	Public *bool   `json:"is_public,omitzero" example:"true"`
}

// editRoom answers with what everybody may see, since administrators of the server need not be in the room.
// docs/protocols/api.md#rooms.
func editRoom(c *call, in editRoomRequest) (room, error) {
	r, err := c.gw.Chat.EditRoom(c.ctx(), c.actor, in.ID, chat.RoomEdit{Name: in.Name, Topic: in.Topic, Public: in.Public})
	return roomOf(r), err
}

// docs/protocols/api.md#rooms.
func joinRoom(c *call, in conversationRequest) (conversation, error) {
	if _, err := c.gw.Chat.Join(c.ctx(), c.actor, in.ID); err != nil {
		return conversation{}, err
	}
	return c.conversation(in.ID)
}

// docs/protocols/api.md#rooms.
func leaveRoom(c *call, in conversationRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.Leave(c.ctx(), c.actor, in.ID)
}

// members of a direct chat may be strangers by now, or have blocked the actor: who is online is told as it is elsewhere, and
// to those who administer. docs/protocols/api.md#members.
func members(c *call, in conversationSpan) (part[listedMember], error) {
	online := map[core.UserID]bool{}
	s := c.shapes()
	convert := func(m core.Member) listedMember { return listedMember{s.member(m), online[m.User.ID]} }
	return partOf(in.span, convert, func(most int) ([]core.Member, error) {
		list, err := c.gw.Chat.Members(c.ctx(), c.actor, in.ID, core.UserID(in.After), most)
		if err != nil {
			return nil, err
		}
		ids := make([]core.UserID, len(list))
		for i, m := range list {
			ids[i] = m.User.ID
		}
		if !c.actor.Admin() {
			self := slices.Contains(ids, c.actor.User())
			if ids, err = c.watched(ids); err != nil {
				return nil, err
			}
			if self {
				ids = append(ids, c.actor.User())
			}
		}
		for i, is := range c.gw.Hub.Online(ids) {
			online[ids[i]] = is
		}
		return list, nil
	})
}

// listedMember is a member in a list.
type listedMember struct {
	member
	Online bool `json:"online"`
}

// member is somebody in a room, as those in it see them.
func (c *call) member(id core.ConversationID, user core.UserID) (member, error) {
	list, err := c.gw.Chat.Members(c.ctx(), c.actor, id, user-1, 1)
	if err == nil && (len(list) == 0 || list[0].User.ID != user) {
		err = core.ErrMemberNotFound
	}
	if err != nil {
		return member{}, err
	}
	return c.shapes().member(list[0]), nil
}

type roomUserRequest struct {
	conversationRequest
	UserID core.UserID `json:"user_id" example:"1002"`
}

// docs/protocols/api.md#members.
func bring(c *call, in roomUserRequest) (member, error) {
	if err := c.gw.Chat.Bring(c.ctx(), c.actor, in.ID, in.UserID); err != nil {
		return member{}, err
	}
	return c.member(in.ID, in.UserID)
}

type memberRequest struct {
	conversationRequest
	UserID core.UserID `json:"-" path:"user_id"`
}

type amendMemberRequest struct {
	memberRequest
	Role *string `json:"role,omitzero" example:"admin" doc:"admin or member"`
	Mute *int64  `json:"mute_seconds,omitzero" doc:"in place of role: for how long they may not write; 0 lets them write again"`
}

// maxMute is the longest that somebody can be muted, in seconds: ten years.
const maxMute = 10 * 365 * 24 * 60 * 60

// amendMember changes one thing at a time, so that a failure leaves nothing half done. docs/protocols/api.md#members.
func amendMember(c *call, in amendMemberRequest) (_ member, err error) {
	switch {
	case (in.Role == nil) == (in.Mute == nil):
		return member{}, because(errBody, "role or mute_seconds, one of them")
	case in.Mute != nil && (*in.Mute < 0 || *in.Mute > maxMute):
		return member{}, because(errBody, "mute_seconds is 0 to ten years")
	case in.Mute != nil:
		until := time.Now().Add(time.Duration(*in.Mute) * time.Second)
		err = c.gw.Chat.Mute(c.ctx(), c.actor, c.from, in.ID, in.UserID, until)
	case *in.Role == roleAdmin:
		err = c.gw.Chat.Appoint(c.ctx(), c.actor, c.from, in.ID, in.UserID, core.RoomAdmin)
	case *in.Role == roleMember:
		err = c.gw.Chat.Appoint(c.ctx(), c.actor, c.from, in.ID, in.UserID, core.Plain)
	default:
		err = because(errBody, "role is admin or member; a room is handed over under its owner")
	}
	if err != nil {
		return member{}, err
	}
	return c.member(in.ID, in.UserID)
}

// docs/protocols/api.md#members.
func removeMember(c *call, in memberRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.Remove(c.ctx(), c.actor, c.from, in.ID, in.UserID)
}

// docs/protocols/api.md#members.
func handOver(c *call, in roomUserRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.HandOver(c.ctx(), c.actor, c.from, in.ID, in.UserID)
}
