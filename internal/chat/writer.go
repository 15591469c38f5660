package chat

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"parley/internal/core"
	"parley/internal/obs"
)

const (
	// maxBatch is how many posts one unit of work stores at most.
	maxBatch = 512
	// gatherPosts is how many posts are published before sessions begin to write.
	gatherPosts = 64
	// maxPending is how many posts may wait; beyond it Post waits.
	maxPending = 8192
)

// writer is the group commit of posts: while one batch is being committed, the next one gathers. Each batch is one unit
// of work, with one update for each conversation in it.
type writer struct {
	s     *Service
	slots chan struct{} // one for each post that is not done
	kick  chan struct{} // there may be something to commit
	quit  chan struct{}

	mu      sync.Mutex // guards both
	pending []*entry
	stopped bool // nothing is taken any more
}

// entry is a post on its way.
type entry struct {
	actor        core.Actor
	conversation core.Conversation
	standing     int64    // when the actor's right to post in the room was read
	floor        core.Seq // what came up to here the actor cannot read
	members      []core.UserID
	post         Post
	mentions     [][]core.UserID // for each draft; nil if none has any
	done         func([]core.Message, error)
	at           time.Time
	alone        bool // its batch failed: it is tried in a unit of its own

	messages []core.Message // one for each draft, unless there is an error
	fresh    []core.Message // those that were not stored before
	err      error
}

func (w *writer) start(s *Service) {
	w.s = s
	w.slots = make(chan struct{}, maxPending)
	w.kick = make(chan struct{}, 1)
	w.quit = make(chan struct{})
	s.cfg.Goroutines.Go("chat writer", w.run)
}

// Pending returns how many posts wait for their commit.
func (s *Service) Pending() int { return len(s.writer.slots) }

func (w *writer) add(ctx context.Context, e *entry) error {
	select {
	case w.slots <- struct{}{}:
	case <-w.quit:
		return core.ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		<-w.slots
		return core.ErrStopping
	}
	w.pending = append(w.pending, e)
	w.wake()
	return nil
}

func (w *writer) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// run submits a unit whenever something is pending and none is waiting to begin.
func (w *writer) run() {
	for {
		select {
		case <-w.kick:
		case <-w.quit:
			w.abandon()
			return
		}
		w.mu.Lock()
		n := len(w.pending)
		w.mu.Unlock()
		if n > 0 {
			w.submit()
		}
	}
}

// abandon fails what is still pending when the time for the stop has run out.
func (w *writer) abandon() {
	w.mu.Lock()
	left := w.pending
	w.pending, w.stopped = nil, true
	w.mu.Unlock()
	w.finish(left, core.ErrStopping)
}

// submit hands the store a unit that takes its batch when it begins, and returns then.
func (w *writer) submit() {
	var batch []*entry
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { batch = w.take(); close(begun) })
	err := w.s.db.Submit(context.Background(), func(ctx context.Context) error {
		begin()
		return w.commit(ctx, batch)
	}, func(err error) {
		begin() // a transaction that could not even begin fails whoever waited for it
		w.finish(batch, err)
	})
	if err != nil {
		begin()
		w.finish(batch, err)
	}
	<-begun
}

// take removes the next batch from what is pending.
func (w *writer) take() []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.pending), maxBatch)
	if n > 0 && w.pending[0].alone {
		n = 1
	}
	batch := w.pending[:n:n]
	if w.pending = w.pending[n:]; len(w.pending) > 0 {
		w.wake()
	} else {
		w.pending = nil
	}
	return batch
}

// commit is the unit of work: it numbers and stores a batch.
func (w *writer) commit(ctx context.Context, batch []*entry) error {
	byConversation := make(map[core.ConversationID]*allotment)
	for _, e := range batch {
		a := byConversation[e.conversation.ID]
		if a == nil {
			a = &allotment{}
			byConversation[e.conversation.ID] = a
		}
		a.wanted += len(e.post.Drafts)
	}
	now := time.Now()
	for _, e := range batch {
		a := byConversation[e.conversation.ID]
		if !a.begun {
			var err error
			if a.last, err = w.s.allot(ctx, e.conversation.ID, a.wanted); err != nil {
				return err
			}
			a.begun, a.left = true, a.wanted
		}
		if err := w.store(ctx, e, a, now); err != nil {
			return err
		}
	}
	for id, a := range byConversation {
		if a.left > 0 {
			if err := w.s.giveBack(ctx, id, a.left); err != nil {
				return err
			}
		}
	}
	return nil
}

// allotment is the stretch of sequence numbers that a batch has in one conversation.
type allotment struct {
	wanted int
	begun  bool
	last   core.Seq // the last one used
	left   int
}

// store stores the messages of one post.
func (w *writer) store(ctx context.Context, e *entry, a *allotment, now time.Time) error {
	e.messages, e.fresh, e.err = make([]core.Message, 0, len(e.post.Drafts)), nil, nil
	if !w.s.standings.holds(e.standing) {
		var at place
		if at, e.err = w.s.place(ctx, e.actor, e.conversation.ID, toPost); e.err != nil {
			return nil //nolint:nilerr // it is the post's error, not the unit's
		}
		e.floor = at.floor
	}
	list, err := w.compose(ctx, e, now)
	if err != nil {
		return err
	}
	for _, m := range list {
		m.Seq = a.last + 1
		fresh, err := w.storeOne(ctx, e, &m)
		if err != nil {
			return err
		}
		if e.err != nil {
			return nil //nolint:nilerr // it is the post's error, not the unit's
		}
		e.messages = append(e.messages, m)
		if fresh {
			a.last++
			a.left--
		}
		if !fresh && e.fresh == nil {
			e.fresh = append([]core.Message{}, e.messages[:len(e.messages)-1]...)
		} else if fresh && e.fresh != nil {
			e.fresh = append(e.fresh, m)
		}
	}
	if e.fresh == nil {
		e.fresh = e.messages
	}
	return w.hideQuotes(ctx, e)
}

// hideQuotes takes from what everybody will hear the quotes of what not everybody may read. Their author gets them.
func (w *writer) hideQuotes(ctx context.Context, e *entry) error {
	quotes := func(m core.Message) bool { return m.Quote != nil }
	if e.conversation.Kind != core.Room || !slices.ContainsFunc(e.fresh, quotes) {
		return nil
	}
	at, err := w.s.placeOfAll(ctx, e.conversation.ID) // as the room is now
	if err != nil {
		return err
	}
	told := slices.Clone(e.fresh)
	for i := range told {
		if !quotes(told[i]) {
			continue
		}
		hidden, err := w.s.hiddenFrom(ctx, at, told[i].ReplyTo)
		if err != nil {
			return err
		}
		if len(hidden) > 0 {
			told[i].Quote = nil
		}
	}
	e.fresh = told
	return nil
}

// compose makes the messages of a post, which have no numbers yet: none if the post has an error, or is one that was stored
// before what it shows was gone.
func (w *writer) compose(ctx context.Context, e *entry, now time.Time) ([]core.Message, error) {
	author := authorOf(e.actor)
	list := make([]core.Message, len(e.post.Drafts))
	for i, d := range e.post.Drafts {
		m := core.Message{Author: author, ClientID: d.ClientID, Text: d.Text, Origin: e.post.Origin, At: now, ReplyTo: d.ReplyTo}
		if e.mentions != nil {
			m.Mentions = e.mentions[i]
		}
		wrong, err := w.s.attach(ctx, e, d, &m)
		if err != nil {
			return nil, err
		}
		if wrong != nil {
			return nil, w.refuse(ctx, e, &m, wrong)
		}
		list[i] = m
	}
	return list, nil
}

// refuse gives a post its error, unless it is sent again and was stored when there was nothing against it.
func (w *writer) refuse(ctx context.Context, e *entry, m *core.Message, wrong error) error {
	if e.post.Retry == RetryForever && m.ClientID != "" {
		was, err := w.s.storedUnder(ctx, m.Author.ID, m.ClientID, retryKey(e, m))
		if err == nil && was.is(e.conversation.ID, m) {
			w.repeat(m, was)
			e.messages, e.fresh = []core.Message{*m}, []core.Message{} // nobody hears of it again
			return nil
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	e.err = wrong
	return nil
}

// repeat fills in what a message that is sent again is stored as.
func (w *writer) repeat(m *core.Message, was stored) {
	m.Seq, m.At, m.Again = was.seq, was.at, true
	w.s.cfg.Metrics.Retries.Inc()
}

// storeOne stores a message, or finds that it is stored and fills in its number.
func (w *writer) storeOne(ctx context.Context, e *entry, m *core.Message) (fresh bool, err error) {
	retry := retryKey(e, m)
	if fresh, err = w.s.insert(ctx, e.conversation.ID, *m, retry); fresh || err != nil {
		return fresh, err
	}
	was, err := w.s.storedUnder(ctx, m.Author.ID, m.ClientID, retry)
	if err != nil {
		return false, err
	}
	same := was.is(e.conversation.ID, m)
	switch {
	case e.post.Retry == RetryForever && !same:
		e.err = core.ErrClientIDReused
		return false, nil
	case same && (e.post.Retry == RetryForever || m.At.Sub(was.at) < RetryWindow):
		w.repeat(m, was)
		return false, nil
	}
	if err := w.s.releaseRetry(ctx, was, -rand.Int64()-1); err != nil {
		return false, err
	}
	return w.s.insert(ctx, e.conversation.ID, *m, retry)
}

// retryKey is what makes two messages of one sender with one client id the same: nothing more, or their content.
func retryKey(e *entry, m *core.Message) int64 {
	if e.post.Retry == RetryForever {
		return 0
	}
	h := fnv.New64a()
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(e.conversation.ID))
	_, _ = h.Write(id[:])
	_, _ = h.Write([]byte(m.Text))
	if m.File != nil || m.ReplyTo > 0 {
		var more [16]byte
		binary.BigEndian.PutUint64(more[:], uint64(m.ReplyTo))
		binary.BigEndian.PutUint64(more[8:], uint64(fileOf(m)))
		_, _ = h.Write(more[:])
	}
	return int64(h.Sum64()>>1) | 1
}

// finish runs after the commit, in commit order: first the world hears of a post, then its author.
func (w *writer) finish(batch []*entry, err error) {
	if err != nil && len(batch) > 1 && !errors.Is(err, core.ErrStopping) && w.again(batch) {
		return
	}
	for part := range slices.Chunk(batch, gatherPosts) {
		w.s.cfg.Gather(func() {
			for _, e := range part {
				w.settle(e, err)
			}
		})
	}
}

// settle publishes a post and tells its author. A panic in either must not cost the others theirs.
func (w *writer) settle(e *entry, err error) {
	defer func() { <-w.slots }()
	defer obs.Recover(w.s.cfg.Log, "result of a post")
	if err != nil {
		e.done(nil, err)
		return
	}
	if len(e.fresh) > 0 && e.err == nil {
		w.publish(e)
	}
	e.done(e.messages, e.err)
}

// again puts a batch that failed back in front, each post to be tried alone: one bad post must not fail its neighbours.
// It reports whether there is still somebody to try.
func (w *writer) again(batch []*entry) bool {
	for _, e := range batch {
		e.alone = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.pending = append(batch, w.pending...)
	w.wake()
	return true
}

func (w *writer) publish(e *entry) {
	m := w.s.cfg.Metrics
	m.Messages.WithLabelValues(string(e.post.Origin)).Add(float64(len(e.fresh)))
	m.PostSeconds.Observe(time.Since(e.at).Seconds())
	c := e.conversation
	c.LastSeq = e.fresh[len(e.fresh)-1].Seq
	w.s.indexer.note(c.ID)
	w.s.cfg.Publish(core.MessagesPosted{Conversation: c, Messages: e.fresh, Members: e.members})
}

// stop waits until nothing is pending, or the context ends; then what is pending fails.
func (w *writer) stop(ctx context.Context) {
	defer close(w.quit)
	for taken := range maxPending {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			w.s.cfg.Log.Warn("posts were still pending at the stop", "posts", w.s.Pending()-taken)
			return
		}
	}
}
