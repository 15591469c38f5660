package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"parley/internal/account"
	"parley/internal/core"
	"parley/internal/legacy"
)

// shelf is the old server's folder, and what of it is here already.
type shelf struct {
	root *os.Root
	here map[string]core.FileID      // by the path in the folder
	seen map[string]struct{}         // names that were listed
	was  map[core.FileID][]core.File // what was in the folders here, when they were looked at first
}

// files brings those files and folders into the lobby that the old server listed and whose bytes are there.
func (r *run) files(ctx context.Context) (err error) {
	total := r.old.Counts().Files
	if total == 0 {
		return nil
	}
	if r.job.Files == "" {
		r.tally.filesLeft = total
		r.fileNote("", "%d files and folders are left behind; to bring them along, name the old server's folder with --files", total)
		r.keepNotes()
		return nil
	}
	s := &shelf{was: map[core.FileID][]core.File{}, seen: map[string]struct{}{}}
	if s.here, err = r.importedFiles(ctx); err != nil {
		return err
	}
	if s.root, err = os.OpenRoot(r.job.Files); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.root.Close()) }()
	var done int64
	return r.old.Files(ctx, func(f legacy.File) error {
		if err := errors.Join(ctx.Err(), r.entry(ctx, s, f)); err != nil {
			return err
		}
		r.keepNotes()
		done++
		r.progress("files and folders", done, total)
		return nil
	})
}

func (r *run) importedFiles(ctx context.Context) (map[string]core.FileID, error) {
	rows, err := r.DB.Query(ctx, `SELECT foreign_id, local_id FROM imported WHERE source = ? AND noun = 'file'`, r.source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	here := map[string]core.FileID{}
	for rows.Next() {
		var foreign string
		var id core.FileID
		if err := rows.Scan(&foreign, &id); err != nil {
			return nil, err
		}
		here[foreign] = id
	}
	return here, rows.Err()
}

// entry brings one line of the old server's list along.
func (r *run) entry(ctx context.Context, s *shelf, f legacy.File) error {
	left := func(n *int64, format string, args ...any) error {
		*n++
		r.fileNote(f.Name, format, args...)
		return nil
	}
	owner, ok := r.owner(f.Owner)
	_, twice := s.seen[f.Name]
	s.seen[f.Name] = struct{}{}
	switch {
	case twice:
		return left(&r.tally.filesLeft, "%s is listed once more; the line is passed over", quoteName(f.Name))
	case !ok:
		return left(&r.tally.filesOrphaned, "%s is left behind: its owner %s is unknown", quoteName(f.Name), quoteName(f.Owner))
	case !isFileName(f.Name):
		return left(&r.tally.filesLeft, "%s is left behind: a file cannot have this name here", quoteName(f.Name))
	}
	info, err := s.root.Stat(f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return left(&r.tally.filesLeft, "%s is left behind: it is not in %s", quoteName(f.Name), r.job.Files)
	case err != nil:
		return left(&r.tally.filesLeft, "%s is left behind: %v", quoteName(f.Name), err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return left(&r.tally.filesLeft, "%s is left behind: it is neither a file nor a folder", quoteName(f.Name))
	}
	return r.tree(ctx, s, f.Name, core.File{Area: core.Lobby, Owner: core.Author{ID: owner}, At: f.At})
}

// owner finds out who is meant by a name. The old database took names that differ in case only for the same.
func (r *run) owner(name string) (core.UserID, bool) {
	if id, ok := r.owners[name]; ok {
		return id, true
	}
	id, ok := r.owners[account.NameKey(name)]
	return id, ok
}

func (r *run) fileNote(foreign, form string, args ...any) {
	r.notes = append(r.notes, Note{Kind: NoteFile, Foreign: foreign, Text: fmt.Sprintf(form, args...)})
}

// unreadable notes what is left behind because its bytes cannot be had.
func (r *run) unreadable(name string, err error) {
	r.tally.filesLeft++
	r.fileNote(name, "%s is left behind: %v", quoteName(name), err)
}

func isFileName(name string) bool {
	return isPart(name) && len(norm.NFC.String(name)) <= 255 &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) })
}

// unmade is the id of a folder that a dry run does not make.
const unmade core.FileID = -1

// tree brings a file along, or a folder with what is in it. like says whose they are and where they belong.
func (r *run) tree(ctx context.Context, s *shelf, name string, like core.File) error {
	info, err := s.root.Stat(name)
	if err != nil { // it has gone since its folder was read
		r.unreadable(name, err)
		return nil
	}
	f := like
	f.Name, f.Kind, f.Size = path.Base(name), core.PlainFile, info.Size()
	if info.IsDir() {
		f.Kind, f.Size = core.Folder, 0
	} else if _, below, ok := strings.Cut(name, "/"); ok {
		f.Sent = below
	}
	if f.At.IsZero() {
		f.At = info.ModTime()
	}
	f.At = time.UnixMilli(within(f.At).UnixMilli())
	var bad *sourceError
	id, err := r.item(ctx, s, name, f)
	if errors.As(err, &bad) {
		r.unreadable(name, bad.err)
		return nil
	}
	if err != nil || !info.IsDir() {
		return err
	}
	if id > 0 {
		if _, err := r.Files.Get(ctx, r.actor, id); errors.Is(err, core.ErrFileNotFound) {
			return nil // it has been deleted here, and all that was in it
		}
	}
	entries, err := fs.ReadDir(s.root.FS(), name)
	if err != nil { // of what could be read, nothing is left out
		r.unreadable(name, err)
	}
	like.Parent = id
	for _, e := range entries {
		if !isFileName(e.Name()) || !e.IsDir() && !e.Type().IsRegular() {
			r.tally.filesLeft++
			r.fileNote(name, "%s in %s is left behind: it is no file, or has a name that it cannot have here", quoteName(e.Name()), quoteName(name))
			continue
		}
		if err := errors.Join(ctx.Err(), r.tree(ctx, s, path.Join(name, e.Name()), like)); err != nil {
			return err
		}
	}
	return nil
}

// item brings one file or one folder along, unless it is here, and returns its id.
func (r *run) item(ctx context.Context, s *shelf, name string, f core.File) (core.FileID, error) {
	id, known := s.here[name]
	if !known {
		var err error
		if id, err = r.lookalike(ctx, s, name, f); err != nil {
			return 0, err
		}
	}
	switch {
	case known:
		r.tally.filesHere++
		return id, nil
	case id > 0: // an import was interrupted between the file and its being remembered
		r.tally.filesHere++
	default:
		var err error
		if id, err = r.adoptFile(ctx, s, name, f); err != nil {
			return 0, err
		}
		r.tally.files++
	}
	s.here[name] = id
	if r.job.DryRun {
		return id, nil
	}
	return id, r.DB.Update(ctx, func(ctx context.Context) error { return r.remember(ctx, "file", name, int64(id)) })
}

// sourceError says that it is the old server's file that cannot be read.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

// source tells errors in reading from those of the place that is written to.
type source struct{ io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}

// adoptFile takes a file's bytes in. That is outside of a unit of work: large files would hold up everybody else.
func (r *run) adoptFile(ctx context.Context, s *shelf, name string, f core.File) (id core.FileID, err error) {
	var bytes io.Reader
	if f.Kind == core.PlainFile {
		file, err := s.root.Open(name)
		if err != nil {
			return 0, &sourceError{err}
		}
		defer file.Close()
		bytes = source{file}
	}
	if r.job.DryRun {
		return unmade, nil
	}
	adopted, err := r.Files.AdoptFile(ctx, r.actor, f, bytes)
	return adopted.ID, err
}

// lookalike returns what stands in the same place under the same name with the same owner, time and size, 0 if nothing
// does. It notes what stands there but is another thing.
func (r *run) lookalike(ctx context.Context, s *shelf, path string, f core.File) (core.FileID, error) {
	if f.Parent == unmade {
		return 0, nil
	}
	list, looked := s.was[f.Parent]
	if !looked {
		var err error
		if list, err = r.Files.List(ctx, r.actor, f.Area, f.Parent); err != nil {
			return 0, err
		}
		s.was[f.Parent] = list
	}
	for _, e := range list {
		switch {
		case e.Name != norm.NFC.String(f.Name):
		case e.Kind == f.Kind && e.Owner.ID == f.Owner.ID && e.Size == f.Size && e.At.Equal(f.At):
			return e.ID, nil
		default:
			r.fileNote(path, "%s gets a number to its name: there is another file of that name here", quoteName(f.Name))
		}
	}
	return 0, nil
}
