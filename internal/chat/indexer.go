package chat

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	// indexWork is how much is indexed in one unit of work, which posts wait for: terms, and one for each message and each
	// conversation. The last message may go beyond it.
	indexWork = 2_000
	// indexRows is how many messages of a conversation are indexed in one unit of work.
	indexRows = 256
	// indexAfter is how long the indexer gathers before it begins.
	indexAfter = 100 * time.Millisecond
	// While posts are pending the indexer rests for this many times what a unit took, but no longer than indexRest.
	indexShare = 60
	indexRest  = 2 * time.Second
)

// indexer makes messages findable, behind the posts, and deletes those of closed rooms. How far it is in each conversation is stored along with the terms.
type indexer struct {
	s    *Service
	kick chan struct{}
	quit chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards behind
	behind map[core.ConversationID]struct{}
}

func (x *indexer) start(s *Service) {
	x.s = s
	x.behind = map[core.ConversationID]struct{}{}
	x.kick, x.quit, x.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	s.cfg.Goroutines.Go("search indexer", x.run)
}

func (x *indexer) stop() {
	close(x.quit)
	<-x.done
}

// note takes note that a conversation has messages that are not indexed.
func (x *indexer) note(id core.ConversationID) {
	x.mu.Lock()
	x.behind[id] = struct{}{}
	x.mu.Unlock()
	select {
	case x.kick <- struct{}{}:
	default:
	}
}

func (x *indexer) run() {
	defer close(x.done)
	if err := x.survey(); err != nil {
		x.s.cfg.Log.Error("what is not indexed could not be found out", "err", err)
	}
	for {
		select {
		case <-x.kick:
		case <-x.quit:
			return
		}
		if !x.rest(indexAfter) || !x.work() {
			return
		}
	}
}

// survey finds what was not indexed when the server was stopped, or was said before there was an index.
func (x *indexer) survey() error {
	return x.find(context.Background(), `SELECT id FROM conversation WHERE closed = 0 AND last_seq > indexed_seq`)
}

// find takes note of conversations in which something is left to do.
func (x *indexer) find(ctx context.Context, query string, args ...any) error {
	return x.s.each(ctx, func(scan func(...any) error) error {
		var id core.ConversationID
		err := scan(&id)
		x.note(id)
		return err
	}, query, args...)
}

// rest waits, and reports whether the service goes on.
func (x *indexer) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.quit:
		return false
	}
}

// work indexes until nothing is left, and reports whether the service goes on.
func (x *indexer) work() bool {
	var list []core.ConversationID
	for {
		if list = x.take(list); len(list) == 0 {
			return true
		}
		left, took, err := x.index(context.Background(), list)
		list = left
		pause := time.Duration(0)
		if err != nil {
			pause = indexRest
			if !errors.Is(err, core.ErrStopping) {
				x.s.cfg.Log.Error("messages could not be indexed", "err", err)
			}
		}
		if x.s.Pending() > 0 {
			pause = max(pause, min(indexShare*took, indexRest))
		}
		if !x.rest(pause) {
			return false
		}
	}
}

// take adds the conversations that were noted meanwhile to those that are left.
func (x *indexer) take(left []core.ConversationID) []core.ConversationID {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range left {
		delete(x.behind, id)
	}
	for id := range x.behind {
		left = append(left, id)
	}
	clear(x.behind)
	return left
}

// index indexes the next messages of conversations in one unit of work, in which nobody changes them, and returns the
// conversations that have more: they take turns. took is what the unit itself took.
func (x *indexer) index(ctx context.Context, list []core.ConversationID) (left []core.ConversationID, took time.Duration, err error) {
	err = x.s.db.Update(ctx, func(ctx context.Context) error {
		start := time.Now()
		defer func() { took = time.Since(start) }()
		left = nil
		work, at := 0, 0
		for ; at < len(list) && work < indexWork; at++ {
			n, more, err := x.indexOne(ctx, list[at], indexWork-work)
			if err != nil {
				return err
			}
			if more {
				left = append(left, list[at])
			}
			work += n
		}
		left = append(slices.Clone(list[at:]), left...)
		return nil
	})
	if err != nil {
		left = list
	}
	return left, took, err
}

// indexOne indexes the next messages of a conversation, and returns how much work it was and whether there are more.
func (x *indexer) indexOne(ctx context.Context, id core.ConversationID, atMost int) (work int, more bool, err error) {
	var from, to core.Seq
	var ended int
	if err := x.s.db.QueryRow(ctx, `SELECT indexed_seq, closed FROM conversation WHERE id = ?`, []any{int64(id)}, &from, &ended); err != nil {
		return 0, false, err
	}
	if ended == closing {
		return x.s.purge(ctx, id, atMost)
	}
	work, to = 1, from
	n := 0
	var found []posting
	err = x.s.each(ctx, func(scan func(...any) error) error {
		var seq core.Seq
		var text string
		if err := scan(&seq, &text); err != nil {
			return err
		}
		if n++; work >= atMost && to > from {
			return errEnough
		}
		terms := termsOf(text)
		for _, t := range terms {
			found = append(found, posting{t, seq})
		}
		work += 1 + len(terms)
		to = seq
		return nil
	}, `SELECT seq, text FROM message WHERE conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?`, int64(id), int64(from), indexRows)
	if more = n == indexRows || errors.Is(err, errEnough); err != nil && !more || to == from {
		return work, false, err
	}
	for _, p := range found {
		if err := x.s.addTerm(ctx, id, p); err != nil {
			return work, false, err
		}
	}
	_, err = x.s.db.Exec(ctx, `UPDATE conversation SET indexed_seq = ? WHERE id = ?`, int64(to), int64(id))
	return work, more, err
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")

// posting is that a message has a term.
type posting struct {
	term string
	seq  core.Seq
}

func (s *Service) addTerm(ctx context.Context, id core.ConversationID, p posting) error {
	_, err := s.db.Exec(ctx, `INSERT INTO search_term (term, conversation_id, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		p.term, int64(id), int64(p.seq))
	return err
}

// reindex makes a message findable under another text, in the unit of work that changes it, if the indexer has been there.
func (s *Service) reindex(ctx context.Context, id core.ConversationID, seq core.Seq, was, is string) error {
	var indexed core.Seq
	if err := s.db.QueryRow(ctx, `SELECT indexed_seq FROM conversation WHERE id = ?`, []any{int64(id)}, &indexed); err != nil || seq > indexed {
		return err
	}
	for _, t := range termsOf(was) {
		if _, err := s.db.Exec(ctx, `DELETE FROM search_term WHERE term = ? AND conversation_id = ? AND seq = ?`, t, int64(id), int64(seq)); err != nil {
			return err
		}
	}
	for _, t := range termsOf(is) {
		if err := s.addTerm(ctx, id, posting{t, seq}); err != nil {
			return err
		}
	}
	return nil
}
