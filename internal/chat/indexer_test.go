package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/test/line"
)

// Edits, reactions and requests that are refused went on and on, and nothing was indexed any more.
func TestChangesDoNotStarveTheIndex(t *testing.T) {
	tw := settled(t, line.Options{})
	tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "one"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, do := range []func(n int){
		func(int) { _ = tw.Chat.Delete(context.Background(), as(cyd), core.Origin{}, room, 1) },
		func(n int) { _, _ = tw.Chat.Edit(context.Background(), as(ann), room, 1, fmt.Sprint("edited", n)) },
		func(n int) { _, _ = tw.Chat.React(context.Background(), as(bob), room, 1, "👍", n%2 == 0) },
	} {
		for range 4 {
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
						do(n)
					}
				}
			})
		}
	}
	for range 5 {
		tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", "found"))
		tw.indexed()
	}
	close(stop)
	wg.Wait()
	if got := tw.finds(bob, chat.Search{Text: "found"}); got != "10:6 10:5 10:4 10:3 10:2" {
		t.Error(got)
	}
}

// One unit of work of the indexer was as long as the longest 64 messages took, and each conversation had one of its own.
func TestAUnitOfTheIndexerIsBounded(t *testing.T) {
	tw := settled(t, line.Options{})
	var words strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&words, "%d ", i)
	}
	for range 8 {
		tw.seqs(ann, inRoom(room), chat.RetryForever, draft("", words.String()))
	}
	tw.seqs(ann, inRoom(core.Lobby), chat.RetryForever, draft("", "a few words"))
	tw.seqs(ann, user(bob), chat.RetryForever, draft("", "a few words"))
	tw.indexed()
	direct := tw.directOf(ann, bob)
	tw.Check(tw.DB.Update(t.Context(), func(ctx context.Context) error {
		count := func() (n int) {
			tw.Check(tw.DB.QueryRow(ctx, `SELECT count(*) FROM search_term`, nil, &n))
			return n
		}
		for _, q := range []string{`DELETE FROM search_term`, `UPDATE conversation SET indexed_seq = 0`} {
			_, err := tw.DB.Exec(ctx, q)
			tw.Check(err)
		}
		left := []core.ConversationID{core.Lobby, direct, room}
		for n := 0; len(left) > 0; n++ {
			had := count()
			var err error
			left, err = tw.Chat.IndexOnce(ctx, left)
			tw.Check(err)
			took := count() - had
			if took > chat.IndexWork+chat.MaxTerms || n == 0 && (len(left) != 1 || took < 7) || n > 10 {
				t.Errorf("unit %d: %d terms, %v left", n, took, left)
			}
		}
		if n := count(); n != 8*chat.MaxTerms+6 {
			t.Errorf("%d terms", n)
		}
		return nil
	}))
}
