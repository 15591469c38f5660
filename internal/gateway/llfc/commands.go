package llfc

import (
	"context"
	"strconv"

	"parley/internal/chat"
	"parley/internal/core"
)

// command is what a client may ask for.
type command struct {
	answer    uint16
	needLogin bool
	run       func(c *conn, answer uint16, body []byte)
}

const needLogin = true

// commands are the requests of docs/protocols/llfc.md#message-ids but for the heartbeat, which conn answers itself.
var commands = map[uint16]command{
	msgLogin:     {msgLoginAnswer, !needLogin, (*conn).login},                 // #login
	msgSearch:    {msgSearchAnswer, needLogin, handler((*conn).search)},       // #search
	msgAddFriend: {msgAddFriendAnswer, needLogin, handler((*conn).addFriend)}, // #add-friend
	msgAccept:    {msgAcceptAnswer, needLogin, handler((*conn).accept)},       // #accept-friend
	msgText:      {msgTextAnswer, needLogin, (*conn).text},                    // #text
}

// search finds a user by uid or name, or a room of the user's by its contact's uid.
func (c *conn) search(ctx context.Context, in searchRequest) (found, error) {
	actor := c.session.Actor()
	if n, err := strconv.ParseInt(string(in.UID), 10, 64); err == nil {
		if id, ok := roomID(core.UserID(n)); ok {
			r, err := c.gw.room(ctx, actor, id)
			return found(roomContact(r)), err
		}
	}
	u, err := c.gw.cfg.Contacts.Search(ctx, actor, string(in.UID))
	return found(u), err
}

func (g *Gateway) room(ctx context.Context, actor core.Actor, id core.ConversationID) (core.Conversation, error) {
	if !g.cfg.Rooms {
		return core.Conversation{}, core.ErrConversationNotFound
	}
	return g.cfg.Chat.Room(ctx, actor, id)
}

// addFriend asks another user to become a friend; the answer says only that the request is stored.
func (c *conn) addFriend(ctx context.Context, in addFriendRequest) (nothing, error) {
	if err := c.own(in.UID); err != nil {
		return nothing{}, err
	}
	return nothing{}, c.gw.cfg.Contacts.Request(ctx, c.session.Actor(), in.ToUID, "")
}

// accept makes the user and one who asked for it friends.
func (c *conn) accept(ctx context.Context, in acceptRequest) (newFriend, error) {
	if err := c.own(in.FromUID); err != nil {
		return newFriend{}, err
	}
	u, err := c.gw.cfg.Contacts.Accept(ctx, c.session.Actor(), in.ToUID, in.Back)
	return newFriend(u), err
}

// text posts messages. The answer comes from the group commit, so that many can be on their way to the disk at once;
// one that is refused here waits for those before it, so that answers keep the order of the texts.
func (c *conn) text(answer uint16, body []byte) {
	var in textRequest
	if err := decode(body, &in); err != nil {
		c.posts.Wait(c.session.Closing)
		c.session.Send(refusal(answer, c.code(answer, err)))
		return
	}
	size := len(body)
	c.posts.Begin(size, postLimit, c.session.Closing)
	err := c.post(&in, func(_ []core.Message, err error) {
		defer c.posts.End(size)
		c.session.Send(in.acknowledgement(c.code(answer, err)))
	})
	if err != nil {
		c.posts.End(size)
		c.posts.Wait(c.session.Closing)
		c.session.Send(in.acknowledgement(c.code(answer, err)))
	}
}

// post hands the texts of a request to the chat.
func (c *conn) post(in *textRequest, done func([]core.Message, error)) error {
	if err := c.own(in.FromUID); err != nil {
		return err
	}
	items, err := in.items()
	if err != nil {
		return err
	}
	p := chat.Post{To: chat.Target{User: in.ToUID}, Origin: Name, Retry: chat.RetryRecent, Drafts: make([]chat.Draft, len(items))}
	for i, it := range items {
		p.Drafts[i] = chat.Draft{ClientID: string(it.MsgID), Text: it.Content}
	}
	if id, ok := roomID(in.ToUID); ok {
		if p.To = (chat.Target{Room: id}); !c.gw.cfg.Rooms || id == 0 {
			return core.ErrConversationNotFound
		}
	}
	return c.gw.cfg.Chat.Post(context.Background(), c.session.Actor(), p, done)
}
