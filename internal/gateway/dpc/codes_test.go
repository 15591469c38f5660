package dpc

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
)

// tables has, for each request, the codes that the document knows of it.
var tables = map[string]struct {
	codes table
	known []int
}{
	"login":     {loginCodes, []int{1}},
	"send code": {sendCodeCodes, []int{1, 2, 3}},
	"register":  {registerCodes, []int{1, 2, 3}},
	"say":       {sayCodes, []int{1}},
	"upload":    {uploadCodes, []int{1}},
	"list":      {listCodes, []int{1}},
	"download":  {downloadCodes, []int{1, 400}},
}

func TestEveryErrorHasACode(t *testing.T) {
	g := &Gateway{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	for name, tt := range tables {
		for _, named := range core.All {
			err := fmt.Errorf("doing something: %w", core.RetryLater(named, 90*time.Second))
			if code := g.code(tt.codes, err); !slices.Contains(tt.known, code) {
				t.Errorf("%s, %v: %d", name, named, code)
			}
		}
		if code := g.code(tt.codes, nil); code != 0 {
			t.Errorf("%s, no error: %d", name, code)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, tt := range []struct {
		codes table
		err   error
		code  int
	}{
		{loginCodes, core.ErrBadCredentials, 1},
		{loginCodes, core.ErrThrottled, 1},
		{sendCodeCodes, core.ErrInvalidPhone, 2},
		{sendCodeCodes, core.ErrPhoneTaken, 3},
		{sendCodeCodes, core.ErrThrottled, 1},
		{sendCodeCodes, core.ErrDeliveryFailed, 1},
		{sendCodeCodes, core.ErrRegistrationClosed, 1},
		{registerCodes, core.ErrNameTaken, 1},
		{registerCodes, core.ErrInvalidName, 1},
		{registerCodes, core.ErrInvalidPassword, 1},
		{registerCodes, core.ErrInvalidPhone, 2},
		{registerCodes, core.ErrCodeNotSent, 2},
		{registerCodes, core.ErrPhoneTaken, 2},
		{registerCodes, core.ErrCodeWrong, 3},
		{registerCodes, core.ErrCodeExpired, 3},
		{registerCodes, core.ErrRegistrationClosed, 1},
		{registerCodes, core.ErrThrottled, 1},
		{registerCodes, core.ErrBusy, 1},
		{sayCodes, core.ErrEmptyMessage, 1},
		{uploadCodes, core.ErrQuotaUsedUp, 1},
		{downloadCodes, core.ErrFileNotFound, 400},
		{downloadCodes, core.ErrInvalidFileName, 400},
		{downloadCodes, core.ErrBadCredentials, 1},
		{downloadCodes, errors.New("disk on fire"), 1},
	} {
		if code := tt.codes.find(fmt.Errorf("wrapped: %w", tt.err)); code != tt.code {
			t.Errorf("%v: %d, want %d", tt.err, code, tt.code)
		}
	}
}

// TestInternalErrors: the peer gets a code, the log the details.
func TestInternalErrors(t *testing.T) {
	for name, tt := range tables {
		var log bytes.Buffer
		g := &Gateway{Config: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}}
		if code := g.code(tt.codes, errors.New("disk on fire")); code != 1 || !strings.Contains(log.String(), "disk on fire") {
			t.Errorf("%s: %d, the log says %q", name, code, &log)
		}
		log.Reset()
		g.code(tt.codes, core.ErrBadCredentials)
		if log.Len() > 0 {
			t.Errorf("%s: what a client caused is logged: %s", name, &log)
		}
	}
}

func TestPhones(t *testing.T) {
	for phone, want := range map[string]bool{
		"18671289536": true, "10000000000": true,
		"": false, "8671289536": false, "186712895360": false, "28671289536": false, "1867128953x": false, "+8618671289536": false,
		"186******": false, "1867128 536": false, "１８６７１２８９５３６": false,
	} {
		if validPhone(phone) != want {
			t.Errorf("%q: %v", phone, !want)
		}
	}
}

func TestNumbersInTexts(t *testing.T) {
	for in, want := range map[text]int64{
		"0": 0, "00000": 0, "5": 5, "10737418240": 10737418240, "9223372036854775807": 9223372036854775807,
		"": -1, "-5": -1, "+5": -1, " 5": -1, "5 ": -1, "5.0": -1, "1e3": -1, "0x5": -1, "9223372036854775808": -1, "five": -1, "５": -1,
	} {
		if got := in.size(); got != want {
			t.Errorf("%q is the size %d, want %d", in, got, want)
		}
		n, ok := in.number()
		if small := want >= 0 && want < 1e9; ok != small || ok && int64(n) != want {
			t.Errorf("%q is the number %d, %v", in, n, ok)
		}
	}
	for in, want := range map[text]string{"4711": "4711", "42": "0042", "0": "0000", "": "", "123456": "123456", "nope": "nope"} {
		if got := in.padded(); got != want {
			t.Errorf("%q is the code %q, want %q", in, got, want)
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
}

// TestSeveralMessagesAtOnce: each has a header of its own.
func TestSeveralMessagesAtOnce(t *testing.T) {
	frames := (codec{}).Encode(core.MessagesPosted{
		Conversation: core.Conversation{ID: core.Lobby, Kind: core.Room},
		Messages:     []core.Message{{Author: core.Author{Name: "ann"}, Text: "one"}, {Author: core.Author{Name: "ann"}, Text: "二\x01"}},
	})
	want := `47             {"op":0,"args":{"name":"ann"},"news":"ann:one"}53             {"op":0,"args":{"name":"ann"},"news":"ann:二\u0001"}`
	if len(frames) != 1 || string(frames[0].Bytes) != want {
		t.Errorf("%s\nwant %s", frames[0].Bytes, want)
	}
}

func TestFarewells(t *testing.T) {
	for _, reason := range []session.Reason{session.Stopping, session.Revoked} {
		if b := farewell(reason, 0); len(b) < 15 || !jsontext.Value(b[15:]).IsValid() {
			t.Errorf("%s: %q", reason, b)
		}
	}
	if b := farewell(session.Misbehaved, 0); b != nil {
		t.Errorf("%q", b)
	}
}

// TestListIsBounded: of too many files, the newest are listed, which come last.
func TestListIsBounded(t *testing.T) {
	files := make([]core.File, maxListed+1)
	for i := range files {
		files[i].Name = fmt.Sprintf("file %d", i)
	}
	var answer struct {
		Files [][]string `json:"exist_file"`
	}
	if err := decode(list(files)[15:], &answer); err != nil {
		t.Fatal(err)
	}
	if n := len(answer.Files); n != maxListed || answer.Files[0][0] != "file 1" || answer.Files[n-1][0] != files[maxListed].Name {
		t.Errorf("%d entries", n)
	}
}
