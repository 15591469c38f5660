package file

import (
	"errors"
	"slices"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

// TestWhoComesToARoomSeesNoFilesOfBefore: all files were everybody's from the first moment on, whatever their messages were.
func TestWhoComesToARoomSeesNoFilesOfBefore(t *testing.T) {
	tw := newTown(t, Config{})
	ctx := t.Context()
	room, err := tw.rooms.CreateRoom(ctx, ann, chat.RoomForm{Name: "Choir"})
	tw.must(err)
	in := func(name string) Upload { return Upload{Area: room.ID, Name: name, Size: 1} }
	png := drawn(t, "png", 3, 2)
	old := tw.share(ann, in("old.png"), "x")
	tw.share(ann, Upload{Area: room.ID, Folder: "scores", Name: "a.txt", Size: 1}, "x")
	folder, err := tw.Find(ctx, ann, room.ID, "scores")
	tw.must(err)
	picture := tw.share(ann, Upload{Area: room.ID, Name: "picture.png", Size: int64(len(png))}, png)
	tw.exec(`UPDATE file SET created_at = 1000`)
	_, token, err := tw.rooms.CreateLink(ctx, ann, room.ID, chat.LinkForm{})
	tw.must(err)
	_, err = tw.rooms.JoinByLink(ctx, bob, token)
	tw.must(err)
	tw.exec(`UPDATE member SET joined_at = 2000 WHERE conversation_id = ?`, int64(room.ID))
	tw.exec(`UPDATE member SET joined_at = 500 WHERE conversation_id = ? AND user_id = ?`, int64(room.ID), int64(ann.User()))
	fresh := tw.share(ann, in("new.txt"), "y")

	shown := func(actor core.Actor) (names []string) {
		t.Helper()
		list, err := tw.List(ctx, actor, room.ID, 0)
		tw.must(err)
		page, total, err := tw.Page(ctx, actor, room.ID, 0, 0, 10)
		tw.must(err)
		if len(page) != len(list) || total != len(list) {
			t.Errorf("%d files, %d on the page, %d in all", len(list), len(page), total)
		}
		for _, f := range list {
			names = append(names, f.Name)
		}
		return names
	}
	sees := func(actor core.Actor, want ...string) {
		t.Helper()
		if got := shown(actor); !slices.Equal(got, want) {
			t.Errorf("%s is shown %q, not %q", actor.Name(), got, want)
		}
	}
	sees(ann, "old.png", "scores", "picture.png", "new.txt")
	sees(bob, "new.txt")
	hidden := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, core.ErrFileNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = tw.Get(ctx, bob, old.ID)
	hidden("get", err)
	_, _, err = tw.Open(ctx, bob, old.ID)
	hidden("open", err)
	_, _, err = tw.Thumbnail(ctx, bob, picture.ID)
	hidden("thumbnail", err)
	_, err = tw.Find(ctx, bob, room.ID, "old.png")
	hidden("find", err)
	_, err = tw.Tree(ctx, bob, folder.ID)
	hidden("tree", err)
	_, err = tw.List(ctx, bob, room.ID, folder.ID)
	hidden("list a folder", err)
	_, err = tw.Get(ctx, bob, fresh.ID)
	tw.must(err)
	post := func(actor core.Actor, f core.FileID) error {
		done := make(chan error, 1)
		err := tw.rooms.Post(ctx, actor, chat.Post{To: chat.Target{Room: room.ID}, Origin: "test", Drafts: []chat.Draft{{File: f}}},
			func(_ []core.Message, err error) { done <- err })
		if err != nil {
			return err
		}
		return <-done
	}
	hidden("attach", post(bob, old.ID))
	tw.must(post(bob, fresh.ID))
	tw.must(post(ann, old.ID))

	// What was shared since a room is public is everybody's, and one's own stays one's own.
	yes := true
	_, err = tw.rooms.EditRoom(ctx, ann, room.ID, chat.RoomEdit{Public: &yes})
	tw.must(err)
	tw.exec(`UPDATE conversation SET opened_at = 1500 WHERE id = ? AND opened_at > ?`, int64(room.ID), time.Now().Add(-time.Hour).UnixMilli())
	tw.exec(`UPDATE file SET created_at = 1700 WHERE id = ?`, int64(fresh.ID))
	_, err = tw.rooms.Join(ctx, cyd, room.ID)
	tw.must(err)
	sees(cyd, "new.txt")
	sees(bob, "new.txt")
	tw.exec(`UPDATE file SET owner_id = 1003 WHERE id = ?`, int64(old.ID))
	sees(cyd, "old.png", "new.txt")
	tw.exec(`UPDATE conversation SET opened_at = 0 WHERE id = ?`, int64(room.ID))
	sees(cyd, "old.png", "scores", "picture.png", "new.txt")

	// Who keeps order deletes what was there before.
	tw.exec(`UPDATE conversation SET public = 0 WHERE id = ?`, int64(room.ID))
	tw.must(tw.rooms.Appoint(ctx, ann, home, room.ID, bob.User(), core.RoomAdmin))
	tw.must(tw.Delete(ctx, bob, home, picture.ID))
}

// TestMessagesChangeWithTheirFiles: what a message showed was gone or another, and nobody was told.
func TestMessagesChangeWithTheirFiles(t *testing.T) {
	tw := newTown(t, Config{})
	ctx := t.Context()
	say := func(text string, f core.FileID) core.Seq {
		t.Helper()
		done := make(chan core.Message, 1)
		tw.must(tw.rooms.Post(ctx, ann, chat.Post{To: chat.Target{Room: core.Lobby}, Origin: "test", Drafts: []chat.Draft{{Text: text, File: f}}},
			func(m []core.Message, err error) { tw.must(err); done <- m[0] }))
		return (<-done).Seq
	}
	expect := func(what string, gone bool, seqs ...core.Seq) {
		t.Helper()
		tw.must(tw.db.Update(ctx, nothing)) // whatever follows the commits before is done
		list := tw.changes()
		var got []core.Seq
		for _, c := range list {
			got = append(got, c.Message.Seq)
			if c.Kind != core.FileChanged || c.Message.FileGone != gone || c.Message.Change == 0 || c.By.ID != 0 || chat.PlainChange(c) != "" {
				t.Errorf("%s: %+v", what, c)
			}
		}
		if !slices.Equal(got, seqs) {
			t.Errorf("%s: %v changed, not %v", what, got, seqs)
		}
	}
	a, b := tw.share(ann, single("a.txt", "x"), "x"), tw.share(ann, single("b.txt", "x"), "x")
	one, two, three := say("one", a.ID), say("two", a.ID), say("three", b.ID)
	tw.changes()
	tw.share(ann, single("a.txt", "y"), "y")
	expect("replaced", false, one, two)
	tw.must(tw.Delete(ctx, eve, home, a.ID))
	expect("deleted", true, one, two)
	list, err := tw.rooms.Changes(ctx, ann, core.Lobby, 2, 10)
	if tw.must(err); len(list) != 2 || list[0].Change != 3 || !list[0].FileGone {
		t.Errorf("%+v", list)
	}

	// A message that takes its file along changes once.
	tw.must(tw.rooms.Delete(ctx, ann, home, core.Lobby, three))
	tw.must(tw.db.Update(ctx, nothing))
	if list := tw.changes(); len(list) != 1 || list[0].Kind != core.Deleted {
		t.Errorf("%+v", list)
	}
	if _, err := tw.Get(ctx, ann, b.ID); !errors.Is(err, core.ErrFileNotFound) {
		t.Error(err)
	}

	c := tw.share(ann, single("c.txt", "x"), "x")
	four := say("four", c.ID)
	tw.exec(`UPDATE file SET created_at = 1000 WHERE id = ?`, int64(c.ID))
	tw.SetKeep(time.Hour)
	tw.must(tw.Sweep(ctx))
	expect("swept", true, four)
}
