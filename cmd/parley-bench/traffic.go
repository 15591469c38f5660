package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	readBuffer = 128 << 10
	// drainWithin is how long the last messages may be on their way after the senders have stopped.
	drainWithin = 20 * time.Second
	// quiet is how long the run listens for what should not come any more.
	quiet = 200 * time.Millisecond
)

// traffic is a load of text messages: some parties send, some listen, and each checks what it gets.
type traffic struct {
	o       *options
	server  *server
	events  bool    // over WebSockets
	oneRoom bool    // everybody hears everybody else
	window  int     // messages that each sender keeps outstanding
	rate    float64 // messages a second of all senders together; 0: as the window allows
	parties []*party
	senders []*party

	from, until int64 // what is measured, in the time of now
	over        atomic.Bool
}

// party is one connection of a traffic.
type party struct {
	*client
	t *traffic

	// Of a sender.
	message     *message // nil for those who only listen
	batch       []byte
	nextSeq     uint32
	nextAck     uint32
	sent, acked atomic.Uint64
	measured    uint64 // of the acknowledgements

	// Of a listener.
	sources   []*party
	expects   []uint32 // the next message from each sender, unheard for those who are not its sources
	heard     atomic.Uint64
	order     uint64 // a digest of what was heard, in its order
	latencies latencies
	delivered uint64 // the measured part of heard
}

// unheard is a message number that no sender reaches.
const unheard = math.MaxUint32

// join logs an account in as a party.
func (t *traffic) join(ctx context.Context, a account) error {
	dial := connect
	if t.events {
		dial = connectEvents
	}
	c, err := dial(ctx, t.server, a, make([]byte, readBuffer))
	if err != nil {
		return err
	}
	t.parties = append(t.parties, &party{client: c, t: t})
	return nil
}

// sendsTo makes a party a sender, to a user or, over a WebSocket, to a conversation.
func (p *party) sendsTo(uid int64) {
	if p.t.events {
		p.message = newCommand(uid, len(p.t.senders), p.t.o)
	} else {
		p.message = newMessage(p.account.uid, uid, len(p.t.senders), p.t.o)
	}
	p.t.senders = append(p.t.senders, p)
}

// hears makes a party a listener to some of the senders, who must all be known.
func (p *party) hears(senders ...*party) {
	p.expects = make([]uint32, len(p.t.senders))
	for i := range p.expects {
		p.expects[i] = unheard
	}
	p.sources = senders
	for _, s := range senders {
		p.expects[s.message.sender] = 0
	}
}

// run puts the load on the server and returns what the measured part of it cost.
func (t *traffic) run(ctx context.Context) (usage, error) {
	t.schedule()
	parties, ctx := errgroup.WithContext(ctx)
	deadline := began.Add(time.Duration(t.until) + drainWithin + quiet)
	for _, p := range t.parties {
		if err := p.conn.SetDeadline(deadline); err != nil {
			return usage{}, err
		}
		parties.Go(p.read)
	}
	pacers, paced := errgroup.WithContext(ctx)
	for i, p := range t.senders {
		if t.rate > 0 {
			pacers.Go(func() error { return p.pace(paced, i) })
		}
	}
	pacers.Go(func() error { return t.beat(paced) })
	cost, err := t.watch(paced)
	err = errors.Join(err, pacers.Wait())
	if err == nil {
		err = t.drain(ctx)
	}
	t.over.Store(true)
	for _, p := range t.parties {
		p.cut()
	}
	// A party's own failure says more than what followed from it.
	if perr := parties.Wait(); perr != nil {
		return cost, perr
	}
	return cost, errors.Join(err, t.sameOrder())
}

// schedule lets the warm-up begin now.
func (t *traffic) schedule() {
	t.from = now() + int64(t.o.Warmup)
	t.until = t.from + int64(t.o.Duration)
}

// watch takes the usage over the measured time.
func (t *traffic) watch(ctx context.Context) (usage, error) {
	if err := sleepUntil(ctx, t.from); err != nil {
		return usage{}, err
	}
	before, err := t.server.usage(ctx)
	if err != nil {
		return usage{}, err
	}
	if err := sleepUntil(ctx, t.until); err != nil {
		return usage{}, err
	}
	after, err := t.server.usage(ctx)
	return after.since(before), err
}

func sleepUntil(ctx context.Context, at int64) error {
	select {
	case <-time.After(time.Duration(at - now())):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// beat sends everybody's heartbeats until the load ends.
func (t *traffic) beat(ctx context.Context) error {
	for at := now() + int64(t.o.Heartbeat); at < t.until; at += int64(t.o.Heartbeat) {
		if err := sleepUntil(ctx, at); err != nil {
			return err
		}
		for _, p := range t.parties {
			if err := p.beat(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pace sends at the party's share of the rate, whatever the answers. A message counts as sent when it was due, so that a
// server that holds the senders up does not look quicker for it.
func (p *party) pace(ctx context.Context, i int) error {
	step := float64(len(p.t.senders)) / p.t.rate * float64(time.Second)
	start := now() + int64(step*float64(i)/float64(len(p.t.senders)))
	for {
		due := start + int64(step*float64(p.nextSeq))
		if due >= p.t.until {
			return nil
		}
		if err := sleepUntil(ctx, due); err != nil {
			return err
		}
		p.batch = p.batch[:0]
		for end := min(now()+1, p.t.until); due < end; due = start + int64(step*float64(p.nextSeq)) {
			p.batch = p.message.appendTo(p.batch, p.nextSeq, due)
			p.nextSeq++
		}
		p.sent.Store(uint64(p.nextSeq))
		if _, err := p.conn.Write(p.batch); err != nil {
			return err
		}
	}
}

// send sends n messages, each in a frame of its own.
func (p *party) send(n int, at int64) error {
	p.batch = p.batch[:0]
	for range n {
		p.batch = p.message.appendTo(p.batch, p.nextSeq, at)
		p.nextSeq++
	}
	p.sent.Store(uint64(p.nextSeq))
	_, err := p.conn.Write(p.batch)
	return err
}

// read takes what the server sends until the run is over.
func (p *party) read() error {
	if p.message != nil && p.t.rate == 0 {
		if err := p.send(p.t.window, now()); err != nil {
			return err
		}
	}
	for {
		if err := p.fill(); err != nil {
			if p.t.over.Load() && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("user %d: %w", p.account.uid, err)
		}
		if err := p.take(now()); err != nil {
			return fmt.Errorf("user %d: %w", p.account.uid, err)
		}
	}
}

// take handles all frames that were read at one moment.
func (p *party) take(at int64) error {
	measured := at >= p.t.from && at < p.t.until
	acks, heard := uint64(p.nextAck), p.heard.Load()
	first := heard
	for id, body, ok := p.next(); ok; id, body, ok = p.next() {
		var err error
		switch id {
		case textRsp:
			err = p.acknowledged(body)
		case textPush:
			var n int
			n, err = p.hear(body, at, measured)
			heard += uint64(n)
		case heartbeatRsp:
			err = p.refused(body)
		default:
			err = fmt.Errorf("unexpected frame %d: %.200s", id, body)
		}
		if err != nil {
			return err
		}
	}
	acks = uint64(p.nextAck) - acks
	if measured {
		p.measured += acks
		p.delivered += heard - first
	}
	if acks > 0 && p.t.rate == 0 && at < p.t.until {
		if err := p.send(int(acks), now()); err != nil {
			return err
		}
	}
	// After what was sent, so that acked and sent are equal only when nothing more is coming.
	p.acked.Store(uint64(p.nextAck))
	p.heard.Store(heard)
	return nil
}

func (p *party) acknowledged(body []byte) error {
	if err := p.refused(body); err != nil {
		return err
	}
	s, rest, err := nextStamp(body)
	switch {
	case err != nil:
		return err
	case rest == nil || p.message == nil || s.sender != p.message.sender:
		return fmt.Errorf("not this sender's acknowledgement: %.200s", body)
	case s.seq != p.nextAck:
		return fmt.Errorf("message %d is acknowledged, message %d should be", s.seq, p.nextAck)
	}
	p.nextAck++
	return nil
}

// hear checks the messages of a push and returns how many they are.
func (p *party) hear(body []byte, at int64, measured bool) (n int, err error) {
	for {
		s, rest, err := nextStamp(body)
		switch {
		case err != nil:
			return n, err
		case rest == nil && n == 0:
			return 0, fmt.Errorf("a push without a message of this run: %.200s", body)
		case rest == nil:
			return n, nil
		case s.sender >= len(p.expects) || p.expects[s.sender] == unheard:
			return n, fmt.Errorf("a message of sender %d is not for this user", s.sender)
		case s.seq != p.expects[s.sender]:
			return n, fmt.Errorf("message %d of sender %d comes, message %d should", s.seq, s.sender, p.expects[s.sender])
		}
		p.expects[s.sender]++
		p.order = (p.order ^ (uint64(s.sender)<<32 | uint64(s.seq))) * 0x100000001b3
		if measured {
			p.latencies.add(at - s.at)
		}
		n++
		body = rest
	}
}

// drain waits until everything sent is acknowledged and heard, and a little longer for what should not come.
func (t *traffic) drain(ctx context.Context) error {
	limit := now() + int64(drainWithin)
	for {
		missing := t.missing()
		if missing == nil {
			return sleepUntil(ctx, now()+int64(quiet))
		}
		if now() > limit {
			return missing
		}
		if err := sleepUntil(ctx, now()+int64(5*time.Millisecond)); err != nil {
			return err
		}
	}
}

// missing says what has been sent and did not arrive yet.
func (t *traffic) missing() error {
	for _, p := range t.senders {
		acked := p.acked.Load()
		if sent := p.sent.Load(); acked != sent {
			return fmt.Errorf("user %d sent %d messages, %d are acknowledged", p.account.uid, sent, acked)
		}
	}
	for _, p := range t.parties {
		var want uint64
		for _, s := range p.sources {
			want += s.sent.Load()
		}
		if heard := p.heard.Load(); heard != want {
			return fmt.Errorf("user %d should have heard %d messages, and heard %d", p.account.uid, want, heard)
		}
	}
	return nil
}

// sameOrder checks that those who heard the same messages of a room heard them in the same order: those who only listen, and
// over WebSockets, which bring everybody their own words, all.
func (t *traffic) sameOrder() error {
	if !t.oneRoom {
		return nil
	}
	var first *party
	for _, p := range t.parties {
		if p.message != nil && !t.events {
			continue
		}
		if first == nil {
			first = p
		}
		if p.order != first.order {
			return fmt.Errorf("users %d and %d heard the same messages in different orders", first.account.uid, p.account.uid)
		}
	}
	return nil
}

// sum adds up what the parties measured: acknowledged messages, deliveries, and their latencies.
func (t *traffic) sum() (acked, delivered uint64, l *latencies) {
	l = &latencies{}
	for _, p := range t.parties {
		acked += p.measured
		delivered += p.delivered
		l.merge(&p.latencies)
	}
	return acked, delivered, l
}
