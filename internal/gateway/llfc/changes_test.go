package llfc

import (
	"context"
	"fmt"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
)

// put posts a draft as another family of clients does, and returns its number.
func (w *world) put(from core.UserID, to chat.Target, d chat.Draft) core.Seq {
	w.Helper()
	type result struct {
		posted []core.Message
		err    error
	}
	done := make(chan result, 1)
	w.must(w.chat.Post(context.Background(), w.actor(from), chat.Post{To: to, Origin: "api", Drafts: []chat.Draft{d}},
		func(m []core.Message, err error) { done <- result{m, err} }))
	r := <-done
	w.must(r.err)
	return r.posted[0].Seq
}

// share puts a file into a conversation.
func (w *world) share(id core.FileID, area core.ConversationID, owner core.UserID, name string) {
	w.Helper()
	w.update(func(_ context.Context, exec func(string, ...any)) {
		exec(`INSERT INTO file (id, conversation_id, owner_id, kind, name, size, sha256, type, blob, created_at) VALUES (?, ?, ?, 1, ?, 1234567, zeroblob(32), 'image/png', ?, 1)`,
			int64(id), int64(area), int64(owner), name, name)
	})
}

func linked(s *settings) {
	s.Link = func(f core.File) string { return fmt.Sprintf("http://parley.example/files/%d", f.ID) }
}

// inLobby is a 1019 as a client sees it to which the lobby is a contact.
func inLobby(viewer core.UserID, id, text string) string {
	return fmt.Sprintf(`1019 {"error":0,"fromuid":1500000001,"touid":%10d,"text_array":[{"msgid":"%s","content":"%s"}]}`, viewer, id, text)
}

func between(from, to core.UserID, id, text string) string {
	return fmt.Sprintf(`1019 {"error":0,"fromuid":%d,"touid":%d,"text_array":[{"msgid":"%s","content":"%s"}]}`, from, to, id, text)
}

// TestChangesInARoomAreTexts of whoever made them, and come to their own client as well.
func TestChangesInARoomAreTexts(t *testing.T) {
	w := newWorld(t, linked)
	w.addDocumented()
	s, o := w.online(sqy), w.online(ocz)
	expect := func(id, text string) {
		t.Helper()
		s.expect(inLobby(sqy, id, text))
		o.expect(inLobby(ocz, id, text))
	}
	ctx, room := t.Context(), chat.Target{Room: core.Lobby}
	first := w.put(sqy, room, chat.Draft{Text: "helo"})
	expect("1-1", "sqy: helo")
	_, err := w.chat.Edit(ctx, w.actor(sqy), core.Lobby, first, "hello")
	w.must(err)
	expect("1-1-1", "sqy: ✎ hello")
	_, err = w.chat.React(ctx, w.actor(ocz), core.Lobby, first, "👍", true)
	w.must(err)
	expect("1-1-2", "ocz: 👍 > hello")
	_, err = w.chat.React(ctx, w.actor(ocz), core.Lobby, first, "👍", false)
	w.must(err)
	w.share(7, core.Lobby, ocz, "me.png")
	answer := w.put(ocz, room, chat.Draft{Text: "hi", ReplyTo: first, File: 7})
	expect("1-2", `ocz: > sqy: hello\nhi\n📎 me.png (1.2 MB) http://parley.example/files/7`)
	w.must(w.chat.Delete(ctx, w.actor(ocz), core.Origin{}, core.Lobby, answer))
	expect("1-2-4", "ocz: ✗ took a message back")
	s.quiet()
	o.quiet()
}

// TestChangesInADirectChatAreTexts for the other one.
func TestChangesInADirectChatAreTexts(t *testing.T) {
	w := newWorld(t, linked)
	w.addDocumented()
	w.befriend(sqy, ocz)
	s, o := w.online(sqy), w.online(ocz)
	ctx := t.Context()
	opened, err := w.chat.OpenDirect(ctx, w.actor(sqy), ocz)
	w.must(err)
	id := opened.Conversation.ID
	name := func(end string) string { return fmt.Sprintf("%d-%s", id, end) }
	w.share(7, id, sqy, "me.png")
	first := w.put(sqy, chat.Target{User: ocz}, chat.Draft{File: 7})
	o.expect(between(sqy, ocz, name("1"), `📎 me.png (1.2 MB) http://parley.example/files/7`))
	_, err = w.chat.Edit(ctx, w.actor(sqy), id, first, "this is me")
	w.must(err)
	o.expect(between(sqy, ocz, name("1-1"), "✎ this is me"))
	_, err = w.chat.React(ctx, w.actor(ocz), id, first, "👍", true)
	w.must(err)
	s.expect(between(ocz, sqy, name("1-2"), "👍 > this is me"))
	w.must(w.chat.Delete(ctx, w.actor(sqy), core.Origin{}, id, first))
	o.expect(between(sqy, ocz, name("1-3"), "✗ took a message back"))
	s.quiet()
	o.quiet()
}

// TestWhatWasMissedIsAsItIsNow: somebody who comes back sees edited texts, and nothing of what is deleted.
func TestWhatWasMissedIsAsItIsNow(t *testing.T) {
	w := newWorld(t, linked)
	w.addDocumented()
	w.online(ocz).finish()
	ctx, room := t.Context(), chat.Target{Room: core.Lobby}
	w.share(7, core.Lobby, sqy, "me.png")
	w.share(8, core.Lobby, sqy, "gone.png")
	first := w.put(sqy, room, chat.Draft{Text: "helo"})
	second := w.put(sqy, room, chat.Draft{Text: "forget it"})
	w.put(sqy, room, chat.Draft{Text: "see", File: 7, ReplyTo: first})
	w.put(sqy, room, chat.Draft{File: 8})
	_, err := w.chat.Edit(ctx, w.actor(sqy), core.Lobby, first, "hello")
	w.must(err)
	w.must(w.chat.Delete(ctx, w.actor(sqy), core.Origin{}, core.Lobby, second))
	w.update(func(_ context.Context, exec func(string, ...any)) { exec(`DELETE FROM file WHERE id = 8`) })
	w.online(ocz).expectTexts([]string{
		"sqy: hello", "sqy: > sqy: hello\nsee\n📎 me.png (1.2 MB) http://parley.example/files/7", "sqy: 📎 a file that was deleted",
	})
}

// TestChangesOfRoomsThatAreNotShown are not shown either.
func TestChangesOfRoomsThatAreNotShown(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Rooms = false })
	w.addDocumented()
	o := w.online(ocz)
	first := w.put(sqy, chat.Target{Room: core.Lobby}, chat.Draft{Text: "helo"})
	_, err := w.chat.Edit(t.Context(), w.actor(sqy), core.Lobby, first, "hello")
	w.must(err)
	o.quiet()
}
