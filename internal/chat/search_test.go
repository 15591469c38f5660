package chat_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

// indexed waits until everything that was said can be found.
func (tw *town) indexed() {
	tw.Helper()
	for end := time.Now().Add(2 * time.Minute); tw.count(`SELECT count(*) FROM conversation WHERE indexed_seq < last_seq`) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tw.Fatal("it is never indexed")
		}
	}
}

// finds returns what a user finds, as conversation:number.
func (tw *town) finds(who core.UserID, q chat.Search) string {
	tw.Helper()
	found, err := tw.Chat.Search(context.Background(), as(who), q)
	tw.Check(err)
	var out []string
	for _, h := range found.Hits {
		out = append(out, fmt.Sprintf("%d:%d", h.Conversation, h.Message.Seq))
	}
	return strings.Join(out, " ")
}

func TestSearch(t *testing.T) {
	tw := settled(t, line.Options{})
	for i, text := range []string{
		"The quick brown fox", "我们明天去北京开会", "北大的会", "ＦＯＸ trot, naïve CAFÉ", "foxes", "会", "東京タワーへ行く", "한국어 메시지", "北 京", "mixed中文text here",
	} {
		if s := tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", text))[0]; s != core.Seq(i+1) {
			t.Fatal(s)
		}
		time.Sleep(2 * time.Millisecond) // each has a time of its own
	}
	tw.seqs(bob, inRoom(room), chat.RetryForever, draft("", "bob's fox"))
	tw.indexed()
	for text, want := range map[string]string{
		"fox":        "10:11 10:4 10:1",
		"FOX quick":  "10:1",
		"foxes":      "10:5",
		"fo":         "",
		"北京":         "10:2",
		"开会":         "10:2",
		"会":          "10:6 10:3 10:2",
		"天去北":        "10:2",
		"京开去":        "",
		"北京 明天":      "10:2",
		"cafe\u0301": "10:4",
		"タワー":        "10:7",
		"ﾀﾜｰ":        "10:7",
		"메시":         "10:8",
		"mixed":      "10:10",
		"中文":         "10:10",
		"text 中文":    "10:10",
		"京":          "10:9 10:7 10:2",
		"nothing":    "",
		"quick 北京":   "",
	} {
		if got := tw.finds(bob, chat.Search{Text: text}); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := tw.finds(bob, chat.Search{Text: "fox", Author: bob}); got != "10:11" {
		t.Errorf("of one author: %s", got)
	}
	if got := tw.finds(bob, chat.Search{Text: "fox", Conversation: core.Lobby}); got != "" {
		t.Errorf("elsewhere: %s", got)
	}
	if got := tw.finds(cyd, chat.Search{Text: "fox"}); got != "" {
		t.Errorf("who is not in the room finds %s", got)
	}
}

func TestSearchIsRefused(t *testing.T) {
	tw := settled(t, line.Options{})
	for name, c := range map[string]struct {
		actor core.Actor
		q     chat.Search
		want  error
	}{
		"nobody":       {core.Actor{}, chat.Search{Text: "x"}, core.ErrLoginRequired},
		"nothing":      {as(ann), chat.Search{}, core.ErrInvalid},
		"no words":     {as(ann), chat.Search{Text: " ,.!%_*' "}, core.ErrInvalid},
		"a long text":  {as(ann), chat.Search{Text: strings.Repeat("x ", 200)}, core.ErrInvalid},
		"a stranger's": {as(cyd), chat.Search{Text: "x", Conversation: room}, core.ErrConversationNotFound},
		"no such":      {as(cyd), chat.Search{Text: "x", Conversation: 99}, core.ErrConversationNotFound},
	} {
		if found, err := tw.Chat.Search(t.Context(), c.actor, c.q); !errors.Is(err, c.want) || len(found.Hits) > 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// Each finds what they may read: their own conversations, and of a private room what was said since they came.
func TestEachFindsWhatTheyMayRead(t *testing.T) {
	tw, den := housed(t, line.Options{})
	ctx := t.Context()
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "secret"))
	tw.Check(tw.Chat.Bring(ctx, as(ann), den, eve))
	tw.seqs(ann, inRoom(den), chat.RetryForever, draft("", "secret"))
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "secret"))
	tw.indexed()
	direct := tw.directOf(ann, bob)
	for who, want := range map[core.UserID][]string{
		ann: {fmt.Sprintf("%d:1", den), fmt.Sprintf("%d:2", den), fmt.Sprintf("%d:1", direct)},
		cyd: {fmt.Sprintf("%d:1", den), fmt.Sprintf("%d:2", den)},
		eve: {fmt.Sprintf("%d:2", den)},
		dan: nil, // although an admin of the server
	} {
		got := strings.Fields(tw.finds(who, chat.Search{Text: "secret"}))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d finds %v, want %v", who, got, want)
		}
	}
	tw.Check(tw.Chat.Leave(ctx, as(cyd), den))
	if got := tw.finds(cyd, chat.Search{Text: "secret"}); got != "" {
		t.Errorf("who left finds %s", got)
	}
}

func TestWhatIsChangedIsFoundAsItIs(t *testing.T) {
	for _, late := range []bool{true, false} {
		tw := settled(t, line.Options{})
		tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "one 明天"))
		tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "one 昨天"))
		if late {
			tw.indexed()
		}
		_, err := tw.Chat.Edit(t.Context(), as(ann), room, 1, "two 今天")
		tw.Check(err)
		tw.Check(tw.Chat.Delete(t.Context(), as(ann), core.Origin{}, room, 2))
		tw.indexed()
		for text, want := range map[string]string{"one": "", "two": "10:1", "明天": "", "今天": "10:1", "昨天": ""} {
			if got := tw.finds(bob, chat.Search{Text: text}); got != want {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
		if n := tw.count(`SELECT count(*) FROM search_term`); n != 3 {
			t.Errorf("%d terms are left", n)
		}
	}
}

func TestPagesOfHits(t *testing.T) {
	tw := settled(t, line.Options{})
	var want []string
	for i := range 60 {
		to := []chat.Target{inRoom(room), inRoom(core.Lobby), user(bob)}[i%3]
		tw.seqs(ann, to, chat.RetryForever, draft("", "a needle"))
	}
	tw.indexed()
	want = strings.Fields(tw.finds(bob, chat.Search{Text: "needle"}))
	if len(want) != 60 {
		t.Fatalf("%d", len(want))
	}
	var got []string
	q := chat.Search{Text: "needle", Limit: 7}
	for {
		found, err := tw.Chat.Search(t.Context(), as(bob), q)
		tw.Check(err)
		for _, h := range found.Hits {
			got = append(got, fmt.Sprintf("%d:%d", h.Conversation, h.Message.Seq))
		}
		if found.Next == "" {
			break
		}
		q.Cursor = found.Next
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The index ends right however posts and edits fall in between, and whatever a restart interrupts.
func TestTheIndexCatchesUp(t *testing.T) {
	dir := t.TempDir()
	tw := newTown(t, line.Options{Dir: dir})
	tw.AddUsers(ann, bob)
	tw.AddRoom(room, ann, bob)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 400 {
			tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", fmt.Sprint("word", i)))
			if i%4 == 0 {
				if _, err := tw.Chat.Edit(context.Background(), as(ann), room, core.Seq(i+1), fmt.Sprint("edited", i)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	tw.Stop() // most likely before all is indexed
	tw = newTown(t, line.Options{Dir: dir})
	tw.indexed()
	for i := range 400 {
		was, is := fmt.Sprintf("10:%d", i+1), ""
		if i%4 == 0 {
			was, is = is, was
		}
		if got := tw.finds(bob, chat.Search{Text: fmt.Sprint("word", i)}); got != was {
			t.Fatalf("word%d: %q, want %q", i, got, was)
		}
		if got := tw.finds(bob, chat.Search{Text: fmt.Sprint("edited", i)}); got != is {
			t.Fatalf("edited%d: %q, want %q", i, got, is)
		}
	}
	if n := tw.count(`SELECT count(*) FROM search_term`); n != 400 {
		t.Errorf("%d terms", n)
	}
}

// pages returns all hits page by page, as conversation:number, and how many pages that were. between is called after each.
func (tw *town) pages(who core.UserID, q chat.Search, between func()) (all []string, pages int) {
	tw.Helper()
	for pages = 1; ; pages++ {
		found, err := tw.Chat.Search(context.Background(), as(who), q)
		tw.Check(err)
		if len(found.Hits) > q.Limit {
			tw.Fatalf("%d hits on a page", len(found.Hits))
		}
		for _, h := range found.Hits {
			all = append(all, fmt.Sprintf("%d:%d", h.Conversation, h.Message.Seq))
		}
		if found.Next == "" || pages > 10_000 {
			return all, pages
		}
		q.Cursor = found.Next
		between()
	}
}

// TestPagesMissNothingHoweverTimesAreMixed gives messages any times, many of them the same, and posts more while the pages are read.
func TestPagesMissNothingHoweverTimesAreMixed(t *testing.T) {
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	const rooms = 5
	want := map[string]bool{}
	byBob := map[string]bool{}
	for id := room; id < room+rooms; id++ {
		tw.AddRoom(id, ann, bob)
		for seq := range r.IntN(60) + 1 {
			text, from := "hay", ann
			if r.IntN(2) == 0 {
				from = bob
			}
			if r.IntN(3) > 0 {
				text = "a needle 针"
				want[fmt.Sprintf("%d:%d", id, seq+1)] = true
				if from == bob {
					byBob[fmt.Sprintf("%d:%d", id, seq+1)] = true
				}
			}
			tw.seqs(from, inRoom(id), chat.RetryForever, draft("", text))
		}
	}
	tw.Exec(`UPDATE message SET created_at = 1000000 + abs(random() % 40)`)
	tw.indexed()
	post := func() {
		if r.IntN(8) == 0 {
			tw.seqs(ann, inRoom(room+core.ConversationID(r.IntN(rooms))), chat.RetryForever, draft("", "a needle 针"))
		}
	}
	limits := []int{1, 2, 7, 50}
	if testing.Short() {
		limits = []int{2, 50}
	}
	for _, limit := range limits {
		for _, q := range []chat.Search{{Text: "needle"}, {Text: "针"}, {Text: "needle", Author: bob}, {Text: "needle", Conversation: room + 1}} {
			q.Limit = limit
			expect := map[string]bool{}
			for place := range want {
				if (q.Author == 0 || byBob[place]) && (q.Conversation == 0 || strings.HasPrefix(place, fmt.Sprint(q.Conversation, ":"))) {
					expect[place] = true
				}
			}
			// What was said meanwhile comes before it all.
			known := tw.count(`SELECT count(*) FROM message WHERE created_at > 2000000`)
			got, _ := tw.pages(bob, q, post)
			if n := len(got) - len(expect); n < 0 || n > known {
				t.Fatalf("seed %d, %+v: %d hits, want %d and up to %d", seed, q, len(got), len(expect), known)
			}
			seen := map[string]bool{}
			for _, place := range got {
				if seen[place] {
					t.Fatalf("seed %d, %+v: %s twice", seed, q, place)
				}
				seen[place] = true
			}
			for place := range expect {
				if !seen[place] {
					t.Fatalf("seed %d, %+v: %s is missing", seed, q, place)
				}
			}
		}
	}
}

func TestHitsOfAllConversationsComeByTime(t *testing.T) {
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob)
	for id := room; id < room+4; id++ {
		tw.AddRoom(id, ann, bob)
		for range 25 {
			tw.seqs(ann, inRoom(id), chat.RetryForever, draft("", "a needle"))
		}
		tw.Exec(`UPDATE message SET created_at = 1000000 + seq * 7 + ? WHERE conversation_id = ?`, int64(id), int64(id))
	}
	tw.indexed()
	var want []string
	for seq := 25; seq > 0; seq-- {
		for id := room + 3; id >= room; id-- {
			want = append(want, fmt.Sprintf("%d:%d", id, seq))
		}
	}
	for _, limit := range []int{1, 3, 40, 100, 150} {
		got, pages := tw.pages(bob, chat.Search{Text: "needle", Limit: limit}, func() {})
		if !slices.Equal(got, want) {
			t.Errorf("%d a page: %v, want %v", limit, got, want)
		}
		if want := (100 + limit - 1) / limit; pages < want || pages > want+1 { // the last one may be empty
			t.Errorf("%d a page: %d pages", limit, pages)
		}
	}
}

// A page looks at so many messages at most, in a busy conversation as in all others, and the next page goes on from there.
func TestAPageLooksAtSoManyMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs many messages")
	}
	tw := newTown(t, line.Options{})
	tw.AddUsers(ann, bob)
	tw.AddRoom(room, ann, bob)
	tw.AddRoom(room+1, ann, bob)
	tw.seqs(ann, inRoom(room+1), chat.RetryForever, draft("", "red needle, needle red, old"))
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "needle red, the oldest"))
	tw.Exec(`UPDATE message SET created_at = 5`)
	for range 11 { // all have both words, but nothing of what is looked for
		var drafts []chat.Draft
		for range 2000 {
			drafts = append(drafts, draft("", "开了会 会开了"))
		}
		tw.seqs(ann, inRoom(room), chat.RetryRecent, drafts...)
	}
	tw.seqs(ann, inRoom(room+1), chat.RetryForever, draft("", "我们开会了"))
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "了开会"))
	tw.Exec(`UPDATE message SET text = '开会' WHERE created_at = 5`)
	tw.Exec(`INSERT INTO search_term (term, conversation_id, seq) SELECT '开会', conversation_id, seq FROM message WHERE true ON CONFLICT DO NOTHING`)
	tw.indexed()
	found, err := tw.Chat.Search(t.Context(), as(bob), chat.Search{Text: "开会", Limit: 5})
	if err != nil || len(found.Hits) != 2 || found.Next == "" {
		t.Fatalf("%d hits, %q, %v", len(found.Hits), found.Next, err)
	}
	found, err = tw.Chat.Search(t.Context(), as(bob), chat.Search{Text: "开会", Limit: 5, Cursor: found.Next})
	if err != nil || len(found.Hits) != 2 || found.Next != "" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestCursorsOfASearchAreChecked(t *testing.T) {
	tw := settled(t, line.Options{})
	for _, cursor := range []string{"x", "1", "1-2", "1-2-", "1-2-x", "1-2-3-4", "1--2-3", "0-0-0", "1-0-1", "1-1-0", "99999999999999999999-1-1", "1-1-1 "} {
		if _, err := tw.Chat.Search(t.Context(), as(ann), chat.Search{Text: "x", Cursor: cursor}); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}
