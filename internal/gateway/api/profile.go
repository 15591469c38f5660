package api

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"parley/internal/account"
	"parley/internal/core"
)

// docs/protocols/api.md#profile.
func profile(c *call, _ nothing) (user, error) {
	u, err := c.gw.Accounts.Profile(c.ctx(), c.actor, c.actor.User())
	return c.user(u), err
}

// docs/protocols/api.md#profile.
func amendProfile(c *call, in profileRequest) (user, error) {
	u, err := c.gw.Accounts.Amend(c.ctx(), c.actor, c.from, c.actor.User(), account.Amendment{Nick: in.FullName, Desc: in.Bio, Sex: in.Sex})
	return c.user(u), err
}

// docs/protocols/api.md#profile.
func verifyEmail(c *call, in verifyRequest) (user, error) {
	u, err := c.gw.Accounts.VerifyEmail(c.ctx(), c.actor, c.from, in.Email, in.Code, account.Secret{Text: in.Password})
	return c.user(u), err
}

// docs/protocols/api.md#profile.
func showPerson(c *call, in userRequest) (person, error) {
	u, err := c.gw.Accounts.Profile(c.ctx(), c.actor, in.UserID)
	return c.person(u), err
}

// docs/protocols/api.md#account.
func leave(c *call, in leaveRequest) (nothing, error) {
	return nothing{}, c.gw.Accounts.Leave(c.ctx(), c.actor, c.from, account.Secret{Text: in.Password})
}

// docs/protocols/api.md#devices.
func devices(c *call, _ nothing) (items[device], error) {
	list, err := c.gw.Accounts.Devices(c.ctx(), c.actor)
	return listOf(list, c.listed), err
}

// docs/protocols/api.md#devices.
func closeDevice(c *call, in deviceRequest) (nothing, error) {
	return nothing{}, c.gw.Accounts.CloseDevice(c.ctx(), c.actor, in.DeviceID)
}

// docs/protocols/api.md#avatars.
func uploadAvatar(c *call, _ nothing) error {
	file, err := c.upload()
	if err != nil {
		return err
	}
	u, err := c.gw.Accounts.SetAvatar(c.ctx(), c.actor, file)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, avatarAnswer{c.avatarURL(u)}, false)
}

type avatarRequest struct {
	UserID core.UserID `json:"-" path:"user_id"`
	File   string      `json:"-" path:"file"`
}

// serveAvatar is open to everybody, as pictures in pages cannot bring a token. docs/protocols/api.md#avatars.
func serveAvatar(c *call) error {
	id, _ := strconv.ParseInt(c.r.PathValue("user_id"), 10, 64)
	f, changed, err := c.gw.Accounts.Avatar(c.ctx(), core.UserID(id), c.r.PathValue("file"))
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Type", "image/png")
	if strings.HasSuffix(c.r.PathValue("file"), ".jpg") {
		h.Set("Content-Type", "image/jpeg")
	}
	return c.serveRange(f, changed)
}

// base is the address of the server as its clients know it.
func (c *call) base() string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return strings.TrimSuffix(cmp.Or(c.gw.PublicURL, scheme+c.r.Host), "/")
}
