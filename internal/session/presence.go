package session

import (
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/core"
)

// offlineAfter is how long somebody has to be without a session before others are told: who only reconnects does not flicker.
const offlineAfter = 5 * time.Second

// presence tells who comes online and who goes. One goroutine does it for all.
type presence struct {
	tell     func(user core.UserID, online bool) // nil if nobody wants to know; set before Start
	watchers atomic.Int64                        // sessions whose clients are told
	wake     chan struct{}                       // holds one; something was added to soon or later

	mu    sync.Mutex // guards all below; taken after a user shard's lock
	soon  []core.UserID
	later []departure // in their order
	gone  map[core.UserID]time.Time
	shown map[core.UserID]struct{} // who counts as online
}

// departure is that somebody's last session ended.
type departure struct {
	user core.UserID
	at   time.Time
}

// OnPresence has fn called when users come online, and when they have been without a session for five seconds. The
// calls for one user come in their order. Who comes or goes while no client is connected that is told of it, is not told of. fn
// may take its time. It must be called before Start.
func (h *Hub) OnPresence(fn func(user core.UserID, online bool)) {
	h.presence.tell = fn
	h.presence.wake = make(chan struct{}, 1)
	h.presence.gone = map[core.UserID]time.Time{}
	h.presence.shown = map[core.UserID]struct{}{}
}

// Online reports who of the users counts as online: it agrees with what OnPresence tells after it.
func (h *Hub) Online(users []core.UserID) []bool {
	online := make([]bool, len(users))
	for i, u := range users {
		online[i] = h.connected(u)
	}
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	for i, u := range users {
		if _, ok := h.presence.shown[u]; ok {
			online[i] = true
		}
	}
	return online
}

func (h *Hub) connected(user core.UserID) bool {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.online(user)
}

// came takes note of a user's first session.
func (p *presence) came(user core.UserID) {
	if p.tell == nil {
		return
	}
	p.mu.Lock()
	p.soon = append(p.soon, user)
	delete(p.gone, user)
	p.mu.Unlock()
	p.awake()
}

// left takes note that a user's last session ended.
func (p *presence) left(user core.UserID) {
	if p.tell == nil {
		return
	}
	now := time.Now()
	p.mu.Lock()
	p.later = append(p.later, departure{user, now})
	p.gone[user] = now
	p.mu.Unlock()
	p.awake()
}

func (p *presence) awake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// tellPresence runs until the hub stops.
func (h *Hub) tellPresence() {
	p := &h.presence
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		users, next := p.due(time.Now())
		for _, u := range users {
			online := h.connected(u) || p.lingers(u)
			if p.show(u, online) {
				p.tell(u, online)
			}
		}
		if len(users) > 0 {
			continue
		}
		t.Reset(next)
		select {
		case <-h.quit:
			return
		case <-p.wake:
		case <-t.C:
		}
	}
}

// lingers reports whether a user who has no session still counts as online. Who comes and goes before that is looked at was seen by
// those who asked Online meanwhile, and so has to be told of.
func (p *presence) lingers(user core.UserID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.gone[user]
	return ok
}

// due takes the users whose state may have changed, those who came before those who went, and returns in how long there may be more.
func (p *presence) due(now time.Time) (users []core.UserID, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.soon) > 0 {
		users, p.soon = p.soon, nil
		return users, 0
	}
	for len(p.later) > 0 {
		d := p.later[0]
		if left := d.at.Add(offlineAfter).Sub(now); left > 0 {
			return users, left
		}
		p.later = p.later[1:]
		if p.gone[d.user].Equal(d.at) { // they have not been here since
			delete(p.gone, d.user)
			users = append(users, d.user)
		}
	}
	return users, time.Hour
}

// show takes note of what a user counts as, and reports whether that is new and somebody is there to hear it. Both are one
// step: a client that was registered before asks Online after it, or is told.
func (p *presence) show(user core.UserID, online bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, was := p.shown[user]
	if was == online {
		return false
	}
	if online {
		p.shown[user] = struct{}{}
	} else {
		delete(p.shown, user)
	}
	return p.watchers.Load() > 0
}
