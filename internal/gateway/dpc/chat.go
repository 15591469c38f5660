package dpc

import (
	"context"
	"strconv"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// postLimit is how many messages of one connection may be on their way to the disk.
var postLimit = session.PostLimit{Posts: 64}

var lobby = []core.ConversationID{core.Lobby}

// listen lets a new connection hear the lobby, if it may: docs/protocols/dpc.md#who-listens.
func (c *conn) listen() {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	sponsor, may := c.gw.sponsor(ctx, c.from)
	if !may {
		return
	}
	if err := c.gw.Hub.Listen(c.session, sponsor, lobby); err != nil {
		return // the sponsor's account was revoked a moment ago, or the connection is closing
	}
	if err := c.session.Start(ctx); err != nil {
		c.gw.code(sayCodes, err)
		c.session.Close(session.Failed)
	}
}

// say posts a message to the lobby. Only a refusal is answered.
func (c *conn) say(ctx context.Context, message []byte) []byte {
	var in sayRequest
	if decode(message, &in) != nil {
		return result(opSay, codeRefused)
	}
	_, actor, err := c.gw.Accounts.VerifyAgain(ctx, &c.pass, c.from, string(in.Args.Name), account.Secret{Text: string(in.Args.Password)})
	if err == nil {
		err = c.identify(ctx, actor)
	}
	if err == nil {
		err = c.post(ctx, actor, string(in.News))
	}
	if err != nil {
		return result(opSay, c.gw.code(sayCodes, err))
	}
	return nil
}

// identify makes the connection the user's, if it is nobody's.
func (c *conn) identify(ctx context.Context, actor core.Actor) error {
	if c.session.Actor().Known() {
		return nil
	}
	if err := c.gw.Hub.Register(c.session, actor, session.Share, lobby); err != nil || c.session.Started() {
		return err
	}
	return c.session.Start(ctx)
}

func (c *conn) post(ctx context.Context, actor core.Actor, text string) error {
	c.posts.Begin(0, postLimit, c.session.Closing)
	c.said++
	p := chat.Post{To: chat.Target{Room: core.Lobby}, Origin: gateway, Drafts: []chat.Draft{{
		ClientID: c.prefix + strconv.FormatUint(c.said, 10), Text: text,
	}}}
	err := c.gw.Chat.Post(ctx, actor, p, func(_ []core.Message, err error) {
		defer c.posts.End(0)
		if err != nil {
			c.session.Send(result(opSay, c.gw.code(sayCodes, err)))
		}
	})
	if err != nil {
		c.posts.End(0)
	}
	return err
}
