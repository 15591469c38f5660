package llfc

import (
	"context"
	"fmt"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/frame"
)

// maxRequestBytes is how much of the login's answer the open friend requests may take, so that there is room for friends.
const maxRequestBytes = frame.MaxBody / 2

// login makes the connection a user's: docs/protocols/llfc.md#login.
func (c *conn) login(answer uint16, body []byte) {
	ctx := context.Background()
	user, rooms, err := c.authenticate(ctx, body)
	if err != nil {
		c.session.Send(refusal(answer, c.code(answer, err)))
		return
	}
	// The user's events wait from here on, so that none is missed between the lists and them.
	if err := c.begin(ctx, user, rooms); err != nil {
		c.session.Send(refusal(answer, c.code(answer, err)))
		c.session.Close(session.Failed)
		return
	}
	c.fresh = true
}

// authenticate finds out who it is, and makes the session theirs.
func (c *conn) authenticate(ctx context.Context, body []byte) (user core.User, rooms []core.Conversation, err error) {
	var in loginRequest
	if err := decode(body, &in); err != nil {
		return user, nil, err
	}
	if c.session.Actor().Known() {
		return user, nil, core.ErrForbidden
	}
	user, actor, err := c.gw.cfg.Accounts.AuthenticateUser(ctx, tokens, in.UID, in.Token)
	if err != nil {
		return user, nil, err
	}
	if c.gw.cfg.Rooms {
		if rooms, err = c.gw.cfg.Chat.Rooms(ctx, actor); err != nil {
			return user, nil, err
		}
	}
	ids := make([]core.ConversationID, len(rooms))
	for i := range rooms {
		ids[i] = rooms[i].ID
	}
	return user, rooms, c.gw.cfg.Hub.Register(c.session, actor, session.NewerWins, ids)
}

// begin answers a login.
func (c *conn) begin(ctx context.Context, user core.User, rooms []core.Conversation) error {
	requests, err := c.gw.cfg.Contacts.Requests(ctx, c.session.Actor())
	if err != nil {
		return err
	}
	friends, err := c.gw.cfg.Contacts.Friends(ctx, c.session.Actor())
	if err != nil {
		return err
	}
	for _, r := range rooms {
		friends = append(friends, core.Friend{User: roomContact(r)})
	}
	if err := c.session.Start(ctx, loginAnswer(user, requests, friends)...); err != nil {
		return fmt.Errorf("start the session: %w", err)
	}
	return nil
}

// roomContact is a room as these clients see it: docs/protocols/llfc.md#rooms.
func roomContact(r core.Conversation) core.User {
	return core.User{ID: roomUID(r.ID), Name: r.Name, Nick: r.Name}
}

func roomUID(id core.ConversationID) core.UserID { return firstRoom + core.UserID(id) }

// roomID returns the room that a contact's uid stands for, if it does.
func roomID(uid core.UserID) (core.ConversationID, bool) {
	return core.ConversationID(uid - firstRoom), uid >= firstRoom
}

// loginAnswer returns the answer to a login and, if a frame does not hold all of it, pushes that bring the rest.
func loginAnswer(u core.User, requests []core.FriendRequest, friends []core.Friend) [][]byte {
	b := frame.Begin(make([]byte, 0, min(512+160*(len(requests)+len(friends)), frame.HeaderSize+frame.MaxBody)), msgLoginAnswer)
	b = appendInt(b, `{"error":0,"uid":`, u.ID)
	b = appendText(b, `,"name":`, u.Name)
	b = appendText(b, `,"email":`, u.Email)
	b = appendText(b, `,"nick":`, u.Nick)
	b = appendText(b, `,"desc":`, u.Desc)
	b = appendInt(b, `,"sex":`, u.Sex)
	b = appendText(b, `,"icon":`, u.Icon)
	b = append(b, `,"pwd":"","apply_list":[`...)
	limit := frame.HeaderSize + frame.MaxBody - len(`],"friend_list":[]}`)
	b, requests = appendWhileRoom(b, min(limit, len(b)+maxRequestBytes), requests, appendRequest)
	b = append(b, `],"friend_list":[`...)
	b, friends = appendWhileRoom(b, frame.HeaderSize+frame.MaxBody-len(`]}`), friends, appendFriend)
	answer := [][]byte{frame.End(append(b, `]}`...), 0)}
	var rest []byte
	for _, f := range friends {
		rest = appendFriendPush(rest, f, u.ID)
	}
	for _, r := range requests {
		rest = appendRequestPush(rest, r)
	}
	if len(rest) > 0 {
		answer = append(answer, rest)
	}
	return answer
}

// appendWhileRoom appends the entries of a list up to limit and returns those that it had no room for.
func appendWhileRoom[E any](b []byte, limit int, list []E, entry func([]byte, E) []byte) ([]byte, []E) {
	for i, e := range list {
		at := len(b)
		if i > 0 {
			b = append(b, ',')
		}
		if b = entry(b, e); len(b) > limit {
			return b[:at], list[i:]
		}
	}
	return b, nil
}

func appendRequest(b []byte, r core.FriendRequest) []byte {
	b = appendText(b, `{"name":`, r.From.Name)
	b = appendInt(b, `,"uid":`, r.From.ID)
	b = appendText(b, `,"icon":`, r.From.Icon)
	b = appendText(b, `,"nick":`, r.From.Nick)
	b = appendInt(b, `,"sex":`, r.From.Sex)
	b = appendText(b, `,"desc":`, requestDesc(r))
	return append(b, `,"status":0}`...)
}

func appendFriend(b []byte, f core.Friend) []byte {
	b = appendText(b, `{"name":`, f.User.Name)
	b = appendInt(b, `,"uid":`, f.User.ID)
	b = appendText(b, `,"icon":`, f.User.Icon)
	b = appendText(b, `,"nick":`, f.User.Nick)
	b = appendInt(b, `,"sex":`, f.User.Sex)
	b = appendText(b, `,"desc":`, f.User.Desc)
	return append(appendText(b, `,"back":`, f.Remark), '}')
}
