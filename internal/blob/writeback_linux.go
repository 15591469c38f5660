package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginWriteback has the system begin to bring a part of a file to the disk, so that little is left to do for the sync
// at the end. It promises nothing, so an error says nothing.
func beginWriteback(f *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}
