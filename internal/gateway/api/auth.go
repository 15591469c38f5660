package api

import (
	"cmp"
	"errors"

	"parley/internal/account"
	"parley/internal/core"
)

// codeLife is how long a code is good, in seconds.
const codeLife = 600

// deviceName is what a client calls itself.
func (c *call) deviceName(name string) string { return cmp.Or(name, c.r.UserAgent()) }

// docs/protocols/api.md#registration.
func register(c *call, in registerRequest) (login, error) {
	if err := cmp.Or(checkName(in.Username), checkPassword(in.Password)); err != nil {
		return login{}, err
	}
	u, actor, err := c.gw.Accounts.RegisterActor(c.ctx(), c.from, account.Registration{
		Name: in.Username, Email: in.Email, Code: in.Code, LongCode: true, Nick: in.FullName,
		Invite: in.Invite, Password: account.Secret{Text: in.Password},
	})
	if err != nil {
		return login{}, err
	}
	return c.open(u, actor, in.DeviceName)
}

// docs/protocols/api.md#registration, #passwords.
func sendCode(c *call, in emailRequest) (codeSent, error) {
	return codeSent{codeLife}, c.gw.Accounts.SendLongCode(c.ctx(), c.from, in.Email)
}

// docs/protocols/api.md#login.
func logIn(c *call, in loginRequest) (login, error) {
	u, actor, err := c.gw.Accounts.Login(c.ctx(), c.from, cmp.Or(in.Username, in.Email), account.Secret{Text: in.Password})
	if err != nil {
		return login{}, err
	}
	return c.open(u, actor, in.DeviceName)
}

// open gives somebody who has just proved who they are what their client needs.
func (c *call) open(u core.User, actor core.Actor, name string) (login, error) {
	g, err := c.gw.Accounts.OpenDevice(c.ctx(), actor, c.from, c.deviceName(name))
	return c.login(u, g), err
}

// docs/protocols/api.md#tokens.
func refresh(c *call, in refreshRequest) (login, error) {
	u, g, err := c.gw.Accounts.Refresh(c.ctx(), c.from, in.RefreshToken)
	return c.login(u, g), err
}

// docs/protocols/api.md#tokens.
func logout(c *call, _ nothing) (nothing, error) {
	return nothing{}, c.gw.Accounts.CloseDevice(c.ctx(), c.actor, c.device)
}

// docs/protocols/api.md#passwords.
func resetPassword(c *call, in resetRequest) (nothing, error) {
	if err := checkPassword(in.NewPassword); err != nil {
		return nothing{}, err
	}
	err := c.gw.Accounts.RecoverPassword(c.ctx(), c.from, in.Email, in.Code, account.Secret{Text: in.NewPassword})
	if errors.Is(err, core.ErrEmailMismatch) { // its words are about a name, for which nobody is asked here
		err = errAddress
	}
	return nothing{}, err
}

// docs/protocols/api.md#passwords.
func changePassword(c *call, in passwordRequest) (login, error) {
	if err := checkPassword(in.NewPassword); err != nil {
		return login{}, err
	}
	u, g, err := c.gw.Accounts.ChangePassword(c.ctx(), c.actor, c.from,
		account.Secret{Text: in.OldPassword}, account.Secret{Text: in.NewPassword}, c.deviceName(in.DeviceName))
	return c.login(u, g), err
}
