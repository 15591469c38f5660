package transfer

import (
	"cmp"
	"fmt"
	"strings"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
)

// checks are what must hold between the lines of an archive. Each part has an order, so that a line that stands there
// twice needs no memory to be seen; what is remembered grows with the accounts, conversations and files, not with the
// messages.
type checks struct {
	kind string
	user core.UserID // whose archive it is

	last     any // the key of the line before, in this part
	known    map[core.UserID]bool
	names    map[string]core.UserID // by the key that makes them unique; e-mail addresses and phone numbers as well
	requests map[[2]core.UserID]bool
	talks    map[core.ConversationID]*talk
	pairs    map[[2]core.UserID]bool
	folders  map[core.FileID]core.ConversationID
	accounts map[string]bool // the names of users, as they are written
}

// Bounds of numbers in an archive. What a server gives later has to fit behind them.
const (
	maxConversation = 600_000_000
	maxNumber       = 1 << 52 // of a file, and of all that has no bound of its own
)

// talk is what is known of a conversation.
type talk struct {
	conversationLine
	got core.Seq // how many messages have come
}

func newChecks() *checks {
	return &checks{
		known: map[core.UserID]bool{}, names: map[string]core.UserID{}, requests: map[[2]core.UserID]bool{},
		talks: map[core.ConversationID]*talk{}, pairs: map[[2]core.UserID]bool{}, folders: map[core.FileID]core.ConversationID{}, accounts: map[string]bool{},
	}
}

func wrong(form string, args ...any) error {
	return fmt.Errorf(form+": %w", append(args, errDamaged)...)
}

// follows checks the order of a part's lines by two numbers and a text.
func (c *checks) follows(a, b int64, text ...string) error {
	key := orderKey{a, b, strings.Join(text, "\x00")}
	if last, ok := c.last.(orderKey); ok && last.compare(key) >= 0 {
		return wrong("it stands here twice, or in the wrong place")
	}
	c.last = key
	return nil
}

type orderKey struct {
	a, b int64
	text string
}

func (k orderKey) compare(o orderKey) int {
	return cmp.Or(cmp.Compare(k.a, o.a), cmp.Compare(k.text, o.text), cmp.Compare(k.b, o.b))
}

// people checks that users are in the archive.
func (c *checks) people(users ...core.UserID) error {
	for _, u := range users {
		if !c.known[u] {
			return wrong("there is no user %d in the archive", u)
		}
	}
	return nil
}

func (c *checks) in(id core.ConversationID) (*talk, error) {
	t := c.talks[id]
	if t == nil {
		return nil, wrong("there is no conversation %d in the archive", id)
	}
	return t, nil
}

// unique checks that nobody else has a name or an address.
func (c *checks) unique(what, key string, user core.UserID) error {
	if other, taken := c.names[what+key]; taken {
		return wrong("user %d has the same %s as user %d", user, what, other)
	}
	c.names[what+key] = user
	return nil
}

// when returns the time of a line that has one.
func when(v any) (at stamp, has bool) {
	switch l := v.(type) {
	case userLine:
		return l.Created, true
	case friendLine:
		return l.Created, true
	case requestLine:
		return l.Created, true
	case blockLine:
		return l.Created, true
	case conversationLine:
		return l.Created, true
	case messageLine:
		return l.Sent, true
	case memberLine:
		return l.Joined, true
	case gatewayLine:
		return l.Since, true
	case auditLine:
		return l.At, true
	case fileLine:
		return l.Created, true
	case avatarLine:
		return l.Changed, true
	}
	return stamp{}, false
}

// line checks a line against all that came before it.
func (c *checks) line(v any) error {
	if at, has := when(v); has && at == (stamp{}) {
		return wrong("it has no time")
	}
	switch l := v.(type) {
	case userLine:
		return c.userLine(l)
	case otherLine:
		return firstOf(c.follows(int64(l.UID), 0), c.newcomer(l.UID, l.Name), l.record().Check())
	case friendLine:
		return firstOf(c.follows(int64(l.User), int64(l.Friend)), c.people(l.User, l.Friend))
	case requestLine:
		return c.request(l)
	case blockLine:
		return firstOf(c.follows(int64(l.User), int64(l.Blocked)), c.people(l.User, l.Blocked))
	case conversationLine:
		return c.conversation(l)
	case messageLine:
		return c.message(l)
	case memberLine:
		return firstOf(c.follows(int64(l.User), int64(l.Conversation)), c.people(l.User), c.place(l.Conversation, l.JoinedSeq))
	case gatewayLine:
		return firstOf(c.follows(int64(l.User), 0, string(l.Gateway)), c.people(l.User))
	case cursorLine:
		return firstOf(c.follows(int64(l.User), int64(l.Conversation), string(l.Gateway)), c.people(l.User), c.place(l.Conversation, l.Seq))
	case auditLine:
		if c.kind == Person && l.Actor != c.user {
			return wrong("it is not of user %d", c.user)
		}
	case importedLine:
		if l.LocalID < 0 || l.LocalID > maxNumber {
			return wrong("%d is no number", l.LocalID)
		}
		return c.follows(0, 0, l.Source, l.Noun, l.ForeignID)
	case fileLine:
		return c.fileLine(l)
	case avatarLine:
		return firstOf(c.follows(0, 0, l.User, l.File), c.picture(avatar{User: l.User, File: l.File}))
	}
	return nil
}

// picture checks that a picture is of a user in the archive, and not of somebody whom the server has already.
func (c *checks) picture(a avatar) error {
	switch {
	case !isPart(a.User) || !isPictureName(a.File):
		return wrong("%q is not the name of a picture", a.entry())
	case !c.accounts[a.User]:
		return wrong("the picture %q is of nobody in %s", a.entry(), usersPart)
	}
	return nil
}

func firstOf(errs ...error) error { return cmp.Or(errs...) }

func (c *checks) userLine(l userLine) error {
	if c.kind == Person && (l.UID != c.user || l.private() != l) {
		return wrong("in the archive of one person there is only that person, without a password or rights")
	}
	c.accounts[l.Name] = true
	err := firstOf(c.follows(int64(l.UID), 0), c.newcomer(l.UID, l.Name), l.record().Check())
	if err == nil && l.EmailVerified {
		err = c.unique("e-mail address", strings.ToLower(l.Email), l.UID)
	}
	if err == nil && l.PhoneVerified {
		err = c.unique("phone number", l.Phone, l.UID)
	}
	return err
}

func (c *checks) newcomer(uid core.UserID, name string) error {
	if uid <= 0 || c.known[uid] {
		return wrong("uid %d stands here twice, or is none", uid)
	}
	c.known[uid] = true
	return c.unique("name", account.NameKey(name), uid)
}

func (c *checks) request(l requestLine) error {
	key := [2]core.UserID{l.From, l.To}
	if c.requests[key] {
		return wrong("it stands here twice")
	}
	c.requests[key] = true
	return c.people(l.From, l.To)
}

func (c *checks) conversation(l conversationLine) error {
	if err := firstOf(c.follows(int64(l.ID), 0), c.people(l.Users...)); err != nil {
		return err
	}
	direct := l.Kind == kind(core.Direct)
	if kinds[l.Kind] == "" || l.ID <= 0 || l.ID > maxConversation || l.LastSeq < 0 || l.LastSeq > maxNumber || direct && len(l.Users) != 2 || !direct && len(l.Users) != 0 || direct && l.ID == core.Lobby {
		return wrong("it can be no conversation")
	}
	if direct {
		pair := [2]core.UserID(l.Users)
		if c.kind == Person && pair[0] != c.user && pair[1] != c.user {
			return wrong("a direct chat of %d and %d is none of user %d's", pair[0], pair[1], c.user)
		}
		if c.pairs[pair] || pair[0] >= pair[1] {
			return wrong("the direct chat of %d and %d stands here twice, or the wrong way round", pair[0], pair[1])
		}
		c.pairs[pair] = true
	}
	c.talks[l.ID] = &talk{conversationLine: l}
	return nil
}

func (c *checks) message(l messageLine) error {
	t, err := c.in(l.Conversation)
	if err != nil {
		return err
	}
	if err := firstOf(c.follows(int64(l.Conversation), int64(l.Seq)), c.people(l.Sender)); err != nil {
		return err
	}
	if t.got++; l.Seq != t.got {
		return wrong("message %d of conversation %d is missing", t.got, l.Conversation)
	}
	if l.File < chat.GoneFile || l.File > maxNumber {
		return wrong("file %d can be attached to nothing", l.File)
	}
	if t.got > t.LastSeq {
		return wrong("conversation %d ends with message %d", l.Conversation, t.LastSeq)
	}
	if t.Users == nil && c.kind == Person && l.Sender != c.user || t.Users != nil && l.Sender != t.Users[0] && l.Sender != t.Users[1] {
		return wrong("user %d cannot have sent it", l.Sender)
	}
	return nil
}

// place checks that a position is in a conversation.
func (c *checks) place(id core.ConversationID, seq core.Seq) error {
	t, err := c.in(id)
	if err == nil && (seq < 0 || seq > t.LastSeq) {
		err = wrong("conversation %d has no message %d", id, seq)
	}
	return err
}

func (c *checks) fileLine(l fileLine) error {
	_, err := c.in(l.Conversation)
	if err = firstOf(err, c.follows(int64(l.ID), 0), c.people(l.Owner)); err != nil {
		return err
	}
	if fileKinds[l.Kind] == "" || l.ID <= 0 || l.ID > maxNumber || l.Size < 0 || c.kind == Person && l.Owner != c.user {
		return wrong("it can be no file")
	}
	if area, ok := c.folders[l.Parent]; l.Parent != 0 && (!ok || area != l.Conversation) {
		return wrong("folder %d does not come before what is in it", l.Parent)
	}
	if l.Kind == fileKind(core.Folder) {
		if l.Size != 0 || l.SHA256 != (sum{}) {
			return wrong("a folder has no bytes")
		}
		c.folders[l.ID] = l.Conversation
	}
	return nil
}

// after checks what must hold at the end of a part.
func (c *checks) after(part string) error {
	c.last = nil
	switch {
	case part == usersPart && c.kind == Person && !c.known[c.user]:
		return wrong("user %d is not in it", c.user)
	case part == messagesPart:
		for _, t := range c.talks {
			if t.got != t.LastSeq {
				return wrong("conversation %d has %d messages, and its last number is %d", t.ID, t.got, t.LastSeq)
			}
		}
	}
	return nil
}
