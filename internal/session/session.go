package session

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/core"
)

// Limits of every connection.
const (
	// WriteTimeout is how long a peer may take nothing before it is cut.
	WriteTimeout = 30 * time.Second
	// writeCheck is how often a write that waits looks whether the peer has taken something.
	writeCheck = 5 * time.Second
	// drainTimeout is how long a connection that is being closed may take for what is queued.
	drainTimeout = 5 * time.Second
	// lingerTimeout is how long a peer has to close its side after ours is closed; what it still sends is thrown away.
	lingerTimeout = 2 * time.Second
	// overflowFactor times QueueBytes is where even answers and notices, which cannot fall behind, are too many.
	overflowFactor = 4
	// probeEvery is how often a probe looks for its acknowledgement.
	probeEvery = 10 * time.Millisecond
	// writeChunk is how much leaves in one write.
	writeChunk = 32 << 10
)

type phase uint8

const (
	anonymous phase = iota // connected, not logged in
	starting               // registered, but events wait for the login's answer
	online
	closing // what is queued still leaves, nothing more comes in
)

// Session is one live connection.
type Session struct {
	profile *Profile
	conn    net.Conn
	id      int64
	heard   atomic.Int32 // the tick of the last inbound frame
	viewer  atomic.Int64 // the actor's user, for the hub

	mu       sync.Mutex // guards all below, but for the marked
	phase    phase
	eof      bool // the peer ended its stream cleanly
	writing  bool
	reading  bool // the gateway's reader has not called End
	aborted  bool
	reason   Reason
	known    bool // the hub knows it by Register or Listen
	actor    core.Actor
	own      string // what the client ids of the connection's own messages begin with
	out      []Frame
	outBytes int
	bulk     int    // bytes of the login's answer or of the page that was queued last: they are no sign of a slow peer
	queued   uint64 // bytes ever queued
	written  uint64 // bytes ever taken by the kernel
	room     chan struct{}
	held     []Frame // events that wait for the login's answer, or changes that wait for a page
	feed     feed

	opened       int32        // the tick of the connection's start
	next, prev   *Session     // in the wheel's slot; guarded by the wheel
	slot         int32        // guarded by the wheel
	holder       core.Actor   // in whose list it stands: the actor, or a listener's sponsor; set while it is in none
	peer         *Session     // the next session of the same holder; guarded by the hub's shard
	subscription []membership // guarded by the rooms
}

// Open makes the session of an accepted connection. The caller reads from the connection and calls End when it stops.
func (h *Hub) Open(p *Profile, conn net.Conn) *Session {
	s := &Session{profile: p, conn: conn, id: h.ids.Add(1), reading: true}
	s.opened = h.wheel.now.Load()
	s.heard.Store(s.opened)
	p.connections.Inc()
	left, _ := remaining(s, s.opened)
	h.wheel.add(s, left)
	if h.stopping.Load() {
		s.Close(Stopping)
	}
	return s
}

// Actor returns who is logged in on the connection; the zero Actor before the login.
func (s *Session) Actor() core.Actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actor
}

// Started reports whether Start has been called.
func (s *Session) Started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == online || s.phase == closing
}

// Own makes the session pass over messages whose client ids begin with prefix: they are the connection's own words, in
// a protocol that does not send them back.
func (s *Session) Own(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = prefix
}

// Send queues an answer. It never blocks; a peer that asks much and reads nothing is held back by Ready.
func (s *Session) Send(b []byte) { s.push(Frame{Bytes: b}) }

// push queues frames that cannot be had from the store again.
func (s *Session) push(frames ...Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == closing:
		return
	case s.outBytes > overflowFactor*s.profile.QueueBytes+s.bulk:
		s.close(Overflow, true)
		return
	}
	s.enqueue(frames...)
}

// enqueue appends to the queue and makes sure that a writer runs. s.mu is held.
func (s *Session) enqueue(frames ...Frame) {
	if s.out == nil {
		s.out = *slicePool.Get().(*[]Frame)
	}
	for _, f := range frames {
		s.out = append(s.out, f)
		s.outBytes += len(f.Bytes)
		s.queued += uint64(len(f.Bytes))
	}
	s.wake()
}

// wake starts the writer if none runs. s.mu is held.
func (s *Session) wake() {
	if s.writing {
		return
	}
	s.writing = true
	if g := s.profile.hub.gathering.Load(); g == nil || !g.add(s) {
		s.startWriter()
	}
}

func (s *Session) startWriter() { s.profile.hub.goroutines.Go("session writer", s.write) }

// Ready waits until the queue has room for the answers to another request. It reports whether the session goes on.
func (s *Session) Ready() bool {
	for {
		s.mu.Lock()
		if s.phase == closing {
			s.mu.Unlock()
			return false
		}
		if s.outBytes <= s.profile.QueueBytes {
			s.mu.Unlock()
			return true
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		<-room
		s.heard.Store(s.profile.hub.wheel.now.Load())
	}
}

// notifyRoom wakes a reader that waits in Ready. s.mu is held.
func (s *Session) notifyRoom() {
	if s.room != nil && (s.phase == closing || s.outBytes <= s.profile.QueueBytes) {
		close(s.room)
		s.room = nil
	}
}

// Close ends the connection: the peer is told if its protocol has words for it, what is queued leaves, then the socket
// is closed. It is idempotent and safe from anywhere.
func (s *Session) Close(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(reason, false)
}

// Abort ends the connection without waiting for the peer to take what is queued.
func (s *Session) Abort(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(reason, true)
}

func (s *Session) close(reason Reason, abort bool) {
	if s.phase == closing {
		if abort && !s.aborted {
			s.aborted = true
			_ = s.conn.SetDeadline(time.Now())
		}
		return
	}
	if say := s.profile.Farewell; say != nil && !abort {
		if b := say(reason, s.actor.User()); len(b) > 0 {
			s.enqueue(Frame{Bytes: b})
		}
	}
	s.phase, s.reason, s.held = closing, reason, nil
	s.feed.stop()
	s.notifyRoom()
	if abort {
		s.aborted = true
		_ = s.conn.SetDeadline(time.Now())
	} else {
		_ = s.conn.SetWriteDeadline(time.Now().Add(drainTimeout))
	}
	s.wake()
}

// Closing reports whether the connection is being closed; what is read from it then is thrown away.
func (s *Session) Closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == closing
}

// End is the reader's last call. At a clean end of the stream (eof) what the peer's TCP has taken counts as delivered.
func (s *Session) End(eof bool) {
	h := s.profile.hub
	reason := s.leave(eof)
	h.unregister(s) // after leave: a login that is still under way finds the session closing, or is undone here
	s.profile.connections.Dec()
	h.metrics.Closed.WithLabelValues(string(s.profile.Gateway), string(reason)).Inc()
	h.leftMu.Lock()
	defer h.leftMu.Unlock()
	h.wheel.remove(s)
	h.left.Broadcast()
}

// leave ends the reader's part: if the writer is through as well, the socket is closed. What a closing connection has
// still to write leaves even if its reader does not wait for that.
func (s *Session) leave(eof bool) Reason {
	s.mu.Lock()
	s.reading, s.eof = false, eof
	s.close(Ended, !eof && s.phase != closing)
	var got []core.Position
	if !s.writing {
		got = s.finish()
	}
	reason := s.reason
	s.mu.Unlock()
	s.confirm(got)
	return reason
}

// finish closes the socket and returns what has arrived: at a clean end of the stream, everything, if the peer's TCP
// has acknowledged it. s.mu is held.
func (s *Session) finish() (got []core.Position) {
	if s.eof && s.profile.CatchUp {
		if acked, known := s.acknowledged(); known && acked >= s.queued {
			got = s.feed.unconfirmed()
		}
	}
	conn := s.conn
	if encrypted, ok := conn.(*tls.Conn); ok { // closing that one would write
		conn = encrypted.NetConn()
	}
	_ = conn.Close()
	return got
}

// confirm passes on what has arrived. s.mu is not held.
func (s *Session) confirm(got []core.Position) {
	if len(got) > 0 {
		s.profile.hub.source.Confirm(s.Actor().User(), s.profile.Gateway, got)
	}
}

// Probe sends something to the peer and reports whether its TCP acknowledged it in time: whether it is still there.
func (s *Session) Probe(b []byte, within time.Duration) bool {
	s.Send(b)
	s.mu.Lock()
	at := s.queued
	s.mu.Unlock()
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	for end := time.Now().Add(within); ; <-t.C {
		s.mu.Lock()
		acked, known := s.acknowledged()
		gone, taken := s.phase == closing, s.written >= at
		s.mu.Unlock()
		switch {
		case gone:
			return false
		case known && acked >= at, !known && taken:
			return true
		case time.Now().After(end):
			return false
		}
	}
}

// write is the writer: it lives while there is something to write and, when a session is behind, fetches it.
func (s *Session) write() {
	buf := bufferPool.Get().(*[writeChunk]byte)
	defer bufferPool.Put(buf)
	rested := false
	defer func() {
		if !rested { // a codec panics: the connection must not stay without a writer
			s.mu.Lock()
			s.close(Failed, true)
			got, _ := s.rest()
			s.mu.Unlock()
			s.confirm(got)
		}
	}()
	for {
		s.mu.Lock()
		frames := s.out
		s.out = nil
		if s.aborted {
			frames = nil
		}
		viewer := s.actor.User()
		if len(frames) == 0 {
			if conv, after, ok := s.feed.nextBehind(); ok && s.phase == online {
				s.mu.Unlock()
				s.pull(conv, after)
				continue
			}
			got, half := s.rest()
			rested = true
			s.mu.Unlock()
			if half {
				s.closeHalf()
			}
			s.confirm(got)
			return
		}
		s.mu.Unlock()
		if err := s.writeFrames(frames, viewer, buf[:0]); err != nil {
			s.mu.Lock()
			reason := Ended
			if errors.Is(err, os.ErrDeadlineExceeded) {
				reason = Stuck
			}
			s.close(reason, true)
			s.mu.Unlock()
		}
	}
}

// rest ends the writer, and returns what finish does if it was the last one; half says that its side of the connection is to be
// closed. s.mu is held.
func (s *Session) rest() (got []core.Position, half bool) {
	s.writing = false
	switch {
	case s.phase != closing:
		return nil, false
	case !s.reading:
		return s.finish(), false
	case s.aborted:
		_ = s.conn.SetReadDeadline(time.Now())
		return nil, false
	}
	return nil, true
}

// closeHalf ends the writer's side, and leaves the peer a moment to do the same: closing the socket while input is unread would
// make the peer's TCP throw away what it has not read of ours. s.mu is not held.
func (s *Session) closeHalf() {
	if conn, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = conn.CloseWrite()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.aborted {
		_ = s.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	}
}

// writeFrames gathers frames into buf and writes it whenever it is full.
func (s *Session) writeFrames(frames []Frame, viewer core.UserID, buf []byte) error {
	defer func() {
		clear(frames)
		frames = frames[:0]
		slicePool.Put(&frames)
	}()
	for _, f := range frames {
		if len(buf)+len(f.Bytes) > cap(buf) && len(buf) > 0 {
			if err := s.flush(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		if len(f.Bytes) > cap(buf) {
			b := f.Bytes
			if f.ViewerAt > 0 {
				b = append([]byte(nil), b...)
				putViewer(b[f.ViewerAt:f.ViewerAt+ViewerWidth], viewer)
			}
			if err := s.flush(b); err != nil {
				return err
			}
			continue
		}
		at := len(buf)
		buf = append(buf, f.Bytes...)
		if f.ViewerAt > 0 {
			putViewer(buf[at+f.ViewerAt:at+f.ViewerAt+ViewerWidth], viewer)
		}
	}
	if len(buf) == 0 {
		return nil
	}
	return s.flush(buf)
}

// flush writes b. A peer that takes something within each WriteTimeout is slow, not stuck.
func (s *Session) flush(b []byte) error {
	patience := writeCheck
	_, encrypted := s.conn.(*tls.Conn)
	if encrypted { // it cannot go on after a write that was too late
		patience = WriteTimeout
	}
	for taken := time.Now(); len(b) > 0; {
		s.mu.Lock()
		if s.phase != closing {
			_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
		}
		s.mu.Unlock()
		n, err := s.conn.Write(b)
		s.mu.Lock()
		s.written += uint64(n)
		s.outBytes -= n
		s.notifyRoom()
		s.mu.Unlock()
		b = b[n:]
		if n > 0 {
			taken = time.Now()
		}
		if err != nil && (encrypted || !errors.Is(err, os.ErrDeadlineExceeded) || s.Closing() || time.Since(taken) >= WriteTimeout) {
			return err
		}
	}
	return nil
}

// putViewer fills a slot with an id, right-aligned.
func putViewer(slot []byte, id core.UserID) {
	for i := len(slot) - 1; i >= 0; i-- {
		if id == 0 && i < len(slot)-1 {
			slot[i] = ' '
			continue
		}
		slot[i] = byte('0' + id%10)
		id /= 10
	}
}

// bufferPool holds the writers' buffers, slicePool the queues' backing arrays: an idle session has neither.
var (
	bufferPool = sync.Pool{New: func() any { return new([writeChunk]byte) }}
	slicePool  = sync.Pool{New: func() any { s := make([]Frame, 0, 16); return &s }}
)
