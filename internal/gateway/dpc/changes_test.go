package dpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/gateway/dpc"
)

// put posts a draft as another family of clients does.
func (w *world) put(name string, d chat.Draft) core.Seq {
	w.t.Helper()
	posted, done := make(chan core.Message, 1), make(chan error, 1)
	p := chat.Post{To: chat.Target{Room: core.Lobby}, Origin: "api", Drafts: []chat.Draft{d}}
	w.must(w.chat.Post(context.Background(), w.actors[name], p, func(m []core.Message, err error) {
		if err == nil {
			posted <- m[0]
		}
		done <- err
	}))
	w.must(<-done)
	return (<-posted).Seq
}

// attach uploads a file as the clients do that attach it to a message.
func (w *world) attach(name, called, content string) core.File {
	w.t.Helper()
	to := file.Upload{Area: core.Lobby, Name: called, Size: int64(len(content)), KeepBoth: true}
	u, err := w.files.Begin(context.Background(), w.actors[name], core.Origin{Gateway: "api"}, to)
	w.must(err)
	defer u.Abort()
	_, err = u.ReadFrom(strings.NewReader(content))
	w.must(err)
	f, err := u.Commit(context.Background())
	w.must(err)
	return f
}

// TestChangesAreTexts of whoever made them, and files are links; their own client hears of both.
func TestChangesAreTexts(t *testing.T) {
	w := newWorld(t, options{
		listen: dpc.ListenOpen, link: func(f core.File) string { return fmt.Sprintf("http://parley.example/files/%d", f.ID) },
	})
	w.add("alice", "bob")
	a, b := w.connect("alice"), w.connect("bob")
	a.say(w.user("alice"), "helo") // so that the connection is hers
	b.expect(news("alice", "helo"))
	expect := func(name, text string) {
		t.Helper()
		a.expect(news(name, text))
		b.expect(news(name, text))
	}
	ctx := t.Context()
	_, err := w.chat.Edit(ctx, w.actors["alice"], core.Lobby, 1, "hello")
	w.must(err)
	expect("alice", "✎ hello")
	_, err = w.chat.React(ctx, w.actors["bob"], core.Lobby, 1, "👍", true)
	w.must(err)
	expect("bob", "👍 > hello")
	_, err = w.chat.React(ctx, w.actors["bob"], core.Lobby, 1, "👍", false)
	w.must(err)
	f := w.attach("bob", "me.txt", "words")
	answer := w.put("bob", chat.Draft{Text: "hi", ReplyTo: 1, File: f.ID})
	expect("bob", fmt.Sprintf("> alice: hello\nhi\n📎 me.txt (5 B) http://parley.example/files/%d", f.ID))
	w.must(w.chat.Delete(ctx, w.actors["bob"], core.Origin{}, core.Lobby, answer))
	expect("bob", "✗ took a message back")
	a.hearsNothing()
	b.hearsNothing()
}

// TestWhatIsAttachedInTheLobbyIsFetchedHere as any other file, under the name that the link says.
func TestWhatIsAttachedInTheLobbyIsFetchedHere(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	w.attach("alice", "image.png", "first")
	second := w.attach("alice", "image.png", "second")
	if got := w.names("bob"); fmt.Sprint(got) != "[image (2).png image.png]" {
		t.Errorf("listed are %q", got)
	}
	if got, err := down(w.user("bob"), second.Name); err != nil || string(got[":image (2).png"]) != "second" {
		t.Errorf("downloaded is %v: %v", got, err)
	}
}
