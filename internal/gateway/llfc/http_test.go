package llfc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"parley/internal/account"
	"parley/internal/core"
)

// xor is what the original desktop client does to a password before it sends it.
func xor(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] ^= byte(len(b) % 255)
	}
	return string(b)
}

func (w *world) addWithPassword(name, password string) {
	w.Helper()
	_, err := w.accounts.Add(context.Background(), w.accounts.Operator(), core.Origin{}, account.NewUser{Name: name, Password: password})
	w.must(err)
}

func loginBody(login, password string) string {
	b, _ := json.Marshal(map[string]string{"email": login, "passwd": password})
	return string(b)
}

func TestGateHeaders(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/get_varifycode", "/user_register", "/reset_pwd", "/user_login"} {
		a, body := w.request("POST", path, `{"email":5}`)
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/json" || a.Header.Get("Access-Control-Allow-Origin") != "*" || body != `{"error":1001}` {
			t.Errorf("%s: %d %v %s", path, a.StatusCode, a.Header, body)
		}
		a, body = w.request("OPTIONS", path, "")
		if a.StatusCode != 204 || body != "" || a.Header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST") || a.Header.Get("Access-Control-Allow-Headers") != "Content-Type" {
			t.Errorf("preflight of %s: %d %v %s", path, a.StatusCode, a.Header, body)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			a, body = w.request(method, path, "{}")
			if a.StatusCode != 404 || a.Header.Get("Content-Type") != "text/plain" || body != "url not found" {
				t.Errorf("%s %s: %d %v %s", method, path, a.StatusCode, a.Header, body)
			}
		}
	}
}

func TestGateBodyHasALimit(t *testing.T) {
	w := newWorld(t)
	a, body := w.request("POST", "/user_login", `{"email":"`+strings.Repeat("x", 64<<10)+`"}`)
	if a.StatusCode != 200 || body != `{"error":1001}` {
		t.Errorf("%d %s", a.StatusCode, body)
	}
}

// One password works in every client: set by one that sends it as typed or by one that XORs it, used by the other.
func TestPasswordOfEitherClient(t *testing.T) {
	w := newWorld(t)
	w.addWithPassword("plain", "s3cret!")
	for _, sent := range []string{"s3cret!", xor("s3cret!")} {
		if _, body := w.request("POST", "/user_login", loginBody("plain", sent)); !strings.HasPrefix(body, `{"error":0,`) {
			t.Errorf("%q: %s", sent, body)
		}
	}
	w.request("POST", "/get_varifycode", `{"email":"x@example.com"}`)
	_, body := w.request("POST", "/user_register", `{"email":"x@example.com","user":"xored","passwd":"745230","confirm":"745230","varifycode":"`+w.code("x@example.com")+`"}`)
	if !strings.HasPrefix(body, `{"error":0,`) {
		t.Fatal(body)
	}
	for sent, code := range map[string]string{"745230": "0,", "123456": "0,", "123457": "1009}"} {
		if _, body := w.request("POST", "/user_login", loginBody("xored", sent)); !strings.HasPrefix(body, `{"error":`+code) {
			t.Errorf("%q: %s", sent, body)
		}
	}
	// Who logs in elsewhere sends what was typed.
	if _, _, err := w.accounts.Login(context.Background(), core.Origin{Gateway: "cs3"}, "xored", account.Secret{Text: "123456"}); err != nil {
		t.Error(err)
	}
	if _, body := w.request("POST", "/user_login", loginBody("xored", "745230")); !strings.HasPrefix(body, `{"error":0,`) {
		t.Error(body)
	}
}

func TestWrongPasswordsAreThrottled(t *testing.T) {
	w := newWorld(t)
	w.addWithPassword("ann", "s3cret!")
	for range 5 {
		if _, body := w.request("POST", "/user_login", loginBody("ann", "guess")); body != `{"error":1009}` {
			t.Fatal(body)
		}
	}
	w.request("POST", "/user_login", loginBody("ann", "guess"))
	if _, body := w.request("POST", "/user_login", loginBody("ann", "s3cret!")); body != `{"error":1002}` {
		t.Error(body)
	}
}

func TestClosedRegistration(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.registration = account.Closed })
	_, body := w.request("POST", "/user_register", `{"email":"x@example.com","user":"x","passwd":"745230","confirm":"745230","varifycode":"1234"}`)
	if body != `{"error":1002}` {
		t.Error(body)
	}
}

func TestLoginNamesTheChatServerAsTheClientReachesIt(t *testing.T) {
	w := newWorld(t)
	w.addWithPassword("ann", "s3cret!")
	_, port, _ := strings.Cut(w.addr, ":")
	for asked, host := range map[string]string{
		"192.168.1.20:8080": "192.168.1.20", "chat.example.org": "chat.example.org", "[2001:db8::1]:8080": "2001:db8::1", "[::1]": "::1",
	} {
		var got gateLoginAnswer
		_, body := w.request("POST", "/user_login", loginBody("ann", "s3cret!"), func(r *http.Request) { r.Host = asked })
		w.must(json.Unmarshal([]byte(body), &got))
		if got.Host != host || got.Port != port {
			t.Errorf("asked %q: %s", asked, body)
		}
	}
}

// HTTP/1.0 does not say whom it asks.
func TestLoginWithoutAHostHeader(t *testing.T) {
	w := newWorld(t)
	w.addWithPassword("ann", "s3cret!")
	_, port, _ := strings.Cut(w.addr, ":")
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.gate, "http://"))
	w.must(err)
	defer func() { _ = conn.Close() }()
	body := loginBody("ann", "s3cret!")
	_, err = fmt.Fprintf(conn, "POST /user_login HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	w.must(err)
	answer, err := io.ReadAll(conn)
	w.must(err)
	if want := `"host":"127.0.0.1","port":"` + port + `"}`; !strings.HasSuffix(string(answer), want) {
		t.Errorf("got %s, want %s", answer, want)
	}
}

func TestLoginNamesThePublicAddress(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.PublicAddr = "chat.example.org:443" })
	w.addWithPassword("ann", "s3cret!")
	if _, body := w.request("POST", "/user_login", loginBody("ann", "s3cret!")); !strings.HasSuffix(body, `"host":"chat.example.org","port":"443"}`) {
		t.Error(body)
	}
}

func TestLoginWithoutAChatServer(t *testing.T) {
	w := newWorld(t)
	w.addWithPassword("ann", "s3cret!")
	w.gw.port.Store(nil)
	if _, body := w.request("POST", "/user_login", loginBody("ann", "s3cret!")); body != `{"error":1002}` {
		t.Error(body)
	}
}
