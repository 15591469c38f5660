package crossprotocol

import (
	"net/http"
	"strings"
	"testing"

	"parley/test/program"
)

// TestChangesAndFilesReachClientsThatKnowOnlyTexts: somebody with a modern client edits, answers, reacts, attaches and takes back;
// the others see it in the best form that their protocols have, and can fetch the file with nothing but the link.
func TestChangesAndFilesReachClientsThatKnowOnlyTexts(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	carl := cs3Person(t, s, "carl", true)
	registerDPC(t, s, "dora", "13800138000")
	dora := dpcPerson(t, s, "dora", "")
	ann, _ := llfcPerson(t, s, "ann")
	vera := apiClient(s)
	if _, err := vera.Enter("/auth/register", "vera", strong); err != nil {
		t.Fatal(err)
	}
	// all returns what everybody hears, which must be the same.
	all := func(author string) string {
		t.Helper()
		var first string
		for i, p := range []*person{ann, carl, dora} {
			by, text, err := p.hear()
			if err != nil || by != author || i > 0 && text != first {
				t.Fatalf("%s hears from %q %q, not %q from %s: %v", p.key(), by, text, first, author, err)
			}
			first = text
		}
		return first
	}
	hears := func(author, want string) {
		t.Helper()
		if got := all(author); got != want {
			t.Errorf("heard is %q, not %q", got, want)
		}
	}
	const messages = "/conversations/1/messages"
	if err := carl.say("shall we meet?"); err != nil {
		t.Fatal(err)
	}
	hears("carl", "shall we meet?")
	want(t, vera, http.MethodPost, messages, map[string]any{"text": "here", "reply_to": 1}, http.StatusCreated)
	hears("vera", "> carl: shall we meet?\nhere")
	want(t, vera, http.MethodPut, messages+"/2", map[string]any{"text": "here, at eight"}, http.StatusOK)
	hears("vera", "✎ here, at eight")
	want(t, vera, http.MethodPut, messages+"/1/reactions", map[string]any{"emoji": "👍"}, http.StatusOK)
	hears("vera", "👍 > shall we meet?")
	want(t, vera, http.MethodDelete, messages+"/2", nil, http.StatusOK)
	hears("vera", "✗ took a message back")

	status, file, err := vera.Upload("/conversations/1/files", "way.txt", []byte("first left, then right"))
	if err != nil || status != http.StatusCreated {
		t.Fatalf("%d %v, %v", status, file, err)
	}
	want(t, vera, http.MethodPost, messages, map[string]any{"text": "like this", "file_id": file["file_id"]}, http.StatusCreated)
	text := all("vera")
	link, ok := strings.CutPrefix(text, "like this\n📎 way.txt (22 B) ")
	if !ok || !strings.HasPrefix(link, "http://"+s.HTTP+"/") {
		t.Fatalf("heard is %q", text)
	}
	if got, err := program.Get(link); err != nil || got != "first left, then right" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
	want(t, vera, http.MethodDelete, "/files/"+itoa(int64(file["file_id"].(float64))), nil, http.StatusOK)
	if got, err := program.Get(link); err != nil || !strings.Contains(got, `"code":404`) {
		t.Errorf("the link leads to %q, %v", got, err)
	}
}
