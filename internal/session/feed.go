package session

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"parley/internal/core"
)

// feed is what a session knows of the conversations that moved while it was connected. Everything else is at the head
// since the login. It belongs to the session and is guarded by its lock.
type feed struct {
	places  []place // by conversation
	behind  int     // how many of them are behind
	unheard bool    // something was queued that the peer has not confirmed
	mark    mark
	turn    core.ConversationID // the conversation fetched last: those behind take turns
	fetched core.ConversationID // the one of which a page is being fetched, 0 for none
	before  uint64              // bytes written at the last inbound frame, where the kernel does not tell what is unacknowledged
}

// place is how far a session is in one conversation.
type place struct {
	conversation core.ConversationID
	sent         core.Seq // everything up to here was queued, or is not for this viewer
	confirmed    core.Seq // everything up to here has arrived
	seen         core.Seq // the newest event that came by while the session was behind
	behind       bool     // what follows sent is in the store; live events are not queued
}

// mark remembers what had been queued when the peer's TCP had yet to take something.
type mark struct {
	at     uint64 // of all bytes ever queued
	places []core.Position
}

func (f *feed) search(conversation core.ConversationID) (int, bool) {
	return slices.BinarySearchFunc(f.places, conversation, func(p place, c core.ConversationID) int {
		return cmp.Compare(p.conversation, c)
	})
}

// find returns a conversation's place, nil if it has none.
func (f *feed) find(conversation core.ConversationID) *place {
	if i, ok := f.search(conversation); ok {
		return &f.places[i]
	}
	return nil
}

// place returns a conversation's place; one that is new stands at after.
func (f *feed) place(conversation core.ConversationID, after core.Seq) *place {
	i, ok := f.search(conversation)
	if !ok {
		f.places = slices.Insert(f.places, i, place{conversation: conversation, sent: after, confirmed: after})
	}
	return &f.places[i]
}

func (f *feed) fallBehind(p *place, seen core.Seq) {
	if !p.behind {
		p.behind = true
		f.behind++
	}
	p.seen = max(p.seen, seen)
}

// nextBehind returns a conversation to fetch from the store. They take turns, so that one which moves as fast as the
// peer reads does not keep the others back.
func (f *feed) nextBehind() (core.ConversationID, core.Seq, bool) {
	if f.behind == 0 {
		return 0, 0, false
	}
	var next *place
	for i := range f.places {
		p := &f.places[i]
		if p.behind && (next == nil || p.conversation > f.turn) {
			next = p
			if p.conversation > f.turn {
				break
			}
		}
	}
	f.turn = next.conversation
	return next.conversation, next.sent, true
}

// forget drops a conversation: what follows there is not for this session.
func (s *Session) forget(conversation core.ConversationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.feed
	if i, ok := f.search(conversation); ok {
		if f.places[i].behind {
			f.behind--
		}
		f.places = slices.Delete(f.places, i, i+1)
	}
}

// stop forgets that anything is behind: the connection is ending.
func (f *feed) stop() {
	for i := range f.places {
		f.places[i].behind = false
	}
	f.behind = 0
}

// deliver takes a live message event. The session is at the head of its conversation, or falls behind:
// because it is behind already, because the event is ahead of its turn, or because its queue is full.
func (s *Session) deliver(ev core.MessagesPosted, frames []Frame, skip bool) (queued bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != online && s.phase != starting {
		return false
	}
	first, last := ev.First(), ev.Last()
	p := s.feed.place(ev.Conversation.ID, first-1)
	switch {
	case p.behind:
		p.seen = max(p.seen, last)
		return false
	case last <= p.sent:
		return false
	case s.phase == starting || first != p.sent+1:
		s.feed.fallBehind(p, last)
		if s.phase == online {
			s.wake()
		}
		return false
	case !skip && s.outBytes > 0 && s.outBytes+size(frames) > s.profile.QueueBytes:
		s.feed.fallBehind(p, last)
		s.profile.lagging.Inc()
		return false
	}
	p.sent = last
	s.feed.unheard = true
	if skip || len(frames) == 0 || isOwn(ev.Messages[0], s.own) {
		return false
	}
	s.enqueue(frames...)
	return true
}

func isOwn(m core.Message, own string) bool { return own != "" && strings.HasPrefix(m.ClientID, own) }

// notice takes a live event that is not a message. If it says that one of a conversation has changed, that is in changed, else 0: while
// a page of the conversation is fetched the change waits, since the message may be in the page as it was before, and comes after it.
func (s *Session) notice(frames []Frame, changed core.ConversationID) {
	s.mu.Lock()
	limit := s.profile.QueueBytes
	switch {
	case s.phase == starting:
	case s.phase == online && changed != 0 && changed == s.feed.fetched:
		limit *= overflowFactor
	default:
		s.mu.Unlock()
		s.push(frames...)
		return
	}
	if s.held = append(s.held, frames...); size(s.held) > limit {
		s.close(Overflow, true)
	}
	s.mu.Unlock()
}

// Start queues the login's answer, then what was held back for it, and lets the session catch up from the store.
// Register comes before it.
func (s *Session) Start(ctx context.Context, answer ...[]byte) error {
	var behind []core.Position
	if s.profile.CatchUp {
		var err error
		if behind, err = s.profile.hub.source.Behind(ctx, s.Actor().User(), s.profile.Gateway); err != nil {
			return err
		}
	}
	s.start(behind, answer)
	return nil
}

// StartAt is Start for clients that know themselves what they have got: in each of these conversations the session gets
// what follows. Positions in conversations that are not the user's count for nothing, nor does what lies beyond the last message.
func (s *Session) StartAt(ctx context.Context, got []core.Position, answer ...[]byte) error {
	var behind []core.Position
	if len(got) > 0 {
		heads, err := s.profile.hub.source.Heads(ctx, s.Actor().User())
		if err != nil {
			return err
		}
		last := make(map[core.ConversationID]core.Seq, len(heads))
		for _, h := range heads {
			last[h.Conversation] = h.Seq
		}
		for _, g := range got {
			if seq := max(0, g.Seq); seq < last[g.Conversation] {
				behind = append(behind, core.Position{Conversation: g.Conversation, Seq: seq})
			}
		}
	}
	s.start(behind, answer)
	return nil
}

func (s *Session) start(behind []core.Position, answer [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != starting {
		return
	}
	for _, b := range answer {
		s.bulk += len(b)
		s.enqueue(Frame{Bytes: b})
	}
	s.release()
	s.phase = online
	for _, b := range behind {
		p := s.feed.place(b.Conversation, b.Seq)
		p.sent, p.confirmed = min(p.sent, b.Seq), min(p.confirmed, b.Seq)
		s.feed.fallBehind(p, 0)
	}
	if s.feed.behind > 0 {
		s.wake()
	}
}

// pull fetches a page of a conversation in which the session is behind and queues it. Only the writer calls it.
func (s *Session) pull(conversation core.ConversationID, after core.Seq) {
	h := s.profile.hub
	s.mu.Lock()
	viewer, own := s.actor.User(), s.own
	s.feed.fetched = conversation
	var seen core.Seq
	if p := s.feed.find(conversation); p != nil {
		seen = p.seen
	}
	s.mu.Unlock()
	page, err := h.source.Page(h.ctx, viewer, conversation, after, s.profile.Whole)
	if err != nil {
		h.log.Error("catching up failed", "gateway", s.profile.Gateway, "conversation", conversation, "err", err)
		s.Abort(Failed)
		return
	}
	frames := s.profile.encodePage(page.Events, viewer, own)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feed.fetched = 0
	if s.phase != online {
		return
	}
	defer s.release()
	p := s.feed.find(conversation)
	if p == nil || !p.behind || p.sent != after {
		return // the user has left the room meanwhile
	}
	p.sent = max(p.sent, page.End)
	s.feed.unheard = true
	// An empty page ends it even if there is something that is not for this viewer, unless something came by that it was read too early for.
	if !page.More && (p.seen <= p.sent || page.End == after && p.seen == seen) {
		p.behind = false
		s.feed.behind--
	}
	if len(frames) > 0 {
		s.bulk = size(frames)
		s.enqueue(frames...)
	}
}

// release queues the events that were held back. s.mu is held.
func (s *Session) release() {
	if len(s.held) > 0 {
		s.enqueue(s.held...)
		s.held = nil
	}
}

// encodePage encodes what a viewer is shown of a page.
func (p *Profile) encodePage(page []core.MessagesPosted, viewer core.UserID, own string) (frames []Frame) {
	shown := page[:0]
	for _, ev := range page {
		if own != "" {
			ev.Messages = slices.DeleteFunc(ev.Messages, func(m core.Message) bool { return isOwn(m, own) })
		}
		if len(ev.Messages) > 0 && !p.Codec.Skips(ev, viewer) {
			shown = append(shown, ev)
		}
	}
	if c, ok := p.Codec.(PageCodec); ok && len(shown) > 0 {
		return c.EncodePage(shown)
	}
	for _, ev := range shown {
		frames = append(frames, p.Codec.Encode(ev)...)
	}
	return frames
}

// KeepAlive keeps the session from being silent when its user was heard elsewhere. It confirms nothing.
func (s *Session) KeepAlive() { s.heard.Store(s.profile.hub.wheel.now.Load()) }

// Heard is called for everything that is read from the peer: it keeps the session alive and, since an inbound frame
// proves that the peer still runs, confirms what its TCP had acknowledged before.
func (s *Session) Heard() {
	s.KeepAlive()
	if !s.profile.CatchUp {
		return
	}
	s.mu.Lock()
	got := s.confirmable()
	s.mu.Unlock()
	s.confirm(got)
}

// confirmable returns what an inbound frame confirms. s.mu is held.
func (s *Session) confirmable() []core.Position {
	f := &s.feed
	if !f.unheard && f.mark.places == nil {
		return nil
	}
	acked, known := s.acknowledged()
	if !known {
		acked, f.before = f.before, s.written
	}
	if acked >= s.queued {
		got := f.unconfirmed()
		f.mark, f.unheard = mark{}, false
		f.confirm(got)
		return got
	}
	var got []core.Position
	if f.mark.places != nil && acked >= f.mark.at {
		got = f.mark.places
		f.confirm(got)
		f.mark = mark{}
	}
	if f.mark.places == nil && f.unheard {
		f.mark, f.unheard = mark{at: s.queued, places: f.unconfirmed()}, false
	}
	return got
}

// acknowledged returns how many bytes of the stream the peer's TCP has acknowledged, if the kernel tells. s.mu is held.
func (s *Session) acknowledged() (uint64, bool) {
	pending, ok := unacknowledged(s.conn)
	if !ok || uint64(pending) > s.written {
		return 0, ok
	}
	return s.written - uint64(pending), true
}

func (f *feed) unconfirmed() (got []core.Position) {
	for i := range f.places {
		if p := &f.places[i]; p.sent > p.confirmed {
			got = append(got, core.Position{Conversation: p.conversation, Seq: p.sent})
		}
	}
	return got
}

func (f *feed) confirm(got []core.Position) {
	for _, g := range got {
		if p := f.find(g.Conversation); p != nil {
			p.confirmed = max(p.confirmed, g.Seq)
		}
	}
}

func size(frames []Frame) (n int) {
	for _, f := range frames {
		n += len(f.Bytes)
	}
	return n
}
