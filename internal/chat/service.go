// Package chat holds conversations and their messages: who may post where, the group commit that numbers and stores
// posts, and the cursors that say what each user's clients have got.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

const (
	// MaxText is the longest text of a message in bytes.
	MaxText = 60_000
	// maxClientID is the longest id that a client may give to its message, in bytes.
	maxClientID = 256
	// maxDrafts is how many messages one post may hold.
	maxDrafts = 2_000
	// RetryWindow is how long a message sent again under RetryRecent is recognised.
	RetryWindow = 10 * time.Minute
	// firstUse is how many of the newest messages of a conversation a gateway's first client still gets.
	firstUse = 50
	// The lobby is replayed no further back than this.
	lobbyReplay    = 200
	lobbyReplayAge = 7 * 24 * time.Hour
)

// Contacts answers who may write to whom.
type Contacts interface {
	// MayWrite returns nil, core.ErrNotFriends or core.ErrUserNotFound.
	MayWrite(ctx context.Context, from, to core.UserID) error
}

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Config is what the service works with.
type Config struct {
	DB         *store.DB
	Contacts   Contacts
	Audit      Auditor
	Publish    func(core.Event)    // called in commit order
	Gather     func(fn func())     // runs fn, which publishes and acknowledges several posts; nil: just that
	NameKey    func(string) string // the form under which names are unique; nil: in lower case
	Log        *slog.Logger
	Metrics    *obs.Metrics
	Goroutines *obs.Goroutines
}

// Service is the chat service.
type Service struct {
	cfg     Config
	db      *store.DB
	links   links
	writer  writer
	cursors cursors
	// standings is changed when somebody may no longer post where they could.
	standings fence

	indexer   indexer
	typing    typing
	closing   []func(ctx context.Context, room core.ConversationID) (bool, error)
	detaching []func(ctx context.Context, file core.FileID, by core.UserID) error
}

// New returns a service whose writer and cursor keeper run until Drain and Close.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg, db: cfg.DB}
	if s.cfg.Gather == nil {
		s.cfg.Gather = func(fn func()) { fn() }
	}
	if s.cfg.NameKey == nil {
		s.cfg.NameKey = strings.ToLower
	}
	s.links.m = map[pair]link{}
	s.typing.last = map[typist]time.Time{}
	s.writer.start(s)
	s.cursors.start(s)
	s.indexer.start(s)
	return s
}

// Drain waits until everything posted is committed and published, or the context ends; nothing is taken after it.
func (s *Service) Drain(ctx context.Context) { s.writer.stop(ctx) }

// Close stores the cursors and ends the service.
func (s *Service) Close() {
	s.indexer.stop()
	s.cursors.stop()
}

// Target is where a post goes: to a user, or to a room.
type Target struct {
	User core.UserID
	Room core.ConversationID // or a direct chat of the actor's, by its number
}

// Draft is a message to be.
type Draft struct {
	ClientID string      // the client's own id for it; "" if its protocol has none: then it is never taken for a retry
	Text     string      // may be empty with a file
	ReplyTo  core.Seq    // the message in the same conversation that it answers, 0 if none
	File     core.FileID // one of the conversation's own, 0 if none
}

// RetryRule says when a draft with a client id that was used before is the same message sent again.
type RetryRule uint8

// The rules.
const (
	// RetryForever: the pair of sender and client id stands for one message for ever; other content under it is
	// core.ErrClientIDReused. A post holds one draft.
	RetryForever RetryRule = iota
	// RetryRecent is for clients that count their ids anew in every session: the same sender, conversation, id and
	// content within RetryWindow.
	RetryRecent
)

// Post is what a user wants to say.
type Post struct {
	To     Target
	Origin core.Gateway
	Retry  RetryRule
	Drafts []Draft
}

// Post checks a post and hands it to the group commit. done is called once it is stored and published, in commit
// order, with one message for each draft; it must not block. If Post returns an error, done is not called.
func (s *Service) Post(ctx context.Context, actor core.Actor, p Post, done func([]core.Message, error)) error {
	if !actor.Known() {
		return core.ErrLoginRequired
	}
	if err := check(&p); err != nil {
		return err
	}
	standing := s.standings.mark()
	at, err := s.target(ctx, actor, p.To)
	if err != nil {
		return err
	}
	mentions, err := s.mentionsOf(ctx, at.conversation.ID, p.Drafts)
	if err != nil {
		return err
	}
	return s.writer.add(ctx, &entry{
		actor: actor, conversation: at.conversation, floor: at.floor, standing: standing, members: at.members, post: p, mentions: mentions,
		done: done, at: time.Now(),
	})
}

func check(p *Post) error {
	switch {
	case len(p.Drafts) == 0:
		return core.ErrEmptyMessage
	case len(p.Drafts) > maxDrafts, p.Retry == RetryForever && len(p.Drafts) > 1:
		return core.ErrInvalid
	}
	for i := range p.Drafts {
		d := &p.Drafts[i]
		d.Text, d.ClientID = clean(d.Text), clean(d.ClientID) // which may make them longer
		switch {
		case d.Text == "" && d.File == 0:
			return core.ErrEmptyMessage
		case len(d.Text) > MaxText:
			return core.ErrMessageTooLong
		case len(d.ClientID) > maxClientID:
			return core.Because(core.ErrInvalid, fmt.Sprintf("The message's own id may have %d bytes", maxClientID))
		case d.ReplyTo < 0:
			return core.Because(core.ErrInvalid, "There is no message with a negative number to reply to")
		case d.File < 0:
			return core.Because(core.ErrInvalid, "There is no file with a negative number")
		}
	}
	return nil
}

// clean makes a text storable on every database: valid UTF-8 without NUL.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// target finds the conversation of a post and checks that the actor may post there.
func (s *Service) target(ctx context.Context, actor core.Actor, to Target) (p place, err error) {
	if to.Room == 0 {
		return s.direct(ctx, actor, to.User)
	}
	st, err := s.standing(ctx, actor, to.Room)
	if errors.Is(err, core.ErrConversationNotFound) {
		other, err := s.otherOf(ctx, actor.User(), to.Room)
		if err != nil {
			return place{}, err
		}
		return s.direct(ctx, actor, other)
	}
	if err == nil {
		err = st.may(toPost)
	}
	return place{conversation: st.room, standing: st, floor: st.floor()}, err
}

// otherOf returns whom a user writes to in a direct chat, core.ErrConversationNotFound if it is none of theirs.
func (s *Service) otherOf(ctx context.Context, user core.UserID, id core.ConversationID) (core.UserID, error) {
	c, members, err := s.conversation(ctx, id)
	switch {
	case err != nil:
		return 0, err
	case c.Kind != core.Direct, !slices.Contains(members, user):
		return 0, core.ErrConversationNotFound
	case members[0] == user:
		return members[1], nil
	}
	return members[0], nil
}

func (s *Service) direct(ctx context.Context, actor core.Actor, to core.UserID) (place, error) {
	from := actor.User()
	if to <= 0 || to == from {
		return place{}, core.ErrUserNotFound
	}
	l, err := s.links.get(pair{from, to}, func() (core.ConversationID, error) {
		if err := s.cfg.Contacts.MayWrite(ctx, from, to); err != nil {
			return 0, err
		}
		return s.ensureDirect(ctx, from, to)
	})
	return place{conversation: core.Conversation{ID: l.id, Kind: core.Direct}, members: l.members}, err
}

// Destination returns the conversation that a target stands for, if the actor may post there.
func (s *Service) Destination(ctx context.Context, actor core.Actor, to Target) (core.ConversationID, error) {
	if !actor.Known() {
		return 0, core.ErrLoginRequired
	}
	p, err := s.target(ctx, actor, to)
	return p.conversation.ID, err
}

// OpenDirect returns the actor's direct chat with somebody to whom they may write; it is made if there is none.
func (s *Service) OpenDirect(ctx context.Context, actor core.Actor, user core.UserID) (core.Chat, error) {
	if !actor.Known() {
		return core.Chat{}, core.ErrLoginRequired
	}
	p, err := s.direct(ctx, actor, user)
	if err != nil {
		return core.Chat{}, fmt.Errorf("open the direct chat with %d: %w", user, err)
	}
	return s.Chat(ctx, actor, p.conversation.ID)
}

// FilesSince returns from when on what was shared in a conversation is the actor's to see, the zero time if all of it is;
// core.ErrConversationNotFound if they may not read it. It is the same for files as for messages: in a private room what came since
// they did, and what came since a room is public for everybody.
func (s *Service) FilesSince(ctx context.Context, actor core.Actor, id core.ConversationID) (time.Time, error) {
	p, err := s.place(ctx, actor, id, toRead)
	if err != nil || p.conversation.Kind == core.Direct {
		return time.Time{}, err
	}
	return p.standing.since(), nil
}

// MayPost returns nil if the actor may say something in a conversation, else what is against it.
func (s *Service) MayPost(ctx context.Context, actor core.Actor, id core.ConversationID) error {
	_, err := s.place(ctx, actor, id, toPost)
	return err
}

// MayModerate returns nil if the actor may remove what others have posted in a room. In a direct chat nobody may.
func (s *Service) MayModerate(ctx context.Context, actor core.Actor, id core.ConversationID) error {
	p, err := s.place(ctx, actor, id, toDelete)
	if err == nil && p.conversation.Kind != core.Room {
		err = core.ErrForbidden
	}
	return err
}

// ContactsChanged makes the service ask again who of the two may write to whom, or, with 0 and 0, who of everybody.
func (s *Service) ContactsChanged(a, b core.UserID) {
	if a == 0 && b == 0 {
		s.links.forgetAll()
		return
	}
	s.links.forget(a, b)
}

// AccountChanged makes the service ask again who may write to a user: the account may have been disabled.
func (s *Service) AccountChanged(core.UserID) { s.links.forgetAll() }

// JoinLobby makes a new account a member of the lobby, from the present on, within the transaction that makes it.
func (s *Service) JoinLobby(ctx context.Context, user core.UserID) error {
	return s.addMember(ctx, core.Lobby, user)
}
