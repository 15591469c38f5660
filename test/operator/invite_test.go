package operator

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"parley/test/client"
	"parley/test/program"
)

// invited starts a server with a room and returns a link into it, and who made it.
func invited(t *testing.T, args ...string) (s *program.Server, ann *client.API, link string) {
	t.Helper()
	s = program.Start(t, t.TempDir(), nil, args...)
	s.AddUser("ann")
	s.AddUser("bob")
	ann = &client.API{URL: "http://" + s.HTTP}
	if _, err := ann.Enter("/auth/login", "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	ask := func(path string, body any) map[string]any {
		status, data, err := ann.Ask(http.MethodPost, path, body)
		if err != nil || status != http.StatusCreated {
			t.Fatalf("%s: %d %v, %v", path, status, data, err)
		}
		return data
	}
	room := ask("/rooms", map[string]any{"name": "The <choir>", "topic": "When we sing"})
	made := ask(fmt.Sprintf("/rooms/%v/links", room["conversation_id"]), map[string]any{"max_uses": 2})
	return s, ann, made["url"].(string)
}

// submit sends a form as a browser does.
func submit(t *testing.T, address string, fields url.Values) (int, string) {
	t.Helper()
	resp, err := http.PostForm(address, fields) //nolint:gosec,noctx // it is the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestALinkIntoARoomIsAPage on which people join the room, with the account that they have or with a new one.
func TestALinkIntoARoomIsAPage(t *testing.T) {
	s, _, link := invited(t, "account.registration=invite")
	if resp, body := get(t, link, "Accept-Language", "en"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "You are invited: The &lt;choir&gt;") ||
		!strings.Contains(body, "When we sing") || !strings.Contains(body, "Members: 1") {
		t.Errorf("%d\n%s", resp.StatusCode, body)
	}
	if resp, body := get(t, link+"?lang=zh"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "邀请你加入") {
		t.Errorf("%d\n%s", resp.StatusCode, body)
	}
	for name, c := range map[string]struct {
		fields url.Values
		status int
		want   string
	}{
		"a wrong password": {url.Values{"name": {"bob"}, "password": {"guessed"}}, http.StatusForbidden, "Name or password is wrong."},
		"two passwords":    {url.Values{"name": {"cyd"}, "password": {"one"}, "again": {"other"}}, http.StatusUnprocessableEntity, "The two passwords differ."},
		"a name taken":     {url.Values{"name": {"ann"}, "password": {"one"}, "again": {"one"}}, http.StatusConflict, "That name is taken."},
		"a bad name":       {url.Values{"name": {"a/b"}, "password": {"one"}, "again": {"one"}}, http.StatusUnprocessableEntity, "That name is not allowed"},
		"nothing":          {nil, http.StatusForbidden, "Name or password is wrong."},
	} {
		if status, body := submit(t, link, c.fields); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d\n%s", name, status, body)
		}
	}
	for _, fields := range []url.Values{
		{"name": {"bob"}, "password": {"secret"}},
		{"name": {"bob"}, "password": {"secret"}}, // is in it already
		{"name": {"cyd"}, "password": {"SecurePass123!"}, "again": {"SecurePass123!"}},
	} {
		if status, body := submit(t, link, fields); status != http.StatusOK || !strings.Contains(body, "You are in: The &lt;choir&gt;") || !strings.Contains(body, s.LLFC) {
			t.Errorf("%v: %d\n%s", fields, status, body)
		}
	}
	cyd := &client.API{URL: "http://" + s.HTTP}
	if _, err := cyd.Enter("/auth/login", "cyd", "SecurePass123!"); err != nil {
		t.Fatal(err)
	}
	if status, data, err := cyd.Ask(http.MethodGet, "/conversations/2", nil); err != nil || status != http.StatusOK || data["role"] != "member" {
		t.Errorf("%d %v, %v", status, data, err)
	}
	for _, used := range []string{link, "http://" + s.HTTP + "/invite/guessed"} {
		if resp, body := get(t, used); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "does not work") || strings.Contains(body, "<form") {
			t.Errorf("%s: %d\n%s", used, resp.StatusCode, body)
		}
		if status, body := submit(t, used, url.Values{"name": {"eve"}, "password": {"x"}, "again": {"x"}}); status != http.StatusNotFound || !strings.Contains(body, "does not work") {
			t.Errorf("%s: %d\n%s", used, status, body)
		}
	}
}

// TestAClosedServerTakesNobodyByALink but those who have an account.
func TestAClosedServerTakesNobodyByALink(t *testing.T) {
	_, _, link := invited(t, "account.registration=closed")
	if status, body := submit(t, link, url.Values{"name": {"cyd"}, "password": {"one"}, "again": {"one"}}); status != http.StatusForbidden || !strings.Contains(body, "takes no new accounts") {
		t.Errorf("%d\n%s", status, body)
	}
	if status, body := submit(t, link, url.Values{"name": {"bob"}, "password": {"secret"}}); status != http.StatusOK {
		t.Errorf("%d\n%s", status, body)
	}
}
