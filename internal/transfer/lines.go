package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
)

// The lines of an archive's parts, as docs/operate/exporting.md describes them. What is there only in some lines is left
// out where it would be empty.

type userLine struct {
	UID           core.UserID `json:"uid"`
	Name          string      `json:"name"`
	Email         string      `json:"email,omitzero"`
	EmailVerified bool        `json:"email_verified,omitzero"`
	Phone         string      `json:"phone,omitzero"`
	PhoneVerified bool        `json:"phone_verified,omitzero"`
	Nick          string      `json:"nick"`
	Desc          string      `json:"desc"`
	Icon          string      `json:"icon"`
	Avatar        string      `json:"avatar"`
	Sex           int         `json:"sex"`
	Disabled      bool        `json:"disabled,omitzero"`
	Created       stamp       `json:"created"`

	// In an archive of everything only.
	Admin    bool   `json:"admin,omitzero"`
	Epoch    int64  `json:"epoch,omitzero"`
	Password string `json:"password,omitzero"`
	AsSent   bool   `json:"password_as_sent,omitzero"`
}

func lineOfUser(r account.Record) userLine {
	u := r.User
	return userLine{
		UID: u.ID, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, PhoneVerified: u.PhoneVerified,
		Nick: u.Nick, Desc: u.Desc, Icon: u.Icon, Avatar: u.Avatar, Sex: u.Sex, Disabled: u.Disabled, Created: stamp(u.CreatedAt),
		Admin: u.Admin, Epoch: u.Epoch, Password: r.Password, AsSent: r.AsSent,
	}
}

func (l userLine) record() account.Record {
	return account.Record{Password: l.Password, AsSent: l.AsSent, User: core.User{
		ID: l.UID, Name: l.Name, Email: l.Email, EmailVerified: l.EmailVerified, Phone: l.Phone, PhoneVerified: l.PhoneVerified,
		Nick: l.Nick, Desc: l.Desc, Icon: l.Icon, Avatar: l.Avatar, Sex: l.Sex, Disabled: l.Disabled, CreatedAt: time.Time(l.Created),
		Admin: l.Admin, Epoch: l.Epoch,
	}}
}

// private is the line without what does not leave the server with one person.
func (l userLine) private() userLine {
	l.Admin, l.Epoch, l.Password, l.AsSent = false, 0, "", false
	return l
}

// otherLine is somebody whom a person knows, in that person's archive.
type otherLine struct {
	UID  core.UserID `json:"uid"`
	Name string      `json:"name"`
	Nick string      `json:"nick"`
}

type friendLine struct {
	User    core.UserID `json:"user"`
	Friend  core.UserID `json:"friend"`
	Remark  string      `json:"remark"`
	Created stamp       `json:"created"`
}

func (l friendLine) record() contact.Friendship {
	return contact.Friendship{Self: l.User, Friend: l.Friend, Remark: l.Remark, At: time.Time(l.Created)}
}

type requestLine struct {
	From    core.UserID `json:"from"`
	To      core.UserID `json:"to"`
	Status  status      `json:"status"`
	Text    string      `json:"text"`
	Created stamp       `json:"created"`
}

func (l requestLine) record() contact.Application {
	return contact.Application{From: l.From, To: l.To, Status: contact.Status(l.Status), Text: l.Text, At: time.Time(l.Created)}
}

type blockLine struct {
	User    core.UserID `json:"user"`
	Blocked core.UserID `json:"blocked"`
	Created stamp       `json:"created"`
}

func (l blockLine) record() contact.Block {
	return contact.Block{User: l.User, Blocked: l.Blocked, At: time.Time(l.Created)}
}

type conversationLine struct {
	ID      core.ConversationID `json:"id"`
	Kind    kind                `json:"kind"`
	Name    string              `json:"name,omitzero"`
	Topic   string              `json:"topic,omitzero"`
	Public  bool                `json:"public,omitzero"`
	OpenSeq core.Seq            `json:"open_seq,omitzero"`
	Opened  stamp               `json:"opened,omitzero"`
	Users   []core.UserID       `json:"users,omitempty"`
	LastSeq core.Seq            `json:"last_seq"`
	Change  core.Change         `json:"change,omitzero"`
	Created stamp               `json:"created"`

	Restrictions []restrictionLine `json:"restrictions,omitempty"`
}

// restrictionLine is an entry of a conversation's line.
type restrictionLine struct {
	User       core.UserID `json:"user"`
	MutedUntil stamp       `json:"muted_until,omitzero"`
	ShutOut    bool        `json:"shut_out,omitzero"`
}

func lineOfConversation(c chat.ConversationRecord) conversationLine {
	l := conversationLine{
		ID: c.ID, Kind: kind(c.Kind), Name: c.Name, Topic: c.Topic, Public: c.Public, OpenSeq: c.OpenSeq, Opened: stamp(c.Opened), LastSeq: c.LastSeq, Change: c.Change,
		Created: stamp(c.At),
	}
	for _, r := range c.Restrictions {
		l.Restrictions = append(l.Restrictions, restrictionLine{r.User, stamp(r.MutedUntil), r.ShutOut})
	}
	if c.Kind == core.Direct {
		l.Users = c.Users[:]
	}
	return l
}

func (l conversationLine) record() chat.ConversationRecord {
	r := chat.ConversationRecord{
		ID: l.ID, Kind: core.ConversationKind(l.Kind), Name: l.Name, Topic: l.Topic, Public: l.Public, OpenSeq: l.OpenSeq, Opened: time.Time(l.Opened), LastSeq: l.LastSeq, Change: l.Change,
		At: time.Time(l.Created),
	}
	copy(r.Users[:], l.Users)
	for _, o := range l.Restrictions {
		r.Restrictions = append(r.Restrictions, chat.Restriction{User: o.User, MutedUntil: time.Time(o.MutedUntil), ShutOut: o.ShutOut})
	}
	return r
}

type messageLine struct {
	Conversation core.ConversationID `json:"conversation"`
	Seq          core.Seq            `json:"seq"`
	Sender       core.UserID         `json:"sender"`
	ClientID     string              `json:"client_id,omitzero"`
	Retry        int64               `json:"retry,omitzero"`
	Text         string              `json:"text"`
	Origin       core.Gateway        `json:"origin"`
	Sent         stamp               `json:"sent"`
	ReplyTo      core.Seq            `json:"reply_to,omitzero"`
	File         core.FileID         `json:"file,omitzero"`
	Edited       stamp               `json:"edited,omitzero"`
	Deleted      stamp               `json:"deleted,omitzero"`
	Change       core.Change         `json:"change,omitzero"`
	Mentions     []core.UserID       `json:"mentions,omitempty"`
	Reactions    []reactionLine      `json:"reactions,omitempty"`
}

// reactionLine is an entry of a message's line.
type reactionLine struct {
	User  core.UserID `json:"user"`
	Emoji string      `json:"emoji"`
	Given stamp       `json:"given"`
}

func lineOfMessage(id core.ConversationID, m chat.MessageRecord) messageLine {
	l := messageLine{
		Conversation: id, Seq: m.Seq, Sender: m.Sender, ClientID: m.ClientID, Retry: m.Retry, Text: m.Text, Origin: m.Origin, Sent: stamp(m.At),
		ReplyTo: m.ReplyTo, File: m.File, Edited: stamp(m.EditedAt), Deleted: stamp(m.DeletedAt), Change: m.Change, Mentions: m.Mentions,
	}
	for _, r := range m.Reactions {
		l.Reactions = append(l.Reactions, reactionLine{r.User, r.Emoji, stamp(r.At)})
	}
	return l
}

func (l messageLine) record() chat.MessageRecord {
	m := chat.MessageRecord{
		Seq: l.Seq, Sender: l.Sender, ClientID: l.ClientID, Retry: l.Retry, Text: l.Text, Origin: l.Origin, At: time.Time(l.Sent),
		ReplyTo: l.ReplyTo, File: l.File, EditedAt: time.Time(l.Edited), DeletedAt: time.Time(l.Deleted), Change: l.Change, Mentions: l.Mentions,
	}
	for _, r := range l.Reactions {
		m.Reactions = append(m.Reactions, chat.ReactionRecord{User: r.User, Emoji: r.Emoji, At: time.Time(r.Given)})
	}
	return m
}

type memberLine struct {
	User         core.UserID         `json:"user"`
	Conversation core.ConversationID `json:"conversation"`
	Role         role                `json:"role,omitzero"` // none for a plain member
	JoinedSeq    core.Seq            `json:"joined_seq"`
	ReadSeq      core.Seq            `json:"read_seq,omitzero"`
	Joined       stamp               `json:"joined"`
}

type gatewayLine struct {
	User    core.UserID  `json:"user"`
	Gateway core.Gateway `json:"gateway"`
	Since   stamp        `json:"since"`
}

type cursorLine struct {
	User         core.UserID         `json:"user"`
	Gateway      core.Gateway        `json:"gateway"`
	Conversation core.ConversationID `json:"conversation"`
	Seq          core.Seq            `json:"seq"`
}

type auditLine struct {
	At      stamp        `json:"at"`
	Actor   core.UserID  `json:"actor"`
	Name    string       `json:"name"`
	Action  string       `json:"action"`
	Target  string       `json:"target"`
	Detail  string       `json:"detail"`
	Gateway core.Gateway `json:"gateway"`
	IP      string       `json:"ip"`
}

func (l auditLine) record() audit.Entry {
	return audit.Entry{
		At: time.Time(l.At), Actor: l.Actor, Name: l.Name, Action: l.Action, Target: l.Target, Detail: l.Detail, Gateway: l.Gateway, IP: l.IP,
	}
}

type importedLine struct {
	Source    string `json:"source"`
	Noun      string `json:"noun"`
	ForeignID string `json:"foreign_id"`
	LocalID   int64  `json:"local_id"`
}

type fileLine struct {
	ID           core.FileID         `json:"id"`
	Conversation core.ConversationID `json:"conversation"`
	Parent       core.FileID         `json:"parent,omitzero"`
	Owner        core.UserID         `json:"owner"`
	Kind         fileKind            `json:"kind"`
	Name         string              `json:"name"`
	Wanted       string              `json:"wanted,omitzero"`
	Sent         string              `json:"sent,omitzero"`
	Type         string              `json:"type,omitzero"`
	Size         int64               `json:"size"`
	SHA256       sum                 `json:"sha256,omitzero"`
	Created      stamp               `json:"created"`
}

func lineOfFile(f core.File) fileLine {
	return fileLine{
		ID: f.ID, Conversation: f.Area, Parent: f.Parent, Owner: f.Owner.ID, Kind: fileKind(f.Kind), Name: f.Name,
		Wanted: f.Wanted, Sent: f.Sent,
		Type: f.Type, Size: f.Size, SHA256: f.SHA256, Created: stamp(f.At),
	}
}

func (l fileLine) record() core.File {
	return core.File{
		ID: l.ID, Area: l.Conversation, Parent: l.Parent, Owner: core.Author{ID: l.Owner}, Kind: core.FileKind(l.Kind), Name: l.Name,
		Wanted: l.Wanted, Sent: l.Sent, Type: l.Type, Size: l.Size, SHA256: l.SHA256, At: time.Time(l.Created),
	}
}

type avatarLine struct {
	User    string `json:"user"` // the name of the folder
	File    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  sum    `json:"sha256"`
	Changed stamp  `json:"changed"`
}

// stamp is a moment with milliseconds, of the years 1970 to 9999 in UTC. What is outside of them, such as the date of a
// picture on a disk whose clock was wrong, is written as the nearest moment inside.
type stamp time.Time

var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)
)

// within returns the nearest moment that can be written.
func within(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

const stampForm = "2006-01-02T15:04:05.000Z07:00"

func (s stamp) MarshalText() ([]byte, error) {
	return within(time.Time(s)).UTC().AppendFormat(nil, stampForm), nil
}

func (s *stamp) UnmarshalText(text []byte) error {
	t, err := time.Parse(stampForm, string(text))
	if err == nil && !within(t).Equal(t) {
		err = errors.New("a time is of the years 1970 to 9999, in UTC")
	}
	*s = stamp(t.UTC())
	return err
}

// sum is a SHA-256, in hex digits.
type sum [32]byte

func (s sum) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

func (s *sum) UnmarshalText(text []byte) error {
	if len(text) != 2*len(s) {
		return errors.New("a SHA-256 has 64 hex digits")
	}
	_, err := hex.Decode(s[:], text)
	return err
}

// word is a number that an archive has a word for.
func word[T comparable](words map[T]string, v T) ([]byte, error) {
	if w, ok := words[v]; ok {
		return []byte(w), nil
	}
	return nil, fmt.Errorf("there is no word for %v", v)
}

func meaning[T comparable](words map[T]string, text []byte) (v T, err error) {
	for v, w := range words {
		if w == string(text) {
			return v, nil
		}
	}
	return v, fmt.Errorf("%q has no meaning here", text)
}

type (
	kind     core.ConversationKind
	fileKind core.FileKind
	status   contact.Status
	role     core.Role
)

// roleOf returns the role that a line names.
func roleOf(r core.Role) role {
	if r == core.Plain {
		return 0
	}
	return role(r)
}

var (
	kinds     = map[kind]string{kind(core.Direct): "direct", kind(core.Room): "room"}
	fileKinds = map[fileKind]string{fileKind(core.PlainFile): "file", fileKind(core.Folder): "folder"}
	roles     = map[role]string{role(core.RoomAdmin): "admin", role(core.Owner): "owner"}
	statuses  = map[status]string{
		status(contact.Pending): "pending", status(contact.Accepted): "accepted", status(contact.Withdrawn): "withdrawn",
		status(contact.Refused): "refused",
	}
)

func (k kind) MarshalText() ([]byte, error)     { return word(kinds, k) }
func (k *kind) UnmarshalText(text []byte) error { v, err := meaning(kinds, text); *k = v; return err }
func (k fileKind) MarshalText() ([]byte, error) { return word(fileKinds, k) }
func (k *fileKind) UnmarshalText(text []byte) error {
	v, err := meaning(fileKinds, text)
	*k = v
	return err
}
func (r role) MarshalText() ([]byte, error)     { return word(roles, r) }
func (r *role) UnmarshalText(text []byte) error { v, err := meaning(roles, text); *r = v; return err }
func (s status) MarshalText() ([]byte, error)   { return word(statuses, s) }
func (s *status) UnmarshalText(text []byte) error {
	v, err := meaning(statuses, text)
	*s = v
	return err
}
