package api

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gobwas/ws"

	"parley/internal/core"
	"parley/internal/session"
	"parley/internal/wire/inbound"
	"parley/internal/wire/websocket"
)

const (
	// maxCommand is how long a command may be, as it comes and as it is inflated.
	maxCommand = 64 << 10
	// commandTime is how long a command may take.
	commandTime = 10 * time.Second
	// startWithin is how long a client has to say where it stands.
	startWithin = 10 * time.Second
	// wholeWithin is how long a message may be on its way.
	wholeWithin = 30 * time.Second

	// A socket is asked whether it is there, and is silent when it does not answer.
	pingEvery     = 25 * time.Second
	socketSilence = 70 * time.Second
)

// socketPosts is how much of a socket's messages may be on the way to the disk before its reader waits.
var socketPosts = session.PostLimit{Posts: 64, Bytes: 256 << 10}

// socket is one connection for events. Its reading goroutine owns it, but for what is said. An idle one holds no buffer.
type socket struct {
	gw      *Gateway
	codec   *eventCodec
	session *session.Session
	turns   session.Turns
	stream  websocket.Splitter
	since   time.Time // when the message began that is not whole yet
	actor   core.Actor
	from    core.Origin
	pace    bucket
	posts   session.Posts

	late  atomic.Pointer[time.Timer] // starts a client that does not say where it stands
	start sync.Once
}

// prepareSockets makes the two ways in which events are sent: as they are, and compressed.
func (g *Gateway) prepareSockets() {
	if g.StartWithin == 0 {
		g.StartWithin = startWithin
	}
	g.framesIn = g.Metrics.FramesIn.WithLabelValues(string(gateway))
	for i := range g.codecs {
		c := &g.codecs[i]
		*c = eventCodec{shapes: g.shapes(strings.TrimSuffix(g.PublicURL, "/")), deflate: i == 1}
		g.profiles[i] = session.Profile{
			Gateway: gateway, Codec: c, Silence: socketSilence, AllRooms: true, Whole: true,
			Ping: websocket.Ping(), PingEvery: pingEvery, Farewell: c.farewell, Presence: true,
		}
		g.Hub.Use(&g.profiles[i])
	}
}

func (g *Gateway) openSocket(conn net.Conn, early []byte, actor core.Actor, from core.Origin, deflate bool) {
	way := 0
	if deflate {
		way = 1
	}
	s := &socket{
		gw: g, codec: &g.codecs[way], session: g.Hub.Open(&g.profiles[way], conn), stream: websocket.NewSplitter(maxCommand, deflate),
		actor: actor, from: from, pace: bucket{left: commandBurst, at: time.Now()},
	}
	s.turns = session.Turns{Session: s.session, In: inbound.NewReader(conn), Take: s.take, Settle: s.settle}
	if s.admit() {
		s.late.Store(time.AfterFunc(g.StartWithin, func() {
			g.Goroutines.Go("api start", func() { s.begin(startCommand{}) })
		}))
	}
	g.Goroutines.Go("api connection", func() { s.turns.Begin(early) })
}

// admit puts the session among the user's, where it hears nothing before it starts: it counts, and ends with the user's login.
func (s *socket) admit() bool {
	s.gw.opening.Lock()
	full := s.gw.Hub.Sessions(s.actor.User(), gateway) >= maxSockets
	var err error
	if !full {
		err = s.gw.Hub.Listen(s.session, s.actor, nil)
	}
	s.gw.opening.Unlock()
	if full { // many were opened at once
		s.close(ws.StatusPolicyViolation, "sockets")
	}
	return !full && err == nil // an error has closed it
}

// hurry ends the wait for the client's start.
func (s *socket) hurry() {
	if t := s.late.Swap(nil); t != nil {
		t.Stop()
	}
}

// settle waits until every message is posted, or the session ends.
func (s *socket) settle() {
	s.hurry()
	s.posts.Wait(s.session.Closing)
}

// take works on a segment. Once the connection or the server is closing, what arrives is thrown away.
func (s *socket) take(segment []byte) {
	s.stream.Feed(segment)
	for s.session.Ready() && !s.gw.Hub.Stopping() {
		m, ok, err := s.stream.Next()
		var broken *websocket.Broken
		switch {
		case errors.As(err, &broken):
			s.close(broken.Code, "protocol")
		case !ok:
			s.wait()
			return
		default:
			s.since = time.Time{}
			s.gw.framesIn.Inc()
			s.message(m)
		}
	}
	s.stream = websocket.NewSplitter(maxCommand, s.codec.deflate)
}

// wait ends a connection whose message does not get whole.
func (s *socket) wait() {
	switch {
	case !s.stream.Begun():
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = time.Now()
	case time.Since(s.since) > wholeWithin:
		s.close(ws.StatusPolicyViolation, "slow")
	}
}

// close ends the connection because of what the client did.
func (s *socket) close(code ws.StatusCode, reason string) {
	s.tell(closing{Type: "closing", Code: int(code), Reason: reason})
	s.session.Send(websocket.Close(code, reason))
	s.session.Close(session.Misbehaved)
}

func (s *socket) message(m websocket.Message) {
	if !s.pace.take(time.Now()) && s.pace.exhausted() {
		s.close(ws.StatusPolicyViolation, "rate")
		return
	}
	switch m.Op {
	case ws.OpText:
		s.command(m.Payload)
	case ws.OpPing:
		s.session.Send(websocket.Pong(m.Payload))
	case ws.OpClose:
		code, _ := ws.ParseCloseFrameData(m.Payload)
		if code.Empty() {
			code = ws.StatusNormalClosure
		}
		s.session.Send(websocket.Close(code, ""))
		s.session.Close(session.Ended)
	case ws.OpBinary:
		s.close(ws.StatusUnsupportedData, "binary")
	}
}

// command carries out a command and answers it.
func (s *socket) command(body []byte) {
	var head struct {
		Type string `json:"type"`
		Ref  string `json:"ref"`
	}
	err := unmarshal(body, &head)
	if err == nil && len(head.Ref) > maxRef {
		head.Ref, err = "", because(errBody, "ref may have 64 bytes")
	}
	if err == nil && s.pace.left < 0 {
		err = core.RetryLater(core.ErrThrottled, time.Second)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	if err == nil {
		err = s.gw.Accounts.Pace(ctx, s.actor, s.from)
	}
	cmd, ok := commandsByName[head.Type]
	if err == nil && !ok {
		err = because(errBody, "There is no such command")
	}
	if err == nil && head.Type != "start" {
		s.begin(startCommand{})
	}
	if err == nil {
		err = cmd.run(s, ctx, head.Ref, body)
	}
	if err != nil {
		s.refuse(head.Ref, err)
	}
}

// unmarshal reads a command.
func unmarshal(body []byte, in any) error {
	if jsontext.Value(body).Kind() != '{' {
		return because(errBody, "A command is a JSON object")
	}
	if err := json.Unmarshal(body, in); err != nil {
		return malformed(err)
	}
	return nil
}

// tell sends an event to this client alone.
func (s *socket) tell(event any) { s.session.Send(s.codec.frame(event)) }

// refuse tells why a command cannot be carried out.
func (s *socket) refuse(ref string, err error) {
	r := refusalFor(err)
	if r.status >= 500 && core.KindOf(err) == core.Internal {
		s.gw.Log.Error("a command failed", "gateway", gateway, "uid", int64(s.actor.User()), "err", err)
	}
	message, details := sentences(err, r)
	s.tell(failed{
		Type: "error", Ref: ref, Message: message, Error: reason{r.kind, r.code, details}, RetryAfter: retrySeconds(err),
	})
}

const (
	// commandRate is how many commands a second a socket may send, and commandBurst how many at once.
	commandRate  = 200
	commandBurst = 400
)

// bucket holds a socket to its rate. A command above it is refused, and leaves a debt.
type bucket struct {
	left float64
	at   time.Time
}

// take reports whether another command is within the rate.
func (b *bucket) take(now time.Time) bool {
	b.left = min(b.left+now.Sub(b.at).Seconds()*commandRate, commandBurst) - 1
	b.at = now
	return b.left >= 0
}

// exhausted reports whether the debt is as large as a burst: a client that goes on like that does not listen.
func (b *bucket) exhausted() bool { return b.left < -commandBurst }
