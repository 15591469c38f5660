package chat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode"

	"parley/internal/core"
)

const (
	// maxQuery is how long a text to look for may be, in bytes.
	maxQuery = 256
	// countUpTo is where it does not matter any more how frequent a term is.
	countUpTo = 2_000
)

// Search is what somebody looks for.
type Search struct {
	Text         string              // words and pieces of text, which all have to be there
	Conversation core.ConversationID // 0 for all that the actor is in
	Author       core.UserID         // 0 for everybody
	Cursor       string              // where to go on, as the page before said; "" for the first page
	Limit        int
}

// Found is a page of what was found.
type Found struct {
	Hits []Hit  // the newest first
	Next string // where to go on; "" if there is nothing more
}

// Hit is a message that was found.
type Hit struct {
	Conversation core.ConversationID
	Message      core.Message
}

// Search returns messages that the actor may read, the newest first.
func (s *Service) Search(ctx context.Context, actor core.Actor, q Search) (found Found, err error) {
	err = s.db.View(ctx, func(ctx context.Context) error {
		found.Hits, err = s.search(ctx, actor, q)
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("search: %w", err)
	}
	if n := len(found.Hits); n == bounded(q.Limit) {
		last := found.Hits[n-1]
		found.Next = fmt.Sprintf("%d-%d-%d", last.Message.At.UnixMilli(), last.Conversation, last.Message.Seq)
	}
	return found, nil
}

func (s *Service) search(ctx context.Context, actor core.Actor, q Search) ([]Hit, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	w := want(clean(q.Text))
	if len(q.Text) > maxQuery || len(w.words)+len(w.runs) == 0 {
		return nil, core.ErrInvalid
	}
	where, err := s.readable(ctx, actor, q.Conversation)
	if err != nil {
		return nil, err
	}
	lead, err := s.rarest(ctx, w)
	if err != nil {
		return nil, err
	}
	limit := bounded(q.Limit)
	var hits []Hit
	for _, c := range where {
		found, err := s.searchIn(ctx, c, lead, w, q, limit)
		if err != nil {
			return nil, err
		}
		hits = append(hits, found...)
	}
	slices.SortFunc(hits, newestFirst)
	hits = hits[:min(limit, len(hits))]
	for i := range hits {
		one := []core.Message{hits[i].Message}
		if err := s.addExtras(ctx, hits[i].Conversation, one); err != nil {
			return nil, err
		}
		hits[i].Message = one[0]
	}
	return hits, nil
}

func newestFirst(a, b Hit) int {
	return cmp.Or(b.Message.At.Compare(a.Message.At), cmp.Compare(b.Conversation, a.Conversation), cmp.Compare(b.Message.Seq, a.Message.Seq))
}

// stretch is a conversation from where on somebody may read it.
type stretch struct {
	id    core.ConversationID
	floor core.Seq
}

// readable returns what the actor may read: everything, or of one conversation.
func (s *Service) readable(ctx context.Context, actor core.Actor, id core.ConversationID) (list []stretch, err error) {
	if id != 0 {
		p, err := s.place(ctx, actor, id, toRead)
		return []stretch{{id, p.floor}}, err
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		var c stretch
		err := scan(&c.id, &c.floor)
		list = append(list, c)
		return err
	}, `SELECT c.id, CASE WHEN c.public = 1 THEN min(m.joined_seq, c.open_seq) ELSE m.joined_seq END
		FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ? ORDER BY c.id`, int64(actor.User()))
	return list, err
}

// lead is the term whose messages are looked through.
type lead struct {
	term      string
	beginning bool
}

// rarest returns the term of a query that the fewest messages have. Beginnings are a last resort.
func (s *Service) rarest(ctx context.Context, w wanted) (lead, error) {
	exact, beginnings := w.terms()
	if len(exact) == 0 {
		return lead{beginnings[0], true}, nil
	}
	best, fewest := exact[0], countUpTo+1
	for _, t := range exact {
		var n int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM search_term WHERE term = ? LIMIT ?)`, []any{t, countUpTo}, &n); err != nil {
			return lead{}, err
		}
		if n < fewest {
			best, fewest = t, n
		}
	}
	return lead{best, false}, nil
}

// Messages of a conversation that have a term are read along the index, the newest first, so that it does not matter how many
// there are. Terms with a common beginning have to be gathered.
const (
	foundWhere = `WHERE m.conversation_id = ?1 AND m.seq > ?2 AND m.deleted_at = 0 AND ?3 IN (0, m.sender_id)
		AND (m.created_at < ?4 OR m.created_at = ?4 AND (m.conversation_id < ?5 OR m.conversation_id = ?5 AND m.seq < ?6))`
	foundByTerm = `SELECT ` + messageColumns + ` FROM search_term t JOIN ` + messageTables + ` ` + foundWhere + `
		AND t.term = ?7 AND t.conversation_id = ?1 AND t.seq > ?2 AND m.seq = t.seq ORDER BY t.seq DESC`
	foundByBeginning = `SELECT ` + messageColumns + ` FROM ` + messageTables + ` ` + foundWhere + `
		AND m.seq IN (SELECT t.seq FROM search_term t WHERE t.term >= ?7 AND t.term < ?8 AND t.conversation_id = ?1 AND t.seq > ?2)
		ORDER BY m.seq DESC`
)

// searchIn returns the newest hits in one conversation.
func (s *Service) searchIn(ctx context.Context, c stretch, l lead, w wanted, q Search, limit int) (hits []Hit, err error) {
	before := time.Now().AddDate(1, 0, 0).UnixMilli()
	var conversation, seq int64
	if q.Cursor != "" {
		if n, err := fmt.Sscanf(q.Cursor, "%d-%d-%d", &before, &conversation, &seq); n != 3 || err != nil {
			return nil, core.ErrInvalid
		}
	}
	query, args := foundByTerm, []any{
		int64(c.id), int64(c.floor), int64(q.Author), before, conversation, seq, l.term,
	}
	if l.beginning {
		query, args = foundByBeginning, append(args, l.term+string(unicode.MaxRune))
	}
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for len(hits) < limit && rows.Next() {
		m, err := scanMessage(rows.Scan)
		if err != nil {
			return nil, err
		}
		if w.in(m.Text) {
			hits = append(hits, Hit{c.id, m})
		}
	}
	return hits, rows.Err()
}
