package dpc

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
)

var clientLine = regexp.MustCompile(`(?m)^\w+ (>>?) (.*)$`)

// documented returns what clients send in the transcripts.
func documented(tb testing.TB) (messages [][]byte) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no transcripts: ", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		for _, m := range clientLine.FindAllSubmatch(b, -1) {
			message := m[2]
			if string(m[1]) == ">>" {
				raw, err := strconv.Unquote(string(m[2]))
				if err != nil {
					tb.Fatal(err)
				}
				message = []byte(raw)
			}
			messages = append(messages, message)
		}
	}
	return messages
}

// FuzzDecode decodes arbitrary messages as each of the requests. What they hold never makes an answer that is not JSON.
func FuzzDecode(f *testing.F) {
	for _, b := range documented(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		op, ok := opOf(b)
		if !ok && op != 0 || op < 0 {
			t.Errorf("op %d, %v", op, ok)
		}
		var login loginRequest
		var code codeRequest
		var register registerRequest
		var say sayRequest
		var file fileRequest
		for _, in := range []any{&login, &code, &register, &say, &file} {
			if err := decode(b, in); err == nil && !strings.HasPrefix(strings.TrimLeft(string(b), " \t\r\n"), "{") {
				t.Errorf("%q is no object", b)
			}
		}
		if n := file.Size.size(); n >= 0 && strings.TrimLeft(string(file.Size), "0") != strings.TrimLeft(strconv.FormatInt(n, 10), "0") {
			t.Errorf("%q is the size %d", file.Size, n)
		}
		if validPhone(string(code.Args.Phone)) && len(code.Args.Phone) != 11 {
			t.Errorf("%q is a phone", code.Args.Phone)
		}
		stored := core.File{Name: string(file.Name), Sent: string(file.Dir), Owner: core.Author{Name: string(say.Args.Name)}, Size: file.Size.size()}
		for _, answer := range [][]byte{
			result(op, codeRefused), missing(), appendNews(nil, string(say.Args.Name), string(say.News)),
			list([]core.File{stored, stored}), fileHeader(stored), recordHeader(string(file.Dir), stored),
		} {
			n, err := strconv.Atoi(strings.TrimRight(string(answer[:15]), " "))
			if err != nil || n != len(answer)-15 || !jsontext.Value(answer[15:]).IsValid() {
				t.Errorf("%q", answer)
			}
		}
	})
}
