package blob

import (
	"os"
	"unsafe"
)

// block is what writes without the system's cache have to be aligned to, in memory and in the file.
const block = 4096

// way is how a file is written at the moment: through the system's cache, or straight to the disk.
type way struct {
	isStraight bool
	refused    bool // the file system or the system cannot
}

// straight switches to writing straight to the disk, if p lies in memory as that needs it.
func (w *way) straight(f *os.File, p []byte) bool {
	if w.refused || uintptr(unsafe.Pointer(unsafe.SliceData(p)))%block != 0 {
		return false
	}
	if !w.isStraight {
		if err := setStraight(f, true); err != nil {
			w.refused = true
			return false
		}
		w.isStraight = true
	}
	return true
}

// cached switches back.
func (w *way) cached(f *os.File) error {
	if !w.isStraight {
		return nil
	}
	w.isStraight = false
	return setStraight(f, false)
}
