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

	"parley/internal/store"
)

// lastEntry is the name of the entry that says that a backup is whole.
const lastEntry = "complete"

// kept are the folders beside the database that a backup holds.
var kept = []string{avatarDir}

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
	db := filepath.Join(tmp, databaseFile)
	if err := store.Backup(ctx, filepath.Join(dataDir, databaseFile), db); err != nil {
		return err
	}
	archive := filepath.Join(tmp, "backup.tar")
	if err := pack(archive, db, dataDir); err != nil {
		return err
	}
	return os.Rename(archive, file)
}

func pack(archive, db, dataDir string) (err error) {
	f, err := os.OpenFile(archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	if err := addFile(w, databaseFile, db); err != nil {
		return err
	}
	for _, dir := range kept {
		root := filepath.Join(dataDir, dir)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(dataDir, path)
			if err != nil {
				return err
			}
			return addFile(w, filepath.ToSlash(name), path)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
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
