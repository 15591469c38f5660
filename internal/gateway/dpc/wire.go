package dpc

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
	"parley/internal/wire/padded"
)

type loginRequest struct {
	Args struct {
		Name     text `json:"user_name"`
		Password text `json:"user_pwd"`
	} `json:"args"`
}

type codeRequest struct {
	Args struct {
		Phone text `json:"user_phone"`
	} `json:"args"`
}

type registerRequest struct {
	Args struct {
		Name     text `json:"user_name"`
		Password text `json:"user_pwd"`
		Phone    text `json:"user_phone"`
		Code     text `json:"user_vcode"`
		Email    text `json:"user_email"`
	} `json:"args"`
}

// credentials come with every message of the chat and of the file port.
type credentials struct {
	Name     text `json:"name"`
	Password text `json:"password"`
}

type sayRequest struct {
	Args credentials `json:"args"`
	News text        `json:"news"`
}

type fileRequest struct {
	Args credentials `json:"args"`
	Look text        `json:"look"`
	Name text        `json:"file_name"`
	Type text        `json:"file_type"`
	Size text        `json:"file_size"`
	Dir  text        `json:"file_dirname"`
}

// text is a string that may also be written as a number: clients differ in which of the two they send.
type text string

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (t *text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"', '0':
		*t = text(token.String())
	case 'n':
		*t = ""
	default:
		return core.ErrInvalid
	}
	return nil
}

// number returns the value of a small number, if it is one.
func (t text) number() (int, bool) {
	if len(t) == 0 || len(t) > 9 || strings.Trim(string(t), "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(string(t))
	return n, err == nil
}

// size returns the size of a file, -1 if it is none.
func (t text) size() int64 {
	if strings.Trim(string(t), "0123456789") != "" {
		return -1
	}
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// padded returns a verification code with the zeros at its front that a number has lost.
func (t text) padded() string {
	const width = 4
	if t == "" || len(t) >= width {
		return string(t)
	}
	return strings.Repeat("0", width-len(t)) + string(t)
}

// validPhone is the protocol's rule for phone numbers: docs/protocols/dpc.md#code.
func validPhone(s string) bool {
	return len(s) == 11 && s[0] == '1' && strings.Trim(s, "0123456789") == ""
}

// lenient is how the clients' own parsers are: of a field that stands twice the last one counts, and bytes that are not
// UTF-8 become U+FFFD.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decode fills in from a message, which must be an object. Fields that it does not know are ignored.
func decode(message []byte, in any) error {
	if message = bytes.TrimLeft(message, " \t\r\n"); len(message) == 0 || message[0] != '{' {
		return core.ErrInvalid
	}
	if json.Unmarshal(message, in, lenient) != nil {
		return core.ErrInvalid
	}
	return nil
}

// opOf returns what a message wants, false if it does not say so.
func opOf(message []byte) (int, bool) {
	var in struct {
		Op text `json:"op"`
	}
	if decode(message, &in) != nil {
		return 0, false
	}
	return in.Op.number()
}

// result is an answer that says how a request ended.
func result(op, code int) []byte {
	b := appendInt(padded.Begin(nil), `{"op":`, op)
	return padded.End(append(appendInt(b, `,"test":`, code), '}'), 0)
}

// missing is the answer to a request for a file that does not exist.
func missing() []byte {
	b := appendInt(padded.Begin(nil), `{"op":`, opDownload)
	return padded.End(append(appendInt(b, `,"file_name":`, codeMissing), '}'), 0)
}

// appendNews appends what everybody gets when somebody says something.
func appendNews(b []byte, name, line string) []byte {
	at := len(b)
	b = appendInt(padded.Begin(b), `{"op":`, opSay)
	b = appendString(append(b, `,"args":{"name":`...), name)
	b = appendString(append(b, `},"news":`...), name+":"+line)
	return padded.End(append(b, '}'), at)
}

// maxListed is how many entries a list has at most.
const maxListed = 10_000

// list is the answer that tells which files there are, the newest of them if there are too many.
func list(files []core.File) []byte {
	files = files[max(0, len(files)-maxListed):]
	b := appendInt(padded.Begin(nil), `{"op":`, opDownload)
	b = append(b, `,"exist_file":`...)
	if len(files) == 0 {
		return padded.End(append(b, `0}`...), 0)
	}
	for i := range files {
		b = append(b, "[,"[min(i, 1)])
		b = appendEntry(b, &files[i])
	}
	return padded.End(append(b, `]}`...), 0)
}

func appendEntry(b []byte, f *core.File) []byte {
	kind := "文件"
	if f.Kind == core.Folder {
		kind = "文件夹"
	}
	for i, s := range []string{f.Name, f.Owner.Name, f.At.Local().Format("2006-01-02 15:04:05"), kind} {
		b = appendString(append(b, "[,"[min(i, 1)]), s)
	}
	return append(b, ']')
}

// fileHeader comes before the bytes of a single file.
func fileHeader(f core.File) []byte {
	return padded.End(append(appendFile(padded.Begin(nil), f.Name, typeFile, f.Size), '}'), 0)
}

// recordHeader comes before the bytes of a file of a folder.
func recordHeader(folder string, f core.File) []byte {
	b := appendFile(padded.Begin(nil), f.Sent, typeFolder, f.Size)
	b = appendString(append(b, `,"file_dirname":`...), folder)
	return padded.End(append(b, '}'), 0)
}

func appendFile(b []byte, name string, kind int, size int64) []byte {
	b = appendInt(b, `{"op":`, opDownload)
	b = appendString(append(b, `,"file_name":`...), name)
	b = appendInt(b, `,"file_type":`, kind)
	return append(appendInt(b, `,"file_size":"`, size), '"')
}

func appendInt[N int | int64](b []byte, before string, n N) []byte {
	return strconv.AppendInt(append(b, before...), int64(n), 10)
}

// appendString appends a JSON string; text that is not ASCII stays as it is.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // the error says only that bad UTF-8 was replaced
	return b
}
