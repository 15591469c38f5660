package file

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

// mute lets somebody say nothing in a room for an hour.
func (tw *town) mute(room core.ConversationID, user core.Actor) {
	tw.Helper()
	tw.exec(`INSERT INTO restriction (conversation_id, user_id, muted_until) VALUES (?, ?, ?)`,
		int64(room), int64(user.User()), time.Now().Add(time.Hour).UnixMilli())
}

func TestWhoIsMutedUploadsNothing(t *testing.T) {
	tw := newTown(t, Config{})
	w, err := tw.Begin(t.Context(), ann, home, single("held.txt", ""))
	tw.must(err)
	tw.mute(core.Lobby, ann)
	if _, err := w.Commit(t.Context()); err == nil { // begun before, but told to everybody after
		t.Error("an upload outlives the right to post")
	} else {
		tw.want(err, core.ErrMuted)
	}
	_, err = tw.send(ann, single("a.txt", "x"), "x")
	tw.want(err, core.ErrMuted)
	tw.listed(0)
	tw.holds(0)
}

func TestTheAdminsOfARoomDeleteItsFiles(t *testing.T) {
	tw := newTown(t, Config{})
	room, err := tw.rooms.CreateRoom(t.Context(), ann, chat.RoomForm{Name: "Choir", Public: true})
	tw.must(err)
	_, err = tw.rooms.Join(t.Context(), bob, room.ID)
	tw.must(err)
	upload := single("a.txt", "x")
	upload.Area = room.ID
	bobs, err := tw.send(bob, upload, "x")
	tw.must(err)
	anns := tw.share(ann, Upload{Area: room.ID, Name: "b.txt", Size: 1}, "y")
	elsewhere := tw.share(bob, single("c.txt", "z"), "z")

	tw.want(tw.Delete(t.Context(), bob, home, anns.ID), core.ErrForbidden)
	tw.want(tw.Delete(t.Context(), cyd, home, anns.ID), core.ErrFileNotFound)
	tw.want(tw.Delete(t.Context(), ann, home, elsewhere.ID), core.ErrForbidden)
	tw.must(tw.Delete(t.Context(), ann, home, bobs.ID))
	tw.holds(2)
}

// TestADirectChatHasFilesOfItsOwn, which are nobody else's to see.
func TestADirectChatHasFilesOfItsOwn(t *testing.T) {
	tw := newTown(t, Config{})
	tw.exec(`INSERT INTO friend (self_id, friend_id) VALUES (1001, 1002), (1002, 1001)`)
	opened, err := tw.rooms.OpenDirect(t.Context(), ann, bob.User())
	tw.must(err)
	area := opened.Conversation.ID
	f := tw.share(ann, Upload{Area: area, Name: "a.txt", Size: 5}, "words")
	if got, err := tw.Get(t.Context(), bob, f.ID); err != nil || got != f {
		t.Errorf("the other one sees %+v: %v", got, err)
	}
	if list, err := tw.List(t.Context(), bob, area, 0); err != nil || len(list) != 1 {
		t.Errorf("the other one is shown %v: %v", list, err)
	}
	for _, a := range []core.Actor{cyd, eve} {
		_, err = tw.Get(t.Context(), a, f.ID)
		tw.want(err, core.ErrFileNotFound)
		_, err = tw.List(t.Context(), a, area, 0)
		tw.want(err, core.ErrConversationNotFound)
		_, err = tw.Begin(t.Context(), a, home, Upload{Area: area, Name: "b.txt"})
		tw.want(err, core.ErrConversationNotFound)
	}
	tw.want(tw.Delete(t.Context(), bob, home, f.ID), core.ErrForbidden)
	tw.exec(`DELETE FROM friend`)
	tw.rooms.ContactsChanged(ann.User(), bob.User())
	_, err = tw.Begin(t.Context(), ann, home, Upload{Area: area, Name: "c.txt"})
	tw.want(err, core.ErrNotFriends)
	_, err = tw.Get(context.Background(), bob, f.ID) // what was said stays
	tw.must(err)
}

// TestWhatIsAttachedTwiceIsTwo, even if it has one name, and however often.
func TestWhatIsAttachedTwiceIsTwo(t *testing.T) {
	tw := newTown(t, Config{})
	both := func(content string) Upload {
		u := single("image.png", content)
		u.KeepBoth = true
		return u
	}
	first, second := tw.share(ann, both("1"), "1"), tw.share(ann, both("2"), "2")
	third := tw.share(bob, both("3"), "3")
	tw.listed(0, "image.png", "image (2).png", "image (3).png")
	if tw.read(first.ID) != "1" || tw.read(second.ID) != "2" || tw.read(third.ID) != "3" || second.Wanted != "image.png" {
		t.Errorf("%+v", second)
	}
	replaced := tw.share(ann, single("image.png", "4"), "4")
	if replaced.ID != first.ID {
		t.Error("without the wish the own file is not replaced")
	}
	tw.exec(`WITH RECURSIVE n (i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO file (conversation_id, owner_id, kind, name, created_at) SELECT 1, 1002, 2, 'image (' || i || ').png', 1 FROM n`, maxCandidates)
	for _, content := range []string{"5", "6"} {
		if f := tw.share(ann, both(content), content); !strings.HasPrefix(f.Name, "image (20") {
			t.Errorf("one too many is called %s", f.Name)
		}
	}
}
