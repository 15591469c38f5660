package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// attach fills in what a message to be shows beside its text, or returns what is wrong about it as the first result: an
// answer to what its author cannot read, or a file that is none of the conversation's, or not theirs to see.
func (s *Service) attach(ctx context.Context, e *entry, d Draft, m *core.Message) (wrong, err error) {
	id := e.conversation.ID
	if d.File > 0 {
		m.File = &core.File{ID: d.File}
		files, err := s.files(ctx, []core.FileID{d.File})
		if err != nil {
			return nil, err
		}
		f := files[d.File]
		if f == nil || f.Area != id || f.Kind != core.PlainFile {
			return core.ErrFileNotFound, nil
		}
		if f.Owner.ID != e.actor.User() {
			since, err := s.FilesSince(ctx, e.actor, id)
			if err != nil {
				return nil, err
			}
			if f.At.Before(since) {
				return core.ErrFileNotFound, nil
			}
		}
		m.File = f
	}
	if d.ReplyTo > 0 {
		quotes, known, err := s.quotes(ctx, id, []core.Seq{d.ReplyTo})
		if err != nil {
			return nil, err
		}
		if d.ReplyTo <= e.floor || !known[d.ReplyTo] {
			return core.ErrMessageNotFound, nil
		}
		m.Quote = quotes[d.ReplyTo]
	}
	return nil, nil
}

// addAttachments fills in the quotes and files of messages for somebody who may read what comes after floor: nothing is quoted to
// them that they may not read themselves.
func (s *Service) addAttachments(ctx context.Context, id core.ConversationID, floor core.Seq, list []core.Message) error {
	var seqs []core.Seq
	var ids []core.FileID
	for _, m := range list {
		if m.ReplyTo > floor && !m.Deleted {
			seqs = append(seqs, m.ReplyTo)
		}
		if m.File != nil {
			ids = append(ids, m.File.ID)
		}
	}
	quotes, _, err := s.quotes(ctx, id, seqs)
	if err != nil {
		return err
	}
	files, err := s.files(ctx, ids)
	if err != nil {
		return err
	}
	for i := range list {
		m := &list[i]
		if m.ReplyTo > floor && !m.Deleted {
			m.Quote = quotes[m.ReplyTo]
		}
		if m.File != nil {
			if f := files[m.File.ID]; f != nil && f.Area == id {
				m.File = f
			} else {
				m.FileGone = true
			}
		}
	}
	return nil
}

// quotesQuery goes from the numbers to the messages. More than is quoted of a text is not read.
const quotesQuery = `SELECT m.seq, m.sender_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), substr(m.text, 1, ?1), m.deleted_at > 0
	FROM json_each(?2) j CROSS JOIN message m ON m.conversation_id = ?3 AND m.seq = j.value LEFT JOIN "user" u ON u.uid = m.sender_id`

// quotes returns what is quoted of messages, and which of them there are. Of what was deleted nothing is quoted.
func (s *Service) quotes(ctx context.Context, id core.ConversationID, seqs []core.Seq) (quotes map[core.Seq]*core.Quote, known map[core.Seq]bool, err error) {
	if len(seqs) == 0 {
		return nil, nil, nil
	}
	which, err := json.Marshal(seqs)
	if err != nil {
		return nil, nil, err
	}
	quotes, known = map[core.Seq]*core.Quote{}, map[core.Seq]bool{}
	err = s.each(ctx, func(scan func(...any) error) error {
		var q core.Quote
		var seq core.Seq
		var deleted bool
		if err := scan(&seq, &q.Author.ID, &q.Author.Name, &q.Author.Avatar, &q.Text, &deleted); err != nil {
			return err
		}
		if known[seq] = true; !deleted {
			quotes[seq] = &q
		}
		return nil
	}, quotesQuery, core.MaxQuote, string(which), int64(id))
	return quotes, known, err
}

// filesQuery goes from the numbers to the files.
const filesQuery = `SELECT f.id, f.conversation_id, f.parent_id, f.owner_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), f.kind, f.name, f.size,
		f.sha256, f.type, f.created_at
	FROM json_each(?) j CROSS JOIN file f ON f.id = j.value LEFT JOIN "user" u ON u.uid = f.owner_id`

// files returns those of some files that there are.
func (s *Service) files(ctx context.Context, ids []core.FileID) (files map[core.FileID]*core.File, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	which, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	files = map[core.FileID]*core.File{}
	return files, s.each(ctx, func(scan func(...any) error) error {
		var f core.File
		var sum []byte
		var at int64
		if err := scan(&f.ID, &f.Area, &f.Parent, &f.Owner.ID, &f.Owner.Name, &f.Owner.Avatar, &f.Kind, &f.Name, &f.Size, &sum, &f.Type, &at); err != nil {
			return err
		}
		copy(f.SHA256[:], sum)
		f.At = time.UnixMilli(at)
		files[f.ID] = &f
		return nil
	}, filesQuery, string(which))
}

// fileOf returns the number of what a message has attached, 0 if there is nothing.
func fileOf(m *core.Message) core.FileID {
	if m.File == nil {
		return 0
	}
	return m.File.ID
}

// OnDetach has fn called for a file of a message that is deleted, if no other message shows it, in the unit of work that deletes the
// message. by is who wrote it. It must be called before the service is used.
func (s *Service) OnDetach(fn func(ctx context.Context, file core.FileID, by core.UserID) error) {
	s.detaching = append(s.detaching, fn)
}

// showingQuery goes from the files to the messages that show them.
const showingQuery = `SELECT m.conversation_id, m.seq FROM json_each(?) j
	CROSS JOIN message m ON m.file_id = j.value AND m.file_id > 0 WHERE m.deleted_at = 0`

// FilesChanged numbers a change of each message that shows one of some files and tells of it: they were deleted, or have other content.
// It is called in the unit of work that does it. A message that is deleted shows nothing, so what goes along with it changes nothing more.
func (s *Service) FilesChanged(ctx context.Context, files []core.FileID) error {
	which, err := json.Marshal(files)
	if err != nil {
		return err
	}
	var at []core.Position
	err = s.each(ctx, func(scan func(...any) error) error {
		var p core.Position
		err := scan(&p.Conversation, &p.Seq)
		at = append(at, p)
		return err
	}, showingQuery, string(which))
	slices.SortFunc(at, func(a, b core.Position) int {
		return cmp.Or(cmp.Compare(a.Conversation, b.Conversation), cmp.Compare(a.Seq, b.Seq))
	})
	var in place
	for _, m := range at {
		if err == nil && in.conversation.ID != m.Conversation {
			in, err = s.placeOfAll(ctx, m.Conversation)
		}
		if errors.Is(err, core.ErrConversationNotFound) { // it is closed, and nobody hears of it any more
			in, err = place{}, nil
			continue
		}
		if err == nil {
			err = s.changed(ctx, in, m.Seq, core.MessageChanged{Kind: core.FileChanged})
		}
	}
	if err != nil {
		return fmt.Errorf("change the messages that show files: %w", err)
	}
	return nil
}

// detach lets the file of a message that was just deleted go, unless another message shows it.
func (s *Service) detach(ctx context.Context, m *core.Message) error {
	if m.File == nil || m.FileGone {
		return nil
	}
	var shown bool
	err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM message WHERE file_id = ? AND file_id > 0 AND deleted_at = 0)`, []any{int64(m.File.ID)}, &shown)
	if err != nil || shown {
		return err
	}
	for _, fn := range s.detaching {
		if err := fn(ctx, m.File.ID, m.Author.ID); err != nil {
			return err
		}
	}
	return nil
}
