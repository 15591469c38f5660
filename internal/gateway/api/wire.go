package api

import (
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/contact"
	"parley/internal/core"
)

// nothing is a request without fields, or an answer without any.
type nothing struct{}

// user is an account as its owner and those who administer see it.
type user struct {
	ID            core.UserID `json:"id"`
	UserID        core.UserID `json:"user_id"`
	Username      string      `json:"username"`
	Email         string      `json:"email"`
	EmailVerified bool        `json:"email_verified"`
	Phone         string      `json:"phone"`
	FullName      string      `json:"full_name"`
	Bio           string      `json:"bio"`
	Sex           int         `json:"sex"`
	AvatarURL     string      `json:"avatar_url"`
	Role          string      `json:"role" doc:"user or admin"`
	Status        string      `json:"status" doc:"active or banned"`
	CreatedAt     time.Time   `json:"created_at"`
}

func (c *call) user(u core.User) user {
	v := user{
		ID: u.ID, UserID: u.ID, Username: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone,
		FullName: u.Nick, Bio: u.Desc, Sex: u.Sex, AvatarURL: c.avatarURL(u), Role: "user", Status: "active", CreatedAt: u.CreatedAt.UTC(),
	}
	if u.Admin {
		v.Role = "admin"
	}
	if u.Disabled {
		v.Status = "banned"
	}
	return v
}

// person is an account as others see it.
type person struct {
	UserID    core.UserID `json:"user_id"`
	Username  string      `json:"username"`
	Email     string      `json:"email" doc:"empty but for oneself and, in a search, friends"`
	FullName  string      `json:"full_name"`
	Bio       string      `json:"bio"`
	Sex       int         `json:"sex"`
	AvatarURL string      `json:"avatar_url"`
}

func (c *call) person(u core.User) person { return c.shapes().person(u) }

func (c *call) avatarURL(u core.User) string { return c.shapes().avatarURL(u.ID, u.Avatar) }

// login is what a client needs to go on. Clients of the document read token, others access_token and user.
type login struct {
	UserID       core.UserID      `json:"user_id"`
	Username     string           `json:"username"`
	Email        string           `json:"email"`
	Token        string           `json:"token"`
	AccessToken  string           `json:"access_token" doc:"the same as token"`
	RefreshToken string           `json:"refresh_token"`
	TokenType    string           `json:"token_type"`
	ExpiresIn    int              `json:"expires_in" doc:"seconds until the token expires"`
	DeviceID     account.DeviceID `json:"device_id"`
	User         user             `json:"user"`
}

func (c *call) login(u core.User, g account.Grant) login {
	return login{
		UserID: u.ID, Username: u.Name, Email: u.Email, Token: g.Access, AccessToken: g.Access, RefreshToken: g.Refresh,
		TokenType: "Bearer", ExpiresIn: int(g.Life.Seconds()), DeviceID: g.Device, User: c.user(u),
	}
}

type registerRequest struct {
	Username   string `json:"username" example:"user123"`
	Email      string `json:"email,omitzero" example:"user@example.com"`
	Password   string `json:"password" example:"SecurePass123!"`
	FullName   string `json:"full_name,omitzero" example:"张三"`
	Code       string `json:"code,omitzero" example:"123456" doc:"proves the e-mail address; see auth/send-code"`
	Invite     string `json:"invite,omitzero" doc:"the token of a link into a room, which the account is in then"`
	DeviceName string `json:"device_name,omitzero" example:"Kitchen tablet" doc:"for the list of devices; otherwise the User-Agent"`
}

type loginRequest struct {
	Username   string `json:"username,omitzero" example:"user123" doc:"a name or an e-mail address"`
	Email      string `json:"email,omitzero" example:"user@example.com" doc:"in place of username"`
	Password   string `json:"password" example:"SecurePass123!"`
	DeviceName string `json:"device_name,omitzero" example:"Kitchen tablet" doc:"for the list of devices; otherwise the User-Agent"`
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token" example:"Nc3vXEXo6NqUQ2Yd4lnC"`
}

type emailRequest struct {
	Email string `json:"email" example:"user@example.com"`
}

type codeSent struct {
	ExpiresIn int `json:"expires_in" doc:"seconds until the code expires"`
}

type resetRequest struct {
	Email       string `json:"email" example:"user@example.com"`
	Code        string `json:"code" example:"123456"`
	NewPassword string `json:"new_password" example:"SecurePass456!"`
}

type profileRequest struct {
	FullName *string `json:"full_name,omitzero" example:"张三" doc:"up to 64 characters; what is absent stays as it is"`
	Bio      *string `json:"bio,omitzero" example:"Reads a lot." doc:"up to 4096 bytes"`
	Sex      *int    `json:"sex,omitzero" example:"1" doc:"0 to 9; 0 where nothing was said"`
}

type passwordRequest struct {
	OldPassword string `json:"old_password" example:"SecurePass123!"`
	NewPassword string `json:"new_password" example:"SecurePass456!"`
	DeviceName  string `json:"device_name,omitzero" example:"Kitchen tablet"`
}

type verifyRequest struct {
	Email    string `json:"email" example:"user@example.com"`
	Code     string `json:"code" example:"123456"`
	Password string `json:"password" example:"SecurePass123!"`
}

type leaveRequest struct {
	Password string `json:"password" example:"SecurePass123!"`
}

type avatarAnswer struct {
	AvatarURL string `json:"avatar_url"`
}

type deviceRequest struct {
	DeviceID account.DeviceID `json:"-" path:"device_id"`
}

type device struct {
	DeviceID  account.DeviceID `json:"device_id"`
	Name      string           `json:"name"`
	IP        string           `json:"ip"`
	Current   bool             `json:"current" doc:"it is the one that asks"`
	CreatedAt time.Time        `json:"created_at"`
	UsedAt    time.Time        `json:"used_at"`
	ExpiresAt time.Time        `json:"expires_at" doc:"unless it is refreshed before"`
}

func (c *call) listed(d account.Device) device {
	return device{
		DeviceID: d.ID, Name: d.Name, IP: d.IP, Current: d.ID == c.device,
		CreatedAt: d.CreatedAt.UTC(), UsedAt: d.UsedAt.UTC(), ExpiresAt: d.ExpiresAt.UTC(),
	}
}

type userRequest struct {
	UserID core.UserID `json:"-" path:"user_id"`
}

type searchRequest struct {
	Query string `json:"-" query:"q" doc:"a uid, or a whole name"`
}

type askRequest struct {
	UserID core.UserID `json:"user_id" example:"1002"`
	Text   string      `json:"text,omitzero" example:"It is me, from the choir."`
}

type acceptRequest struct {
	UserID core.UserID `json:"-" path:"user_id"`
	Remark string      `json:"remark,omitzero" example:"from the choir"`
}

type remarkRequest struct {
	UserID core.UserID `json:"-" path:"user_id"`
	Remark string      `json:"remark" example:"from the choir"`
}

type requestsRequest struct {
	Direction string `json:"-" query:"direction" doc:"in, the default, or out"`
}

// items is a list that is never long.
type items[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"`
}

func listOf[From, To any](list []From, convert func(From) To) items[To] {
	out := items[To]{Items: make([]To, 0, len(list)), Total: len(list)}
	for _, v := range list {
		out.Items = append(out.Items, convert(v))
	}
	return out
}

type friend struct {
	person
	Remark string `json:"remark"`
}

type friendRequest struct {
	User person    `json:"user" doc:"who asked, or who was asked"`
	Text string    `json:"text"`
	At   time.Time `json:"created_at"`
}

func (c *call) received(r core.FriendRequest) friendRequest {
	return friendRequest{c.person(r.From), r.Text, r.At.UTC()}
}

func (c *call) sent(r contact.SentRequest) friendRequest {
	return friendRequest{c.person(r.To), r.Text, r.At.UTC()}
}

func (c *call) friend(f core.Friend) friend { return friend{c.person(f.User), f.Remark} }

const (
	pageSize    = 20
	maxPageSize = 100
)

// paging is what a request for a part of a long list says.
type paging struct {
	Page     int `json:"-" query:"page" doc:"from 1"`
	PageSize int `json:"-" query:"page_size" doc:"20 if absent, at most 100"`
}

func (p paging) span() (skip, most int, err error) {
	if p.PageSize > maxPageSize || p.Page > 1_000_000 {
		return 0, 0, because(errBody, "page begins at 1, and page_size is 1 to 100")
	}
	if p.PageSize == 0 {
		p.PageSize = pageSize
	}
	return (max(p.Page, 1) - 1) * p.PageSize, p.PageSize, nil
}

// page is a part of a long list.
type page[T any] struct {
	Items      []T `json:"items"`
	Total      int `json:"total"`
	Page       int `json:"page"`
	PageSize   int `json:"page_size"`
	TotalPages int `json:"total_pages"`
}

func pageOf[From, To any](list []From, total, skip, most int, convert func(From) To) page[To] {
	return page[To]{Items: listOf(list, convert).Items, Total: total, Page: skip/most + 1, PageSize: most, TotalPages: (total + most - 1) / most}
}

type peopleRequest struct {
	paging
	Query string `json:"-" query:"q" doc:"part of a name, a nickname or an e-mail address, or a uid"`
}

type newUserRequest struct {
	Username string `json:"username" example:"user123"`
	Email    string `json:"email,omitzero" example:"user@example.com"`
	Phone    string `json:"phone,omitzero" example:"+8613800138000"`
	Password string `json:"password" example:"SecurePass123!"`
	Admin    bool   `json:"is_admin,omitzero" example:"false"`
}

type amendRequest struct {
	UserID   core.UserID `json:"-" path:"user_id"`
	FullName *string     `json:"full_name,omitzero" example:"张三" doc:"what is absent stays as it is"`
	Bio      *string     `json:"bio,omitzero" example:"Reads a lot."`
	Sex      *int        `json:"sex,omitzero" example:"1"`
	Email    *string     `json:"email,omitzero" example:"user@example.com" doc:"counts as verified; empty takes it away"`
	Phone    *string     `json:"phone,omitzero" example:"+8613800138000"`
	Admin    *bool       `json:"is_admin,omitzero" example:"true"`
	Password *string     `json:"password,omitzero" example:"SecurePass456!"`
}

// entry is a line of the audit log.
type entry struct {
	At      time.Time   `json:"at"`
	ActorID core.UserID `json:"actor_id" doc:"0 for the operator, and for nobody"`
	Actor   string      `json:"actor"`
	Action  string      `json:"action"`
	Target  string      `json:"target"`
	Detail  string      `json:"detail"`
	Gateway string      `json:"gateway"`
	IP      string      `json:"ip"`
}

func entryOf(e audit.Entry) entry {
	return entry{e.At, e.Actor, e.Name, e.Action, e.Target, e.Detail, string(e.Gateway), e.IP}
}
