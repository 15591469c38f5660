package session

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
)

const (
	shards            = 64
	defaultQueueBytes = 256 << 10
	// revocationsKept is how long a raised epoch, or the end of a device's login, is remembered for those who were checked before.
	revocationsKept = time.Minute
)

// Hub knows every live connection of this process and who must hear what.
type Hub struct {
	log        *slog.Logger
	metrics    *obs.Metrics
	goroutines *obs.Goroutines
	source     Source
	ctx        context.Context
	wheel      wheel
	users      [shards]userShard
	roomsMu    sync.RWMutex // guards rooms and every session's subscription; taken before a user shard's lock
	rooms      map[core.ConversationID]*room
	ids        atomic.Int64 // the last session's
	presence   presence
	stopping   atomic.Bool
	gathering  atomic.Pointer[gathering]
	quit       chan struct{}

	leftMu sync.Mutex // makes a wait for left see every session that has gone
	left   *sync.Cond
}

type userShard struct {
	mu      sync.RWMutex // guards the maps and the sessions' peer links
	users   map[core.UserID]*Session
	revoked map[core.UserID]revocation
	closed  map[device]time.Time   // logins that ended of late
	moves   map[core.UserID][]move // in their order
}

type revocation struct {
	epoch int64
	at    time.Time
}

// device names one of a user's logins.
type device struct {
	user core.UserID
	id   int64
}

// NewHub returns a hub without connections. Start must be called before the first one.
func NewHub(log *slog.Logger, metrics *obs.Metrics, goroutines *obs.Goroutines) *Hub {
	h := &Hub{
		log: log, metrics: metrics, goroutines: goroutines, ctx: context.Background(),
		rooms: map[core.ConversationID]*room{}, quit: make(chan struct{}),
	}
	h.left = sync.NewCond(&h.leftMu)
	for i := range shards {
		h.users[i].users = map[core.UserID]*Session{}
		h.users[i].revoked = map[core.UserID]revocation{}
		h.users[i].closed = map[device]time.Time{}
		h.users[i].moves = map[core.UserID][]move{}
	}
	return h
}

// Start begins to watch for silence. Sessions read what they have missed from source.
func (h *Hub) Start(source Source) {
	h.source = source
	h.goroutines.Go("silence wheel", h.watch)
	if h.presence.tell != nil {
		h.goroutines.Go("presence", h.tellPresence)
	}
}

// Use prepares a profile. Each gateway calls it once for each of its own.
func (h *Hub) Use(p *Profile) {
	g := string(p.Gateway)
	p.hub = h
	if p.QueueBytes == 0 {
		p.QueueBytes = defaultQueueBytes
	}
	p.deliveries = h.metrics.Deliveries.WithLabelValues(g)
	p.lagging = h.metrics.Lagging.WithLabelValues(g)
	p.connections = h.metrics.Connections.WithLabelValues(g, "open")
	p.online = h.metrics.Connections.WithLabelValues(g, "online")
}

func (h *Hub) watch() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-h.quit:
			return
		case <-t.C:
			overdue, quiet := h.wheel.turn(remaining)
			for _, s := range overdue {
				s.Abort(Silent)
			}
			for _, s := range quiet {
				s.Send(s.profile.Ping)
			}
		}
	}
}

// remaining returns how many ticks a session may still stay, or in how many it has to be looked at again, and whether it
// is to be pinged now. A session that is pinged is looked at after PingEvery once more: so nothing has to be remembered.
func remaining(s *Session, now int32) (left int32, ping bool) {
	s.mu.Lock()
	stranger, heldBack, loggedIn := s.phase == anonymous, s.room != nil, s.phase == online
	s.mu.Unlock()
	if heldBack { // nobody reads what the peer says; the writer watches whether it is there
		s.heard.Store(now)
	}
	left = int32(math.MaxInt32)
	if s.profile.Silence > 0 {
		left = s.heard.Load() + ticks(s.profile.Silence) - now
	}
	if stranger && s.profile.LoginWithin > 0 {
		left = min(left, s.opened+ticks(s.profile.LoginWithin)-now)
	}
	if len(s.profile.Ping) > 0 && left > 0 {
		every := ticks(s.profile.PingEvery)
		next := s.heard.Load() + every - now
		if next <= 0 {
			ping, next = loggedIn, every
		}
		left = min(left, next)
	}
	return left, ping
}

// Connections returns how many connections are open.
func (h *Hub) Connections() int {
	h.wheel.mu.Lock()
	defer h.wheel.mu.Unlock()
	return h.wheel.count
}

func (h *Hub) userShard(u core.UserID) *userShard { return &h.users[uint64(u)%shards] }

// Rivalry is what happens when a user logs in through a gateway where they are already logged in.
type Rivalry uint8

// The rivalries.
const (
	OlderWins Rivalry = iota
	NewerWins
	Share // a user has any number of sessions
)

// Register makes a session the user's: from now on it is handed the events of the user and of the rooms, which wait
// until Start. If the user's other session through the same gateway wins, the error is core.ErrAlreadyOnline;
// otherwise that session is closed. An actor whose epoch has passed meanwhile gets core.ErrNoToken.
// A session that listens keeps what it hears.
func (h *Hub) Register(s *Session, actor core.Actor, rivalry Rivalry, rooms []core.ConversationID) error {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	if s.viewer.Load() != 0 {
		return core.ErrAlreadyOnline
	}
	h.unlink(s) // from its sponsor; while roomsMu is held nobody else links or unlinks it
	old, err := h.link(s, actor, rivalry)
	if err != nil {
		return errors.Join(err, h.relink(s))
	}
	h.countOnline(s.profile, 1)
	if old != nil {
		h.countOnline(old.profile, -1)
		h.leaveRooms(old)
		old.Close(Replaced)
	}
	if s.profile.AllRooms {
		rooms = h.afterMoves(actor.User(), rooms)
	}
	h.joinAll(s, rooms)
	return nil
}

// Listen lets a session hear rooms, perhaps none, before it has said who it is; personal events are not for it. sponsor is on whose
// account it may: it counts among that user's sessions, and when that account, or the login, is revoked, it is closed. The zero Actor stands for nobody. Start follows, and
// later perhaps Register.
func (h *Hub) Listen(s *Session, sponsor core.Actor, rooms []core.ConversationID) error {
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	s.mu.Lock()
	if s.phase != anonymous {
		s.mu.Unlock()
		return core.ErrAlreadyOnline
	}
	s.phase, s.known, s.holder = starting, true, sponsor
	s.mu.Unlock()
	if err := h.relink(s); err != nil {
		return err
	}
	h.joinAll(s, rooms)
	return nil
}

// relink puts a session that listens into its sponsor's list, if it has one. h.roomsMu is held.
func (h *Hub) relink(s *Session) error {
	holder := s.holder
	if !holder.Known() {
		return nil
	}
	sh := h.userShard(holder.User())
	sh.mu.Lock()
	passed := sh.passed(holder)
	if !passed && !s.Closing() { // one that is closing may have ended, and nobody would take it out any more
		sh.link(s)
	}
	sh.mu.Unlock()
	if passed {
		s.Close(Revoked)
		return core.ErrNoToken
	}
	return nil
}

// link puts a session into its user's list and returns the rival that it displaced.
func (h *Hub) link(s *Session, actor core.Actor, rivalry Rivalry) (old *Session, err error) {
	sh := h.userShard(actor.User())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.passed(actor) {
		return nil, core.ErrNoToken
	}
	if rivalry != Share {
		old = sh.find(actor.User(), s.profile)
	}
	if old != nil && rivalry == OlderWins && !old.Closing() {
		return nil, core.ErrAlreadyOnline
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.phase {
	case closing:
		return nil, core.ErrAlreadyOnline
	case anonymous:
		s.phase = starting
	}
	s.actor, s.holder, s.known = actor, actor, true
	came := !sh.online(actor.User())
	s.viewer.Store(int64(actor.User()))
	if old != nil {
		sh.unlink(old)
	}
	sh.link(s)
	if came {
		h.presence.came(actor.User())
	}
	return old, nil
}

// passed reports whether the account's epoch has risen since the actor authenticated, or the login that they came by has
// ended. The shard is locked.
func (sh *userShard) passed(actor core.Actor) bool {
	if r, ok := sh.revoked[actor.User()]; ok && r.epoch > actor.Epoch() {
		return true
	}
	_, ok := sh.closed[device{actor.User(), actor.Device()}]
	return ok
}

// link puts a session into its holder's list. The shard is locked.
func (sh *userShard) link(s *Session) {
	user := s.holder.User()
	s.peer = sh.users[user]
	sh.users[user] = s
}

// Find returns the user's live session through a gateway, nil if there is none.
func (h *Hub) Find(user core.UserID, p *Profile) *Session {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.find(user, p)
}

// find returns the user's session of a profile. The shard is locked.
func (sh *userShard) find(user core.UserID, p *Profile) *Session {
	for s := sh.users[user]; s != nil; s = s.peer {
		if s.profile == p && s.viewer.Load() != 0 {
			return s
		}
	}
	return nil
}

// Sessions returns how many sessions a user has through a gateway, with those that listen on the user's account.
func (h *Hub) Sessions(user core.UserID, gateway core.Gateway) (n int) {
	sh := h.userShard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for s := sh.users[user]; s != nil; s = s.peer {
		if s.profile.Gateway == gateway {
			n++
		}
	}
	return n
}

// online reports whether the user has a session, listeners aside. The shard is locked.
func (sh *userShard) online(user core.UserID) bool {
	for s := sh.users[user]; s != nil; s = s.peer {
		if core.UserID(s.viewer.Load()) == user {
			return true
		}
	}
	return false
}

// unlink takes a session out of its holder's list and reports whether it was there. The shard is locked.
func (sh *userShard) unlink(s *Session) bool {
	user := s.holder.User()
	for at, p := (*Session)(nil), sh.users[user]; p != nil; at, p = p, p.peer {
		if p != s {
			continue
		}
		switch {
		case at != nil:
			at.peer = s.peer
		case s.peer != nil:
			sh.users[user] = s.peer
		default:
			delete(sh.users, user)
		}
		s.peer = nil
		return true
	}
	return false
}

// unregister ends what Register and Listen began.
func (h *Hub) unregister(s *Session) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if !known {
		return
	}
	h.roomsMu.Lock()
	defer h.roomsMu.Unlock()
	if h.unlink(s) && s.viewer.Load() != 0 {
		h.countOnline(s.profile, -1)
	}
	h.leaveRooms(s)
}

func (h *Hub) countOnline(p *Profile, n int) {
	p.online.Add(float64(n))
	if p.Presence {
		h.presence.watchers.Add(int64(n))
	}
}

// unlink takes a session out of its holder's list and reports whether it was there. h.roomsMu is held.
func (h *Hub) unlink(s *Session) bool {
	if !s.holder.Known() {
		return false
	}
	user := s.holder.User()
	sh := h.userShard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	was := sh.unlink(s)
	if was && core.UserID(s.viewer.Load()) == user && !sh.online(user) {
		h.presence.left(user)
	}
	return was
}

// Publish hands an event to everybody who must hear it. Events of one conversation come in their order.
// It never blocks: what a session cannot take now, it gets from the store later.
func (h *Hub) Publish(ev core.Event) {
	if e, ok := ev.(core.MemberJoined); ok {
		h.enterRoom(e.Member.User.ID, e.Room.ID)
	}
	if e, ok := ev.(core.MemberLeft); ok {
		defer h.quitRoom(e.User.ID, e.Room.ID)
	}
	p := publication{ev: ev}
	p.posted, p.isMessage = ev.(core.MessagesPosted)
	if e, ok := ev.(core.MessageChanged); ok {
		p.changed = e.Conversation.ID
	}
	to := ev.Audience()
	if to.Room != 0 {
		h.publishRoom(&p, to.Room, to.Except)
	}
	for _, u := range to.Users {
		if excepted(to.Except, u) {
			continue
		}
		sh := h.userShard(u)
		sh.mu.RLock()
		for s := sh.users[u]; s != nil; s = s.peer {
			if s.viewer.Load() != 0 { // who only listens is not the user
				p.hand(s, u)
			}
		}
		sh.mu.RUnlock()
	}
	p.count()
}

func excepted(except []core.UserID, u core.UserID) bool {
	_, found := slices.BinarySearch(except, u)
	return found
}

func (h *Hub) publishRoom(p *publication, id core.ConversationID, except []core.UserID) {
	h.roomsMu.RLock()
	r := h.rooms[id]
	h.roomsMu.RUnlock()
	if r == nil {
		return
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.members {
		if u := core.UserID(s.viewer.Load()); !excepted(except, u) {
			p.hand(s, u)
		}
	}
}

// publication is one event on its way, encoded at most once for each profile.
type publication struct {
	ev        core.Event
	posted    core.MessagesPosted
	isMessage bool
	changed   core.ConversationID // in which a message has changed
	encoded   []encoding          // one for each profile that hears of it
}

type encoding struct {
	profile *Profile
	frames  []Frame
	queued  int
}

func (p *publication) hand(s *Session, viewer core.UserID) {
	e := p.encoding(s.profile)
	skip := s.profile.Codec.Skips(p.ev, viewer)
	if p.isMessage {
		if s.deliver(p.posted, e.frames, skip) {
			e.queued++
		}
		return
	}
	frames := e.frames
	if c, ok := s.profile.Codec.(PersonalCodec); ok {
		if own, other := c.EncodeFor(p.ev, viewer); other {
			frames = own
		}
	}
	if !skip && len(frames) > 0 {
		s.notice(frames, p.changed)
	}
}

func (p *publication) encoding(profile *Profile) *encoding {
	for i := range p.encoded {
		if p.encoded[i].profile == profile {
			return &p.encoded[i]
		}
	}
	p.encoded = append(p.encoded, encoding{profile: profile, frames: profile.Codec.Encode(p.ev)})
	return &p.encoded[len(p.encoded)-1]
}

func (p *publication) count() {
	for _, e := range p.encoded {
		if e.queued > 0 {
			e.profile.deliveries.Add(float64(e.queued))
		}
	}
}

// Revoke closes the user's sessions that authenticated before the account's epoch rose to epoch.
func (h *Hub) Revoke(user core.UserID, epoch int64) {
	sh := h.userShard(user)
	sh.mu.Lock()
	for u, r := range sh.revoked {
		if time.Since(r.at) > revocationsKept {
			delete(sh.revoked, u)
		}
	}
	sh.revoked[user] = revocation{epoch, time.Now()}
	var old []*Session
	for s := sh.users[user]; s != nil; s = s.peer {
		if s.holder.Epoch() < epoch {
			old = append(old, s)
		}
	}
	sh.mu.Unlock()
	for _, s := range old {
		s.Close(Revoked)
	}
}

// RevokeDevice closes the user's sessions that came by a login which has ended.
func (h *Hub) RevokeDevice(user core.UserID, id int64) {
	now := time.Now()
	sh := h.userShard(user)
	sh.mu.Lock()
	for d, at := range sh.closed {
		if now.Sub(at) > revocationsKept {
			delete(sh.closed, d)
		}
	}
	sh.closed[device{user, id}] = now
	var gone []*Session
	for s := sh.users[user]; s != nil; s = s.peer {
		if s.holder.Device() == id {
			gone = append(gone, s)
		}
	}
	sh.mu.Unlock()
	for _, s := range gone {
		s.Close(Revoked)
	}
}

// Quiesce makes the readers take no further requests; what was taken can still be answered.
func (h *Hub) Quiesce() { h.stopping.Store(true) }

// Stopping reports whether readers should throw away what they read.
func (h *Hub) Stopping() bool { return h.stopping.Load() }

// Stop closes every connection, those with words for it with a farewell, and waits until they have ended.
// Those that have not when the context ends are cut, and waited for a little longer.
func (h *Hub) Stop(ctx context.Context) {
	h.Quiesce()
	for _, s := range h.wheel.all() {
		s.Close(Stopping)
	}
	late := false // guarded by leftMu
	giveUp := func() {
		h.leftMu.Lock()
		defer h.leftMu.Unlock()
		late = true
		h.left.Broadcast()
	}
	cut := context.AfterFunc(ctx, func() {
		for _, s := range h.wheel.all() {
			s.Abort(Stopping)
		}
		time.AfterFunc(lingerTimeout, giveUp)
	})
	defer cut()
	h.leftMu.Lock()
	for h.Connections() > 0 && !late {
		h.left.Wait()
	}
	h.leftMu.Unlock()
	if n := h.Connections(); n > 0 {
		h.log.Error("connections did not end", "connections", n)
	}
	close(h.quit)
}
