package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
)

const (
	messageBatch = 256 // messages that are handed over at a time
	maxClashes   = 50  // that are named; the others are counted
)

// Restore asks to import an archive.
type Restore struct {
	File   string
	DryRun bool // nothing is written
}

// Restored is what an archive brings, or would bring.
type Restored struct {
	Kind    string // Everything or Person
	User    string // whose archive it is
	Created time.Time
	Counts  Counts
	Notes   []string // what will be otherwise than it was, a sentence each
	Clashes []string // why it cannot be imported here, a sentence each
}

// ErrClashes says that a server has what an archive would bring.
var ErrClashes = errors.New("the archive does not go together with what is on this server")

// Restore imports an archive. It is read twice: before anything is written, it is known that it is whole and that nothing
// in it clashes with what is here. Then all of it is one unit of work. If that is interrupted, there is nothing but bytes
// that nobody knows of, and it can be repeated.
func (a *Archives) Restore(ctx context.Context, actor core.Actor, from core.Origin, in Restore, advance Advance) (out Restored, err error) {
	if !actor.Operator() {
		return out, fmt.Errorf("import: %w", core.ErrForbidden)
	}
	end, err := alone(a.DB)
	if err != nil {
		return out, fmt.Errorf("import: %w", err)
	}
	defer end()
	r := &restore{Archives: a, actor: actor, from: from, asked: ctx}
	checking := func(part string, done, total int64) { advance("checking "+part, done, total) }
	if r.in, err = openInput(in.File, checking); err != nil {
		return out, fmt.Errorf("import: %w", err)
	}
	defer func() { err = errors.Join(err, r.in.f.Close()) }()
	if err := r.in.read(ctx, r.look); err != nil {
		return out, fmt.Errorf("import %s: %w", in.File, err)
	}
	if err := r.compare(ctx); err != nil {
		return out, fmt.Errorf("import: %w", err)
	}
	m := r.in.m
	out = Restored{m.Kind, r.userName, time.Time(m.Created), m.Counts, r.allNotes(), r.clashes}
	if in.DryRun {
		return out, nil
	}
	if len(r.clashes) > 0 {
		return out, fmt.Errorf("import: %w: %s", ErrClashes, strings.Join(r.clashes, "; "))
	}
	r.in.advance = advance
	if err := a.DB.Update(ctx, r.adopt); err != nil {
		return out, fmt.Errorf("import %s: %w", in.File, err)
	}
	out.Notes = r.allNotes()
	a.Log.Info("an archive was imported", "kind", m.Kind, "written", time.Time(m.Created), "messages", m.Counts.Messages, "files", m.Counts.Files)
	return out, nil
}

// restore is an archive being imported.
type restore struct {
	*Archives
	actor core.Actor
	from  core.Origin
	asked context.Context // ends when nobody waits for the import any more; a unit of work's own context does not
	in    *input

	people   []account.Record // those in the archive, without their passwords
	userName string
	notes    []string
	unnamed  int // notes that are not kept
	clashes  []string
	hidden   int // clashes that are not named

	lobbyName string

	leftOut  map[core.ConversationID]bool // rooms whose messages stay out
	here     map[core.ConversationID]bool // conversations that this server has
	ids      map[core.ConversationID]core.ConversationID
	fileIDs  map[core.FileID]core.FileID
	attached []attachment
	pending  []chat.MessageRecord // of the conversation below
	talking  core.ConversationID
	rows     *rowReader
	pictures map[string]time.Time // when they were changed, by their entries
}

// look is the first reading: it keeps what has to be compared with what is here.
func (r *restore) look(_ context.Context, v any) error {
	switch l := v.(type) {
	case manifest:
		r.pictures = map[string]time.Time{}
	case userLine:
		rec := l.record()
		rec.Password = ""
		r.people = append(r.people, rec)
		if r.in.m.Kind == Person {
			r.userName = l.Name
		}
	case otherLine:
		r.people = append(r.people, l.record())
	case avatarLine:
		r.pictures[avatar{User: l.User, File: l.File}.entry()] = time.Time(l.Changed)
	}
	return nil
}

// record is a placeholder for somebody: an account that nobody can log in to.
func (l otherLine) record() account.Record {
	return account.Record{User: core.User{ID: l.UID, Name: l.Name, Nick: l.Nick, Disabled: true}}
}

// adopt is the unit of work.
func (r *restore) adopt(ctx context.Context) error {
	r.clashes, r.notes, r.unnamed = nil, nil, 0
	if err := r.compare(ctx); err != nil {
		return err
	}
	if len(r.clashes) > 0 { // somebody registered in between
		return fmt.Errorf("%w: %s", ErrClashes, strings.Join(r.clashes, "; "))
	}
	r.ids, r.fileIDs = map[core.ConversationID]core.ConversationID{}, map[core.FileID]core.FileID{}
	r.attached = nil
	r.rows = &rowReader{lines: newLineReader(r.in.rows)}
	err := r.in.read(r.asked, func(_ context.Context, v any) error {
		if err := r.asked.Err(); err != nil {
			return err
		}
		return r.one(ctx, v)
	})
	if err == nil {
		err = r.attach(ctx)
	}
	if err != nil {
		return err
	}
	if r.in.m.Kind == Person {
		target := fmt.Sprint("user ", r.in.m.User)
		return r.Audit.Record(ctx, r.actor, "account.import", target, "from an archive", r.from)
	}
	return nil
}

// one takes one thing in.
func (r *restore) one(ctx context.Context, v any) error {
	if _, ok := v.(messageLine); !ok {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	var err error
	switch l := v.(type) {
	case manifest:
		if l.LastUID > 0 {
			err = r.Accounts.PassID(ctx, r.actor, l.LastUID)
		}
	case userLine:
		_, err = r.Accounts.Adopt(ctx, r.actor, l.record(), false)
	case otherLine:
		_, err = r.Accounts.Adopt(ctx, r.actor, l.record(), true)
	case friendLine:
		_, err = r.Contacts.AdoptFriendship(ctx, r.actor, l.record())
	case requestLine:
		_, err = r.Contacts.AdoptApplication(ctx, r.actor, l.record())
	case blockLine:
		_, err = r.Contacts.AdoptBlock(ctx, r.actor, l.record())
	case conversationLine:
		err = r.conversation(ctx, l)
	case messageLine:
		err = r.message(ctx, l)
	case memberLine:
		err = r.member(ctx, l)
	case gatewayLine:
		err = r.Chat.AdoptGatewayUse(ctx, r.actor, chat.GatewayUse{User: l.User, Gateway: l.Gateway, Since: time.Time(l.Since)})
	case cursorLine:
		err = r.cursor(ctx, l)
	case auditLine:
		err = r.Audit.Adopt(ctx, r.actor, l.record())
	case importedLine:
		_, err = r.DB.Exec(ctx, `INSERT INTO imported (source, noun, foreign_id, local_id) VALUES (?, ?, ?, ?)`, l.Source, l.Noun, l.ForeignID, l.LocalID)
	case fileBytes:
		err = r.bytes(ctx, l)
	case fileLine:
		err = r.file(ctx, l, nil)
	case avatarBytes:
		l.Changed = r.pictures[l.entry()]
		err = r.avatars.put(l.avatar, l.r)
	}
	return err
}

func (r *restore) conversation(ctx context.Context, l conversationLine) error {
	c := l.record()
	if r.in.m.Kind == Person && l.ID == core.Lobby { // what it is called is not theirs to say
		c.Name = r.lobbyName
	}
	if r.leftOut[l.ID] { // the lobby of a server on which people talk
		r.ids[l.ID] = l.ID
		return nil
	}
	if r.here[l.ID] || r.in.m.Kind == Person && l.ID > maxForeignID {
		c.ID = 0
	}
	id, err := r.Chat.AdoptConversation(ctx, r.actor, c)
	r.ids[l.ID] = id
	return err
}

// message gathers messages of one conversation.
func (r *restore) message(ctx context.Context, l messageLine) error {
	if r.leftOut[l.Conversation] {
		return nil
	}
	if l.Conversation != r.talking || len(r.pending) == messageBatch {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.talking = l.Conversation
	r.pending = append(r.pending, l.record())
	if l.File > 0 {
		r.attached = append(r.attached, attachment{r.ids[l.Conversation], l.Seq, l.File})
	}
	return nil
}

// attachment is a file of the archive that a message has.
type attachment struct {
	conversation core.ConversationID // here
	seq          core.Seq
	file         core.FileID // in the archive
}

// attach gives messages their files, which come after them. What did not come stays deleted: in the archive of one person,
// others' files.
func (r *restore) attach(ctx context.Context) error {
	for _, a := range r.attached {
		file, ok := r.fileIDs[a.file]
		if !ok {
			continue
		}
		if err := r.Chat.AdoptAttachment(ctx, r.actor, a.conversation, a.seq, file); err != nil {
			return err
		}
	}
	return nil
}

func (r *restore) flush(ctx context.Context) error {
	if len(r.pending) == 0 {
		return nil
	}
	list := r.pending
	r.pending = r.pending[:0]
	return r.Chat.AdoptMessages(ctx, r.actor, r.ids[r.talking], list)
}

func (r *restore) member(ctx context.Context, l memberLine) error {
	if r.leftOut[l.Conversation] {
		return r.Chat.JoinLobby(ctx, l.User)
	}
	return r.Chat.AdoptMembership(ctx, r.actor, chat.Membership{
		User: l.User, Conversation: r.ids[l.Conversation], Role: core.Role(l.Role), JoinedSeq: l.JoinedSeq, ReadSeq: l.ReadSeq, At: time.Time(l.Joined),
	})
}

func (r *restore) cursor(ctx context.Context, l cursorLine) error {
	if r.leftOut[l.Conversation] {
		return nil
	}
	return r.Chat.AdoptCursor(ctx, r.actor, chat.CursorRecord{
		User: l.User, Gateway: l.Gateway, Conversation: r.ids[l.Conversation], Seq: l.Seq,
	})
}

// bytes takes a file in. Its bytes come before its line, which is looked up; folders up to there are taken in first.
func (r *restore) bytes(ctx context.Context, b fileBytes) error {
	for {
		l, err := r.rows.next()
		if err != nil {
			return err
		}
		if l.Kind == fileKind(core.Folder) {
			if err := r.file(ctx, l, nil); err != nil {
				return err
			}
			continue
		}
		if l.ID != b.ID {
			return errDamaged
		}
		return r.file(ctx, l, b.r)
	}
}

// file takes a file or a folder in, unless it is here already because its bytes, or those of something in it, have come.
func (r *restore) file(ctx context.Context, l fileLine, bytes io.Reader) error {
	if _, done := r.fileIDs[l.ID]; done {
		return nil
	}
	if l.Kind == fileKind(core.PlainFile) && bytes == nil {
		return errDamaged
	}
	f := l.record()
	f.Area, f.Parent = r.ids[l.Conversation], r.fileIDs[l.Parent]
	if r.in.m.Kind == Person {
		f.ID = r.freeFileID(ctx, l.ID)
	}
	out, err := r.Files.AdoptFile(ctx, r.actor, f, bytes)
	if err != nil {
		return err
	}
	r.fileIDs[l.ID] = out.ID
	if out.Name != l.Name {
		r.note("%q is called %q here, because that name was taken", l.Name, out.Name)
	}
	return nil
}

// maxForeignID bounds the numbers of conversations and files that the archive of one person may choose on a server where
// others are: those above would leave no room for the numbers that come after them.
const maxForeignID = 400_000_000

// freeFileID returns the number, or 0 if something has it.
func (r *restore) freeFileID(ctx context.Context, id core.FileID) core.FileID {
	if id > maxForeignID {
		return 0
	}
	if _, err := r.Files.Get(ctx, r.actor, id); errors.Is(err, core.ErrFileNotFound) {
		return id
	}
	return 0
}

// rowReader reads the lines of the files ahead of their turn.
type rowReader struct{ lines *lineReader }

func (r *rowReader) next() (l fileLine, err error) {
	b, err := r.lines.next()
	if errors.Is(err, io.EOF) {
		return l, errDamaged
	}
	if err == nil {
		err = decode(b, &l)
	}
	return l, err
}
