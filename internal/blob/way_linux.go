package blob

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// setStraight has writes to f go past the system's cache, or through it again.
func setStraight(f *os.File, on bool) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
	return err
}

// refusesStraight reports whether a file system took the flag but not the write.
func refusesStraight(err error) bool { return errors.Is(err, unix.EINVAL) }
