package chat

import (
	"context"
	"fmt"
	"slices"
	"unicode"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

const (
	// maxQuery is how long a text to look for may be, in bytes.
	maxQuery = 256
	// countUpTo is where it does not matter any more how frequent a term is.
	countUpTo = 2_000
	// gatherUpTo is how often a beginning of terms may occur to be looked up: those of all terms have to be gathered.
	gatherUpTo = 500
	// searchRows is how many messages are looked at for one page of hits, searchChunk how many of one conversation before
	// others have their turn.
	searchRows  = 20_000
	searchChunk = 32
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
	Hits []Hit  // the newest first; there may be fewer than asked for, or none, though there is more
	Next string // where to go on; "" if there is nothing more
}

// Hit is a message that was found.
type Hit struct {
	Conversation core.ConversationID
	Message      core.Message
}

// Search returns messages that the actor may read, the newest first. One page looks at so many messages at most: what is
// rare may take several.
func (s *Service) Search(ctx context.Context, actor core.Actor, q Search) (found Found, err error) {
	err = s.db.View(ctx, func(ctx context.Context) error {
		found, err = s.search(ctx, actor, q)
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

func (s *Service) search(ctx context.Context, actor core.Actor, q Search) (Found, error) {
	if !actor.Known() {
		return Found{}, core.ErrLoginRequired
	}
	w := want(clean(q.Text))
	switch {
	case len(q.Text) > maxQuery:
		return Found{}, core.Because(core.ErrInvalid, fmt.Sprintf("What is looked for may have %d bytes", maxQuery))
	case len(w.words)+len(w.runs) == 0:
		return Found{}, core.Because(core.ErrInvalid, "There is no word in it to look for")
	}
	from, err := parsePosition(q.Cursor)
	if err != nil {
		return Found{}, err
	}
	where, err := s.readable(ctx, actor, q.Conversation)
	if err != nil {
		return Found{}, err
	}
	lead, err := s.rarest(ctx, w)
	if err != nil {
		return Found{}, err
	}
	hunt := &hunt{s: s, wanted: w, author: q.Author, lead: lead, left: searchRows}
	if err := hunt.begin(ctx, where, from); err != nil {
		return Found{}, err
	}
	limit := bounded(q.Limit)
	if err := hunt.run(ctx, limit); err != nil {
		return Found{}, err
	}
	places, next := hunt.page(limit)
	hits, err := s.load(ctx, where, places)
	return Found{hits, next}, err
}

// load reads the messages that were found.
func (s *Service) load(ctx context.Context, where []stretch, places []position) ([]Hit, error) {
	floors := map[core.ConversationID]core.Seq{}
	for _, c := range where {
		floors[c.id] = c.floor
	}
	seqs := map[core.ConversationID][]core.Seq{}
	for _, p := range places {
		seqs[p.conversation] = append(seqs[p.conversation], p.seq)
	}
	messages := map[core.Position]core.Message{}
	for id, list := range seqs {
		which, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		read, err := s.messages(ctx, id, floors[id], `SELECT `+messageColumns+` FROM `+messageTables+`
			WHERE m.conversation_id = ? AND m.seq IN (SELECT value FROM json_each(?))`, int64(id), string(which))
		if err != nil {
			return nil, err
		}
		for _, m := range read {
			messages[core.Position{Conversation: id, Seq: m.Seq}] = m
		}
	}
	var hits []Hit
	for _, p := range places {
		hits = append(hits, Hit{p.conversation, messages[core.Position{Conversation: p.conversation, Seq: p.seq}]})
	}
	return hits, nil
}

// stretch is a conversation from where on somebody may read it.
type stretch struct {
	id    core.ConversationID
	floor core.Seq
	last  core.Seq
}

// readable returns what the actor may read: everything, or of one conversation.
func (s *Service) readable(ctx context.Context, actor core.Actor, id core.ConversationID) (list []stretch, err error) {
	if id != 0 {
		p, err := s.place(ctx, actor, id, toRead)
		return []stretch{{id, p.floor, p.conversation.LastSeq}}, err
	}
	err = s.each(ctx, func(scan func(...any) error) error {
		var c stretch
		err := scan(&c.id, &c.floor, &c.last)
		list = append(list, c)
		return err
	}, `SELECT c.id, CASE WHEN c.public = 1 THEN min(m.joined_seq, c.open_seq) ELSE m.joined_seq END, c.last_seq
		FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ? ORDER BY c.id`, int64(actor.User()))
	return list, err
}

// lead is the term, or the beginning of terms, whose messages are looked at. The zero lead leads to all messages.
type lead struct {
	term      string
	beginning bool
}

// rarest returns what of a query the fewest messages have.
func (s *Service) rarest(ctx context.Context, w wanted) (best lead, err error) {
	exact, beginnings := w.terms()
	fewest := countUpTo + 1
	for _, t := range exact {
		var n int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM search_term WHERE term = ? LIMIT ?)`, []any{t, countUpTo}, &n); err != nil {
			return best, err
		}
		if n < fewest {
			best, fewest = lead{t, false}, n
		}
	}
	if len(exact) > 0 {
		return best, nil
	}
	fewest = gatherUpTo
	for _, b := range beginnings {
		var n int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM search_term WHERE term >= ? AND term < ? LIMIT ?)`,
			[]any{b, b + afterAll, gatherUpTo}, &n); err != nil {
			return best, err
		}
		if n < fewest {
			best, fewest = lead{b, true}, n
		}
	}
	return best, nil
}

// afterAll makes of a beginning what comes after all that begin so.
const afterAll = string(unicode.MaxRune)

// hunt goes through the messages that may be hits, those of all conversations together from the newest to the oldest.
type hunt struct {
	s      *Service
	wanted wanted
	author core.UserID
	lead   lead
	left   int // how many may still be looked at

	tracks []track // of conversations that have more
	found  []position
}

// track is how far a conversation has been gone through.
type track struct {
	stretch
	low position // the last one looked at
}

// begin looks at the newest message of each conversation below a position.
func (h *hunt) begin(ctx context.Context, where []stretch, from position) error {
	for _, c := range where {
		top, err := h.s.below(ctx, c, from)
		if err != nil {
			return err
		}
		t := track{stretch: c, low: position{seq: top + 1}}
		if more, err := h.look(ctx, &t, 1); err != nil {
			return err
		} else if more {
			h.tracks = append(h.tracks, t)
		}
	}
	return nil
}

// run looks on until there is a page of hits that nothing can come before any more, or it has looked at enough. It goes on
// where it has got least far, so that no conversation keeps those of another from being found.
func (h *hunt) run(ctx context.Context, limit int) error {
	for len(h.tracks) > 0 && h.left > 0 && h.settled() < limit {
		i := h.behind()
		more, err := h.look(ctx, &h.tracks[i], min(searchChunk, h.left))
		if err != nil {
			return err
		}
		if !more {
			h.tracks = slices.Delete(h.tracks, i, i+1)
		}
	}
	return nil
}

// behind returns the track on which the newest messages are not looked at yet.
func (h *hunt) behind() (at int) {
	for i := range h.tracks {
		if newer(h.tracks[i].low, h.tracks[at].low) < 0 {
			at = i
		}
	}
	return at
}

// settled returns how many hits there are that no others can come between.
func (h *hunt) settled() (n int) {
	low := h.tracks[h.behind()].low
	for _, p := range h.found {
		if newer(p, low) <= 0 {
			n++
		}
	}
	return n
}

// page returns the hits of a page and where the next one begins.
func (h *hunt) page(limit int) (hits []position, next string) {
	slices.SortFunc(h.found, newer)
	n := len(h.found)
	if len(h.tracks) > 0 {
		n = h.settled()
	}
	switch {
	case n > limit, n == limit && (len(h.tracks) > 0 || len(h.found) > n):
		return h.found[:limit], h.found[limit-1].String()
	case len(h.tracks) > 0:
		next = h.tracks[h.behind()].low.String()
	}
	return h.found[:n], next
}

// Messages that have a term are read along the index, so that it does not matter how many others there are. Terms with a common
// beginning have to be gathered.
const (
	lookByTerm = `SELECT m.seq, m.sender_id, m.text FROM search_term t JOIN message m ON m.conversation_id = t.conversation_id AND m.seq = t.seq
		WHERE t.term = ?5 AND t.conversation_id = ?1 AND t.seq > ?2 AND t.seq < ?3 ORDER BY t.seq DESC LIMIT ?4`
	lookByBeginning = `SELECT m.seq, m.sender_id, m.text FROM message m WHERE m.conversation_id = ?1 AND m.seq > ?2 AND m.seq < ?3
		AND m.seq IN (SELECT t.seq FROM search_term t WHERE t.term >= ?5 AND t.term < ?6 AND t.conversation_id = ?1)
		ORDER BY m.seq DESC LIMIT ?4`
	lookAtAll = `SELECT m.seq, m.sender_id, m.text FROM message m
		WHERE m.conversation_id = ?1 AND m.seq > ?2 AND m.seq < ?3 ORDER BY m.seq DESC LIMIT ?4`
)

// look looks at the next messages of a conversation, and reports whether there are more.
func (h *hunt) look(ctx context.Context, t *track, most int) (more bool, err error) {
	query, args := lookAtAll, []any{int64(t.id), int64(t.floor), int64(t.low.seq), most}
	switch {
	case h.lead.beginning:
		query, args = lookByBeginning, append(args, h.lead.term, h.lead.term+afterAll)
	case h.lead.term != "":
		query, args = lookByTerm, append(args, h.lead.term)
	}
	n, low := 0, t.low.seq
	var hits []core.Seq
	err = h.s.each(ctx, func(scan func(...any) error) error {
		var by core.UserID
		var text string
		err := scan(&low, &by, &text)
		n++
		if err == nil && (h.author == 0 || h.author == by) && h.wanted.in(text) {
			hits = append(hits, low)
		}
		return err
	}, query, args...)
	h.left -= n
	if err != nil {
		return false, err
	}
	for _, seq := range hits {
		p, err := h.s.position(ctx, t.stretch, seq)
		if err != nil {
			return false, err
		}
		h.found = append(h.found, p)
	}
	if n < most {
		return false, nil
	}
	t.low, err = h.s.position(ctx, t.stretch, low)
	return true, err
}
