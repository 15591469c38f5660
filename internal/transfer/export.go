package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/durable"
	"parley/internal/file"
	"parley/internal/store"
)

// ArchivesConfig is what archives are made of.
type ArchivesConfig struct {
	DB        *store.DB
	Accounts  *account.Service
	Contacts  *contact.Service
	Chat      *chat.Service
	Files     *file.Service
	Audit     *audit.Log
	AvatarDir string
	Log       *slog.Logger
}

// Archives writes and reads archives: of everything, and of what is one person's.
type Archives struct {
	ArchivesConfig
	avatars avatars
}

// NewArchives returns the archives of one installation.
func NewArchives(cfg ArchivesConfig) *Archives {
	return &Archives{ArchivesConfig: cfg, avatars: avatars{cfg.AvatarDir}}
}

// Advance says how far something long is: at which part, and at which byte of the archive, of how many (0 if that is not known).
type Advance func(part string, done, total int64)

// Export asks for an archive.
type Export struct {
	File  string // to write
	User  string // whose: a uid, name, e-mail address or phone number; "" for everything
	Force bool   // an existing file is replaced
}

// Exported is what an archive holds.
type Exported struct {
	Size    int64
	Counts  Counts
	LeftOut []string // what could not be read, a sentence each
}

// Counts is how many things of each kind an archive holds.
type Counts = counts

// Export writes an archive. All in it is of one moment; the server goes on meanwhile. The file appears when it is whole.
func (a *Archives) Export(ctx context.Context, actor core.Actor, from core.Origin, in Export, advance Advance) (out Exported, err error) {
	if !actor.Operator() {
		return out, fmt.Errorf("export: %w", core.ErrForbidden)
	}
	if err := freeFor(in); err != nil {
		return out, fmt.Errorf("export: %w", err)
	}
	e := &export{Archives: a, actor: actor, advance: advance}
	if in.User != "" {
		if e.person, err = a.Accounts.Find(ctx, actor, in.User); err != nil {
			return out, fmt.Errorf("export: %w", err)
		}
	}
	if err := e.write(ctx, in); err != nil {
		return out, fmt.Errorf("export: %w", err)
	}
	what, target := "account.export", fmt.Sprint("user ", e.person.ID)
	if e.person.ID == 0 {
		what, target = "server.export", "everything"
	}
	if err := a.Audit.Record(ctx, actor, what, target, "", from); err != nil {
		return out, errors.Join(fmt.Errorf("export: %w", err), os.Remove(in.File))
	}
	a.Log.Info("an archive was written", "of", target, "bytes", e.size)
	return Exported{e.size, e.m.Counts, e.leftOut}, nil
}

func freeFor(in Export) error {
	if !filepath.IsAbs(in.File) {
		return fmt.Errorf("%q is no absolute path", in.File)
	}
	info, err := os.Lstat(in.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular(): // a link, say, or a device
		return fmt.Errorf("%s exists already and is no plain file, which --force does not replace", in.File)
	case !in.Force:
		return fmt.Errorf("%s exists already", in.File)
	}
	return nil
}

// export is an archive being written.
type export struct {
	*Archives
	actor   core.Actor
	person  core.User // 0: everything
	advance Advance
	out     *output
	m       manifest
	size    int64
	leftOut []string
	lost    map[core.FileID]bool               // files whose bytes could not be read
	own     map[core.ConversationID][]core.Seq // of one person: the numbers of their own messages in a room
	direct  map[core.ConversationID]bool       // of one person: their direct chats
	names   map[string]bool                    // of the users in it
	others  map[core.UserID]bool               // of one person: whom they know
}

// write writes the archive under another name, and gives it its own when it is whole.
func (e *export) write(ctx context.Context, in Export) (err error) {
	f, err := os.CreateTemp(filepath.Dir(in.File), ".parley-export-") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, ignoreClosed(f.Close()))
		if rerr := os.Remove(f.Name()); !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}()
	now := time.Now()
	e.out = newOutput(f, now)
	e.m = manifest{Format: format, Version: version, Kind: Everything, User: e.person.ID, Created: stamp(now)}
	if e.person.ID != 0 {
		e.m.Kind = Person
	}
	e.names, e.lost, e.own, e.others = map[string]bool{}, map[core.FileID]bool{}, map[core.ConversationID][]core.Seq{}, map[core.UserID]bool{}
	e.direct = map[core.ConversationID]bool{}
	if err := e.DB.View(ctx, e.everything); err != nil {
		return err
	}
	if err := e.out.finish(e.m); err != nil {
		return err
	}
	e.size = e.out.at
	if err := f.Close(); err != nil {
		return err
	}
	return appear(f.Name(), in)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// appear gives a whole archive its name. A link cannot replace anything; not every disk has links.
func appear(tmp string, in Export) error {
	if in.Force { // what is there may have changed
		if err := freeFor(in); err != nil {
			return err
		}
	} else {
		err := os.Link(tmp, in.File)
		if err == nil {
			return durable.SyncDir(filepath.Dir(in.File))
		}
		if err := freeFor(in); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, in.File); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(in.File))
}

// everything writes the parts between the manifest and the last one.
func (e *export) everything(ctx context.Context) error {
	if err := e.out.leaveManifest(); err != nil {
		return err
	}
	if err := e.survey(ctx); err != nil {
		return err
	}
	for _, p := range partsOf(e.m.Kind) {
		if p == filesPart {
			if err := e.fileBytes(ctx); err != nil {
				return err
			}
		}
		if p == avatarsPart {
			if err := e.pictures(ctx); err != nil {
				return err
			}
			continue
		}
		if err := e.part(ctx, p); err != nil {
			return at(p, err)
		}
	}
	return nil
}

// partsOf returns the parts of lines of an archive, in their order.
func partsOf(kind string) []string {
	all := []string{
		usersPart, othersPart, friendsPart, requestsPart, blocksPart, conversationsPart, messagesPart, membersPart, gatewaysPart,
		cursorsPart, auditPart, importedPart, filesPart, avatarsPart,
	}
	drop := othersPart
	if kind == Person {
		drop = importedPart
	}
	return slices.DeleteFunc(all, func(p string) bool { return p == drop })
}

// part writes a part of lines.
func (e *export) part(ctx context.Context, name string) error {
	fill := map[string]func(ctx context.Context, put func(any) error) error{
		usersPart: e.users, othersPart: e.strangers, friendsPart: e.friends, requestsPart: e.requests, blocksPart: e.blocks,
		conversationsPart: e.conversations, messagesPart: e.messages, membersPart: e.members, gatewaysPart: e.gateways,
		cursorsPart: e.cursors, auditPart: e.audit, importedPart: e.imported, filesPart: e.files,
	}[name]
	return e.out.lines(name, e.m.Counts.of(name), func(put func(any) error) error {
		return fill(ctx, func(line any) error {
			if err := put(line); err != nil {
				return err
			}
			e.advance(name, e.out.at, 0)
			return ctx.Err()
		})
	})
}

func (e *export) users(ctx context.Context, put func(any) error) (err error) {
	if e.person.ID == 0 {
		if e.m.LastUID, err = e.Accounts.LastID(ctx, e.actor); err != nil {
			return err
		}
	}
	return e.Accounts.Records(ctx, e.actor, e.person.ID, func(r account.Record) error {
		l := lineOfUser(r)
		e.names[l.Name] = true
		if e.person.ID != 0 {
			l = l.private()
		}
		return put(l)
	})
}

func (e *export) friends(ctx context.Context, put func(any) error) error {
	return e.Contacts.Friendships(ctx, e.actor, e.person.ID, func(f contact.Friendship) error {
		if e.person.ID != 0 && f.Self != e.person.ID {
			f.Remark = "" // it is the other's
		}
		return put(friendLine{f.Self, f.Friend, f.Remark, stamp(f.At)})
	})
}

func (e *export) requests(ctx context.Context, put func(any) error) error {
	return e.Contacts.Applications(ctx, e.actor, e.person.ID, func(a contact.Application) error {
		if !e.shows(a) {
			return nil
		}
		return put(requestLine{a.From, a.To, status(a.Status), a.Text, stamp(a.At)})
	})
}

// shows reports whether a person may see a request: one that its sender took back by blocking them would tell of that.
func (e *export) shows(a contact.Application) bool {
	return e.person.ID == 0 || a.From == e.person.ID || a.Status != contact.Withdrawn
}

func (e *export) blocks(ctx context.Context, put func(any) error) error {
	return e.Contacts.Blocks(ctx, e.actor, e.person.ID, func(b contact.Block) error {
		if e.person.ID != 0 && b.User != e.person.ID {
			return nil // nobody is told who blocks them
		}
		return put(blockLine{b.User, b.Blocked, stamp(b.At)})
	})
}

func (e *export) conversations(ctx context.Context, put func(any) error) error {
	return e.Chat.Conversations(ctx, e.actor, e.person.ID, func(c chat.ConversationRecord) error {
		if own, ok := e.own[c.ID]; ok {
			c.LastSeq = core.Seq(len(own))
			c.Public, c.OpenSeq, c.Opened = c.Public && c.ID == core.Lobby, 0, time.Time{} // a room with one person's words is for nobody else
		}
		return put(lineOfConversation(c))
	})
}

func (e *export) messages(ctx context.Context, put func(any) error) error {
	return e.Chat.Conversations(ctx, e.actor, e.person.ID, func(c chat.ConversationRecord) error {
		by := core.UserID(0)
		if _, ok := e.own[c.ID]; ok {
			by = e.person.ID
		}
		return e.Chat.Messages(ctx, e.actor, c.ID, by, func(m chat.MessageRecord) error {
			return put(lineOfMessage(c.ID, e.forPerson(c.ID, m)))
		})
	})
}

func (e *export) members(ctx context.Context, put func(any) error) error {
	return e.Chat.Memberships(ctx, e.actor, e.person.ID, func(m chat.Membership) error {
		return put(memberLine{m.User, m.Conversation, roleOf(m.Role), e.seq(m.Conversation, m.JoinedSeq), e.readSeq(m), stamp(m.At)})
	})
}

func (e *export) gateways(ctx context.Context, put func(any) error) error {
	return e.Chat.GatewayUses(ctx, e.actor, e.person.ID, func(u chat.GatewayUse) error {
		return put(gatewayLine{u.User, u.Gateway, stamp(u.Since)})
	})
}

func (e *export) cursors(ctx context.Context, put func(any) error) error {
	return e.Chat.Cursors(ctx, e.actor, e.person.ID, func(c chat.CursorRecord) error {
		return put(cursorLine{c.User, c.Gateway, c.Conversation, e.seq(c.Conversation, c.Seq)})
	})
}

func (e *export) audit(ctx context.Context, put func(any) error) error {
	return e.Audit.Entries(ctx, e.actor, e.person.ID, func(n audit.Entry) error {
		return put(auditLine{stamp(n.At), n.Actor, n.Name, n.Action, n.Target, n.Detail, n.Gateway, n.IP})
	})
}

func (e *export) imported(ctx context.Context, put func(any) error) error {
	rows, err := e.DB.Query(ctx, `SELECT source, noun, foreign_id, local_id FROM imported ORDER BY source, noun, foreign_id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l importedLine
		if err := rows.Scan(&l.Source, &l.Noun, &l.ForeignID, &l.LocalID); err != nil {
			return err
		}
		if err := put(l); err != nil {
			return err
		}
	}
	return rows.Err()
}

// fileBytes writes the files' bytes. The lines come after them, because a file may be deleted before its turn comes.
func (e *export) fileBytes(ctx context.Context) error {
	return e.Files.Records(ctx, e.actor, e.person.ID, func(f core.File) error {
		if !e.mine(f) || f.Kind != core.PlainFile {
			return ctx.Err()
		}
		_, r, err := e.Files.Open(ctx, e.actor, f.ID)
		if errors.Is(err, blob.ErrNotFound) {
			e.lose(f, "was deleted or replaced while the archive was being written")
			return nil
		}
		if err != nil {
			return err
		}
		defer r.Close()
		return e.oneFile(ctx, f, r)
	})
}

func (e *export) oneFile(ctx context.Context, f core.File, r io.Reader) error {
	if err := e.out.begin(fileEntry(f.ID)); err != nil {
		return err
	}
	if err := e.copy(ctx, fileEntry(f.ID), r); err != nil {
		return fmt.Errorf("file %d: %w", f.ID, err)
	}
	s, err := e.out.end()
	if err != nil {
		return err
	}
	if s.Size != f.Size || s.SHA256 != f.SHA256 {
		e.lose(f, "is damaged on this server's disk")
		return e.out.drop()
	}
	e.m.Counts.FileBytes += f.Size
	return nil
}

// mine reports whether a file belongs into the archive: a room that a person has left is not in theirs.
func (e *export) mine(f core.File) bool {
	_, in := e.own[f.Area]
	return e.person.ID == 0 || in || e.direct[f.Area]
}

func (e *export) lose(f core.File, why string) {
	e.lost[f.ID] = true
	e.leftOut = append(e.leftOut, fmt.Sprintf("file %d, %q of %s, %s", f.ID, f.Name, f.Owner.Name, why))
}

// copy appends bytes to the present part.
func (e *export) copy(ctx context.Context, part string, r io.Reader) error {
	const step = 1 << 20
	for {
		_, err := io.CopyN(e.out, r, step)
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		e.advance(part, e.out.at, 0)
	}
}

func (e *export) files(ctx context.Context, put func(any) error) error {
	return e.Files.Records(ctx, e.actor, e.person.ID, func(f core.File) error {
		if e.lost[f.ID] || !e.mine(f) {
			return nil
		}
		return put(lineOfFile(f))
	})
}

// pictures writes the avatars, and then their lines.
func (e *export) pictures(ctx context.Context) error {
	var lines []avatarLine
	err := e.avatars.each(e.names, func(a avatar, r io.Reader) error {
		if err := e.out.begin(a.entry()); err != nil {
			return err
		}
		if err := e.copy(ctx, a.entry(), r); err != nil {
			return err
		}
		s, err := e.out.end()
		lines = append(lines, avatarLine{a.User, a.File, s.Size, s.SHA256, stamp(a.Changed)})
		return err
	})
	if err != nil {
		return fmt.Errorf("avatars: %w", err)
	}
	return e.out.lines(avatarsPart, &e.m.Counts.Avatars, func(put func(any) error) error {
		for _, l := range lines {
			if err := put(l); err != nil {
				return err
			}
		}
		return nil
	})
}
