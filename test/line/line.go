// Package line is the smallest gateway there can be, a protocol of text lines, for the tests of delivery.
//
// A client says "login TOKEN", "resume TOKEN CONVERSATION:SEQ …", "listen TOKEN|nobody", "own PREFIX", "post ID user|room TARGET TEXT"
// and "ping WORD", and hears "welcome UID", "listening", "ack ID SEQ", "err ID TEXT", "pong WORD", "msg VIEWER CONVERSATION SEQ SENDER ID
// TEXT", "changed CONVERSATION SEQ TEXT", "asked UID", "online UID", "offline UID", "joined ROOM UID", "left ROOM UID" and "bye REASON".
package line

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// Codec is the protocol's form of events.
type Codec struct {
	SkipOwn bool // authors do not hear their own words in direct chats
}

// Encode encodes each message as a line.
func (Codec) Encode(ev core.Event) (frames []session.Frame) {
	switch ev := ev.(type) {
	case core.MessagesPosted:
		for _, m := range ev.Messages {
			frames = append(frames, session.Frame{ViewerAt: len("msg "), Bytes: fmt.Appendf(nil, "msg %*s %d %d %d %s %s\n",
				session.ViewerWidth, "", ev.Conversation.ID, m.Seq, m.Author.ID, cmp.Or(m.ClientID, "-"), m.Text)})
		}
	case core.FriendRequested:
		frames = append(frames, session.Frame{Bytes: fmt.Appendf(nil, "asked %d\n", ev.Request.From.ID)})
	case core.MessageChanged:
		frames = append(frames, session.Frame{Bytes: fmt.Appendf(nil, "changed %d %d %s\n", ev.Conversation.ID, ev.Message.Seq, ev.Message.Text)})
	case core.PresenceChanged:
		state := "offline"
		if ev.Online {
			state = "online"
		}
		frames = append(frames, session.Frame{Bytes: fmt.Appendf(nil, "%s %d\n", state, ev.User)})
	case core.MemberJoined:
		frames = append(frames, session.Frame{Bytes: fmt.Appendf(nil, "joined %d %d\n", ev.Room.ID, ev.Member.User.ID)})
	case core.MemberLeft:
		frames = append(frames, session.Frame{Bytes: fmt.Appendf(nil, "left %d %d\n", ev.Room.ID, ev.User.ID)})
	}
	return frames
}

// Skips reports whether an event is the viewer's own message in a direct chat.
func (c Codec) Skips(ev core.Event, viewer core.UserID) bool {
	posted, ok := ev.(core.MessagesPosted)
	return ok && c.SkipOwn && posted.Conversation.Kind == core.Direct && posted.Messages[0].Author.ID == viewer
}

// Farewell tells a peer why its connection ends.
func Farewell(r session.Reason, _ core.UserID) []byte {
	if r == session.Ended {
		return nil
	}
	return fmt.Appendf(nil, "bye %s\n", r)
}

// Gateway serves the protocol.
type Gateway struct {
	Hub     *session.Hub
	Chat    *chat.Service
	Profile *session.Profile
	Rivalry session.Rivalry
	Retry   chat.RetryRule
	Login   func(token string) (core.Actor, error)
	// Rooms are what those hear who only listen.
	Rooms []core.ConversationID
	// Patient leaves Silence and LoginWithin without limits where the profile has none.
	Patient bool
	// AfterRegister, if set, runs between a login's registration and its answer.
	AfterRegister func()
	// SendBuffer, if set, is the size of the kernel's buffer for what is sent.
	SendBuffer int
}

// Serve reads a connection until it ends.
func (g *Gateway) Serve(conn net.Conn) {
	s := g.Hub.Open(g.Profile, conn)
	eof := false
	defer func() { s.End(eof) }()
	for r := bufio.NewReader(conn); ; {
		s.Ready()
		in, err := r.ReadString('\n')
		if err != nil {
			eof = errors.Is(err, io.EOF)
			return
		}
		s.Heard()
		if !s.Closing() && !g.Hub.Stopping() {
			g.handle(s, strings.TrimSuffix(in, "\n"))
		}
	}
}

func (g *Gateway) handle(s *session.Session, in string) {
	verb, rest, _ := strings.Cut(in, " ")
	switch verb {
	case "login":
		if err := g.login(s, rest, s.Start); err != nil {
			s.Send(fmt.Appendf(nil, "err login %v\n", err))
		}
	case "resume":
		if err := g.resume(s, rest); err != nil {
			s.Send(fmt.Appendf(nil, "err resume %v\n", err))
		}
	case "post":
		id, to, _ := strings.Cut(rest, " ")
		if err := g.post(s, id, to); err != nil {
			s.Send(fmt.Appendf(nil, "err %s %v\n", id, err))
		}
	case "listen":
		if err := g.listen(s, rest); err != nil {
			s.Send(fmt.Appendf(nil, "err listen %v\n", err))
		}
	case "own":
		s.Own(rest)
	case "ping":
		s.Send([]byte("pong " + rest + "\n"))
	default:
		s.Abort(session.Misbehaved)
	}
}

// resume is a login that says what it has got.
func (g *Gateway) resume(s *session.Session, in string) error {
	token, rest, _ := strings.Cut(in, " ")
	var got []core.Position
	for _, text := range strings.Fields(rest) {
		var p core.Position
		if _, err := fmt.Sscanf(text, "%d:%d", &p.Conversation, &p.Seq); err != nil {
			return core.ErrInvalid
		}
		got = append(got, p)
	}
	return g.login(s, token, func(ctx context.Context, answer ...[]byte) error { return s.StartAt(ctx, got, answer...) })
}

func (g *Gateway) login(s *session.Session, token string, start func(context.Context, ...[]byte) error) error {
	ctx := context.Background()
	actor, err := g.Login(token)
	if err != nil {
		return err
	}
	rooms, err := g.Chat.Rooms(ctx, actor)
	if err != nil {
		return err
	}
	ids := make([]core.ConversationID, 0, len(rooms))
	for _, r := range rooms {
		ids = append(ids, r.ID)
	}
	if err := g.Hub.Register(s, actor, g.Rivalry, ids); err != nil {
		return err
	}
	if g.AfterRegister != nil {
		g.AfterRegister()
	}
	welcome := fmt.Appendf(nil, "welcome %d\n", actor.User())
	if s.Started() {
		s.Send(welcome)
		return nil
	}
	return start(ctx, welcome)
}

func (g *Gateway) listen(s *session.Session, token string) (err error) {
	var sponsor core.Actor
	if token != "nobody" {
		if sponsor, err = g.Login(token); err != nil {
			return err
		}
	}
	if err := g.Hub.Listen(s, sponsor, g.Rooms); err != nil {
		return err
	}
	return s.Start(context.Background(), []byte("listening\n"))
}

func (g *Gateway) post(s *session.Session, id, rest string) error {
	kind, rest, _ := strings.Cut(rest, " ")
	target, text, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(target, 10, 64)
	if err != nil {
		return core.ErrInvalid
	}
	to := chat.Target{User: core.UserID(n)}
	if kind == "room" {
		to = chat.Target{Room: core.ConversationID(n)}
	}
	return g.Chat.Post(context.Background(), s.Actor(), chat.Post{
		To: to, Origin: g.Profile.Gateway, Retry: g.Retry, Drafts: []chat.Draft{{ClientID: id, Text: text}},
	}, func(stored []core.Message, err error) {
		if err != nil {
			s.Send(fmt.Appendf(nil, "err %s %v\n", id, err))
			return
		}
		s.Send(fmt.Appendf(nil, "ack %s %d\n", id, stored[0].Seq))
	})
}
