package api

import (
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"parley/internal/core"
	"parley/internal/picture"
)

// shapes writes what the services give in the forms that answers and events have. It needs no request, since events have none.
type shapes struct {
	base string // the server's address as its clients know it; "" for addresses without one, which begin with a slash
	// link is where a file, or its thumbnail, can be fetched without a token.
	link func(f core.File, thumbnail bool) string
}

func (c *call) shapes() shapes { return c.gw.shapes(c.base()) }

func (g *Gateway) shapes(base string) shapes { return shapes{base: base, link: g.fileLink} }

// author is what messages and lists show of somebody.
type author struct {
	UserID    core.UserID `json:"user_id"`
	Username  string      `json:"username"`
	AvatarURL string      `json:"avatar_url"`
}

func (s shapes) author(a core.Author) author {
	return author{UserID: a.ID, Username: a.Name, AvatarURL: s.avatarURL(a.ID, a.Avatar)}
}

// avatarURL is absolute, so that pages of other origins can show it.
func (s shapes) avatarURL(id core.UserID, picture string) string {
	if picture == "" {
		return ""
	}
	return s.base + Prefix + "/avatars/" + strconv.FormatInt(int64(id), 10) + "/" + url.PathEscape(picture)
}

func (s shapes) person(u core.User) person {
	return person{
		UserID: u.ID, Username: u.Name, Email: u.Email, FullName: u.Nick, Bio: u.Desc, Sex: u.Sex, AvatarURL: s.avatarURL(u.ID, u.Avatar),
	}
}

// message is a message as it is now.
type message struct {
	ConversationID core.ConversationID `json:"conversation_id"`
	Seq            core.Seq            `json:"seq" doc:"its place in the conversation: 1, 2, 3 and so on"`
	ClientID       string              `json:"client_id" doc:"the id that its sender's client gave it"`
	Sender         author              `json:"sender"`
	Text           string              `json:"text" doc:"empty once it is deleted, and of a file alone"`
	Origin         string              `json:"origin" doc:"the family of clients in which it was typed"`
	CreatedAt      time.Time           `json:"created_at"`
	EditedAt       time.Time           `json:"edited_at,omitzero"`
	Deleted        bool                `json:"deleted"`
	Change         core.Change         `json:"change" doc:"the number of its last change in the conversation, 0 if it is as it was sent"`
	ReplyTo        core.Seq            `json:"reply_to,omitzero" doc:"the message that it answers"`
	Quote          *quote              `json:"quote,omitzero" doc:"the beginning of that message; absent if it is deleted or not for all who are shown this"`
	File           *sharedFile         `json:"file,omitzero"`
	Mentions       []core.UserID       `json:"mentions" doc:"members whose names it says"`
	Reactions      []reaction          `json:"reactions"`
}

// quote is what an answer shows of the message that it answers.
type quote struct {
	Sender author `json:"sender"`
	Text   string `json:"text"`
}

// reaction is an emoji and who gave it.
type reaction struct {
	Emoji   string        `json:"emoji"`
	UserIDs []core.UserID `json:"user_ids" doc:"in the order in which they gave it"`
}

func (s shapes) message(id core.ConversationID, m core.Message) message {
	v := message{
		ConversationID: id, Seq: m.Seq, ClientID: m.ClientID, Sender: s.author(m.Author), Text: m.Text, Origin: string(m.Origin),
		CreatedAt: m.At.UTC().Truncate(time.Millisecond), EditedAt: m.EditedAt.UTC(), Deleted: m.Deleted, Change: m.Change, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
	}
	if m.Quote != nil {
		v.Quote = &quote{s.author(m.Quote.Author), m.Quote.Text}
	}
	switch {
	case m.FileGone && m.File != nil:
		v.File = &sharedFile{FileID: m.File.ID, Deleted: true}
	case m.File != nil:
		f := s.file(*m.File)
		v.File = &f
	}
	for _, r := range m.Reactions {
		v.Reactions = append(v.Reactions, reaction{r.Emoji, r.Users})
	}
	return v
}

func (s shapes) messages(id core.ConversationID, list []core.Message) []message {
	out := make([]message, 0, len(list))
	for _, m := range list {
		out = append(out, s.message(id, m))
	}
	return out
}

// sharedFile is a file of a conversation. Of one that a message has attached not everything is told.
type sharedFile struct {
	FileID         core.FileID         `json:"file_id"`
	ConversationID core.ConversationID `json:"conversation_id,omitzero"`
	ParentID       core.FileID         `json:"parent_id,omitzero" doc:"the folder that it is in"`
	Folder         bool                `json:"is_folder,omitzero"`
	Name           string              `json:"name"`
	Size           int64               `json:"size"`
	Type           string              `json:"type" doc:"the media type"`
	SHA256         string              `json:"sha256,omitzero" doc:"in hexadecimal"`
	Owner          author              `json:"owner,omitzero"`
	CreatedAt      time.Time           `json:"created_at,omitzero"`
	URL            string              `json:"url,omitzero" doc:"needs no token, and works for a while"`
	ThumbnailURL   string              `json:"thumbnail_url,omitzero" doc:"of pictures; 404 of one that cannot be read"`
	Deleted        bool                `json:"deleted"`
}

func (s shapes) file(f core.File) sharedFile {
	v := sharedFile{
		FileID: f.ID, ConversationID: f.Area, ParentID: f.Parent, Folder: f.Kind == core.Folder, Name: f.Name, Size: f.Size, Type: f.Type,
		CreatedAt: f.At.UTC(),
	}
	if f.Owner.ID != 0 {
		v.Owner = s.author(f.Owner)
	}
	if f.SHA256 != [32]byte{} {
		v.SHA256 = hexOf(f.SHA256)
	}
	if !v.Folder {
		v.URL = s.base + s.link(f, false)
	}
	if picture.Known(f.Type) {
		v.ThumbnailURL = s.base + s.link(f, true)
	}
	return v
}

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }

// conversation is a direct chat or a room as one of its members sees it.
type conversation struct {
	ID         core.ConversationID `json:"conversation_id"`
	Kind       string              `json:"kind" doc:"direct or room"`
	Name       string              `json:"name" doc:"of a room; empty of a direct chat"`
	Topic      string              `json:"topic" doc:"of a room; empty of a direct chat"`
	Public     bool                `json:"is_public" doc:"a room that everybody may find and join"`
	With       *author             `json:"with,omitzero" doc:"of a direct chat, the other one"`
	Role       string              `json:"role" doc:"of a room: owner, admin or member; empty of a direct chat"`
	MutedUntil time.Time           `json:"muted_until,omitzero" doc:"until then one may not write there"`
	LastSeq    core.Seq            `json:"last_seq" doc:"of its newest message"`
	LastChange core.Change         `json:"last_change" doc:"of its messages"`
	ReadSeq    core.Seq            `json:"read_seq" doc:"up to which message one has read it"`
	Unread     int                 `json:"unread" doc:"others' messages after that, counted up to 1000"`
	Mentions   int                 `json:"mentions" doc:"those of them that name one"`
	Last       *message            `json:"last_message,omitzero"`
}

func (s shapes) conversation(c core.Chat) conversation {
	r := c.Conversation
	v := conversation{
		ID: r.ID, Kind: "direct", Name: r.Name, Topic: r.Topic, Public: r.Public, MutedUntil: c.MutedUntil.UTC(), LastSeq: r.LastSeq,
		LastChange: c.LastChange, ReadSeq: c.ReadSeq, Unread: c.Unread, Mentions: c.Mentions,
	}
	if r.Kind == core.Room {
		v.Kind, v.Role = "room", roleName(c.Role)
	} else {
		with := s.author(c.With)
		v.With = &with
	}
	if c.Last != nil {
		last := s.message(r.ID, *c.Last)
		v.Last = &last
	}
	return v
}

// room is a room as somebody sees it who need not be a member.
type room struct {
	ID     core.ConversationID `json:"conversation_id"`
	Name   string              `json:"name"`
	Topic  string              `json:"topic"`
	Public bool                `json:"is_public"`
}

func roomOf(r core.Conversation) room { return room{r.ID, r.Name, r.Topic, r.Public} }

// member is somebody in a conversation.
type member struct {
	author
	Role       string    `json:"role" doc:"owner, admin or member"`
	MutedUntil time.Time `json:"muted_until,omitzero" doc:"until then they may not write there"`
	JoinedAt   time.Time `json:"joined_at"`
}

func (s shapes) member(m core.Member) member {
	return member{s.author(m.User), roleName(m.Role), m.MutedUntil.UTC(), m.At.UTC()}
}

// The names of the roles.
const (
	roleOwner  = "owner"
	roleAdmin  = "admin"
	roleMember = "member"
)

func roleName(r core.Role) string {
	switch r {
	case core.Owner:
		return roleOwner
	case core.RoomAdmin:
		return roleAdmin
	}
	return roleMember
}

// roomLink is a link by which people come into a room.
type roomLink struct {
	LinkID         int64               `json:"link_id"`
	ConversationID core.ConversationID `json:"conversation_id"`
	CreatedBy      core.UserID         `json:"created_by"`
	CreatedAt      time.Time           `json:"created_at"`
	ExpiresAt      time.Time           `json:"expires_at,omitzero" doc:"absent if it never does"`
	MaxUses        int                 `json:"max_uses" doc:"0 for any number"`
	Uses           int                 `json:"uses"`
	Token          string              `json:"token,omitzero" doc:"shown once, to who made the link"`
	URL            string              `json:"url,omitzero" doc:"with the token in it"`
}

// roomLink writes a link; its token is known only when it is made.
func (s shapes) roomLink(l core.RoomLink, token string) roomLink {
	v := roomLink{
		LinkID: l.ID, ConversationID: l.Room, CreatedBy: l.By, CreatedAt: l.At.UTC(), ExpiresAt: l.Expires.UTC(), MaxUses: l.MaxUses, Uses: l.Uses,
	}
	if token != "" {
		v.Token, v.URL = token, s.base+"/invite/"+url.PathEscape(token)
	}
	return v
}
