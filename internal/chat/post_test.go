package chat_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

func TestNumbersHaveNoGapsAndAreInCommitOrder(t *testing.T) {
	tw := newTown(t, line.Options{})
	const users, rooms = 30, 12
	var all []core.UserID
	for u := range core.UserID(users) {
		all = append(all, 2000+u)
	}
	tw.AddUsers(all...)
	for r := range core.ConversationID(rooms) {
		tw.AddRoom(100+r, all...)
	}
	var wg sync.WaitGroup
	var stored atomic.Int64
	for _, u := range all {
		rnd := rand.New(rand.NewPCG(uint64(u), 1))
		wg.Go(func() {
			for i := range 40 {
				to := inRoom(100 + core.ConversationID(rnd.IntN(rooms)))
				if rnd.IntN(3) == 0 {
					if to = user(all[rnd.IntN(users)]); to.User == u {
						continue
					}
				}
				var drafts []chat.Draft
				for j := range 1 + rnd.IntN(4) {
					drafts = append(drafts, draft(fmt.Sprint(i, "-", j), fmt.Sprint(u, " ", i, " ", j)))
				}
				if rnd.IntN(3) == 0 { // an own duplicate leaves a number unused
					drafts = append(drafts, drafts[0])
				} else {
					stored.Add(int64(len(drafts)))
				}
				seqs := tw.seqs(u, to, chat.RetryRecent, drafts...)
				if last := len(drafts) - 1; last > 0 && drafts[last] == drafts[0] {
					stored.Add(int64(last))
					if seqs[last] != seqs[0] {
						t.Errorf("a duplicate in one post got %d, not %d", seqs[last], seqs[0])
					}
				}
			}
		})
	}
	wg.Wait()
	if n := tw.Int(`SELECT count(*) FROM message`); n != stored.Load() {
		t.Errorf("%d messages are stored, want %d", n, stored.Load())
	}
	if n := tw.Int(`SELECT count(*) FROM conversation c WHERE last_seq != (SELECT count(*) FROM message m WHERE m.conversation_id = c.id)
		OR last_seq != (SELECT COALESCE(max(seq), 0) FROM message m WHERE m.conversation_id = c.id)`); n != 0 {
		t.Errorf("%d conversations have gaps", n)
	}
	heads := map[core.ConversationID]core.Seq{}
	for _, ev := range tw.published() {
		for _, m := range ev.Messages {
			if m.Seq != heads[ev.Conversation.ID]+1 {
				t.Fatalf("%d of conversation %d is published after %d", m.Seq, ev.Conversation.ID, heads[ev.Conversation.ID])
			}
			heads[ev.Conversation.ID] = m.Seq
		}
	}
	if n := tw.Int(`SELECT sum(last_seq) FROM conversation`); n != stored.Load() {
		t.Errorf("%d messages have numbers, want %d", n, stored.Load())
	}
}

func TestDoneComesAfterThePublication(t *testing.T) {
	tw := settled(t, line.Options{})
	for i := range 50 {
		published := -1
		done := make(chan struct{})
		tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Drafts: []chat.Draft{{Text: "x"}}},
			func([]core.Message, error) { published = len(tw.published()); close(done) }))
		<-done
		if published != i+1 {
			t.Fatalf("post %d was done after %d publications", i, published)
		}
	}
}

func TestAnEventSaysWhatIsStored(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("a", "one"))
	tw.seqs(bob, user(ann), chat.RetryRecent, draft("1", "two"), draft("2", "three"))
	events := tw.published()
	direct := core.ConversationID(tw.Int(`SELECT id FROM conversation WHERE kind = 1`))
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	if a := events[0].Audience(); a.Room != room || a.Users != nil {
		t.Errorf("audience of a room's event: %+v", a)
	}
	if a := events[1].Audience(); a.Room != 0 || !slices.Contains(a.Users, ann) || !slices.Contains(a.Users, bob) || len(a.Users) != 2 {
		t.Errorf("audience of a direct event: %+v", a)
	}
	if c := events[1].Conversation; c.ID != direct || c.Kind != core.Direct || c.LastSeq != 2 || events[1].First() != 1 || events[1].Last() != 2 {
		t.Errorf("the direct event is %+v", events[1])
	}
}

func TestRecentRetriesAreStoredOnceWithinTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := settled(t, line.Options{})
		want := func(what string, got []core.Seq, want ...core.Seq) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		say := func(from core.UserID, to chat.Target, d ...chat.Draft) []core.Seq {
			t.Helper()
			return tw.seqs(from, to, chat.RetryRecent, d...)
		}
		want("first", say(ann, inRoom(room), draft("1", "hello")), 1)
		want("again", say(ann, inRoom(room), draft("1", "hello")), 1)
		want("other content", say(ann, inRoom(room), draft("1", "hullo")), 2)
		want("other sender", say(bob, inRoom(room), draft("1", "hello")), 3)
		want("other id", say(ann, inRoom(room), draft("2", "hello")), 4)
		want("other conversation", say(ann, inRoom(core.Lobby), draft("1", "hello")), 1)
		want("without an id", append(say(ann, inRoom(room), draft("", "same")), say(ann, inRoom(room), draft("", "same"))...), 5, 6)
		want("partly", say(ann, inRoom(room), draft("7", "new"), draft("1", "hello"), draft("8", "new"), draft("7", "new")), 7, 1, 8, 7)
		events := len(tw.published())
		time.Sleep(chat.RetryWindow - time.Second)
		want("just within", say(ann, inRoom(room), draft("1", "hello")), 1)
		if len(tw.published()) != events {
			t.Error("a retry was published")
		}
		time.Sleep(time.Second)
		want("after ten minutes", say(ann, inRoom(room), draft("1", "hello")), 9)
		want("again after that", say(ann, inRoom(room), draft("1", "hello")), 9)
		time.Sleep(chat.RetryWindow)
		want("ten minutes later still", say(ann, inRoom(room), draft("1", "hello"), draft("1", "hello")), 10, 10)
		if n := tw.Metric("parley_chat_retries_total"); n != 6 {
			t.Errorf("%v retries are counted", n)
		}
	})
}

func TestForeverRetriesAreStoredOnceForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := settled(t, line.Options{})
		for range 3 {
			if got := tw.seqs(ann, inRoom(room), chat.RetryForever, draft("id", "hello")); got[0] != 1 {
				t.Errorf("got %d", got[0])
			}
			time.Sleep(time.Hour)
		}
		for what, to := range map[string]struct {
			chat.Target
			text string
		}{
			"other text": {inRoom(room), "other"}, "other conversation": {inRoom(core.Lobby), "hello"},
		} {
			if m, err := tw.say(ann, to.Target, chat.RetryForever, draft("id", to.text)); !errors.Is(err, core.ErrClientIDReused) || len(m) != 0 {
				t.Errorf("%s: %v, %v", what, m, err)
			}
		}
		if got := tw.seqs(bob, inRoom(room), chat.RetryForever, draft("id", "hello")); got[0] != 2 {
			t.Errorf("another sender's: %d", got[0])
		}
		if got := tw.seqs(ann, inRoom(room), chat.RetryRecent, draft("id", "hello")); got[0] != 3 {
			t.Errorf("the rules share their ids: %d", got[0])
		}
		if n := len(tw.published()); n != 3 {
			t.Errorf("%d events", n)
		}
	})
}

// Retries that race with their originals, in one batch or in two, are stored once as well.
func TestConcurrentRetries(t *testing.T) {
	for name, rule := range map[string]chat.RetryRule{"recent": chat.RetryRecent, "forever": chat.RetryForever} {
		t.Run(name, func(t *testing.T) {
			tw := settled(t, line.Options{})
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					id := fmt.Sprint(i % 20)
					tw.seqs(ann, inRoom(room), rule, draft(id, "text "+id))
				})
			}
			wg.Wait()
			if n, head := tw.count(`SELECT count(*) FROM message`), tw.count(`SELECT last_seq FROM conversation WHERE id = 10`); n != 20 || head != 20 {
				t.Errorf("%d messages, the last number is %d", n, head)
			}
		})
	}
}

func TestABadPostDoesNotFailItsNeighbours(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.Exec(`CREATE TRIGGER bad BEFORE INSERT ON message WHEN NEW.text = 'bad' BEGIN SELECT RAISE(FAIL, 'bad text'); END`)
	var wg sync.WaitGroup
	release := tw.holdCommits() // the posts gather behind it
	const n = 60
	for i := range n {
		text := fmt.Sprint("good ", i)
		if i%10 == 5 {
			text = "bad"
		}
		wg.Go(func() {
			_, err := tw.say(ann, inRoom(room), chat.RetryRecent, draft("", "with "+text), draft("", text))
			if (err != nil) != (text == "bad") {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
	for tw.Chat.Pending() < n {
		time.Sleep(time.Millisecond)
	}
	release()
	wg.Wait()
	if got := tw.count(`SELECT count(*) FROM message`); got != 2*(n-n/10) {
		t.Errorf("%d messages are stored", got)
	}
	if got := tw.count(`SELECT last_seq FROM conversation WHERE id = 10`); got != 2*(n-n/10) {
		t.Errorf("the last number is %d", got)
	}
	if got := len(tw.published()); got != n-n/10 {
		t.Errorf("%d events", got)
	}
	for tw.Chat.Pending() > 0 { // a post is counted until its result has been told
		time.Sleep(time.Millisecond)
	}
}

// What one event's subscribers do must not cost other authors their acknowledgement.
func TestAPublicationThatPanicsFailsNobodyElse(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.poison = "poison"
	line.WantPanics.Add(1)
	release := tw.holdCommits()
	done := make(chan error, 3)
	for _, text := range []string{"before", "poison", "after"} {
		tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Drafts: []chat.Draft{{Text: text}}},
			func(_ []core.Message, err error) { done <- err }))
	}
	release()
	for range 2 {
		select {
		case err := <-done:
			tw.Check(err)
		case <-time.After(5 * time.Second):
			t.Fatal("an author waits for ever")
		}
	}
	for tw.Chat.Pending() > 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestDrain(t *testing.T) {
	tw := settled(t, line.Options{})
	var done atomic.Int64
	for range 500 {
		tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Drafts: []chat.Draft{{Text: "x"}}},
			func(_ []core.Message, err error) {
				if err == nil {
					done.Add(1)
				}
			}))
	}
	tw.Drain(t.Context())
	if n := done.Load(); n != 500 {
		t.Errorf("%d of 500 posts were done at the end of the drain", n)
	}
	if _, err := tw.say(ann, inRoom(room), chat.RetryRecent, draft("", "late")); !errors.Is(err, core.ErrStopping) {
		t.Errorf("a post after the drain: %v", err)
	}
}

// Even if the time for the drain runs out, every post that was taken gets its result.
func TestADrainThatRunsOutOfTimeFailsWhatIsLeft(t *testing.T) {
	tw := settled(t, line.Options{})
	release := tw.holdCommits()
	const n = 3000 // more than one batch
	results := make(chan error, n)
	for range n {
		tw.Check(tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Drafts: []chat.Draft{{Text: "x"}}},
			func(_ []core.Message, err error) { results <- err }))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	tw.Drain(ctx)
	for range 200 {
		if err := tw.Chat.Post(t.Context(), as(ann), chat.Post{To: inRoom(room), Drafts: []chat.Draft{{Text: "late"}}},
			func([]core.Message, error) { t.Error("a post after the drain was taken") }); !errors.Is(err, core.ErrStopping) {
			t.Fatalf("a post after the drain: %v", err)
		}
	}
	release()
	stored := 0
	for range n {
		select {
		case err := <-results:
			if err == nil {
				stored++
			} else if !errors.Is(err, core.ErrStopping) {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("a post has no result")
		}
	}
	if got := tw.count(`SELECT count(*) FROM message`); got != stored {
		t.Errorf("%d posts were acknowledged, %d are stored", stored, got)
	}
}

func TestLimits(t *testing.T) {
	tw := settled(t, line.Options{})
	many := make([]chat.Draft, 2001)
	for i := range many {
		many[i] = draft("", "x")
	}
	for name, c := range map[string]struct {
		retry  chat.RetryRule
		drafts []chat.Draft
		want   error
	}{
		"nothing":                    {chat.RetryRecent, nil, core.ErrEmptyMessage},
		"an empty text":              {chat.RetryRecent, []chat.Draft{draft("1", "x"), draft("2", "")}, core.ErrEmptyMessage},
		"the longest text":           {chat.RetryRecent, []chat.Draft{draft("1", strings.Repeat("x", chat.MaxText))}, nil},
		"a text too long":            {chat.RetryRecent, []chat.Draft{draft("2", strings.Repeat("x", chat.MaxText+1))}, core.ErrMessageTooLong},
		"too long once it is valid":  {chat.RetryRecent, []chat.Draft{draft("3", strings.Repeat("\xffx", chat.MaxText/2))}, core.ErrMessageTooLong},
		"NULs too long once cleaned": {chat.RetryRecent, []chat.Draft{draft("4", strings.Repeat("\x00", chat.MaxText/2))}, core.ErrMessageTooLong},
		"the longest id":             {chat.RetryRecent, []chat.Draft{draft(strings.Repeat("i", 256), "x")}, nil},
		"an id too long":             {chat.RetryRecent, []chat.Draft{draft(strings.Repeat("i", 257), "x")}, core.ErrInvalid},
		"the most drafts":            {chat.RetryRecent, many[:2000], nil},
		"too many drafts":            {chat.RetryRecent, many, core.ErrInvalid},
		"two drafts for ever":        {chat.RetryForever, []chat.Draft{draft("a", "x"), draft("b", "x")}, core.ErrInvalid},
	} {
		if _, err := tw.say(ann, inRoom(room), c.retry, c.drafts...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTextsBecomeStorable(t *testing.T) {
	tw := settled(t, line.Options{})
	for in, want := range map[string]string{
		"plain": "plain", "a\x00b": "a\uFFFDb", "\x00": "\uFFFD", "a\xff\xfeb": "a\uFFFDb", "\xe4\xbd\xa0": "你", "\xe4\xbd": "\uFFFD", "😀": "😀",
	} {
		m, err := tw.say(ann, inRoom(room), chat.RetryRecent, draft("id "+in, in))
		tw.Check(err)
		page, err := tw.Chat.Page(t.Context(), ann, room, m[0].Seq-1, false)
		tw.Check(err)
		got := page.Events[0].Messages[0]
		if got.Text != want || m[0].Text != want || !utf8.ValidString(got.ClientID) {
			t.Errorf("%q is stored as %q under %q, acknowledged as %q", in, got.Text, got.ClientID, m[0].Text)
		}
		again, err := tw.say(ann, inRoom(room), chat.RetryRecent, draft("id "+in, in))
		tw.Check(err)
		if again[0].Seq != m[0].Seq {
			t.Errorf("%q sent again is stored again", in)
		}
	}
}
