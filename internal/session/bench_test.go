package session_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/session"
)

// wire is a codec whose frames have the size of a short chat message.
type wire struct{ frame []session.Frame }

func (w wire) Encode(core.Event) []session.Frame  { return w.frame }
func (w wire) Skips(core.Event, core.UserID) bool { return false }

type emptySource struct{}

func (emptySource) Behind(context.Context, core.UserID, core.Gateway) ([]core.Position, error) {
	return nil, nil
}

func (emptySource) Heads(context.Context, core.UserID) ([]core.Position, error) { return nil, nil }

func (emptySource) Page(_ context.Context, _ core.UserID, _ core.ConversationID, after core.Seq, _ bool) (session.Page, error) {
	return session.Page{End: after}, nil
}
func (emptySource) Confirm(core.UserID, core.Gateway, []core.Position) {}

// BenchmarkRoom measures the fan-out of a room with 100 members over loopback sockets; one operation is one delivery.
func BenchmarkRoom(b *testing.B) {
	const members, bytes = 100, 200
	hub := session.NewHub(slog.New(slog.DiscardHandler), obs.NewMetrics(), obs.NewGoroutines(slog.New(slog.DiscardHandler)))
	hub.Start(emptySource{})
	profile := &session.Profile{
		Gateway: "bench", Codec: wire{[]session.Frame{{Bytes: make([]byte, bytes), ViewerAt: 20}}},
		Silence: time.Minute, LoginWithin: time.Minute, QueueBytes: 1 << 30,
	}
	hub.Use(profile)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var received atomic.Int64
	for i := range members {
		peer, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		conn, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		s := hub.Open(profile, conn)
		if err := hub.Register(s, core.NewActor(core.User{ID: core.UserID(i + 1)}), session.NewerWins, []core.ConversationID{1}); err != nil {
			b.Fatal(err)
		}
		if err := s.Start(context.Background()); err != nil {
			b.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, conn); s.End(true) }()
		go func() {
			defer peer.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := peer.Read(buf)
				if err != nil {
					return
				}
				received.Add(int64(n))
			}
		}()
	}
	b.ResetTimer()
	events := b.N/members + 1
	for i := range events {
		hub.Publish(core.MessagesPosted{
			Conversation: core.Conversation{ID: 1, Kind: core.Room}, Messages: []core.Message{{Seq: core.Seq(i + 1)}},
		})
	}
	for received.Load() < int64(events*members*bytes) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(events*members)/b.Elapsed().Seconds(), "deliveries/s")
	b.StopTimer()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	hub.Stop(ctx)
}
