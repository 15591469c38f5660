package llfc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
)

// texts reads pushes until n texts have come, and returns them.
func (c *client) texts(n int) (got []string) {
	c.Helper()
	for len(got) < n {
		id, body, err := c.next()
		if err != nil || id != 1019 {
			c.Fatalf("after %d texts: %d %s %v", len(got), id, body, err)
		}
		var in struct {
			TextArray []struct{ Content string } `json:"text_array"`
		}
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			c.Fatal(err)
		}
		for _, t := range in.TextArray {
			got = append(got, t.Content)
		}
	}
	return got
}

func numbered(from, to int) (s []string) {
	for i := from; i < to; i++ {
		s = append(s, fmt.Sprint("text ", i))
	}
	return s
}

func (c *client) expectTexts(want []string) {
	c.Helper()
	if got := c.texts(len(want)); !slices.Equal(got, want) {
		c.Fatalf("got %.2000q\nwant %.2000q", got, want)
	}
}

func TestOfflineMessagesComeInOrderOnceTheyAreConfirmedNoMore(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	w.online(ocz).finish() // the first login pins where ocz's clients start
	c := w.online(sqy)
	for _, s := range numbered(0, 400) {
		c.send(1017, text(sqy, ocz, s, s))
	}
	for range 400 {
		if ack := c.read(); !strings.HasPrefix(ack, `1018 {"error":0`) {
			t.Fatal(ack)
		}
	}

	reader := w.online(ocz)
	reader.expectTexts(numbered(0, 400))
	reader.cut() // without a word: nothing is confirmed
	w.until("the cut session is gone", func() bool { return w.hub.Find(ocz, &w.gw.profile) == nil })

	reader = w.online(ocz)
	reader.expectTexts(numbered(0, 400))
	reader.confirm()
	reader.cut()
	w.until("the cut session is gone", func() bool { return w.hub.Find(ocz, &w.gw.profile) == nil })

	c.send(1017, text(sqy, ocz, "text 400", "text 400"))
	c.read()
	reader = w.online(ocz)
	reader.expectTexts(numbered(400, 401))
	reader.confirm()
	reader.finish()

	w.online(ocz).quiet()
}

func TestFirstUseStartsAtTheNewestFifty(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	w.say(sqy, chat.Target{User: ocz}, numbered(0, 60)...)
	c := w.online(ocz)
	c.expectTexts(numbered(10, 60))
	c.quiet()
}

// What the same user has seen in another family of clients is still to come here.
func TestMessagesWhileConnectedElsewhereAreKept(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.online(ocz).finish()
	w.say(sqy, chat.Target{Room: core.Lobby}, "good morning")
	w.say(ocz, chat.Target{Room: core.Lobby}, "good evening")
	c := w.online(ocz)
	c.expectTexts([]string{"sqy: good morning", "ocz: good evening"})
	c.quiet()
}

func TestRetryAfterALostAcknowledgement(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	reader := w.online(ocz)
	said := text(sqy, ocz, "1", "once")
	c := w.online(sqy)
	c.send(1017, said)
	reader.expect(pushed(said))
	c.cut()
	w.until("the cut session is gone", func() bool { return w.hub.Find(sqy, &w.gw.profile) == nil })
	c = w.online(sqy)
	c.send(1017, said)
	c.expect(acked(0, said))
	reader.quiet()
}

// person is an entry of the lists, wherever it stands.
type person struct {
	Name, Nick, Icon, Desc, Back string
	UID, FromUID, ApplyUID       core.UserID
	Sex                          int
}

type lists struct {
	Error      int
	ApplyList  []person `json:"apply_list"`
	FriendList []person `json:"friend_list"`
}

// push adds what a push brings.
func (l *lists) push(id uint16, body string) error {
	var p person
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return err
	}
	switch id {
	case 1015:
		p.UID, p.FromUID = p.FromUID, 0
		l.FriendList = append(l.FriendList, p)
	case 1011:
		p.UID, p.ApplyUID = p.ApplyUID, 0
		l.ApplyList = append(l.ApplyList, p)
	default:
		return fmt.Errorf("%d %s", id, body)
	}
	return nil
}

// addCrowd makes friends of sqy, and then as many users more who ask sqy.
func (w *world) addCrowd(friends, requests int) (people []core.User) {
	w.Helper()
	for i := range friends + requests {
		id := core.UserID(10_000 + i)
		people = append(people, core.User{
			ID: id, Name: fmt.Sprint("u", id), Nick: fmt.Sprintf("Nick \"%d\"", id), Desc: "描述", Icon: ":/res/head_1.jpg", Sex: 1,
		})
	}
	w.add(people...)
	w.update(func(_ context.Context, exec func(string, ...any)) {
		for i, p := range people {
			if i < friends {
				exec(`INSERT INTO friend (self_id, friend_id, back) VALUES (1054, ?, ?), (?, 1054, '')`, int64(p.ID), fmt.Sprint("no. ", i), int64(p.ID))
			} else {
				exec(`INSERT INTO friend_apply (from_uid, to_uid, created_at) VALUES (?, 1054, ?)`, int64(p.ID), i)
			}
		}
	})
	return people
}

// A user with 5,000 friends and 1,000 requests sees all of them: what the answer has no room for follows as pushes, and
// messages come after that.
func TestFiveThousandFriends(t *testing.T) {
	const friends, requests = 5000, 1000
	w := newWorld(t)
	w.addDocumented()
	people := w.addCrowd(friends, requests)
	w.say(userA, chat.Target{Room: core.Lobby}, "what comes after the lists")
	c := w.dial()
	c.send(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, w.token(sqy)))
	var got lists
	id, body, err := c.next()
	if err != nil || id != 1006 || json.Unmarshal([]byte(body), &got) != nil || got.Error != 0 {
		t.Fatal(id, body, err)
	}
	if len(body) < 65_000 {
		t.Errorf("an answer of %d bytes is not full", len(body))
	}
	if len(got.ApplyList) < 200 || len(got.FriendList) < 200 {
		t.Errorf("%d requests and %d friends in the answer: one list displaces the other", len(got.ApplyList), len(got.FriendList))
	}
	for id != 1019 {
		if id, body, err = c.next(); err != nil {
			t.Fatal(err)
		}
		if id != 1019 {
			w.must(got.push(id, body))
		}
	}
	if len(got.FriendList) != friends+1 || len(got.ApplyList) != requests {
		t.Fatalf("%d friends, %d requests", len(got.FriendList), len(got.ApplyList))
	}
	for i, f := range got.FriendList[:friends] {
		want := person{Name: people[i].Name, Nick: people[i].Nick, Icon: people[i].Icon, Desc: "描述", Back: fmt.Sprint("no. ", i), UID: people[i].ID, Sex: 1}
		if f != want {
			t.Fatalf("friend %d is %+v, want %+v", i, f, want)
		}
	}
	if room := got.FriendList[friends]; room.UID != 1_500_000_001 {
		t.Errorf("the last contact is %+v, not the lobby", room)
	}
	for i, r := range got.ApplyList {
		if want := people[friends+i]; r.UID != want.ID || r.Nick != want.Nick || r.Desc != want.Desc {
			t.Fatalf("request %d is %+v", i, r)
		}
	}
}
