package main

import (
	"math/bits"
	"time"
)

// began is where the program's clock starts. Both ends of a measured way are in this process.
var began = time.Now()

// now returns the nanoseconds since the program began.
func now() int64 { return int64(time.Since(began)) }

const (
	// Latencies are counted in units of 1,024 ns, with 5 significant bits: 3 % at most between neighbours.
	unitBits = 10
	halfSize = 32
	buckets  = 1024
)

// latencies is a histogram of durations.
type latencies struct {
	counts [buckets]uint64
	n      uint64
	max    int64
}

func (l *latencies) add(ns int64) {
	ns = max(ns, 0)
	v := uint64(ns) >> unitBits
	shift := max(bits.Len64(v)-6, 0)
	l.counts[min(shift*halfSize+int(v>>shift), buckets-1)]++
	l.n++
	l.max = max(l.max, ns)
}

func (l *latencies) merge(other *latencies) {
	for i, n := range &other.counts {
		l.counts[i] += n
	}
	l.n += other.n
	l.max = max(l.max, other.max)
}

// quantile returns the duration that a share q of all does not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.n))
	var seen uint64
	for i, n := range &l.counts {
		if seen += n; seen > rank {
			shift := max(i/halfSize-1, 0)
			upper := int64(i-shift*halfSize+1) << shift << unitBits
			return time.Duration(min(upper, l.max))
		}
	}
	return time.Duration(l.max)
}
