package llfc

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
	"parley/internal/wire/frame"
)

// The message ids: docs/protocols/llfc.md#message-ids.
const (
	msgLogin           uint16 = 1005
	msgLoginAnswer     uint16 = 1006
	msgSearch          uint16 = 1007
	msgSearchAnswer    uint16 = 1008
	msgAddFriend       uint16 = 1009
	msgAddFriendAnswer uint16 = 1010
	msgFriendRequested uint16 = 1011
	msgAccept          uint16 = 1013
	msgAcceptAnswer    uint16 = 1014
	msgFriendAccepted  uint16 = 1015
	msgText            uint16 = 1017
	msgTextAnswer      uint16 = 1018
	msgTextPosted      uint16 = 1019
	msgOffline         uint16 = 1021
	msgHeartbeat       uint16 = 1023
	msgHeartbeatAnswer uint16 = 1024
)

// firstRoom is added to a conversation's id to make the uid of the contact that stands for it.
const firstRoom core.UserID = 1_500_000_000

const (
	// maxField is how much of a profile's field is shown, in bytes. Written as JSON a byte can become six, and a frame
	// must hold five fields.
	maxField = 2_000
	// maxMsgID is the same for a message's id.
	maxMsgID = 256
)

type loginRequest struct {
	UID   core.UserID `json:"uid"`
	Token string      `json:"token"`
}

type searchRequest struct {
	UID loose `json:"uid"`
}

type addFriendRequest struct {
	UID   core.UserID `json:"uid"`
	ToUID core.UserID `json:"touid"`
}

type acceptRequest struct {
	FromUID core.UserID `json:"fromuid"`
	ToUID   core.UserID `json:"touid"`
	Back    string      `json:"back"`
}

type textRequest struct {
	FromUID   core.UserID    `json:"fromuid"`
	ToUID     core.UserID    `json:"touid"`
	TextArray jsontext.Value `json:"text_array"` // as it was sent, for the answer
}

type textItem struct {
	MsgID   loose  `json:"msgid"`
	Content string `json:"content"`
}

// loose is a string that may also be written as a number.
type loose string

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (l *loose) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case '"', '0':
		*l = loose(t.String())
	case 'n':
		*l = ""
	default:
		return core.ErrInvalid
	}
	return nil
}

// lenient: a character that was cut in half does not make a message invalid, and of a field that stands twice the last
// one counts.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// decode decodes a body that must be a JSON object.
func decode(body []byte, in any) error {
	if body = bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return core.ErrInvalid
	}
	if json.Unmarshal(body, in, lenient) != nil {
		return core.ErrInvalid
	}
	return nil
}

// items decodes the texts of a request.
func (in *textRequest) items() (items []textItem, err error) {
	if len(in.TextArray) == 0 {
		return nil, nil
	}
	if json.Unmarshal(in.TextArray, &items, lenient) != nil {
		return nil, core.ErrInvalid
	}
	return items, nil
}

// fields is what an answer says beside error 0.
type fields interface {
	appendTo(b []byte) []byte
}

// nothing is an answer that says no more than that it is done.
type nothing struct{}

func (nothing) appendTo(b []byte) []byte { return b }

// found is the answer to a search.
type found core.User

func (f found) appendTo(b []byte) []byte {
	b = appendInt(b, `,"uid":`, f.ID)
	b = appendText(b, `,"name":`, f.Name)
	b = appendText(b, `,"nick":`, f.Nick)
	b = appendText(b, `,"email":`, f.Email)
	b = appendText(b, `,"desc":`, f.Desc)
	b = appendInt(b, `,"sex":`, f.Sex)
	return appendText(b, `,"icon":`, f.Icon)
}

// newFriend is the answer to an acceptance.
type newFriend core.User

func (f newFriend) appendTo(b []byte) []byte {
	b = appendInt(b, `,"uid":`, f.ID)
	b = appendText(b, `,"name":`, f.Name)
	b = appendText(b, `,"nick":`, f.Nick)
	b = appendText(b, `,"icon":`, f.Icon)
	return appendInt(b, `,"sex":`, f.Sex)
}

func success(answer uint16, f fields) []byte {
	b := append(frame.Begin(make([]byte, 0, 256), answer), `{"error":0`...)
	return frame.End(append(f.appendTo(b), '}'), 0)
}

func refusal(answer uint16, code int) []byte {
	b := appendInt(frame.Begin(make([]byte, 0, 32), answer), `{"error":`, code)
	return frame.End(append(b, '}'), 0)
}

// heartbeatAnswer is shared by all connections.
var heartbeatAnswer = success(msgHeartbeatAnswer, nothing{})

func offlineNotice(user core.UserID) []byte {
	b := appendInt(frame.Begin(nil, msgOffline), `{"error":0,"uid":`, user)
	return frame.End(append(b, '}'), 0)
}

// acknowledgement answers a text and repeats what it was about. Where a frame has no room for all of that, the contents
// are left out: their ids stay, unless they alone are too much.
func (in *textRequest) acknowledgement(code int) []byte {
	if !utf8.Valid(in.TextArray) {
		in.TextArray = bytes.ToValidUTF8(in.TextArray, []byte("\uFFFD"))
	}
	b := frame.Begin(make([]byte, 0, len(in.TextArray)+96), msgTextAnswer)
	b = appendInt(b, `{"error":`, code)
	b = appendInt(b, `,"fromuid":`, in.FromUID)
	b = appendInt(b, `,"touid":`, in.ToUID)
	b = append(b, `,"text_array":`...)
	at, limit := len(b), frame.HeaderSize+frame.MaxBody-len(`}`)
	if in.TextArray.Kind() == '[' {
		b = append(b, in.TextArray...)
		if len(b) > limit {
			b = in.appendIDs(b[:at])
		}
	}
	if len(b) == at || len(b) > limit {
		b = append(b[:at], "[]"...)
	}
	return frame.End(append(b, '}'), 0)
}

func (in *textRequest) appendIDs(b []byte) []byte {
	var items []struct {
		MsgID jsontext.Value `json:"msgid"`
	}
	// The texts were decoded before, or are answered with an error that says so.
	_ = json.Unmarshal(in.TextArray, &items, lenient)
	b = append(b, '[')
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if len(it.MsgID) > 0 {
			b = append(append(b, `"msgid":`...), it.MsgID...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendInt[N ~int | ~int64](b []byte, key string, n N) []byte {
	return strconv.AppendInt(append(b, key...), int64(n), 10)
}

// appendText appends a field of a profile.
func appendText(b []byte, key, s string) []byte {
	return appendQuoted(append(b, key...), clip(s, maxField))
}

func appendQuoted(b []byte, s string) []byte {
	if plain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	b, _ = jsontext.AppendQuote(b, s) // the error says only that bytes which are no UTF-8 were replaced
	return b
}

// plain reports whether s needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(s)
}

// clip returns the first n bytes of s at most, without a broken character at the end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > max(0, n-utf8.UTFMax); i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}
