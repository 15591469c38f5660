package file

import (
	"context"
	"fmt"
	"time"
)

const (
	// grace is how long a blob without a file is left alone.
	grace = time.Hour
	// sweepBatch is how many files are deleted in one unit of work, so that nobody waits long for the database.
	sweepBatch = 200
)

// Sweep deletes files that are too old to be kept, and blobs that no file has. The first time, blobs without a file are
// what an earlier process left, and go at once; later those of the last hour are left alone.
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
	if s.cfg.Keep == 0 {
		return 0, nil
	}
	before := time.Now().Add(-s.cfg.Keep)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return expired, err
		}
		n := 0
		err := s.db.Update(ctx, func(ctx context.Context) (err error) {
			var blobs []string
			if n, blobs, err = s.deleteFilesBefore(ctx, before, sweepBatch); err != nil {
				return err
			}
			s.removeAfterCommit(ctx, blobs)
			return nil
		})
		if err != nil {
			return expired, err
		}
		expired += n
		more = n == sweepBatch
	}
	return expired, s.expireFolders(ctx, before)
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
func (s *Service) sweepBlobs(ctx context.Context) (orphans int, err error) {
	age := grace
	if !s.swept.Load() {
		age = 0
	}
	now := time.Now()
	err = s.blobs.Keys(func(key string, at time.Time) error {
		if age > 0 && now.Sub(at) < age {
			return nil
		}
		// First whether it is in flight, then whether a file has it: an upload that is committed in between is seen.
		if s.inflight.holds(key) {
			return nil
		}
		needed, err := s.hasBlob(ctx, key)
		if err != nil || needed {
			return err
		}
		orphans++
		return s.blobs.Delete(key)
	})
	if err == nil {
		s.swept.Store(true)
	}
	return orphans, err
}
