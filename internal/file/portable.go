package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"parley/internal/core"
	"parley/internal/store"
)

// maxID bounds the numbers of adopted files, so that there are others after them.
const maxID = 1 << 52

// Records yields all files and folders by their ids, those of one owner if only is not 0. A folder comes before what is
// in it. In a read transaction they are all of one moment; Open in the same one finds the bytes as long as nobody has
// deleted or replaced them since, and otherwise fails with blob.ErrNotFound.
func (s *Service) Records(ctx context.Context, actor core.Actor, only core.UserID, yield func(core.File) error) error {
	if !administers(actor) {
		return fmt.Errorf("file records: %w", core.ErrForbidden)
	}
	rows, err := s.db.Query(ctx, `SELECT `+columns+fromFile+`WHERE ?1 IN (0, f.owner_id) ORDER BY f.id`, int64(only))
	if err != nil {
		return fmt.Errorf("file records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(r.dest()...); err != nil {
			return fmt.Errorf("file records: %w", err)
		}
		if err := yield(r.value().File); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AdoptFile stores a file with the bytes of r, or a folder, for its owner, and returns it as it is now. Id 0 stands for
// the next one. If the name is taken, by whomever, the next candidate is used. Size and sum of the bytes are compared
// with the record's, unless they are -1 and zero; the type is found out if it is "". Quotas and limits do not apply.
//
// In a unit of work the bytes are on disk before it is committed. If it is not, they are deleted, and should the process
// end before that, Sweep finds them.
func (s *Service) AdoptFile(ctx context.Context, actor core.Actor, f core.File, r io.Reader) (core.File, error) {
	out, err := s.adoptFile(ctx, actor, stored{File: f}, r)
	if err != nil {
		return core.File{}, fmt.Errorf("adopt file %d %q: %w", f.ID, f.Name, err)
	}
	return out.File, nil
}

func (s *Service) adoptFile(ctx context.Context, actor core.Actor, f stored, r io.Reader) (out stored, err error) {
	if !administers(actor) {
		return out, core.ErrForbidden
	}
	if err := checkRecord(&f); err != nil {
		return out, err
	}
	if f.Kind == core.PlainFile {
		if err := s.adoptBytes(ctx, &f, r); err != nil {
			return out, err
		}
		defer func() {
			if err != nil {
				s.discard(f.blob)
			}
		}()
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if err := s.place(ctx, &f); err != nil {
			return err
		}
		if f.Kind == core.PlainFile {
			store.AfterCommit(ctx, func() { s.inflight.letGo(f.blob) })
			store.AfterRollback(ctx, func() { s.cfg.Goroutines.Go("delete blobs", func() { s.discard(f.blob) }) })
		}
		out, err = s.byID(ctx, f.ID)
		return err
	})
	return out, err
}

func checkRecord(f *stored) error {
	name, err := cleanPart(f.Name)
	switch {
	case err != nil:
		return err
	case f.ID < 0, f.ID > maxID, f.Size < -1, f.Size > maxSize, f.Kind != core.PlainFile && f.Kind != core.Folder,
		f.Kind == core.Folder && (f.Size != 0 || f.SHA256 != [32]byte{}),
		len(f.Sent) > maxRaw || !utf8.ValidString(f.Sent), len(f.Type) > maxPart || !utf8.ValidString(f.Type):
		return core.ErrInvalid
	}
	f.Name = name
	if f.Wanted != "" {
		if f.Wanted, err = cleanPart(f.Wanted); err != nil {
			return err
		}
	}
	if f.At.IsZero() {
		f.At = time.Now()
	}
	return nil
}

// adoptBytes puts a file's bytes on the disk. They are held until they are let go.
func (s *Service) adoptBytes(ctx context.Context, f *stored, r io.Reader) (err error) {
	if !s.diskHas(f.Size) {
		return core.ErrDiskFull
	}
	w, err := s.blobs.Create(ctx)
	if err != nil {
		return err
	}
	f.blob = w.Key()
	s.inflight.hold(f.blob)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Discard())
			s.discard(f.blob)
		}
	}()
	var head [maxHead]byte
	n, err := io.ReadFull(r, head[:])
	if err == nil {
		_, err = w.Write(head[:])
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_, err = w.Write(head[:n])
		r = nil
	}
	if err == nil && r != nil {
		_, err = w.ReadFrom(r)
	}
	if err != nil {
		return err
	}
	size, sum, err := w.Finish()
	if err != nil {
		return err
	}
	if f.Size >= 0 && f.Size != size || f.SHA256 != [32]byte{} && f.SHA256 != sum {
		return core.ErrIncomplete
	}
	f.Size, f.SHA256 = size, sum
	if f.Type == "" {
		f.Type = mimetype.Detect(head[:n]).String()
	}
	return nil
}

// place finds a name for an adopted thing and stores its row.
func (s *Service) place(ctx context.Context, f *stored) error {
	var rooms, users int
	err := s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM conversation WHERE id = ?), (SELECT count(*) FROM "user" WHERE uid = ?)`,
		[]any{int64(f.Area), int64(f.Owner.ID)}, &rooms, &users)
	switch {
	case err != nil:
		return err
	case rooms == 0:
		return core.ErrConversationNotFound
	case users == 0:
		return core.ErrUserNotFound
	}
	if f.Parent != 0 {
		folder, err := s.byID(ctx, f.Parent)
		if err == nil && (folder.Kind != core.Folder || folder.Area != f.Area) {
			err = core.ErrFileNotFound
		}
		if err != nil {
			return err
		}
	}
	name, _, err := s.firstName(ctx, *f, f.Name, f.Kind, func(string, holder) bool { return false })
	if err != nil {
		return err
	}
	if f.Wanted == "" {
		f.Wanted = unlessSame(f.Name, name)
	}
	f.Name = name
	want := f.ID
	if want > 0 {
		_, err := s.byID(ctx, want)
		if err == nil {
			err = fmt.Errorf("%w: there is a file of that number", core.ErrInvalid)
		}
		if !errors.Is(err, core.ErrFileNotFound) {
			return err
		}
	}
	if f.ID, err = s.insert(ctx, *f); err == nil && want > 0 && f.ID != want {
		_, err = s.db.Exec(ctx, `UPDATE file SET id = ? WHERE id = ?`, int64(want), int64(f.ID))
		f.ID = want
	}
	return err
}
