package account

import (
	"container/list"
	"sync"
	"time"
)

// recent is a bounded memory of this process: what is new pushes out what was put longest ago.
type recent[K comparable, V any] struct {
	most int

	mu    sync.Mutex // guards the following
	items map[K]*list.Element
	order list.List // of recentItem[K, V], the oldest in front
}

type recentItem[K comparable, V any] struct {
	key   K
	value V
	at    time.Time
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, items: map[K]*list.Element{}}
}

// put remembers a value, as of now.
func (r *recent[K, V]) put(key K, value V) {
	item := recentItem[K, V]{key, value, time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.items[key]; ok {
		e.Value = item
		r.order.MoveToBack(e)
		return
	}
	r.items[key] = r.order.PushBack(item)
	if r.order.Len() > r.most {
		r.remove(r.order.Front())
	}
}

// get returns what was put within the time before now.
func (r *recent[K, V]) get(key K, within time.Duration) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.items[key]
	if !ok {
		return value, false
	}
	item := e.Value.(recentItem[K, V])
	if time.Since(item.at) >= within {
		return value, false
	}
	return item.value, true
}

func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.items[key]; ok {
		r.remove(e)
	}
}

func (r *recent[K, V]) remove(e *list.Element) {
	delete(r.items, r.order.Remove(e).(recentItem[K, V]).key)
}
