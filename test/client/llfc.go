// Package client holds small clients of the served protocols, for tests that run the real program.
package client

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/wire/frame"
)

// timeout bounds every wait for the server.
const timeout = 20 * time.Second

// Gate posts a JSON object to one of llfc's HTTP routes and returns the answer.
func Gate(addr, route string, body map[string]any) (answer map[string]any, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	c := http.Client{Timeout: timeout}
	resp, err := c.Post("http://"+addr+route, "application/json", bytes.NewReader(b)) //nolint:noctx // the client has a time-out
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return answer, json.UnmarshalRead(resp.Body, &answer)
}

// LLFC is a connection of the llfc chat protocol.
type LLFC struct {
	UID  int64
	Conn net.Conn
	r    frame.Reader
	rest []byte
}

// Frame is a received frame.
type Frame struct {
	ID   uint16
	Body jsontext.Value
}

// Text is one text of a 1017, 1018 or 1019.
type Text struct {
	Content string `json:"content"`
	ID      string `json:"msgid"`
}

// Texts is the body of a 1017, 1018 or 1019.
type Texts struct {
	Error int    `json:"error"`
	From  int64  `json:"fromuid"`
	To    int64  `json:"touid"`
	Texts []Text `json:"text_array"`
}

// Login logs in through the gate and the chat port and returns the connection and the login's answer.
func Login(gate, login, password string) (*LLFC, map[string]any, error) {
	a, err := Gate(gate, "/user_login", map[string]any{"email": login, "passwd": password})
	if err != nil {
		return nil, nil, err
	}
	if a["error"] != 0.0 {
		return nil, a, fmt.Errorf("/user_login answers %v", a["error"])
	}
	addr := net.JoinHostPort(a["host"].(string), a["port"].(string))
	return LoginToken(addr, int64(a["uid"].(float64)), a["token"].(string))
}

// LoginToken logs in at the chat port with a token.
func LoginToken(addr string, uid int64, token string) (*LLFC, map[string]any, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, nil, err
	}
	c := &LLFC{UID: uid, Conn: conn, r: frame.NewReader(conn)}
	if err := c.Send(1005, map[string]any{"uid": uid, "token": token}); err != nil {
		return nil, nil, err
	}
	f, err := c.Wait(1006)
	if err != nil {
		return nil, nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(f.Body, &answer); err != nil {
		return nil, nil, err
	}
	if answer["error"] != 0.0 {
		return nil, answer, fmt.Errorf("1006 answers %v", answer["error"])
	}
	return c, answer, nil
}

// Send sends one frame.
func (c *LLFC) Send(id uint16, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err = c.Conn.Write(frame.Append(nil, id, b))
	return err
}

// Say sends a text.
func (c *LLFC) Say(to int64, id, content string) error {
	return c.Send(1017, Texts{From: c.UID, To: to, Texts: []Text{{content, id}}})
}

// Next returns the next frame. The end of the stream is io.EOF.
func (c *LLFC) Next() (f Frame, err error) {
	if len(c.rest) == 0 {
		if err := c.Conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return f, err
		}
		if c.rest, err = c.r.Read(); err != nil {
			return f, err
		}
	}
	var body []byte
	f.ID, body, c.rest = frame.Cut(c.rest)
	f.Body = bytes.Clone(body)
	return f, nil
}

// Wait returns the next frame of one id and skips the others.
func (c *LLFC) Wait(id uint16) (Frame, error) {
	for {
		f, err := c.Next()
		if err != nil || f.ID == id {
			return f, err
		}
	}
}

// Texts decodes a 1018 or 1019.
func (f Frame) Texts() (t Texts, err error) { return t, json.Unmarshal(f.Body, &t) }

// Befriend makes two users friends: the first asks, the second accepts.
func Befriend(a, b *LLFC) error {
	if err := a.Send(1009, map[string]any{"uid": a.UID, "applyname": "", "bakname": "", "touid": b.UID}); err != nil {
		return err
	}
	if _, err := a.Wait(1010); err != nil {
		return err
	}
	if err := b.Send(1013, map[string]any{"fromuid": b.UID, "touid": a.UID, "back": ""}); err != nil {
		return err
	}
	f, err := b.Wait(1014)
	if err == nil && !bytes.Contains(f.Body, []byte(`"error":0`)) {
		err = fmt.Errorf("1014 answers %s", f.Body)
	}
	return err
}

// CS3 is a connection of the CS3 chat protocol.
type CS3 struct {
	Conn  net.Conn
	Token string
	dec   *jsontext.Decoder
}

// LoginCS3 logs in at the socket, and registers first if asked to.
func LoginCS3(addr, name, password string, register bool) (*CS3, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	c := &CS3{Conn: conn, dec: jsontext.NewDecoder(conn)}
	if register {
		if err := c.Send(map[string]string{"type": "register", "username": name, "password": password}); err != nil {
			return nil, err
		}
		if a, err := c.Next(); err != nil || a["type"] != "register_1" {
			return nil, fmt.Errorf("register: %v %w", a, err)
		}
	}
	if err := c.Send(map[string]string{"type": "login", "username": name, "password": password}); err != nil {
		return nil, err
	}
	a, err := c.Next()
	if err != nil || a["status"] != "success" {
		return nil, fmt.Errorf("login: %v %w", a, err)
	}
	c.Token, _ = a["token"].(string)
	return c, nil
}

// Send sends one object.
func (c *CS3) Send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.Conn.Write(b)
	return err
}

// Say posts a message.
func (c *CS3) Say(text string) error {
	return c.Send(map[string]string{"type": "chat", "token": c.Token, "message": text})
}

// Next returns the next object.
func (c *CS3) Next() (v map[string]any, err error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if err := json.UnmarshalDecode(c.dec, &v); err != nil {
		return nil, fmt.Errorf("cs3: %w", err)
	}
	return v, nil
}

// WaitMessage returns the next chat message of anybody and skips everything else.
func (c *CS3) WaitMessage() (user, message string, err error) {
	for {
		v, err := c.Next()
		if err != nil {
			return "", "", err
		}
		if user, ok := v["user"].(string); ok && v["type"] == "chat" {
			return user, v["message"].(string), nil
		}
	}
}

// Closed reports whether the server has ended the connection in an orderly way.
func Closed(err error) bool { return err == io.EOF } //nolint:errorlint // wrapped ends are not orderly
