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
	"slices"

	"parley/internal/blob"
	"parley/internal/durable"
	"parley/internal/store"
)

// Restore unpacks a backup into a data folder that holds no database and that no server uses.
func Restore(ctx context.Context, dataDir, file string) (err error) {
	lock, err := lockDataDir(dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := makeRoom(dataDir); err != nil {
		return err
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
	if err := filesAreThere(ctx, tmp); err != nil {
		return fmt.Errorf("%s is not a whole backup: %w", file, err)
	}
	for _, name := range append(slices.Clone(kept), databaseFile) { // the database last: without it the folder counts as empty
		err := os.Rename(filepath.Join(tmp, name), filepath.Join(dataDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return durable.SyncDir(dataDir)
}

// filesAreThere returns an error if the database in a data folder lists shared files whose bytes are not there.
func filesAreThere(ctx context.Context, dataDir string) error {
	needed, err := neededFiles(ctx, filepath.Join(dataDir, databaseFile))
	if err != nil {
		return err
	}
	missing := 0
	for _, key := range needed {
		if _, err := os.Stat(filepath.Join(dataDir, filesDir, blob.Place(key))); errors.Is(err, fs.ErrNotExist) {
			missing++
		} else if err != nil {
			return err
		}
	}
	if missing > 0 {
		return fmt.Errorf("the bytes of %d of %d shared files are missing", missing, len(needed))
	}
	return nil
}

// makeRoom returns an error if there is something in the data folder that a backup would replace. Folders without a file
// in them, which a server makes at its start, are removed.
func makeRoom(dataDir string) error {
	for _, name := range append(slices.Clone(kept), databaseFile) {
		path := filepath.Join(dataDir, name)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		empty := info.IsDir()
		if empty {
			err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
				empty = empty && (err != nil || d.IsDir())
				return err
			})
		}
		switch {
		case err != nil:
			return err
		case !empty:
			return fmt.Errorf("%s holds %s already; move the whole folder away, or name another one with --set data_dir=…", dataDir, name)
		}
		if err := os.RemoveAll(path); err != nil {
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
