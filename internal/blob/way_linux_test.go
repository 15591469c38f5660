package blob

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"parley/internal/core"
)

func isStraight(t testing.TB, f *os.File) bool {
	t.Helper()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_DIRECT != 0
}

// straightDisk is a Disk on a file system that can be written straight.
func straightDisk(t testing.TB) *Disk {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = setStraight(f, true)
	if err == nil {
		_, err = f.Write(new(slab)[:])
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the folder for temporary files cannot be written straight: %v", err)
		}
		t.Skipf("the folder for temporary files cannot be written straight: %v", err)
	}
	return openDisk(t, dir)
}

func TestLongStreamsAreWrittenStraight(t *testing.T) {
	d := straightDisk(t)
	for _, first := range []int{0, 1, block, 5000} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			w, p := create(t, d), content(first+8*slabSize+5)
			cached := 0
			d.write = func(f *os.File, p []byte) (int, error) {
				if !isStraight(t, f) {
					cached += len(p)
				}
				return f.Write(p)
			}
			if _, err := w.Write(p[:first]); err != nil {
				t.Fatal(err)
			}
			if err := read(w, readable{bytes.NewReader(p[first:])}, len(p)-first); err != nil {
				t.Fatal(err)
			}
			if cached > first+beside {
				t.Errorf("%d of %d bytes went through the cache", cached, len(p))
			}
			keeps(t, d, w, p)
		})
	}
}

// TestAFileSystemThatRefusesToBeWrittenStraight takes the flag but not the write.
func TestAFileSystemThatRefusesToBeWrittenStraight(t *testing.T) {
	d := straightDisk(t)
	refused := 0
	d.write = func(f *os.File, p []byte) (int, error) {
		if isStraight(t, f) {
			refused++
			return 0, &os.PathError{Op: "write", Path: f.Name(), Err: unix.EINVAL}
		}
		return f.Write(p)
	}
	for name, write := range ways {
		w, p := create(t, d), content(4*slabSize+5)
		refused = 0
		if err := write(w, p); err != nil || refused > 1 {
			t.Errorf("%s: tried %d times: %v", name, refused, err)
		}
		keeps(t, d, w, p)
	}
}

// TestAStraightWriteThatEndedInABlockWasAnUnknownError lets a straight write come to an end inside a block, as on a disk
// that is nearly full: the system refuses to go on from there. The rest has to be tried through the cache, which then has
// room, or says that there is none.
func TestAStraightWriteThatEndedInABlockWasAnUnknownError(t *testing.T) {
	d := straightDisk(t)
	for _, full := range []bool{false, true} {
		straight := 0
		d.write = func(f *os.File, p []byte) (int, error) {
			if isStraight(t, f) {
				if straight++; straight < 2 {
					return f.Write(p)
				}
				if err := setStraight(f, false); err != nil {
					return 0, err
				}
				n, err := f.Write(p[:beside+700])
				return n, errors.Join(err, setStraight(f, true), &os.PathError{Op: "write", Path: f.Name(), Err: unix.EINVAL})
			}
			if full && straight == 2 {
				return 0, &os.PathError{Op: "write", Path: f.Name(), Err: unix.ENOSPC}
			}
			return f.Write(p)
		}
		w, p := create(t, d), content(4*slabSize+5)
		err := read(w, readable{bytes.NewReader(p)}, len(p))
		if straight != 2 {
			t.Errorf("written straight %d times", straight)
		}
		if !full {
			if err != nil {
				t.Error(err)
			}
			keeps(t, d, w, p)
			continue
		}
		if !errors.Is(err, core.ErrDiskFull) {
			t.Errorf("%v", err)
		}
		if _, _, err := w.Finish(); !errors.Is(err, core.ErrDiskFull) {
			t.Errorf("finishing: %v", err)
		}
		if got := files(t, d); len(got) > 0 {
			t.Errorf("left: %q", got)
		}
	}
}
