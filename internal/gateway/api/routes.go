package api

import (
	"net/http"
	"reflect"
	"slices"
)

// access is who may call a route at all. What they may do there is for the services to say.
type access int

const (
	everybody access = iota
	linked           // users, and whoever has a link
	users
	admins
)

// operation is what a route does, with the types of what it takes and gives for the OpenAPI document.
type operation struct {
	run      func(*call) error
	status   int // of success
	instead  int // another status of success, 0 if there is none
	in, out  reflect.Type
	takes    string // the media type of the body, if it is not JSON
	field    string // of a form with a file, the file's
	raw      bool   // the file may also be the body itself
	produces string // the media type of the answer, if it is not the envelope
}

// or says that the route can also succeed with another status.
func (o operation) or(status int) operation {
	o.instead = status
	return o
}

// route is one method at one path.
type route struct {
	method, path string
	tag          string // a heading of the protocol page
	access       access
	summary      string
	operation
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)

// routes is everything the gateway can do. Each tag is a section of docs/protocols/api.md.
func (g *Gateway) routes() []route {
	return slices.Concat(g.accountRoutes(), chatRoutes(), g.fileRoutes(), roomRoutes(), adminRoutes())
}

// accountRoutes are about oneself, and about people.
func (g *Gateway) accountRoutes() []route {
	return []route{
		{get, "/openapi.json", "openapi", everybody, "This document.", g.describe()},
		{get, "/asyncapi.json", "openapi", everybody, "The events, in the same way.", g.describeEvents()},
		{get, "/docs", "openapi", everybody, "The same as a page for people.", g.guidePage()},

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
		{post, "/users/upload-avatar", "avatars", users, "Upload a picture; its middle becomes a square of 256 pixels.", uploading[nothing, avatarAnswer](200, "avatar", false, uploadAvatar)},
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
	}
}

// chatRoutes are about conversations and what is said there; files come behind them.
func chatRoutes() []route {
	return []route{
		{get, "/conversations", "conversations", users, "One's direct chats and rooms, each with its newest message.", op(200, conversations)},
		{get, "/conversations/{conversation_id}", "conversations", users, "One of them.", op(200, showConversation)},
		{post, "/conversations/direct", "conversations", users, "One's direct chat with somebody.", op(200, openDirect)},

		{get, "/conversations/{conversation_id}/messages", "messages", users, "A stretch of a conversation, the newest if nothing else is asked for.", op(200, history)},
		{post, "/conversations/{conversation_id}/messages", "messages", users, "Send a message. One that was sent before is answered with 200.", op(201, postMessage).or(200)},
		{get, "/conversations/{conversation_id}/messages/{seq}", "messages", users, "A message.", op(200, showMessage)},
		{put, "/conversations/{conversation_id}/messages/{seq}", "messages", users, "Give a message of one's own another text.", op(200, editMessage)},
		{remove, "/conversations/{conversation_id}/messages/{seq}", "messages", users, "Take a message back, for everybody.", op(200, deleteMessage)},
		{put, "/conversations/{conversation_id}/messages/{seq}/reactions", "messages", users, "Give a message an emoji.", op(200, react)},
		{remove, "/conversations/{conversation_id}/messages/{seq}/reactions", "messages", users, "Take an emoji back.", op(200, unreact)},
		{get, "/conversations/{conversation_id}/changes", "messages", users, "Messages that were changed, as they are now, by their last changes.", op(200, changes)},
		{post, "/messages/direct", "messages", users, "Send a message to somebody directly.", op(201, postDirectly).or(200)},
		{get, "/messages/search", "search", users, "Find messages by what they say.", op(200, findMessages)},

		{put, "/conversations/{conversation_id}/read", "reading", users, "Tell how far one has read.", op(200, markRead)},
		{get, "/conversations/{conversation_id}/readers", "reading", users, "How far the members have read.", op(200, readers)},
		{post, "/conversations/{conversation_id}/typing", "reading", users, "Tell the others that one is writing something.", op(200, typing)},
	}
}

// roomRoutes are about who is there, rooms, and what happens.
func roomRoutes() []route {
	return []route{
		{get, "/presence", "presence", users, "Who of one's friends and of the members of one's rooms is online.", op(200, presences)},

		{post, "/rooms", "rooms", users, "Make a room.", op(201, makeRoom)},
		{get, "/rooms/public", "rooms", users, "Rooms that everybody may join.", op(200, publicRooms)},
		{put, "/rooms/{conversation_id}", "rooms", users, "Change a room's name, its topic, or who may find it.", op(200, editRoom)},
		{remove, "/rooms/{conversation_id}", "rooms", users, "Close a room for everybody in it; what was said and shared there is deleted.", op(200, closeRoom)},
		{post, "/rooms/{conversation_id}/join", "rooms", users, "Join a public room.", op(200, joinRoom)},
		{post, "/rooms/{conversation_id}/leave", "rooms", users, "Leave a room.", op(200, leaveRoom)},

		{get, "/rooms/{conversation_id}/members", "members", users, "Who is in a room.", op(200, members)},
		{post, "/rooms/{conversation_id}/members", "members", users, "Bring somebody into a room.", op(201, bring)},
		{put, "/rooms/{conversation_id}/members/{user_id}", "members", users, "Appoint or dismiss an admin, or mute a member.", op(200, amendMember)},
		{remove, "/rooms/{conversation_id}/members/{user_id}", "members", users, "Remove a member.", op(200, removeMember)},
		{post, "/rooms/{conversation_id}/owner", "members", users, "Hand a room over to another member.", op(200, handOver)},

		{get, "/rooms/{conversation_id}/links", "invitations", users, "The links into a room that work.", op(200, roomLinks)},
		{post, "/rooms/{conversation_id}/links", "invitations", users, "Make a link into a room.", op(201, makeLink)},
		{remove, "/rooms/{conversation_id}/links/{link_id}", "invitations", users, "Make a link work no more.", op(200, revokeLink)},
		{get, "/invites/{token}", "invitations", everybody, "Where a link leads.", op(200, showInvite)},
		{post, "/invites/{token}/join", "invitations", users, "Join the room that a link leads into.", op(200, followInvite)},

		{post, "/ws/tickets", "events", users, "A ticket that opens one socket for events, within half a minute.", op(201, issueTicket)},
	}
}

// adminRoutes are for those who administer the server, but for reports, which are for all.
func adminRoutes() []route {
	return []route{
		{post, "/reports", "reports", users, "Report a message, or a user, to those who administer.", op(201, fileReport)},
		{get, "/admin/reports", "reports", admins, "What was reported, the newest first.", op(200, listReports)},
		{put, "/admin/reports/{report_id}", "reports", admins, "Say what has become of a report.", op(200, handleReport)},

		{get, "/admin/settings", "settings", admins, "All settings.", op(200, listSettings)},
		{put, "/admin/settings", "settings", admins, "Change settings while the server runs.", op(200, changeSettings)},

		{get, "/admin/statistics", "inspection", admins, "The server in numbers.", op(200, showStatistics)},
		{get, "/admin/connections", "inspection", admins, "Live connections of all families of clients, the oldest first.", op(200, listConnections)},
		{remove, "/admin/connections/{connection_id}", "inspection", admins, "End a connection; its client may come back.", op(200, disconnect)},
		{get, "/admin/codes", "inspection", admins, "Codes that nobody has sent, the newest first.", op(200, listCodes)},
		{get, "/admin/codes/{code_id}", "inspection", admins, "One of them, with its code.", op(200, showCode)},
		{remove, "/admin/codes/{code_id}", "inspection", admins, "Delete one of them.", op(200, dropCode)},

		{get, "/admin/users", "administration", admins, "All accounts, a page at a time.", op(200, listUsers)},
		{post, "/admin/users", "administration", admins, "Make an account.", op(201, addUser)},
		{get, "/admin/users/{user_id}", "administration", admins, "An account.", op(200, showUser)},
		{put, "/admin/users/{user_id}", "administration", admins, "Change an account.", op(200, amendUser)},
		{remove, "/admin/users/{user_id}", "administration", admins, "Delete an account.", op(200, removeUser)},
		{post, "/admin/users/{user_id}/ban", "administration", admins, "Shut an account out.", op(200, ban)},
		{post, "/admin/users/{user_id}/unban", "administration", admins, "Let an account in again.", op(200, unban)},
		{get, "/admin/rooms", "administration", admins, "All rooms.", op(200, allRooms)},
		{get, "/admin/audit", "administration", admins, "What was done by whom, the newest first.", op(200, auditLog)},
	}
}
