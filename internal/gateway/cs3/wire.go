package cs3

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
)

type registerRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Avatar   string `json:"avatar"`
}

type loginRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type chatRequest struct {
	Token   string `json:"token"` // on the socket only
	Message string `json:"message"`
}

type heartbeatRequest struct {
	Token string `json:"token"`
}

// lenient is how the clients' own parsers are: of a field that stands twice the last one counts, and bytes that are not
// UTF-8 become U+FFFD.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode fills in from an object. Fields that it does not know are ignored.
func decode(object []byte, in any) error { return json.Unmarshal(object, in, lenient) }

// typeOf returns the type of an object, "" if that is no string.
func typeOf(object []byte) string {
	var in struct {
		Type jsontext.Value `json:"type"`
	}
	if decode(object, &in) != nil || in.Type.Kind() != '"' {
		return ""
	}
	typ, err := jsontext.AppendUnquote(nil, in.Type)
	if err != nil {
		return ""
	}
	return string(typ)
}

// The objects that are always the same.
var (
	registered  = []byte(`{"type":"register_1","error":false,"message":"User registered successfully"}`)
	posted      = []byte(`{"type":"chat","status":"success"}`)
	beating     = []byte(`{"type":"heartbeat","status":"success"}`)
	ping        = []byte(`{"type":"ping"}`)
	invalidJSON = []byte(`{"type":"error","status":"error","message":"Invalid JSON"}`)
	tooLarge    = []byte(`{"type":"error","status":"error","message":"Request too large"}`)
	wrongField  = []byte(`{"status":"error","message":"A field has the wrong type"}`)
)

// loggedIn is the answer to a login on the socket.
func loggedIn(u core.User, token string) []byte {
	b := []byte(`{"type":"login","status":"success","message":"Login successful","token":"` + token + `","username":`)
	b = appendString(b, u.Name)
	return appendAvatar(b, u.Name, u.Avatar)
}

// loggedInHTTP is the answer to a login over HTTP.
func loggedInHTTP(u core.User, token string) []byte {
	return appendAvatar([]byte(`{"type":"login_1","status":"success","token":"`+token+`"`), u.Name, u.Avatar)
}

// appendChat appends what everybody gets when somebody says something.
func appendChat(b []byte, author core.Author, text string) []byte {
	b = append(b, `{"type":"chat","user":`...)
	b = appendString(b, author.Name)
	b = append(b, `,"message":`...)
	b = appendString(b, text)
	return appendAvatar(b, author.Name, author.Avatar)
}

// appendAvatar appends an object's last field and its end.
func appendAvatar(b []byte, user, file string) []byte {
	b = append(b, `,"avatar":`...)
	b = appendString(b, avatarPath(user, file))
	return append(b, '}')
}

// appendString appends a JSON string; text that is not ASCII stays as it is.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // the error says only that bad UTF-8 was replaced
	return b
}

// avatarPath is where a client finds a picture: docs/protocols/cs3.md#avatars.
func avatarPath(user, file string) string {
	if file == "" {
		file = defaultAvatar
	}
	return "/avatar/" + url.PathEscape(user) + "/" + url.PathEscape(file)
}

// validName is the rule for the names of new accounts: docs/protocols/cs3.md#user-names.
func validName(name string) bool {
	if len(name) < 2 || len(name) > 20 || '0' <= name[0] && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_!@#$%^&+-~?") == ""
}

// validAvatar is the rule for a picture's file name: docs/protocols/cs3.md#avatars.
func validAvatar(file string) bool {
	return (strings.HasSuffix(file, ".png") || strings.HasSuffix(file, ".jpg")) && len(file) <= 255 &&
		utf8.ValidString(file) && !strings.ContainsFunc(file, func(r rune) bool {
		return r == '/' || r == '\\' || !unicode.IsPrint(r)
	})
}
