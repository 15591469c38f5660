package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/blob"
	"parley/internal/core"
)

const (
	// grace is how long after its writing a blob without a file is left alone.
	grace = 24 * time.Hour
	// doubtful is from how many blobs on a sweep does not believe that most of them belong to no file.
	doubtful = 20
	// sweepBatch is how many files are deleted in one unit of work, so that nobody waits long for the database.
	sweepBatch = 200
)

// Sweep deletes files that are too old to be kept, and blobs that no file has: at once what an earlier process left
// unfinished, and after a day what is whole, since a database that is put back may know it. If that would be most of
// them, it deletes none.
func (s *Service) Sweep(ctx context.Context) error {
	expired, err := s.expire(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	orphans, err := s.sweepBlobs(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	files, bytes, err := s.totals(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	s.files.Store(files)
	s.bytes.Store(bytes)
	if expired > 0 || orphans > 0 {
		s.cfg.Log.Info("files swept", "expired", expired, "orphans", orphans, "files", files, "bytes", bytes)
	}
	return nil
}

// expire deletes what is too old, and returns how many files that were.
func (s *Service) expire(ctx context.Context) (expired int, err error) {
	keep := time.Duration(s.limits.keep.Load())
	if keep == 0 {
		return 0, nil
	}
	before := time.Now().Add(-keep)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return expired, err
		}
		n, blobs := 0, []string(nil)
		err := s.db.Update(ctx, func(ctx context.Context) (err error) {
			var ids []core.FileID
			if ids, blobs, err = s.deleteFilesBefore(ctx, before, sweepBatch); err != nil {
				return err
			}
			n = len(ids)
			return s.changed(ctx, ids)
		})
		if err != nil {
			return expired, err
		}
		s.remove(blobs...) // before anybody looks for orphans
		expired += n
		more = n == sweepBatch
	}
	return expired, s.expireFolders(ctx, before)
}

// Abandon deletes some of what was shared in a room that is closed, and reports whether there is more. It is called in a unit
// of work, when there are no messages any more that would show it.
func (s *Service) Abandon(ctx context.Context, room core.ConversationID) (more bool, err error) {
	ids, blobs, err := s.deleteSomeOf(ctx, room, sweepBatch)
	if err != nil {
		return false, fmt.Errorf("delete the files of room %d: %w", room, err)
	}
	s.removeAfterCommit(ctx, blobs)
	return len(ids) == sweepBatch, nil
}

// Detach deletes a file that only a message showed which is deleted now, if it was that message's author who had shared it. It is called
// in a unit of work.
func (s *Service) Detach(ctx context.Context, id core.FileID, by core.UserID) error {
	f, err := s.byID(ctx, id)
	if errors.Is(err, core.ErrFileNotFound) || err == nil && (f.Owner.ID != by || f.Kind != core.PlainFile) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete file %d: %w", id, err)
	}
	ids, blobs, err := s.deleteTree(ctx, id)
	if err == nil {
		err = s.changed(ctx, ids)
	}
	if err != nil {
		return fmt.Errorf("delete file %d: %w", id, err)
	}
	s.removeAfterCommit(ctx, blobs)
	return nil
}

// expireFolders deletes old folders that have nothing in them, and then those that had nothing but such folders.
func (s *Service) expireFolders(ctx context.Context, before time.Time) error {
	for n := int64(1); n > 0; {
		err := s.db.Update(ctx, func(ctx context.Context) (err error) {
			n, err = s.deleteEmptyFoldersBefore(ctx, before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepBlobs deletes blobs that no file has, and returns how many.
func (s *Service) sweepBlobs(ctx context.Context) (deleted int, err error) {
	known, orphans, old := 0, 0, []string(nil)
	now := time.Now()
	err = s.blobs.Keys(func(b blob.Entry) error {
		// First whether it is in flight, then whether a file has it: an upload that is committed in between is seen.
		if s.inflight.holds(b.Key) {
			return nil
		}
		if !b.Whole {
			deleted++
			return s.blobs.Delete(b.Key)
		}
		needed, err := s.hasBlob(ctx, b.Key)
		switch {
		case err != nil:
			return err
		case needed:
			known++
		default:
			if orphans++; now.Sub(b.At) >= grace {
				old = append(old, b.Key)
			}
		}
		return nil
	})
	if err != nil {
		return deleted, err
	}
	if total := known + orphans; total >= doubtful && orphans > total/2 {
		s.cfg.Log.Error("most of what is kept belongs to no file, as if the database were another or an older one: nothing of it is deleted",
			"orphans", orphans, "known", known)
		return deleted, nil
	}
	for _, key := range old {
		if err := s.blobs.Delete(key); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}
