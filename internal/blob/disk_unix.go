//go:build unix

package blob

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"parley/internal/core"
)

// FreeBytes returns how much a folder's disk can still hold, if the system tells.
func FreeBytes(dir string) (bytes uint64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true //nolint:unconvert // the types differ between systems
}

// named makes a system's word for a full disk the core's.
func named(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", core.ErrDiskFull, err)
	}
	return err
}
