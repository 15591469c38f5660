package contact_test

import (
	"context"
	"fmt"
	"testing"

	"parley/internal/contact"
	"parley/internal/core"
)

func BenchmarkFriends(b *testing.B) {
	for _, n := range []int{0, 5, 50, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newTown(b, contact.Config{})
			w.crowd(2000, n, func(ctx context.Context, uid core.UserID) error { return w.befriend(ctx, ann, uid) })
			b.ReportAllocs()
			for b.Loop() {
				if list, err := w.Friends(b.Context(), as(ann)); err != nil || len(list) != n {
					b.Fatal(len(list), err)
				}
			}
		})
	}
}

func BenchmarkRequests(b *testing.B) {
	w := newTown(b, contact.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if list, err := w.Requests(b.Context(), as(ann)); err != nil || len(list) != 0 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkMayWrite(b *testing.B) {
	w := newTown(b, contact.Config{})
	w.makeFriends(ann, bob)
	for name, ctx := range map[string]context.Context{"Cancelable": b.Context(), "Background": context.Background()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w.MayWrite(ctx, ann, bob); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
