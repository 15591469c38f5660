//go:build unix

package app

import "golang.org/x/sys/unix"

// openFiles returns how many files this process may open, if the system tells.
func openFiles() (uint64, bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true //nolint:unconvert // the types differ between systems
}
