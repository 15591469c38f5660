package file

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"parley/internal/core"
)

// limits are what may be changed while the service runs.
type limits struct {
	maxFile atomic.Int64 // bytes of one file, 0 for no limit
	quota   atomic.Int64 // bytes of all files of one user, 0 for no limit
	keep    atomic.Int64 // nanoseconds, 0 for ever
}

// SetMaxFile sets how many bytes one file may have, 0 for any number. Uploads in flight heed it as well.
func (s *Service) SetMaxFile(bytes int64) { s.limits.maxFile.Store(bytes) }

// SetQuota sets how many bytes the files of one user may have, 0 for any number. What is there already stays.
func (s *Service) SetQuota(bytes int64) { s.limits.quota.Store(bytes) }

// SetKeep sets after which time files are deleted, 0 for never. The next Sweep heeds it.
func (s *Service) SetKeep(age time.Duration) { s.limits.keep.Store(int64(age)) }

// tooLarge reports whether a file may not have so many bytes.
func (s *Service) tooLarge(size int64) bool {
	most := s.limits.maxFile.Load()
	return size > maxSize || most > 0 && size > most
}

// Totals returns how many files there are and how many bytes they have, for those who administer.
func (s *Service) Totals(ctx context.Context, actor core.Actor) (files, bytes int64, err error) {
	if !administers(actor) {
		return 0, 0, fmt.Errorf("count files: %w", core.ErrForbidden)
	}
	if files, bytes, err = s.totals(ctx); err != nil {
		return 0, 0, fmt.Errorf("count files: %w", err)
	}
	return files, bytes, nil
}
