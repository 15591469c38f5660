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
	"strings"
	"time"

	"parley/internal/blob"
	"parley/internal/durable"
	"parley/internal/file"
	"parley/internal/store"
)

// lastEntry is the name of the entry that says that a backup is whole.
const lastEntry = "complete"

// kept are the folders beside the database that a backup holds.
var kept = []string{avatarDir, filesDir}

const (
	linksPrefix = ".backup-"
	linksAge    = 24 * time.Hour // a backup that runs longer than this was interrupted
	// backupTries is how often a backup takes another picture of the database, should files have been replaced faster than
	// they could be held fast.
	backupTries = 20
)

// Backup writes everything that makes up the server to one tar file, consistently and while the server runs.
func Backup(ctx context.Context, dataDir, to string) (err error) {
	if _, err := os.Stat(filepath.Join(dataDir, databaseFile)); err != nil {
		return fmt.Errorf("nothing to back up: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(to), ".parley-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	h, err := holdFiles(filepath.Join(dataDir, filesDir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.letGo()) }()
	db := filepath.Join(tmp, databaseFile)
	needed, err := h.picture(ctx, filepath.Join(dataDir, databaseFile), db)
	if err != nil {
		return err
	}
	archive := filepath.Join(tmp, "backup.tar")
	if err := pack(archive, db, filepath.Join(dataDir, avatarDir), h, needed); err != nil {
		return err
	}
	if err := os.Rename(archive, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

// held is the shared files, held fast by links so that what is deleted meanwhile does not go.
type held struct {
	dir   string // where they are, "" if there is no such folder
	links string // on the same disk; "" if that disk has no links
}

// holdFiles makes a folder for links, and removes those that interrupted backups left.
func holdFiles(dir string) (h held, err error) {
	dir, err = filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return held{}, nil
	}
	if err == nil {
		err = removeOldLinks(dir)
	}
	if err != nil {
		return held{}, err
	}
	h = held{dir: dir}
	h.links, err = os.MkdirTemp(dir, linksPrefix)
	return h, err
}

func removeOldLinks(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), linksPrefix) || time.Since(info.ModTime()) < linksAge {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) letGo() error {
	if h.links == "" {
		return nil
	}
	return os.RemoveAll(h.links)
}

// picture copies the database, and returns the files that it needs as it was at that moment, held fast. Holding takes a
// while, and a file that came and went in that while is in neither: then it takes another picture.
func (h *held) picture(ctx context.Context, from, to string) (needed []string, err error) {
	for range backupTries {
		if err := h.hold(); err != nil {
			return nil, err
		}
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := store.Backup(ctx, from, to); err != nil {
			return nil, err
		}
		if err := h.hold(); err != nil {
			return nil, err
		}
		if needed, err = neededFiles(ctx, to); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(needed, func(key string) bool { return !h.has(key) }) {
			return needed, nil
		}
	}
	return nil, errors.New("files are being replaced too quickly for a backup; try again when there is less going on")
}

// neededFiles returns the keys of the files that a database lists. One of an older version may know of none.
func neededFiles(ctx context.Context, db string) ([]string, error) {
	known, err := store.Column(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'file'`)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	return store.Column(ctx, db, file.BlobsQuery)
}

func (h *held) has(key string) bool {
	_, err := os.Lstat(filepath.Join(h.root(), blob.Place(key)))
	return err == nil
}

// root is where the files can be read.
func (h *held) root() string {
	if h.links != "" {
		return h.links
	}
	return h.dir
}

// hold links every finished file.
func (h *held) hold() error {
	if h.links == "" {
		return nil
	}
	folders, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() || folder.Name() == blob.Unfinished || strings.HasPrefix(folder.Name(), ".") {
			continue
		}
		if err := h.holdFolder(folder.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) holdFolder(name string) error {
	files, err := os.ReadDir(filepath.Join(h.dir, name))
	if err != nil || len(files) == 0 {
		return err
	}
	if err := os.MkdirAll(filepath.Join(h.links, name), 0o700); err != nil {
		return err
	}
	for _, f := range files {
		err := os.Link(filepath.Join(h.dir, name, f.Name()), filepath.Join(h.links, name, f.Name()))
		switch {
		case err == nil, errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		default: // this disk has no links; a file that is deleted before it is packed makes the backup fail
			err := h.letGo()
			h.links = ""
			return err
		}
	}
	return nil
}

// pack writes the database, the pictures and the files that the database needs into an archive.
func pack(archive, db, avatars string, h held, needed []string) (err error) {
	f, err := os.OpenFile(archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	if err := addFile(w, databaseFile, db); err != nil {
		return err
	}
	for _, key := range needed {
		place := blob.Place(key)
		if err := addFile(w, filesDir+"/"+filepath.ToSlash(place), filepath.Join(h.root(), place)); err != nil {
			return fmt.Errorf("a shared file: %w", err)
		}
	}
	if err := addPictures(w, avatars); err != nil {
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

// addPictures adds the pictures that are there. One that goes meanwhile has been replaced.
func addPictures(w *tar.Writer, dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := addFile(w, avatarDir+"/"+filepath.ToSlash(name), path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
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
