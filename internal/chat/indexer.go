package chat

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/internal/core"
)

const (
	// indexBatch is how many messages of a conversation are indexed in one unit of work. It is short, since posts wait for it.
	indexBatch = 64
	// indexAfter is how long the indexer gathers before it begins.
	indexAfter = 100 * time.Millisecond
	// While posts are pending the indexer rests for this many times what a unit took, but no longer than indexRest.
	indexShare = 60
	indexRest  = 2 * time.Second
	// indexAgain is how long the indexer waits after a text was changed under its hands.
	indexAgain = 20 * time.Millisecond
)

// errTextChanged says that a text was changed while it was being indexed.
var errTextChanged = errors.New("a text has changed meanwhile")

// indexer makes messages findable, behind the posts. How far it is in each conversation is stored along with the terms.
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

// survey finds what was left to do when the server was stopped, or was said before there was an index.
func (x *indexer) survey() error {
	return x.s.each(context.Background(), func(scan func(...any) error) error {
		var id core.ConversationID
		err := scan(&id)
		x.note(id)
		return err
	}, `SELECT id FROM conversation WHERE last_seq > indexed_seq`)
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
	for {
		x.mu.Lock()
		list := make([]core.ConversationID, 0, len(x.behind))
		for id := range x.behind {
			list = append(list, id)
		}
		clear(x.behind)
		x.mu.Unlock()
		if len(list) == 0 {
			return true
		}
		for _, id := range list { // they take turns
			start := time.Now()
			more, err := x.index(context.Background(), id)
			if more {
				x.note(id)
			}
			pause := time.Duration(0)
			switch {
			case errors.Is(err, errTextChanged):
				x.note(id)
				pause = indexAgain
			case err != nil:
				x.note(id)
				pause = indexRest
				if !errors.Is(err, core.ErrStopping) {
					x.s.cfg.Log.Error("messages could not be indexed", "conversation", id, "err", err)
				}
			}
			if x.s.Pending() > 0 {
				pause = max(pause, min(indexShare*time.Since(start), indexRest))
			}
			if !x.rest(pause) {
				return false
			}
		}
	}
}

// index indexes the next messages of a conversation and reports whether there are more. They are read outside of the unit of
// work that stores their terms, which is void if a text was changed in between.
func (x *indexer) index(ctx context.Context, id core.ConversationID) (more bool, err error) {
	mark := x.s.texts.mark()
	var from, to core.Seq
	if err := x.s.db.QueryRow(ctx, `SELECT indexed_seq FROM conversation WHERE id = ?`, []any{int64(id)}, &from); err != nil {
		return false, err
	}
	var found []posting
	n := 0
	err = x.s.each(ctx, func(scan func(...any) error) error {
		var seq core.Seq
		var text string
		if err := scan(&seq, &text); err != nil {
			return err
		}
		for _, t := range termsOf(text) {
			found = append(found, posting{t, seq})
		}
		n++
		to = seq
		return nil
	}, `SELECT seq, text FROM message WHERE conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?`, int64(id), int64(from), indexBatch)
	if err != nil || n == 0 {
		return false, err
	}
	err = x.s.db.Update(ctx, func(ctx context.Context) error {
		if !x.s.texts.holds(mark) {
			return errTextChanged
		}
		for _, p := range found {
			if err := x.s.addTerm(ctx, id, p); err != nil {
				return err
			}
		}
		_, err := x.s.db.Exec(ctx, `UPDATE conversation SET indexed_seq = ? WHERE id = ?`, int64(to), int64(id))
		return err
	})
	return n == indexBatch, err
}

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
