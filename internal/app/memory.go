package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent lets garbage grow to twice what lives before it is collected: with a heap as small as this server's,
	// the collector would otherwise run several times a second under load. The variable GOGC overrides it.
	gcPercent  = 200
	quietCheck = 10 * time.Second
	// quietBytes is how little is allocated between two checks when the server is quiet.
	quietBytes = 8 << 20
	// busyBytes is how much must have been allocated for a release to be worth its collection.
	busyBytes = 16 << 20
)

// tuneCollector sets how eagerly garbage is collected, unless the operator did.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// tidy gives memory back to the system once a busy time is over: the collector alone would keep what a rush of logins
// needed for minutes, and an idle server would look as large as a busy one.
func tidy(ctx context.Context) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	t := time.NewTicker(quietCheck)
	defer t.Stop()
	released, last := uint64(0), allocated()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		now := allocated()
		if now-last < quietBytes && now-released > busyBytes {
			debug.FreeOSMemory()
			released = now
		}
		last = now
	}
}
