package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/gateway/api"
)

// TestManyNamesFromOneNetwork are stuffed with what leaked elsewhere: after 300 wrong ones even the right one has to wait. Who is logged
// in already, goes on.
func TestManyNamesFromOneNetwork(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	_, err := w.keys.Add(context.Background(), "parley:login:ip:127.0.0.1", 297, time.Minute) // as many have failed already
	w.must(err)
	for i := range 3 {
		w.stranger().post("/auth/login", fmt.Sprintf(`{"username":"leaked%d","password":"leaked"}`, i)).refused(401, 10001)
	}
	for _, body := range []string{`{"username":"leaked9","password":"leaked"}`, fmt.Sprintf(`{"username":"ann","password":%q}`, password)} {
		if a := w.stranger().post("/auth/login", body).refused(429, 10429); a.header.Get("Retry-After") == "" {
			t.Error("it is not told when")
		}
	}
	ann.get("/users/profile").ok(200)
}

// TestWrongNamesAndWrongPasswordsLookAlike: nobody finds out who has an account.
func TestWrongNamesAndWrongPasswordsLookAlike(t *testing.T) {
	w := newWorld(t)
	w.join("ann")
	told := func(name string) string {
		a := w.stranger().post("/auth/login", fmt.Sprintf(`{"username":%q,"password":"guessed"}`, name)).refused(401, 10001)
		_, reason, _ := strings.Cut(a.body, `"error":`)
		reason, _, _ = strings.Cut(reason, `,"request_id"`)
		return reason
	}
	if there, not := told("ann"), told("nobody"); there != not {
		t.Errorf("%s, and %s", there, not)
	}
	for _, email := range []string{"ann@example.org", "nobody@example.org"} {
		w.stranger().post("/auth/forgot-password", fmt.Sprintf(`{"email":%q}`, email)).ok(200).equal("expires_in", "600")
	}
}

// TestAskingAgainBringsFewGuesses: a code has five of them, and one network has ten a day, however often it asks for codes.
func TestAskingAgainBringsFewGuesses(t *testing.T) {
	w := newWorld(t)
	w.join("ann")
	guesses := 0
	for range 8 {
		w.stranger().post("/auth/forgot-password", `{"email":"ann@example.org"}`)
		for range 4 {
			a := w.stranger().post("/auth/reset-password", fmt.Sprintf(`{"email":"ann@example.org","code":"000000","new_password":%q}`, password))
			if strings.Contains(a.body, `"code":10008`) {
				guesses++
			}
		}
	}
	if guesses != 10 {
		t.Errorf("%d guesses were judged", guesses)
	}
	w.login("ann")
}

// TestABodyThatNeverEnds, or begins, does not hold the server: the connection is cut when its time is over.
func TestABodyThatNeverEnds(t *testing.T) {
	ann := newWorld(t).join("ann").hurried()
	for name, tt := range map[string]struct{ head, body string }{
		"a body that stalls":   {"POST /users/change-password", `{"old_password":"`},
		"a body that is none":  {"PUT /users/profile", ""},
		"a head that stalls":   {"", ""},
		"a form that stalls":   {"POST /auth/login", "{"},
		"settings that stall":  {"PUT /admin/settings", `{"limits.register":`},
		"a report that stalls": {"POST /reports", `{"reason":"`},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(ann.web.URL, "http://"))
			ann.must(err)
			defer conn.Close()
			text := "POST " + api.Prefix + "/auth/login HTTP/1.1\r\nHost: x\r\nX-Slow: "
			if tt.head != "" {
				method, path, _ := strings.Cut(tt.head, " ")
				text = fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n%s",
					method, api.Prefix, path, ann.access, tt.body)
			}
			_, err = io.WriteString(conn, text)
			ann.must(err)
			ann.must(conn.SetReadDeadline(time.Now().Add(10 * time.Second)))
			b, err := io.ReadAll(conn)
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Error("the connection is still open")
			}
			if strings.HasPrefix(string(b), "HTTP/1.1 2") {
				t.Errorf("it is answered with %s", b)
			}
		})
	}
	ann.get("/users/profile").ok(200).equal("full_name", "ann")
}

// TestEveryBodyHasALimit: no route reads more than it takes, whatever was announced.
func TestEveryBodyHasALimit(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root")
	large := `{"text":"` + strings.Repeat("x", 70<<10) + `"}`
	tried := 0
	for path, methods := range w.doc.Paths {
		for method, op := range methods {
			if _, takes := op.RequestBody.Content["application/json"]; !takes {
				continue
			}
			tried++
			root.do(strings.ToUpper(method), fill(strings.TrimPrefix(path, api.Prefix), root.id), large).refused(413, 10413)
		}
	}
	if tried < 20 {
		t.Errorf("only %d routes were tried", tried)
	}
}

// TestAReportReachesThoseWhoAdminister, live and in their list, and nobody else.
func TestAReportReachesThoseWhoAdminister(t *testing.T) {
	w := newWorld(t)
	root, ann, bob := w.admin("root"), w.join("ann"), w.join("bob")
	ann.befriend(bob)
	room := ann.room("private", bob)
	bob.post(fmt.Sprintf("/conversations/%d/messages", room), `{"text":"something rude"}`).ok(201)
	hears, others := root.connect(""), bob.connect("")
	ann.post("/reports", fmt.Sprintf(`{"conversation_id":%d,"seq":1,"reason":"He is rude."}`, room)).ok(201)
	hears.has("report.filed", `"reason":"He is rude."`)
	others.quiet()
	root.get("/admin/reports?state=open").ok(200).equal("items/0/text", "something rude")
	root.get(fmt.Sprintf("/conversations/%d/messages", room)).refused(404, 20101)
	bob.get("/admin/reports").refused(403, 10403)
	w.must(w.accounts.SetDisabled(context.Background(), w.accounts.Operator(), core.Origin{}, "root", true))
	hears.until("closing")
	hears.ends(4001)
}

// TestAResetSpokeOfAName that nobody had asked for, where the address was not verified.
func TestAResetSpokeOfAName(t *testing.T) {
	w := newWorld(t)
	w.join("ann") // whose address is a claim
	w.stranger().post("/auth/forgot-password", `{"email":"ann@example.org"}`).ok(200)
	a := w.stranger().post("/auth/reset-password", fmt.Sprintf(`{"email":"ann@example.org","code":%q,"new_password":%q}`, w.mail.code("ann@example.org"), password))
	a.refused(400, 10008).because("No account has this verified address")
}
