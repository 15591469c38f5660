package api

import (
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

// docs/protocols/api.md#invitations.
func roomLinks(c *call, in conversationRequest) (items[roomLink], error) {
	list, err := c.gw.Chat.Links(c.ctx(), c.actor, in.ID)
	s := c.shapes()
	return listOf(list, func(l core.RoomLink) roomLink { return s.roomLink(l, "") }), err
}

type newLinkRequest struct {
	conversationRequest
	ExpiresIn int64 `json:"expires_in,omitzero" example:"604800" doc:"in seconds; 0 for never"`
	MaxUses   int   `json:"max_uses,omitzero" example:"30" doc:"0 for any number"`
}

// maxLinkLife is how long a link that ends may live, in seconds: ten years.
const maxLinkLife = 10 * 365 * 24 * 60 * 60

// docs/protocols/api.md#invitations.
func makeLink(c *call, in newLinkRequest) (roomLink, error) {
	form := chat.LinkForm{MaxUses: in.MaxUses}
	if in.ExpiresIn < 0 || in.ExpiresIn > maxLinkLife {
		return roomLink{}, because(errBody, "expires_in is 0 to ten years, in seconds")
	}
	if in.ExpiresIn > 0 {
		form.Expires = time.Now().Add(time.Duration(in.ExpiresIn) * time.Second)
	}
	link, token, err := c.gw.Chat.CreateLink(c.ctx(), c.actor, in.ID, form)
	return c.shapes().roomLink(link, token), err
}

type linkRequest struct {
	conversationRequest
	LinkID int64 `json:"-" path:"link_id"`
}

// docs/protocols/api.md#invitations.
func revokeLink(c *call, in linkRequest) (nothing, error) {
	return nothing{}, c.gw.Chat.RevokeLink(c.ctx(), c.actor, in.ID, in.LinkID)
}

type inviteRequest struct {
	Token string `json:"-" path:"token"`
}

// invitation is what somebody sees who follows a link.
type invitation struct {
	room
	Members int `json:"members" doc:"how many are there"`
}

// showInvite is open to everybody: who has the token may know where it leads. docs/protocols/api.md#invitations.
func showInvite(c *call, in inviteRequest) (invitation, error) {
	r, members, err := c.gw.Chat.Invitation(c.ctx(), in.Token)
	return invitation{roomOf(r), members}, err
}

// docs/protocols/api.md#invitations.
func followInvite(c *call, in inviteRequest) (conversation, error) {
	r, err := c.gw.Chat.JoinByLink(c.ctx(), c.actor, in.Token)
	if err != nil {
		return conversation{}, err
	}
	return c.conversation(r.ID)
}
