package chat

import (
	"sync"
	"time"

	"parley/internal/core"
)

const (
	linkTTL  = time.Minute
	maxLinks = 100_000
)

// links remembers for a while who was found to be allowed to write to whom, and in which conversation.
type links struct {
	mu  sync.Mutex // guards both
	m   map[pair]link
	gen uint64 // counts what was forgotten, so that an answer older than a change is not remembered
}

type pair struct{ from, to core.UserID }

type link struct {
	id      core.ConversationID
	members []core.UserID
	until   time.Time
}

// get returns a remembered link, or asks and remembers a good answer.
func (l *links) get(p pair, ask func() (core.ConversationID, error)) (link, error) {
	l.mu.Lock()
	k, ok := l.m[p]
	gen := l.gen
	l.mu.Unlock()
	now := time.Now()
	if ok && now.Before(k.until) {
		return k, nil
	}
	id, err := ask()
	if err != nil {
		return link{}, err
	}
	k = link{id: id, members: []core.UserID{p.from, p.to}, until: now.Add(linkTTL)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gen == gen {
		if len(l.m) >= maxLinks {
			clear(l.m)
		}
		l.m[p] = k
	}
	return k, nil
}

// forgetAll is for what may concern anybody, and is rare.
func (l *links) forgetAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gen++
	clear(l.m)
}

func (l *links) forget(a, b core.UserID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gen++
	delete(l.m, pair{a, b})
	delete(l.m, pair{b, a})
}
