package outbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestListShowsTheNewestFirstWithTheirCodes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	f := NewFolder(dir)
	if got, err := f.List(10); err != nil || len(got) != 0 {
		t.Fatalf("before the first message: %v, %v", got, err)
	}
	before := time.Now().Add(-time.Second)
	for _, m := range []Message{
		CodeMail("mei@example.org", "0427"), CodeSMS("+8613800138000", "987654"),
		{To: "bob@example.org", Subject: "Welcome", Text: "No number here.\n"},
		CodeMail("cyd@example.org", "135790"),
	} {
		if err := f.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.List(10)
	if err != nil {
		t.Fatal(err)
	}
	want := []Unsent{
		{Kind: Mail, To: "cyd@example.org", Code: "135790"},
		{Kind: Mail, To: "bob@example.org"},
		{Kind: SMS, To: "+8613800138000", Code: "987654"},
		{Kind: Mail, To: "mei@example.org", Code: "0427"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d messages: %+v", len(got), got)
	}
	for i, m := range got {
		if m.At.Before(before) || m.At.After(time.Now()) {
			t.Errorf("%s is of %v", m.ID, m.At)
		}
		if found, err := f.Find(m.ID); err != nil || found != m {
			t.Errorf("found %+v, %v", found, err)
		}
		if m.ID, m.At = "", (time.Time{}); m != want[i] {
			t.Errorf("%d: %+v, want %+v", i, m, want[i])
		}
	}
	if got, err := f.List(1); err != nil || len(got) != 1 || got[0].To != "cyd@example.org" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRemoveTakesOneMessageAway(t *testing.T) {
	dir := t.TempDir()
	f := NewFolder(dir)
	for _, to := range []string{"ann@example.org", "bob@example.org"} {
		if err := f.Send(t.Context(), CodeMail(to, "123456")); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.List(10)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if err := f.Remove(got[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(got[0].ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
	if left, err := f.List(10); err != nil || len(left) != 1 || left[0].To != "ann@example.org" {
		t.Errorf("%+v, %v", left, err)
	}
}

// TestNothingOutsideOfTheFolderIsReached, and nothing in it that is no message.
func TestNothingOutsideOfTheFolderIsReached(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "outbox")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const stamp = "20261121T100000.000000000Z-0123456789ab"
	for _, path := range []string{
		filepath.Join(top, stamp+".sms"), filepath.Join(dir, "notes.sms"), filepath.Join(dir, "."+stamp+".sms.tmp"),
		filepath.Join(dir, stamp+".txt"), filepath.Join(dir, stamp+".eml"),
	} {
		if err := os.WriteFile(path, []byte("code 123456\n\nTo: 12345\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := NewFolder(dir)
	if got, err := f.List(10); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []string{"", ".", "..", "../" + stamp + ".sms", "..%2f" + stamp + ".sms", "notes.sms", stamp + ".txt", stamp + ".sms", "99999999T999999.000000000Z-0123456789ab.sms"} {
		if _, err := f.Find(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("found %q: %v", id, err)
		}
		if err := f.Remove(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed %q: %v", id, err)
		}
	}
}
