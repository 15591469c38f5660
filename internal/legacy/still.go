package legacy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// still is an SQLite database that can be read without leaving anything beside it. To read one in WAL mode, SQLite makes
// two more files, which its server could not open afterwards if they were another user's.
type still struct {
	path      string // of the database, or of a private copy of it
	immutable bool   // it is read as a file that nobody changes
	original  string
	size      int64
	changed   time.Time
	dir       string // that is to be removed
}

// openStill finds out how to read a database. One without WAL mode, and one that is open or was when its server ended,
// so that the files are there, is read as it is.
func openStill(path string) (*still, error) {
	s := &still{path: path, original: path}
	wal, err := inWALMode(path)
	if err != nil || !wal {
		return s, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s.size, s.changed = info.Size(), info.ModTime()
	log, shared := sizeOf(path+"-wal"), sizeOf(path+"-shm")
	switch {
	case log >= 0 && shared >= 0:
	case log <= 0:
		s.immutable = true
	default:
		return s, s.copy()
	}
	return s, nil
}

// inWALMode reads the number of the version that a program must have to read the database.
func inWALMode(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [20]byte
	switch _, err := io.ReadFull(f, head[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	case err != nil:
		return false, err
	}
	const atVersion, versionOfWAL = 19, 2
	return head[atVersion] == versionOfWAL, nil
}

// sizeOf returns the size of a file, -1 if there is none.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

// copy makes a private copy of the database and its log.
func (s *still) copy() (err error) {
	if s.dir, err = os.MkdirTemp("", "parley-import-"); err != nil {
		return err
	}
	s.path = filepath.Join(s.dir, "copy.db")
	for _, end := range []string{"", "-wal"} {
		if err = copyFile(s.original+end, s.path+end); err != nil {
			return errors.Join(err, os.RemoveAll(s.dir))
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// close removes the copy, and fails if the old server was started meanwhile and changed what was read.
func (s *still) close() error {
	if s.dir != "" {
		if err := os.RemoveAll(s.dir); err != nil {
			return err
		}
	}
	if !s.immutable && s.dir == "" {
		return nil
	}
	info, err := os.Stat(s.original)
	if err == nil && (info.Size() != s.size || !info.ModTime().Equal(s.changed)) {
		err = fmt.Errorf("%s was changed while it was read; try again", s.original)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s was removed while it was read; try again", s.original)
	}
	return err
}
