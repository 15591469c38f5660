package api

import (
	"parley/internal/account"
)

// docs/protocols/api.md#administration.
func listUsers(c *call, in peopleRequest) (page[user], error) {
	skip, most, err := in.span()
	if err != nil {
		return page[user]{}, err
	}
	list, total, err := c.gw.Accounts.People(c.ctx(), c.actor, in.Query, skip, most)
	return pageOf(list, total, skip, most, c.user), err
}

// docs/protocols/api.md#administration.
func addUser(c *call, in newUserRequest) (user, error) {
	u, err := c.gw.Accounts.Add(c.ctx(), c.actor, c.from, account.NewUser{
		Name: in.Username, Email: in.Email, Phone: in.Phone, Password: in.Password, Admin: in.Admin,
	})
	return c.user(u), err
}

// docs/protocols/api.md#administration.
func showUser(c *call, in userRequest) (user, error) {
	u, err := c.gw.Accounts.Inspect(c.ctx(), c.actor, in.UserID)
	return c.user(u), err
}

// docs/protocols/api.md#administration.
func amendUser(c *call, in amendRequest) (user, error) {
	u, err := c.gw.Accounts.Oversee(c.ctx(), c.actor, c.from, in.UserID, account.Amendment{
		Nick: in.FullName, Desc: in.Bio, Sex: in.Sex, Email: in.Email, Phone: in.Phone, Admin: in.Admin, Password: in.Password,
	})
	return c.user(u), err
}

// docs/protocols/api.md#administration.
func removeUser(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Accounts.Remove(c.ctx(), c.actor, c.from, in.UserID)
}

// docs/protocols/api.md#administration.
func ban(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Accounts.Ban(c.ctx(), c.actor, c.from, in.UserID, true)
}

// docs/protocols/api.md#administration.
func unban(c *call, in userRequest) (nothing, error) {
	return nothing{}, c.gw.Accounts.Ban(c.ctx(), c.actor, c.from, in.UserID, false)
}

// docs/protocols/api.md#administration.
func auditLog(c *call, in paging) (page[entry], error) {
	skip, most, err := in.span()
	if err != nil {
		return page[entry]{}, err
	}
	list, total, err := c.gw.Audit.Page(c.ctx(), c.actor, skip, most)
	return pageOf(list, total, skip, most, entryOf), err
}
