package api

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/core"
)

// The statuses that clients of this protocol know, and those of HTTP that the document does not list.
var statuses = map[int]bool{400: true, 401: true, 403: true, 404: true, 405: true, 408: true, 409: true, 413: true, 415: true, 429: true, 500: true, 503: true}

func TestEveryErrorHasACode(t *testing.T) {
	page, err := os.ReadFile("../../../docs/protocols/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, named := range core.All {
		err := fmt.Errorf("doing something secret: %w", core.RetryLater(named, 90*time.Second))
		r := refusalFor(err)
		if !statuses[r.status] || r.code < 10000 || r.code > 49999 || r.kind == "" {
			t.Errorf("%v: %+v", named, r)
		}
		if named.Kind != core.Internal && r.status == http.StatusInternalServerError {
			t.Errorf("%v is called internal", named)
		}
		if !strings.Contains(string(page), fmt.Sprintf("| %d |", r.code)) {
			t.Errorf("%d is not on the protocol page", r.code)
		}
		message, details := sentences(err, r)
		if message == "" || strings.Contains(message+details, "secret") {
			t.Errorf("%v is told as %q, %q", named, message, details)
		}
	}
	for _, own := range []*ownError{errBody, errNoRoute, errMethod, errSlow, errLarge, errMedia, errAddress, errForm} {
		if r := refusalFor(because(own, "so")); r != own.refusal || !statuses[r.status] || !strings.Contains(string(page), fmt.Sprintf("| %d |", r.code)) {
			t.Errorf("%v: %+v", own, r)
		}
	}
}

// TestEveryKindHasACode: an error that is named tomorrow falls back on its kind.
func TestEveryKindHasACode(t *testing.T) {
	for kind := core.Internal; kind <= core.Unavailable; kind++ {
		if r := refusalFor(&core.Error{Kind: kind, Text: "new"}); !statuses[r.status] || r.code == 0 {
			t.Errorf("kind %d: %+v", kind, r)
		}
	}
}

func TestCodesOfTheDocument(t *testing.T) {
	for _, tt := range []struct {
		err          error
		status, code int
		details      string
	}{
		{core.ErrBadCredentials, 401, 10001, "Name or password is wrong"},
		{core.ErrUserNotFound, 404, 10002, "There is no such user"},
		{core.ErrNameTaken, 409, 10003, "The name is taken"},
		{core.ErrNoToken, 401, 10004, "There is no live token"},
		{core.ErrTokenExpired, 401, 10005, "The token has expired"},
		{core.ErrNotAPicture, 400, 30002, "The file is no picture of a known kind"},
		{core.ErrFileTooLarge, 413, 30003, "The file is too large"},
		{core.ErrThrottled, 429, 10429, "Too many attempts"},
		{core.ErrBusy, 503, 10503, "The server is busy"},
		{because(core.ErrInvalidName, "Username is required"), 400, 10010, "Username is required"},
	} {
		r := refusalFor(tt.err)
		if _, details := sentences(tt.err, r); r.status != tt.status || r.code != tt.code || details != tt.details {
			t.Errorf("%v: %+v %q", tt.err, r, details)
		}
	}
	if message, details := sentences(errors.New("disk on fire"), refusalFor(errors.New("disk on fire"))); strings.Contains(message+details, "fire") {
		t.Errorf("an internal error is told as %q, %q", message, details)
	}
}

func TestNamesAndPasswords(t *testing.T) {
	for name, want := range map[string]bool{
		"abc": true, "user_123": true, "___": true, strings.Repeat("x", 20): true,
		"": false, "ab": false, strings.Repeat("x", 21): false, "a b": false, "a-b": false, "名字名": false, "abc\n": false, "a/b": false,
	} {
		if (checkName(name) == nil) != want {
			t.Errorf("name %q: %v", name, !want)
		}
	}
	for password, want := range map[string]bool{
		"SecurePass123!": true, "Password1": true, "password1!": true, "PASSWORD1!": true, "密码Pass1234": true, "Pass word1": true,
		"": false, "Short1!": false, "password1": false, "PASSWORDS": false, "12345678": false, "密码密码密码密码": false,
	} {
		if (checkPassword(password) == nil) != want {
			t.Errorf("password %q: %v", password, !want)
		}
	}
}

func TestTakesGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"gzip": true, "gzip, deflate, br": true, "br;q=1.0, gzip;q=0.8": true, " gzip ; q=0.5": true,
		"": false, "br": false, "gzip;q=0": false, "gzip;q=0.0": false, "xgzip": false, "identity": false,
	} {
		if takesGzip(accept) != want {
			t.Errorf("%q: %v", accept, !want)
		}
	}
}
