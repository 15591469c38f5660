package blob

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"parley/internal/core"
)

// FreeBytes returns how much a folder's disk can still hold, if the system tells.
func FreeBytes(dir string) (bytes uint64, known bool) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, false
	}
	return free, true
}

// named makes a system's word for a full disk the core's.
func named(err error) error {
	if errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) {
		return fmt.Errorf("%w: %w", core.ErrDiskFull, err)
	}
	return err
}
