package chat_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

// fill posts n messages.
func (tw *town) fill(from core.UserID, to chat.Target, n int) {
	tw.Helper()
	drafts := make([]chat.Draft, n)
	for i := range drafts {
		drafts[i] = draft("", "x")
	}
	tw.seqs(from, to, chat.RetryRecent, drafts...)
}

// behind returns the positions that a user's clients have where they have not everything.
func (tw *town) behind(u core.UserID, g core.Gateway) map[core.ConversationID]core.Seq {
	tw.Helper()
	got, err := tw.Chat.Behind(tw.Context(), u, g)
	tw.Check(err)
	at := map[core.ConversationID]core.Seq{}
	for _, p := range got {
		at[p.Conversation] = p.Seq
	}
	return at
}

func (tw *town) wantBehind(what string, u core.UserID, g core.Gateway, want map[core.ConversationID]core.Seq) {
	tw.Helper()
	if d := cmp.Diff(want, tw.behind(u, g)); d != "" {
		tw.Errorf("%s: %s", what, d)
	}
}

type at = map[core.ConversationID]core.Seq

func TestWhereAGatewayStarts(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.wantBehind("nothing is said yet", ann, "early", at{})
	tw.fill(bob, inRoom(room), 120)
	tw.fill(bob, user(ann), 30)
	direct := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	tw.wantBehind("used before the messages", ann, "early", at{room: 0, direct: 0})
	tw.wantBehind("first use: the newest 50", ann, "late", at{room: 70, direct: 0})
	tw.fill(bob, inRoom(room), 10)
	tw.wantBehind("the start is pinned", ann, "late", at{room: 70, direct: 0})
	tw.fill(cyd, user(ann), 80)
	other := core.ConversationID(tw.Int(`SELECT max(id) FROM conversation`))
	tw.wantBehind("a chat that began after the first use", ann, "late", at{room: 70, direct: 0, other: 0})
	tw.fill(bob, inRoom(core.Lobby), 5)
	tw.AddUsers(1004)
	tw.Exec(`INSERT INTO member (user_id, conversation_id, joined_seq, joined_at) SELECT 1004, id, last_seq, 1 FROM conversation WHERE id = 10`)
	tw.wantBehind("a new member: the present", 1004, "late", at{})
	tw.fill(bob, inRoom(room), 3)
	tw.wantBehind("a new member, later", 1004, "late", at{room: 130})
	tw.wantBehind("a new member through another gateway", 1004, "third", at{room: 130})
	tw.wantBehind("who is in nothing", nobody, "late", at{})
}

// Two first logins at once pin one start: what came between them is not taken for old.
func TestTheStartIsPinnedOnce(t *testing.T) {
	tw := settled(t, line.Options{})
	var wg sync.WaitGroup
	release := tw.holdCommits()
	for i, unit := range []func(){
		func() { tw.behind(ann, "g") },
		func() { // a room with 70 messages
			tw.Exec(`INSERT INTO conversation (id, kind, last_seq, created_at) VALUES (77, 2, 70, 1)`)
		},
		func() { tw.Exec(`INSERT INTO member (user_id, conversation_id, joined_at) VALUES (1001, 77, 1)`) },
		func() { tw.behind(ann, "g") },
	} {
		wg.Go(unit)
		for tw.DB.QueueLength() <= i {
			time.Sleep(time.Millisecond)
		}
	}
	release()
	wg.Wait()
	tw.wantBehind("after the first use", ann, "g", at{77: 0})
}

func TestTheLobbyIsReplayedSoFarBackOnly(t *testing.T) {
	tw := settled(t, line.Options{})
	lobby := inRoom(core.Lobby)
	pass := func(d time.Duration) {
		t.Helper()
		tw.Exec(`UPDATE message SET created_at = created_at - ?`, d.Milliseconds())
	}
	tw.behind(ann, "g")
	tw.fill(bob, lobby, 150)
	tw.wantBehind("few", ann, "g", at{core.Lobby: 0})
	tw.fill(bob, lobby, 100)
	tw.wantBehind("many: the newest 200", ann, "g", at{core.Lobby: 50})
	pass(6 * 24 * time.Hour)
	tw.fill(bob, lobby, 1)
	tw.wantBehind("six days on", ann, "g", at{core.Lobby: 51})
	pass(36 * time.Hour)
	tw.wantBehind("what is older than seven days is not replayed", ann, "g", at{core.Lobby: 250})
	pass(7 * 24 * time.Hour)
	tw.wantBehind("all is older", ann, "g", at{})
	tw.AddUsers(1004)
	tw.fill(bob, lobby, 5)
	tw.wantBehind("a new account: the present", 1004, "g", at{core.Lobby: 251})
	tw.wantBehind("after the pause", ann, "g", at{core.Lobby: 251})
	tw.fill(bob, inRoom(room), 1)
	pass(30 * 24 * time.Hour)
	tw.wantBehind("other rooms keep everything", ann, "g", at{room: 0})
}

func TestCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		tw := settled(t, line.Options{Dir: dir})
		tw.behind(ann, "a")
		tw.behind(ann, "b")
		tw.fill(bob, inRoom(room), 10)
		tw.Chat.Confirm(ann, "a", []core.Position{{Conversation: room, Seq: 6}})
		tw.wantBehind("confirmed, not stored yet", ann, "a", at{room: 6})
		tw.wantBehind("the other gateway", ann, "b", at{room: 0})
		tw.Chat.Confirm(ann, "a", []core.Position{{Conversation: room, Seq: 4}})
		tw.wantBehind("an older confirmation", ann, "a", at{room: 6})
		time.Sleep(time.Second)
		if n := tw.count(`SELECT seq FROM cursor WHERE user_id = 1001 AND gateway = 'a' AND conversation_id = 10`); n != 6 {
			t.Errorf("the cursor is stored as %d", n)
		}
		tw.Chat.Confirm(ann, "a", []core.Position{{Conversation: room, Seq: 3}})
		time.Sleep(5 * time.Second)
		tw.wantBehind("an older confirmation after a newer one was stored", ann, "a", at{room: 6})
		tw.Chat.Confirm(ann, "a", []core.Position{{Conversation: room, Seq: 8}})
		tw.Stop()

		tw = newTown(t, line.Options{Dir: dir})
		tw.wantBehind("after a restart", ann, "a", at{room: 8})
		tw.wantBehind("the other gateway after a restart", ann, "b", at{room: 0})
		tw.Chat.Confirm(ann, "a", []core.Position{{Conversation: room, Seq: 10}})
		tw.wantBehind("everything is confirmed", ann, "a", at{})
		time.Sleep(time.Minute)
		tw.wantBehind("everything is stored", ann, "a", at{})
	})
}

// A confirmation counts at every moment: before, while and after it is stored.
func TestAConfirmationNeverGoesBack(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.behind(ann, "g")
	tw.fill(bob, inRoom(room), 2000)
	stop := make(chan struct{})
	end := time.Now().Add(1300 * time.Millisecond) // over several stores
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for last := core.Seq(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				now, ok := tw.behind(ann, "g")[room]
				if !ok {
					return
				}
				if now < last {
					t.Errorf("the position went from %d back to %d", last, now)
					return
				}
				last = now
			}
		})
	}
	for seq := core.Seq(1); seq < 2000 && time.Now().Before(end); seq++ {
		tw.Chat.Confirm(ann, "g", []core.Position{{Conversation: room, Seq: seq}})
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
}

// Many logins at once must not wait for each other's connections to the database.
func TestManyLoginsAtOnce(t *testing.T) {
	tw := newTown(t, line.Options{})
	var all []core.UserID
	for u := range core.UserID(100) {
		all = append(all, 2000+u)
	}
	tw.AddUsers(all...)
	tw.fill(all[0], inRoom(core.Lobby), 250)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5 {
			var wg sync.WaitGroup
			for _, u := range all {
				wg.Go(func() { tw.behind(u, "g") })
			}
			wg.Wait()
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the logins wait for each other")
	}
}

// page reads a page and checks that it is a stretch of the conversation without a gap.
func (tw *town) page(conv core.ConversationID, after core.Seq) (p session.Page, runs []int) {
	tw.Helper()
	p, err := tw.Chat.Page(tw.Context(), ann, conv, after, false)
	tw.Check(err)
	next := after + 1
	for _, ev := range p.Events {
		runs = append(runs, len(ev.Messages))
		for _, m := range ev.Messages {
			if m.Seq != next || m.Author.ID != ev.Messages[0].Author.ID || m.Origin != ev.Messages[0].Origin {
				tw.Errorf("%+v in a page after %d, want number %d", m, after, next)
			}
			next++
		}
	}
	if p.End != next-1 {
		tw.Errorf("the page ends at %d, its last message is %d", p.End, next-1)
	}
	return p, runs
}

func TestPagesByNumber(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.fill(ann, inRoom(room), 256)
	if p, _ := tw.page(room, 0); p.End != 256 || p.More {
		t.Errorf("256 messages: to %d, more %v", p.End, p.More)
	}
	if p, _ := tw.page(room, 256); p.End != 256 || p.More || len(p.Events) != 0 {
		t.Errorf("at the head: %+v", p)
	}
	tw.fill(ann, inRoom(room), 1)
	if p, _ := tw.page(room, 0); p.End != 256 || !p.More {
		t.Errorf("257 messages: to %d, more %v", p.End, p.More)
	}
	if p, _ := tw.page(room, 256); p.End != 257 || p.More {
		t.Errorf("the last one: to %d, more %v", p.End, p.More)
	}
	if p, _ := tw.page(777, 3); p.End != 3 || p.More || len(p.Events) != 0 {
		t.Errorf("a conversation that is not: %+v", p)
	}
}

func TestPagesBySize(t *testing.T) {
	tw := settled(t, line.Options{})
	kib := func(n int) chat.Draft { return draft("", strings.Repeat("x", n<<10)) }
	tw.seqs(ann, inRoom(room), chat.RetryRecent, kib(50), kib(50), kib(28), kib(1), kib(1))
	if p, runs := tw.page(room, 0); p.End != 3 || !p.More || len(runs) != 3 {
		t.Errorf("128 KiB: to %d, more %v, runs %v", p.End, p.More, runs)
	}
	tw.seqs(ann, user(bob), chat.RetryRecent, kib(50), kib(50), draft("", strings.Repeat("x", 28<<10-1)), kib(50), kib(1))
	direct := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	p, _ := tw.page(direct, 0)
	if p.End != 4 || !p.More {
		t.Errorf("a byte less: to %d, more %v", p.End, p.More)
	}
	if ev := p.Events[0]; ev.Conversation.Kind != core.Direct || fmt.Sprint(ev.Members) != "[1001 1002]" {
		t.Errorf("an event of a direct chat: %+v, %v", ev.Conversation, ev.Members)
	}
}

func TestPagesGroupRuns(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.fill(ann, inRoom(room), 70)
	tw.fill(bob, inRoom(room), 2)
	tw.fill(ann, inRoom(room), 1)
	done := make(chan error, 1)
	tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Origin: "elsewhere", Drafts: []chat.Draft{{Text: "x"}}},
		func(_ []core.Message, err error) { done <- err }))
	tw.Check(<-done)
	if _, runs := tw.page(room, 0); fmt.Sprint(runs) != "[32 32 6 2 1 1]" {
		t.Errorf("runs of %v", runs)
	}
	tw.seqs(cyd, user(ann), chat.RetryRecent, draft("", strings.Repeat("x", 5<<10)), draft("", strings.Repeat("x", 3<<10)),
		draft("", "x"), draft("", strings.Repeat("x", 9<<10)), draft("", "x"))
	direct := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	if _, runs := tw.page(direct, 0); fmt.Sprint(runs) != "[2 1 1 1]" {
		t.Errorf("runs by size of %v", runs)
	}
}

func TestAPageOfADirectChatIsForItsTwoUsers(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, user(bob), chat.RetryRecent, draft("", "between us"))
	conv := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	for viewer, want := range map[core.UserID]int{ann: 1, bob: 1, cyd: 0, 0: 0} {
		p, err := tw.Chat.Page(t.Context(), viewer, conv, 0, false)
		tw.Check(err)
		if len(p.Events) != want || p.End != core.Seq(want) || p.More {
			t.Errorf("%d reads %+v", viewer, p)
		}
	}
}

// TestWholePages have what was deleted, as such, and all that belongs to messages; the others have what is still to be read.
func TestWholePages(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.addFile(7, den, ann, core.PlainFile, "cat.png")
	tw.seqs(bob, inRoom(den), chat.RetryForever, draft("1", "look, @u1003"))
	tw.seqs(bob, inRoom(den), chat.RetryForever, draft("2", "never mind"))
	tw.seqs(ann, inRoom(den), chat.RetryForever, chat.Draft{ClientID: "3", Text: "here", ReplyTo: 1, File: 7})
	tw.Check(tw.Chat.Delete(ctx, as(bob), core.Origin{}, den, 2))
	_, err := tw.Chat.React(ctx, as(cyd), den, 1, "👍", true)
	tw.Check(err)
	_, err = tw.Chat.Edit(ctx, as(bob), den, 1, "look here, @u1003")
	tw.Check(err)
	want, err := tw.Chat.History(ctx, as(cyd), den, chat.Window{})
	tw.Check(err)
	read := func(whole bool) (list []core.Message) {
		t.Helper()
		p, err := tw.Chat.Page(ctx, cyd, den, 0, whole)
		tw.Check(err)
		if p.End != 3 || p.More {
			t.Errorf("%+v", p)
		}
		for _, ev := range p.Events {
			if ev.Conversation.ID != den {
				t.Errorf("%+v", ev.Conversation)
			}
			list = append(list, ev.Messages...)
		}
		return list
	}
	if d := cmp.Diff(want, read(true)); d != "" {
		t.Error(d)
	}
	list := read(false)
	if len(list) != 2 || list[0].Seq != 1 || list[0].Text != "look here, @u1003" || list[1].Quote == nil || list[1].Quote.Text != "look here, @u1003" ||
		list[1].File == nil || list[1].File.Name != "cat.png" {
		t.Errorf("%+v", list)
	}
}
