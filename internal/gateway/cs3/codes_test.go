package cs3

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

var tables = map[string]struct {
	codes table
	http  bool
	form  *regexp.Regexp // what the document knows of answers to this request
}{
	"register":      {socketRegister, false, regexp.MustCompile(`^{"type":"register_(0","success":false|-2","success":false|-3","success":false|-1","error":true),"message":"[^"]+"}$`)},
	"login":         {socketLogin, false, regexp.MustCompile(`^{"type":"login","status":"error_(0|-1)","message":"[^"]+"}$`)},
	"chat":          {socketChat, false, regexp.MustCompile(`^{"type":"chat","status":"error(_Mt|_It|_Nli)?","message":"[^"]+"}$`)},
	"heartbeat":     {heartbeat, false, regexp.MustCompile(`^{"type":"heartbeat","status":"error"}$`)},
	"HTTP register": {httpRegister, true, regexp.MustCompile(`^{"type":"register_(0","success":false|-2","success":false|-1","error":true),"message":"[^"]+"}$`)},
	"HTTP login":    {httpLogin, true, regexp.MustCompile(`^{"type":"login(_0","status":"error|","status":"error_0)","message":"[^"]+"}$`)},
	"HTTP chat":     {httpChat, true, regexp.MustCompile(`^{"type":"chat","status":"error"(,"message":"[^"]+")?}$`)},
}

func TestEveryErrorHasAnAnswer(t *testing.T) {
	g := &Gateway{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	for name, tt := range tables {
		for _, named := range core.All {
			got := g.refuse(tt.codes, fmt.Errorf("doing something secret: %w", core.RetryLater(named, 90*time.Second)))
			text := string(got.object)
			if !jsontext.Value(got.object).IsValid() || !tt.form.MatchString(text) || strings.Contains(text, "secret") {
				t.Errorf("%s, %v: %s", name, named, text)
			}
			if tt.http != (got.status >= 200) || http.StatusText(got.status) == "" && tt.http {
				t.Errorf("%s, %v: status %d", name, named, got.status)
			}
		}
	}
}

func TestAnswersToErrors(t *testing.T) {
	g := &Gateway{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	for _, tt := range []struct {
		codes  table
		err    error
		status int
		object string
	}{
		{socketRegister, core.ErrNameTaken, 0, nameTaken},
		{socketRegister, core.ErrRegistrationClosed, 0, `{"type":"register_-1","error":true,"message":"Registration is closed"}`},
		{socketRegister, core.RetryLater(core.ErrThrottled, 90*time.Second), 0, `{"type":"register_-1","error":true,"message":"Too many attempts, try again in 90 seconds"}`},
		{socketLogin, core.ErrAlreadyOnline, 0, `{"type":"login","status":"error_-1","message":"Account already logged in"}`},
		{socketLogin, core.ErrBusy, 0, `{"type":"login","status":"error_0","message":"The server is busy"}`},
		{socketChat, errTokenMissing, 0, `{"type":"chat","status":"error_Mt","message":"Missing token"}`},
		{socketChat, core.ErrBusy, 0, `{"type":"chat","status":"error","message":"The server is busy"}`},
		{httpRegister, core.ErrNameTaken, 403, nameTaken},
		{httpRegister, core.ErrBusy, 200, `{"type":"register_-1","error":true,"message":"The server is busy"}`},
		{httpLogin, core.ErrAlreadyOnline, 409, `{"type":"login","status":"error_0","message":"Account already logged in"}`},
		{httpLogin, core.ErrBadCredentials, 401, `{"type":"login_0","status":"error","message":"Invalid credentials"}`},
		{httpLogin, core.ErrDisabled, 401, `{"type":"login_0","status":"error","message":"The account is disabled"}`},
		{httpLogin, core.ErrThrottled, 429, `{"type":"login_0","status":"error","message":"Too many attempts"}`},
		{httpLogin, core.ErrBusy, 503, `{"type":"login_0","status":"error","message":"The server is busy"}`},
		{httpChat, errTokenMissing, 401, `{"type":"chat","status":"error"}`},
		{httpChat, core.ErrNoToken, 401, `{"type":"chat","status":"error"}`},
		{httpChat, core.ErrMessageTooLong, 400, `{"type":"chat","status":"error","message":"The message is too long"}`},
		{httpChat, core.ErrStopping, 503, `{"type":"chat","status":"error","message":"The server is stopping"}`},
	} {
		got := g.refuse(tt.codes, tt.err)
		if got.status != tt.status || string(got.object) != tt.object {
			t.Errorf("%v: %d %s, want %d %s", tt.err, got.status, got.object, tt.status, tt.object)
		}
	}
}

// TestInternalErrors: the peer gets a reference, the log the details.
func TestInternalErrors(t *testing.T) {
	for name, tt := range tables {
		var log bytes.Buffer
		g := &Gateway{Config: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}}
		got := g.refuse(tt.codes, errors.New("disk on fire"))
		_, reference, _ := strings.Cut(strings.TrimSuffix(string(got.object), `"}`), "Internal error, reference ")
		if strings.Contains(string(got.object), "fire") || !tt.form.Match(got.object) {
			t.Errorf("%s: %s", name, got.object)
		}
		if !strings.Contains(log.String(), "disk on fire") || !strings.Contains(log.String(), "reference="+reference) {
			t.Errorf("%s: %s is logged as %s", name, got.object, &log)
		}
		if tt.http && name != "HTTP register" && got.status != http.StatusInternalServerError {
			t.Errorf("%s: status %d", name, got.status)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"ab": true, "alice": true, "A1": true, "_x": true, "~?": true, "!@#$%^&+-~?_": true, strings.Repeat("x", 20): true,
		"": false, "a": false, "1a": false, strings.Repeat("x", 21): false, "a b": false, "a.b": false, "a/b": false, "a*": false,
		"é1": false, "名字": false, "a\x00": false, "a=": false, "(a": false,
	} {
		if validName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestAvatarNames(t *testing.T) {
	for file, want := range map[string]bool{
		"a.png": true, "a.jpg": true, "头像.png": true, "a b.png": true, "default_avatar.png": true, "..png": true, ".png": true,
		"": false, "a.gif": false, "a.PNG": false, "png": false, "a.png.exe": false, "../a.png": false, "a/b.png": false, `a\b.png`: false,
		"a\n.png": false, "a\x00.png": false, "\xff.png": false, strings.Repeat("x", 252) + ".png": false,
	} {
		if validAvatar(file) != want {
			t.Errorf("%q: %v", file, !want)
		}
	}
}

// TestCodecIsQuietAboutOthers: events that this protocol has no form for are not shown, nor is what is old news.
func TestCodecIsQuietAboutOthers(t *testing.T) {
	now := time.Now()
	message := func(at time.Time) []core.Message {
		return []core.Message{{Seq: 1, Author: core.Author{ID: 7, Name: "ann"}, Text: "private", At: at}}
	}
	direct := core.Conversation{ID: 9, Kind: core.Direct}
	for name, ev := range map[string]core.Event{
		"a message in another room": core.MessagesPosted{Conversation: core.Conversation{ID: 2, Kind: core.Room}, Messages: message(now)},
		"an old direct message":     core.MessagesPosted{Conversation: direct, Messages: message(now.Add(-2 * chat.NoticeAge))},
		"a friend's consent":        core.FriendAccepted{By: core.User{Name: "ann"}, To: 8},
	} {
		if frames := (codec{}).Encode(ev); len(frames) != 0 {
			t.Errorf("%s: %s", name, frames[0].Bytes)
		}
	}
	fresh := core.MessagesPosted{Conversation: direct, Messages: message(now)}
	frames := (codec{}).Encode(fresh)
	if len(frames) != 1 || bytes.Contains(frames[0].Bytes, []byte("private")) {
		t.Errorf("a direct message: %v", frames)
	}
	if !(codec{}).Skips(fresh, 7) || (codec{}).Skips(fresh, 8) {
		t.Error("the notice of a direct message goes to its author, or not to its addressee")
	}
	lobby := core.MessagesPosted{Conversation: core.Conversation{ID: core.Lobby, Kind: core.Room}, Messages: message(now.Add(-time.Hour))}
	if (codec{}).Skips(lobby, 7) || len((codec{}).Encode(lobby)) != 1 {
		t.Error("the lobby is not shown to everybody")
	}
}

func TestFarewells(t *testing.T) {
	for _, reason := range []session.Reason{session.Stopping, session.Revoked} {
		if b := farewell(reason, 0); !jsontext.Value(b).IsValid() {
			t.Errorf("%s: %q", reason, b)
		}
	}
	if b := farewell(session.Misbehaved, 0); b != nil {
		t.Errorf("%q", b)
	}
}
