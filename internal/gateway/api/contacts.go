package api

import (
	"errors"

	"parley/internal/core"
)

// search answers with a list, empty if there is nobody. docs/protocols/api.md#contacts.
func search(c *call, in searchRequest) (items[person], error) {
	u, err := c.gw.Contacts.Search(c.ctx(), c.actor, in.Query)
	if errors.Is(err, core.ErrUserNotFound) {
		return items[person]{}, nil
	}
	return listOf([]core.User{u}, c.person), err
}

// docs/protocols/api.md#contacts.
func requests(c *call, in requestsRequest) (items[friendRequest], error) {
	switch in.Direction {
	case "", "in":
		list, err := c.gw.Contacts.Requests(c.ctx(), c.actor)
		return listOf(list, c.received), err
	case "out":
		list, err := c.gw.Contacts.Sent(c.ctx(), c.actor)
		return listOf(list, c.sent), err
	}
	return items[friendRequest]{}, because(errBody, "direction is in or out")
}

// docs/protocols/api.md#contacts.
func ask(c *call, in askRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.Request(c.ctx(), c.actor, in.UserID, in.Text)
}

// docs/protocols/api.md#contacts.
func accept(c *call, in acceptRequest) (person, error) {
	u, err := c.gw.Contacts.Accept(c.ctx(), c.actor, in.UserID, in.Remark)
	return c.person(u), err
}

// docs/protocols/api.md#contacts.
func refuse(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.Refuse(c.ctx(), c.actor, in.UserID)
}

// docs/protocols/api.md#contacts.
func friends(c *call, _ nothing) (items[friend], error) {
	list, err := c.gw.Contacts.Friends(c.ctx(), c.actor)
	return listOf(list, c.friend), err
}

// docs/protocols/api.md#contacts.
func setRemark(c *call, in remarkRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.SetRemark(c.ctx(), c.actor, in.UserID, in.Remark)
}

// docs/protocols/api.md#contacts.
func unfriend(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.Unfriend(c.ctx(), c.actor, in.UserID)
}

// docs/protocols/api.md#contacts.
func blocks(c *call, _ nothing) (items[person], error) {
	list, err := c.gw.Contacts.Blocked(c.ctx(), c.actor)
	return listOf(list, c.person), err
}

// docs/protocols/api.md#contacts.
func block(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.Block(c.ctx(), c.actor, in.UserID)
}

// docs/protocols/api.md#contacts.
func unblock(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Contacts.Unblock(c.ctx(), c.actor, in.UserID)
}
