package api

import (
	"net/http"
	"reflect"
)

// access is who may call a route at all. What they may do there is for the services to say.
type access int

const (
	everybody access = iota
	users
	admins
)

// operation is what a route does, with the types of what it takes and gives for the OpenAPI document.
type operation struct {
	run      func(*call) error
	status   int // of success
	in, out  reflect.Type
	takes    string // the media type of the body, if it is not JSON
	produces string // the media type of the answer, if it is not the envelope
}

// route is one method at one path.
type route struct {
	method, path string
	tag          string // a heading of the protocol page
	access       access
	summary      string
	operation
}

// routes is everything the gateway can do. Each tag is a section of docs/protocols/api.md.
func (g *Gateway) routes() []route {
	const (
		get    = http.MethodGet
		post   = http.MethodPost
		put    = http.MethodPut
		remove = http.MethodDelete
	)
	return []route{
		{get, "/openapi.json", "openapi", everybody, "This document.", g.describe()},

		{post, "/auth/register", "registration", everybody, "Make an account and log in.", op(200, register)},
		{post, "/users/register", "registration", everybody, "The same as /auth/register.", op(200, register)},
		{post, "/auth/send-code", "registration", everybody, "Have a code of six digits sent to an e-mail address.", op(200, sendCode)},

		{post, "/auth/login", "login", everybody, "Log in with a name or an e-mail address.", op(200, logIn)},
		{post, "/users/login", "login", everybody, "The same as /auth/login.", op(200, logIn)},
		{post, "/auth/refresh", "tokens", everybody, "Exchange a refresh token for the next one and another access token.", op(200, refresh)},
		{post, "/auth/logout", "tokens", users, "Log this device out.", op(200, logout)},

		{post, "/auth/forgot-password", "passwords", everybody, "Have a code sent with which the password can be reset.", op(200, sendCode)},
		{post, "/auth/reset-password", "passwords", everybody, "Set a new password with a code that was sent by mail.", op(200, resetPassword)},
		{post, "/users/change-password", "passwords", users, "Set a new password. All devices are logged out; this one goes on with what it gets.", op(200, changePassword)},
		{put, "/users/change-password", "passwords", users, "The same as POST.", op(200, changePassword)},

		{get, "/users/profile", "profile", users, "One's own account.", op(200, profile)},
		{put, "/users/profile", "profile", users, "Change one's own account.", op(200, amendProfile)},
		{post, "/users/verify-email", "profile", users, "Show by a code whose e-mail address it is.", op(200, verifyEmail)},
		{get, "/users/{user_id}", "profile", users, "What everybody may see of somebody.", op(200, showPerson)},
		{post, "/users/upload-avatar", "avatars", users, "Upload a picture; its middle becomes a square of 256 pixels.", operation{
			run: uploadAvatar, status: 200, in: reflect.TypeFor[nothing](), out: reflect.TypeFor[avatarAnswer](), takes: "multipart/form-data",
		}},
		{get, "/avatars/{user_id}/{file}", "avatars", everybody, "A picture, as avatar_url names it.", operation{
			run: serveAvatar, status: 200, in: reflect.TypeFor[avatarRequest](), produces: "image/*",
		}},
		{remove, "/users/account", "account", users, "Delete one's own account.", op(200, leave)},

		{get, "/users/devices", "devices", users, "Where one is logged in.", op(200, devices)},
		{remove, "/users/devices/{device_id}", "devices", users, "Log a device out.", op(200, closeDevice)},

		{get, "/contacts/search", "contacts", users, "Find somebody by uid or name.", op(200, search)},
		{get, "/contacts/requests", "contacts", users, "Friend requests that wait for an answer.", op(200, requests)},
		{post, "/contacts/requests", "contacts", users, "Ask somebody to become a friend.", op(201, ask)},
		{post, "/contacts/requests/{user_id}/accept", "contacts", users, "Accept somebody's request.", op(200, accept)},
		{post, "/contacts/requests/{user_id}/refuse", "contacts", users, "Refuse somebody's request; they are not told.", op(200, refuse)},
		{get, "/contacts/friends", "contacts", users, "One's friends.", op(200, friends)},
		{put, "/contacts/friends/{user_id}", "contacts", users, "Change the remark beside a friend.", op(200, setRemark)},
		{remove, "/contacts/friends/{user_id}", "contacts", users, "End a friendship.", op(200, unfriend)},
		{get, "/contacts/blocks", "contacts", users, "Whom one has blocked.", op(200, blocks)},
		{put, "/contacts/blocks/{user_id}", "contacts", users, "Block somebody. It ends a friendship.", op(200, block)},
		{remove, "/contacts/blocks/{user_id}", "contacts", users, "Take a block back.", op(200, unblock)},

		{get, "/admin/users", "administration", admins, "All accounts, a page at a time.", op(200, listUsers)},
		{post, "/admin/users", "administration", admins, "Make an account.", op(201, addUser)},
		{get, "/admin/users/{user_id}", "administration", admins, "An account.", op(200, showUser)},
		{put, "/admin/users/{user_id}", "administration", admins, "Change an account.", op(200, amendUser)},
		{remove, "/admin/users/{user_id}", "administration", admins, "Delete an account.", op(200, removeUser)},
		{post, "/admin/users/{user_id}/ban", "administration", admins, "Shut an account out.", op(200, ban)},
		{post, "/admin/users/{user_id}/unban", "administration", admins, "Let an account in again.", op(200, unban)},
		{get, "/admin/audit", "administration", admins, "What was done by whom, the newest first.", op(200, auditLog)},
	}
}
