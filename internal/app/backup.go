package app

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/internal/blob"
	"parley/internal/store"
)

// lastEntry is the name of the entry that says that a backup is whole.
const lastEntry = "complete"

// kept are the folders beside the database that a backup holds.
var kept = []string{avatarDir, filesDir}

const (
	linksPrefix = ".backup-"
	linksAge    = 24 * time.Hour // a backup that runs longer than this was interrupted
)

// Backup writes everything that makes up the server to one tar file, consistently and while the server runs.
func Backup(ctx context.Context, dataDir, file string) (err error) {
	if _, err := os.Stat(filepath.Join(dataDir, databaseFile)); err != nil {
		return fmt.Errorf("nothing to back up: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(file), ".parley-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	links, err := makeLinks(dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(links)) }()
	db := filepath.Join(tmp, databaseFile)
	// What the database knows at its moment is held fast before or after it, even if it is deleted meanwhile.
	if err := linkKept(dataDir, links); err != nil {
		return err
	}
	if err := store.Backup(ctx, filepath.Join(dataDir, databaseFile), db); err != nil {
		return err
	}
	if err := linkKept(dataDir, links); err != nil {
		return err
	}
	archive := filepath.Join(tmp, "backup.tar")
	if err := pack(archive, db, links); err != nil {
		return err
	}
	return os.Rename(archive, file)
}

// makeLinks makes a folder on the disk of the kept files, and removes those that interrupted backups left.
func makeLinks(dataDir string) (string, error) {
	entries, err := os.ReadDir(dataDir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), linksPrefix) && time.Since(info.ModTime()) > linksAge {
			if err := os.RemoveAll(filepath.Join(dataDir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return os.MkdirTemp(dataDir, linksPrefix)
}

// linkKept links every kept file into a folder, but for uploads that are still on their way.
func linkKept(dataDir, links string) error {
	for _, dir := range kept {
		err := filepath.WalkDir(filepath.Join(dataDir, dir), func(path string, d fs.DirEntry, err error) error {
			name, rerr := filepath.Rel(dataDir, path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // it has been deleted
			case err != nil || rerr != nil:
				return errors.Join(err, rerr)
			case d.IsDir() && name == filepath.Join(filesDir, blob.Unfinished):
				return fs.SkipDir
			case d.IsDir():
				return os.MkdirAll(filepath.Join(links, name), 0o700)
			case !d.Type().IsRegular():
				return nil
			}
			if err := os.Link(path, filepath.Join(links, name)); !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pack writes the database and the files below root into an archive.
func pack(archive, db, root string) (err error) {
	f, err := os.OpenFile(archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	if err := addFile(w, databaseFile, db); err != nil {
		return err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return addFile(w, filepath.ToSlash(name), path)
	})
	if err != nil {
		return err
	}
	// A file that was cut short at the end of an entry would pass for whole.
	if err := w.WriteHeader(&tar.Header{Name: lastEntry, Mode: 0o600}); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Sync()
}

func addFile(w *tar.Writer, name, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, info.Size())
	return err
}

// Restore unpacks a backup into a data folder that holds no database and that no server uses.
func Restore(ctx context.Context, dataDir, file string) (err error) {
	lock, err := lockDataDir(dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if _, err := os.Stat(filepath.Join(dataDir, databaseFile)); err == nil {
		return fmt.Errorf("%s holds a database already; move it away, or name another folder with --set data_dir=…", dataDir)
	}
	tmp, err := os.MkdirTemp(dataDir, ".restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := unpack(tmp, file); err != nil {
		return fmt.Errorf("%s is not a whole backup: %w", file, err)
	}
	found, err := store.Check(ctx, filepath.Join(tmp, databaseFile))
	if err == nil && len(found) > 0 {
		err = errors.New(found[0])
	}
	if err != nil {
		return fmt.Errorf("the backup's database is damaged: %w", err)
	}
	for _, name := range append(kept, databaseFile) { // the database last: without it the folder counts as empty
		err := os.Rename(filepath.Join(tmp, name), filepath.Join(dataDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func unpack(dir, file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case h.Name == lastEntry:
			return nil
		}
		if err := extract(root, h.Name, r); err != nil {
			return err
		}
	}
}

// extract writes one file below root; os.Root refuses names that lead out of it.
func extract(root *os.Root, name string, r io.Reader) (err error) {
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Sync()
}
