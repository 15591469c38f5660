package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gobwas/ws"

	"parley/internal/core"
	test "parley/test/client"
)

const patience = 20 * time.Second

// socket is a client's connection for events. Each event is held to the document.
type socket struct {
	*test.Events
	t   testing.TB
	doc *asyncAPI
}

// asyncAPI is the document of the events as a client reads it.
type asyncAPI struct {
	AsyncAPI   string `json:"asyncapi"`
	Operations map[string]struct {
		Messages []struct {
			Ref string `json:"$ref"`
		} `json:"messages"`
	} `json:"operations"`
	Components struct {
		Messages map[string]struct {
			Name     string `json:"name"`
			Payload  schema `json:"payload"`
			Examples []struct {
				Payload any `json:"payload"`
			} `json:"examples"`
		} `json:"messages"`
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func (w *world) readEventDocument() *asyncAPI {
	w.t.Helper()
	var d asyncAPI
	w.must(json.Unmarshal([]byte(w.stranger().get("/asyncapi.json").ok(200).body), &d))
	return &d
}

// valid says what is wrong with an event, or a command under its key.
func (d *asyncAPI) valid(key string, payload any) error {
	m, ok := d.Components.Messages[key]
	if !ok {
		return fmt.Errorf("the document knows no %s", key)
	}
	schemas := openAPI{}
	schemas.Components.Schemas = d.Components.Schemas
	return schemas.valid(m.Payload, payload, "")
}

// dial connects, and says nothing.
func (c *client) dial(edit ...func(*test.EventsOptions)) *socket {
	c.t.Helper()
	o := test.EventsOptions{Token: c.access}
	for _, e := range edit {
		e(&o)
	}
	e, err := test.DialEvents(context.Background(), c.web.URL, o)
	c.must(err)
	c.t.Cleanup(func() { _ = e.Conn.Close() })
	return &socket{e, c.t, c.events}
}

func compressed(o *test.EventsOptions) { o.Deflate = true }

// connect dials, and is ready.
func (c *client) connect(start string, edit ...func(*test.EventsOptions)) *socket {
	c.t.Helper()
	s := c.dial(edit...)
	if start == "" {
		start = `{"type":"start"}`
	}
	s.say("%s", start)
	s.until("ready")
	return s
}

func (s *socket) say(format string, args ...any) {
	s.t.Helper()
	if err := s.Frame(ws.NewTextFrame(fmt.Appendf(nil, format, args...))); err != nil {
		s.t.Fatal(err)
	}
}

// event returns the next event.
func (s *socket) event() test.Event {
	s.t.Helper()
	e, err := s.Next(patience)
	if err != nil {
		s.t.Fatal(err)
	}
	var v any
	if err := e.Read(&v); err != nil {
		s.t.Fatal(err)
	}
	if err := s.doc.valid(e.Type, v); err != nil {
		s.t.Errorf("%v: %s", err, e.JSON)
	}
	return e
}

// next returns the next event but for presence, which may come at any time.
func (s *socket) next() test.Event {
	s.t.Helper()
	for {
		if e := s.event(); e.Type != "presence" {
			return e
		}
	}
}

// until waits for an event of a type. Before it nothing else may come, but for presence.
func (s *socket) until(kind string) test.Event {
	s.t.Helper()
	for {
		e := s.event()
		if e.Type == kind {
			return e
		}
		if e.Type != "presence" {
			s.t.Fatalf("waiting for %s, got %s", kind, e.JSON)
		}
	}
}

// has waits for an event and fails unless all of the texts are in it.
func (s *socket) has(kind string, texts ...string) test.Event {
	s.t.Helper()
	e := s.until(kind)
	for _, text := range texts {
		if !strings.Contains(string(e.JSON), text) {
			s.t.Errorf("%s is not in %s", text, e.JSON)
		}
	}
	return e
}

// quiet fails unless nothing came until now.
func (s *socket) quiet() {
	s.t.Helper()
	s.say(`{"type":"ping","ref":"quiet"}`)
	s.has("pong", `"ref":"quiet"`)
}

// ends waits until the server closes the connection.
func (s *socket) ends(code ws.StatusCode) {
	s.t.Helper()
	for {
		_, err := s.Next(patience)
		if errors.Is(err, io.EOF) && s.Closed == code {
			return
		}
		if err != nil {
			s.t.Fatalf("%v, closed with %d, want %d", err, s.Closed, code)
		}
	}
}

// room makes a room of the client's with members in it.
func (c *client) room(name string, members ...*client) core.ConversationID {
	c.t.Helper()
	ids := make([]core.UserID, len(members))
	for i, m := range members {
		ids[i] = m.id
	}
	b, err := json.Marshal(ids)
	c.must(err)
	var in struct {
		ID core.ConversationID `json:"conversation_id"`
	}
	c.post("/rooms", fmt.Sprintf(`{"name":%q,"member_ids":%s}`, name, b)).ok(201).read(&in)
	return in.ID
}

// TestTheEventDocumentIsSound: references lead somewhere, examples are valid, and every event and command has its place.
func TestTheEventDocumentIsSound(t *testing.T) {
	w := newWorld(t)
	d := w.events
	if d.AsyncAPI != "3.0.0" || len(d.Components.Messages) < 25 {
		t.Errorf("%s with %d messages", d.AsyncAPI, len(d.Components.Messages))
	}
	var named []string
	for _, op := range d.Operations {
		for _, m := range op.Messages {
			named = append(named, strings.TrimPrefix(m.Ref, "#/channels/events/messages/"))
		}
	}
	for key, m := range d.Components.Messages {
		if !slices.Contains(named, key) {
			t.Errorf("no operation has %s", key)
		}
		d.resolves(t, key, m.Payload)
		for _, e := range m.Examples {
			if err := d.valid(key, e.Payload); err != nil {
				t.Errorf("%s: the example: %v", key, err)
			}
		}
	}
}

func (d *asyncAPI) resolves(t *testing.T, key string, s schema) {
	t.Helper()
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if _, ok := d.Components.Schemas[name]; !ok {
			t.Errorf("%s: %s leads nowhere", key, s.Ref)
		}
	}
	for _, p := range s.Properties {
		d.resolves(t, key, p)
	}
	if s.Items != nil {
		d.resolves(t, key, *s.Items)
	}
}

// TestTheEventDocumentIsTheOneInDocs: people read it there.
func TestTheEventDocumentIsTheOneInDocs(t *testing.T) {
	const file = "../../../docs/protocols/asyncapi.json"
	w := newWorld(t)
	got := w.stranger().get("/asyncapi.json").ok(200).body
	if *update {
		w.must(os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s is not what is served (make it with go test ./internal/gateway/api -update): %v", file, err)
	}
}
