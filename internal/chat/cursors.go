package chat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"parley/internal/core"
	"parley/internal/session"
)

const (
	// flushEvery is how long a confirmed position may wait in memory. What a crash takes is delivered again.
	flushEvery = 500 * time.Millisecond
	// A page holds no more messages, and no more text once it has one.
	pageMessages = 256
	pageBytes    = 128 << 10
	// Messages of one author that follow each other come as one event up to these.
	runMessages = 32
	runBytes    = 8 << 10
)

// cursors keeps what users' clients have got and stores it now and then.
type cursors struct {
	s    *Service
	quit chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards both maps
	fresh   map[cursor]core.Seq
	flushed map[cursor]core.Seq // being stored, or stored after the last tick: who read the database before that needs it
}

type cursor struct {
	user         core.UserID
	gateway      core.Gateway
	conversation core.ConversationID
}

func (c *cursors) start(s *Service) {
	c.s = s
	c.fresh = map[cursor]core.Seq{}
	c.quit, c.done = make(chan struct{}), make(chan struct{})
	s.cfg.Goroutines.Go("cursor keeper", c.run)
}

func (c *cursors) run() {
	defer close(c.done)
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.flush()
		case <-c.quit:
			c.flush()
			return
		}
	}
}

func (c *cursors) stop() {
	close(c.quit)
	<-c.done
}

// Confirm takes note of what the user's clients of a gateway have got.
func (s *Service) Confirm(user core.UserID, gateway core.Gateway, got []core.Position) {
	c := &s.cursors
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range got {
		k := cursor{user, gateway, p.Conversation}
		c.fresh[k] = max(c.fresh[k], p.Seq)
	}
}

func (c *cursors) flush() {
	c.mu.Lock()
	c.flushed, c.fresh = c.fresh, map[cursor]core.Seq{}
	c.mu.Unlock()
	if len(c.flushed) == 0 {
		return
	}
	err := c.s.db.Update(context.Background(), func(ctx context.Context) error {
		for k, seq := range c.flushed {
			if _, err := c.s.db.Exec(ctx, `INSERT INTO cursor (user_id, gateway, conversation_id, seq) VALUES (?, ?, ?, ?)
				ON CONFLICT (user_id, gateway, conversation_id) DO UPDATE SET seq = max(seq, excluded.seq)`,
				int64(k.user), string(k.gateway), int64(k.conversation), int64(seq)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	c.s.cfg.Log.Error("cursors could not be stored", "cursors", len(c.flushed), "err", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, seq := range c.flushed {
		c.fresh[k] = max(c.fresh[k], seq)
	}
}

// confirmed returns what is confirmed but perhaps not stored yet.
func (c *cursors) confirmed(k cursor) core.Seq {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.fresh[k], c.flushed[k])
}

// Behind returns, for each conversation with messages that the user's clients of a gateway have not got, the position
// that they have. The first call for a gateway pins its start: the newest messages of each conversation.
func (s *Service) Behind(ctx context.Context, user core.UserID, gateway core.Gateway) ([]core.Position, error) {
	if err := s.pinStart(ctx, user, gateway); err != nil {
		return nil, err
	}
	positions, heads, err := s.unconfirmed(ctx, user, gateway)
	if err != nil {
		return nil, err
	}
	behind := positions[:0]
	for i, p := range positions {
		p.Seq = max(p.Seq, s.cursors.confirmed(cursor{user, gateway, p.Conversation}))
		if p.Conversation == core.Lobby {
			if p.Seq, err = s.lobbyStart(ctx, p.Seq, heads[i]); err != nil {
				return nil, err
			}
		}
		if p.Seq < heads[i] {
			behind = append(behind, p)
		}
	}
	return behind, nil
}

// unconfirmed returns where the stored cursors are not at the head, and the heads.
func (s *Service) unconfirmed(ctx context.Context, user core.UserID, gateway core.Gateway) (at []core.Position, heads []core.Seq, err error) {
	rows, err := s.db.Query(ctx, `SELECT c.id, c.last_seq, max(COALESCE(k.seq, 0), m.joined_seq)
		FROM member m JOIN conversation c ON c.id = m.conversation_id
		LEFT JOIN cursor k ON k.user_id = m.user_id AND k.gateway = ? AND k.conversation_id = c.id
		WHERE m.user_id = ? AND c.last_seq > max(COALESCE(k.seq, 0), m.joined_seq)`, string(gateway), int64(user))
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p core.Position
		var head core.Seq
		if err := rows.Scan(&p.Conversation, &head, &p.Seq); err != nil {
			return nil, nil, err
		}
		at, heads = append(at, p), append(heads, head)
	}
	return at, heads, rows.Err()
}

// pinStart stores where a gateway's clients start, once.
func (s *Service) pinStart(ctx context.Context, user core.UserID, gateway core.Gateway) error {
	var used bool
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM gateway_use WHERE user_id = ? AND gateway = ?)`,
		[]any{int64(user), string(gateway)}, &used); err != nil || used {
		return err
	}
	return s.db.Update(ctx, func(ctx context.Context) error {
		first, err := s.db.Exec(ctx, `INSERT INTO gateway_use (user_id, gateway, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			int64(user), string(gateway), time.Now().UnixMilli())
		if err != nil || first == 0 {
			return err
		}
		_, err = s.db.Exec(ctx, `INSERT INTO cursor (user_id, gateway, conversation_id, seq)
			SELECT m.user_id, ?, c.id, max(m.joined_seq, c.last_seq - ?)
			FROM member m JOIN conversation c ON c.id = m.conversation_id WHERE m.user_id = ?
			ON CONFLICT DO NOTHING`, string(gateway), firstUse, int64(user))
		return err
	})
}

// lobbyStart bounds how far back the lobby is replayed.
func (s *Service) lobbyStart(ctx context.Context, after, last core.Seq) (core.Seq, error) {
	after = max(after, last-lobbyReplay)
	var young core.Seq
	err := s.db.QueryRow(ctx, `SELECT COALESCE(MIN(seq), ?) FROM message
		WHERE conversation_id = ? AND seq > ? AND created_at >= ?`,
		[]any{int64(last) + 1, int64(core.Lobby), int64(after), time.Now().Add(-lobbyReplayAge).UnixMilli()}, &young)
	return max(after, young-1), err
}

// Heads returns where each of a user's conversations ends.
func (s *Service) Heads(ctx context.Context, user core.UserID) (heads []core.Position, err error) {
	rows, err := s.db.Query(ctx, `SELECT m.conversation_id, c.last_seq FROM member m JOIN conversation c ON c.id = m.conversation_id
		WHERE m.user_id = ?`, int64(user))
	if err != nil {
		return nil, fmt.Errorf("heads: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p core.Position
		if err := rows.Scan(&p.Conversation, &p.Seq); err != nil {
			return nil, fmt.Errorf("heads: %w", err)
		}
		heads = append(heads, p)
	}
	return heads, rows.Err()
}

// Page reads what follows a position of a conversation. Of a room it has what was said while the viewer is in it; viewer 0
// is for listeners, who are shown the room by their gateway. A whole page has what was deleted, as such, and all that belongs
// to its messages.
func (s *Service) Page(ctx context.Context, viewer core.UserID, id core.ConversationID, after core.Seq, whole bool) (session.Page, error) {
	page := session.Page{End: after}
	conv, members, err := s.conversation(ctx, id)
	if errors.Is(err, core.ErrConversationNotFound) {
		return page, nil
	}
	if err != nil {
		return page, err
	}
	if conv.Kind == core.Direct && !slices.Contains(members, viewer) {
		return page, nil
	}
	if id == core.Lobby || conv.Kind == core.Direct {
		viewer = 0 // everybody is in the lobby
	}
	list, err := s.readPage(ctx, viewer, id, &page, whole)
	if err != nil {
		return page, err
	}
	for _, m := range list {
		if whole || !m.Deleted { // what was deleted is delivered to nobody any more who could not tell
			addToRun(&page, conv, members, m)
		}
	}
	return page, nil
}

// readPage reads the messages of a page, and where it ends.
func (s *Service) readPage(ctx context.Context, viewer core.UserID, id core.ConversationID, page *session.Page, whole bool) ([]core.Message, error) {
	what, complete := postedColumns+`, 0 FROM `+postedTables, s.addAttachments
	if whole {
		what, complete = messageColumns+` FROM `+messageTables, s.addExtras
	}
	var list []core.Message
	bytes := 0
	err := s.each(ctx, func(scan func(...any) error) error {
		if len(list) == pageMessages || bytes >= pageBytes {
			page.More = true
			return errEnough
		}
		m, err := scanMessage(scan)
		list, bytes, page.End = append(list, m), bytes+len(m.Text), m.Seq
		return err
	}, `SELECT `+what+` WHERE m.conversation_id = ?1 AND m.seq > ?2 AND m.seq > (SELECT CASE WHEN ?4 = 0 THEN 0 ELSE
			COALESCE((SELECT joined_seq FROM member WHERE user_id = ?4 AND conversation_id = ?1), ?5) END)
		ORDER BY m.seq LIMIT ?3`, int64(id), int64(page.End), pageMessages+1, int64(viewer), int64(math.MaxInt64)) // one statement: nobody leaves between its parts
	if err != nil && !errors.Is(err, errEnough) || len(list) == 0 {
		return nil, err
	}
	floor, err := s.quotedFrom(ctx, viewer, id, list)
	if err != nil {
		return nil, err
	}
	return list, complete(ctx, id, floor, list)
}

// quotedFrom returns up to where nothing may be quoted to the viewer of a page. It is looked up if there is an answer in it.
func (s *Service) quotedFrom(ctx context.Context, viewer core.UserID, id core.ConversationID, list []core.Message) (core.Seq, error) {
	if viewer == 0 || !slices.ContainsFunc(list, func(m core.Message) bool { return m.ReplyTo > 0 }) {
		return 0, nil
	}
	st, err := s.standingOf(ctx, viewer, id)
	if errors.Is(err, core.ErrConversationNotFound) || err == nil && st.role == 0 {
		return math.MaxInt64, nil // they have left meanwhile
	}
	return st.floor(), err
}

// addToRun appends a message to the page's last event if it continues it, else as a new event.
func addToRun(page *session.Page, conv core.Conversation, members []core.UserID, m core.Message) {
	if n := len(page.Events); n > 0 {
		last := &page.Events[n-1]
		size := len(m.Text)
		for i := range last.Messages {
			size += len(last.Messages[i].Text)
		}
		prev := last.Messages[len(last.Messages)-1]
		if prev.Seq+1 == m.Seq && prev.Author.ID == m.Author.ID && prev.Origin == m.Origin && len(last.Messages) < runMessages && size <= runBytes {
			last.Messages = append(last.Messages, m)
			return
		}
	}
	page.Events = append(page.Events, core.MessagesPosted{Conversation: conv, Messages: []core.Message{m}, Members: members})
}
