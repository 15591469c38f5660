package obs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGoroutinesAreCountedAndWaitedFor(t *testing.T) {
	g := NewGoroutines(slog.New(slog.DiscardHandler))
	if err := g.Wait(t.Context()); err != nil || g.Running() != 0 {
		t.Errorf("an empty group: %v, %d run", err, g.Running())
	}
	hold := make(chan struct{})
	ended := 0
	for range 10 {
		g.Go("held", func() { <-hold })
	}
	if n := g.Running(); n != 10 {
		t.Errorf("%d run", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	g.Go("starts another", func() {
		<-hold
		g.Go("the other", func() { ended++ })
	})
	close(hold)
	if err := g.Wait(t.Context()); err != nil || g.Running() != 0 || ended != 1 {
		t.Errorf("%v, %d run, %d ended", err, g.Running(), ended)
	}
}

func TestAPanicIsLoggedCountedAndWaitedFor(t *testing.T) {
	var log bytes.Buffer
	g := NewGoroutines(NewLogger(&log, "info", "text"))
	before := Panics()
	g.Go("the fragile one", func() { panic("it broke") })
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := Panics() - before; n != 1 || g.Running() != 0 {
		t.Errorf("%d panics, %d run", n, g.Running())
	}
	for _, want := range []string{"the fragile one", "it broke", "goroutines_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log.String())
		}
	}
	CountPanic()
	if n := Panics() - before; n != 2 {
		t.Errorf("%d panics", n)
	}
}
