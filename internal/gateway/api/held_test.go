package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"parley/internal/core"
	"parley/internal/gateway/api"
)

// hold begins a request with a JSON body and leaves the end of it to finish, which returns the answer.
func (c *client) hold(method, path, body string) (finish func() answer) {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.web.URL, "http://"))
	c.must(err)
	c.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "%s %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		method, api.Prefix, path, c.access, len(body))
	c.must(err)
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n') // the server has begun to read the body
	c.must(err)
	_, err = r.ReadString('\n')
	c.must(err)
	if !strings.Contains(line, "100 Continue") {
		c.t.Fatalf("%s %s: %s", method, path, line)
	}
	_, err = io.WriteString(conn, body[:len(body)/2])
	c.must(err)
	return func() answer {
		c.t.Helper()
		_, err := io.WriteString(conn, body[len(body)/2:])
		c.must(err)
		resp, err := http.ReadResponse(r, nil)
		c.must(err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		c.must(err)
		return answer{c.t, method + " " + path, resp.StatusCode, resp.Header, string(b)}
	}
}

// TestARightWasKeptByHoldingARequestOpen has people who are shut out, or deleted, while the rest of their request is on its way.
func TestARightWasKeptByHoldingARequestOpen(t *testing.T) {
	w := newWorld(t)
	root, ann, bob := w.admin("root"), w.admin("ann"), w.join("bob")
	add := ann.hold("POST", "/admin/users", `{"username":"eve","password":"SecurePass123!","is_admin":true}`)
	amend := bob.hold("PUT", "/users/profile", `{"full_name":"still here","bio":"and this"}`)
	root.put(fmt.Sprintf("/admin/users/%d", ann.id), `{"is_admin":false}`).ok(200)
	root.delete(fmt.Sprintf("/admin/users/%d", bob.id)).ok(200)
	add().refused(401, 10004)
	amend().refused(401, 10004)
	root.get("/admin/users?q=eve").ok(200).equal("total", "0")
	root.get("/admin/users?q=still").ok(200).equal("total", "0")
}

// TestADeletedAccountCameBack to life, or was said to.
func TestADeletedAccountCameBack(t *testing.T) {
	w := newWorld(t)
	root, bob := w.admin("root"), w.join("bob")
	w.must(w.accounts.Remove(context.Background(), w.accounts.Operator(), core.Origin{}, bob.id))
	path := fmt.Sprintf("/admin/users/%d", bob.id)
	root.post(path+"/ban", "").refused(404, 10002)
	root.post(path+"/unban", "").refused(404, 10002)
	root.put(path, `{"password":"SecurePass123!"}`).refused(404, 10002)
	root.delete(path).refused(404, 10002)
	root.get(path).ok(200).equal("status", "banned")
}
