package chat_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/line"
)

// BenchmarkPost measures durable direct messages of 50 pairs with 1 and 16 outstanding each.
func BenchmarkPost(b *testing.B) {
	for _, window := range []int{1, 16} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) { benchmarkPost(b, window) })
	}
}

func benchmarkPost(b *testing.B, window int) {
	const pairs = 50
	log, metrics := slog.New(slog.DiscardHandler), obs.NewMetrics()
	db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(b.TempDir(), "parley.db"), Log: log, Metrics: metrics})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(context.Background(), func(ctx context.Context) error {
		for uid := 1; uid <= 2*pairs; uid++ {
			if _, err := db.Exec(ctx, `INSERT INTO "user" (uid, name, name_key, created_at) VALUES (?, ?, ?, 0)`,
				uid, fmt.Sprint("u", uid), fmt.Sprint("u", uid)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	publish := func(core.Event) {}
	s := chat.New(chat.Config{
		DB: db, Contacts: contact.New(db, func(s string) string { return s }, publish, contact.Config{Strangers: true}),
		Publish: publish, Log: log, Metrics: metrics, Goroutines: obs.NewGoroutines(log),
	})
	defer s.Close()
	defer s.Drain(context.Background())
	var wg sync.WaitGroup
	b.ResetTimer()
	for pair := range pairs {
		wg.Go(func() {
			actor := core.NewActor(core.User{ID: core.UserID(2*pair + 1), Name: "x"})
			slots := make(chan struct{}, window)
			for i := pair; i < b.N; i += pairs {
				slots <- struct{}{}
				err := s.Post(context.Background(), actor, chat.Post{
					To: chat.Target{User: actor.User() + 1}, Origin: "bench", Retry: chat.RetryRecent,
					Drafts: []chat.Draft{{ClientID: fmt.Sprintf("%08d-%d", i, pair), Text: "a message of the usual length, say so"}},
				}, func(_ []core.Message, err error) {
					if err != nil {
						b.Error(err)
					}
					<-slots
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
			for range window {
				slots <- struct{}{}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkSearch looks for a word that one message has, for one that a thousandth have, and for one that all have, among
// 100,000 messages of a room.
func BenchmarkSearch(b *testing.B) {
	const messages = 100_000
	tw := settled(b, line.Options{})
	for i := 0; i < messages; i += 1000 {
		drafts := make([]chat.Draft, 1000)
		for j := range drafts {
			drafts[j].Text = fmt.Sprintf("message %d 我们第%d次开会 number w%d and some more words", i+j, i+j, (i+j)%1000)
		}
		if _, err := tw.say(ann, inRoom(room), chat.RetryRecent, drafts...); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	for tw.count(`SELECT indexed_seq FROM conversation WHERE id = 10`) < messages {
		time.Sleep(10 * time.Millisecond)
	}
	b.Logf("indexed in %v", time.Since(start))
	for name, text := range map[string]string{"rare": "77777", "seldom": "w777", "everywhere": "message", "two characters": "开会"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				found, err := tw.Chat.Search(context.Background(), as(bob), chat.Search{Text: text, Limit: 20})
				if err != nil || len(found.Hits) == 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}
