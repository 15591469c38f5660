package dpc

import (
	"context"

	"parley/internal/account"
	"parley/internal/core"
)

// login only says whether name and password are right, and makes the address known to dpc.listen.
func (c *conn) login(ctx context.Context, in loginRequest) error {
	_, _, err := c.gw.Accounts.Login(ctx, c.from, string(in.Args.Name), account.Secret{Text: string(in.Args.Password)})
	return err
}

func (c *conn) sendCode(ctx context.Context, in codeRequest) error {
	if !validPhone(string(in.Args.Phone)) {
		return core.ErrInvalidPhone
	}
	return c.gw.Accounts.SendPhoneCode(ctx, c.from, string(in.Args.Phone))
}

func (c *conn) register(ctx context.Context, in registerRequest) error {
	if !validPhone(string(in.Args.Phone)) {
		return core.ErrInvalidPhone
	}
	if name := string(in.Args.Name); validPhone(name) && name != string(in.Args.Phone) {
		return core.ErrInvalidName // somebody else's number, perhaps
	}
	_, err := c.gw.Accounts.Register(ctx, c.from, account.Registration{
		Name: string(in.Args.Name), Password: account.Secret{Text: string(in.Args.Password)},
		Phone: string(in.Args.Phone), Code: in.Args.Code.padded(), RequireCode: true, Claim: string(in.Args.Email),
	})
	return err
}
