package cs3_test

import (
	"context"
	"fmt"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/gateway/cs3"
)

// put posts a draft as another family of clients does.
func (w *world) put(from core.Actor, to chat.Target, d chat.Draft) core.Message {
	w.t.Helper()
	posted, done := make(chan core.Message, 1), make(chan error, 1)
	w.must(w.chat.Post(context.Background(), from, chat.Post{To: to, Origin: "api", Drafts: []chat.Draft{d}}, func(m []core.Message, err error) {
		if err == nil {
			posted <- m[0]
		}
		done <- err
	}))
	w.must(<-done)
	return <-posted
}

// TestChangesAreTexts of whoever made them, and files are links. What is not in the lobby is not told.
func TestChangesAreTexts(t *testing.T) {
	w := newWorld(t, func(c *cs3.Config) {
		c.Link = func(f core.File) string { return fmt.Sprintf("http://parley.example/files/%d", f.ID) }
	})
	alice, bob := w.add("alice"), w.add("bob")
	a, b := w.online("alice"), w.online("bob")
	expect := func(name, text string) {
		t.Helper()
		a.expect(said(name, text))
		b.expect(said(name, text))
	}
	ctx, room := t.Context(), chat.Target{Room: core.Lobby}
	first := w.put(alice, room, chat.Draft{Text: "helo"}).Seq
	expect("alice", "helo")
	_, err := w.chat.Edit(ctx, alice, core.Lobby, first, "hello")
	w.must(err)
	expect("alice", "✎ hello")
	_, err = w.chat.React(ctx, bob, core.Lobby, first, "👍", true)
	w.must(err)
	expect("bob", "👍 > hello")
	_, err = w.chat.React(ctx, bob, core.Lobby, first, "👍", false)
	w.must(err)
	w.exec(`INSERT INTO file (id, conversation_id, owner_id, kind, name, size, sha256, type, blob, created_at)
		VALUES (7, 1, ?, 1, 'me.png', 1234567, zeroblob(32), 'image/png', 'x', 1)`, int64(bob.User()))
	answer := w.put(bob, room, chat.Draft{Text: "hi", ReplyTo: first, File: 7}).Seq
	expect("bob", "> alice: hello\nhi\n📎 me.png (1.2 MB) http://parley.example/files/7")
	w.must(w.chat.Delete(ctx, bob, core.Origin{}, core.Lobby, answer))
	expect("bob", "✗ took a message back")

	circle, err := w.chat.CreateRoom(ctx, alice, chat.RoomForm{Name: "circle", Public: true})
	w.must(err)
	_, err = w.chat.Join(ctx, bob, circle.ID)
	w.must(err)
	elsewhere := w.put(alice, chat.Target{Room: circle.ID}, chat.Draft{Text: "among us"}).Seq
	_, err = w.chat.Edit(ctx, alice, circle.ID, elsewhere, "only among us")
	w.must(err)
	a.say("in public")
	b.expect(said("alice", "in public"))
}
