// Package blob keeps bytes under keys. What the bytes are, and whose, it does not know.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley/internal/durable"
	"parley/internal/obs"
)

const keyBytes = 16

// Unfinished is the folder, under a Disk's own, of the blobs that are being written.
const Unfinished = "tmp"

// ErrNotFound says that nothing is kept under a key.
var ErrNotFound = errors.New("there is no such blob")

// Reader reads a blob. A Disk's is an *os.File, so that the system can send it to a socket by itself.
type Reader = io.ReadSeekCloser

// Disk keeps blobs as files: dir/xx/<key>, where xx is how the key begins. A blob has that name only when it is whole
// and on disk.
type Disk struct {
	dir        string
	goroutines *obs.Goroutines
	slabs      slabs
	write      func(f *os.File, p []byte) (int, error) // (*os.File).Write but for tests

	mu      sync.Mutex // guards writing
	writing map[string]struct{}
}

// OpenDisk opens the blobs in dir, which is made if it does not exist. One process may have it at a time.
func OpenDisk(dir string, goroutines *obs.Goroutines) (*Disk, error) {
	d := &Disk{dir: dir, goroutines: goroutines, slabs: newSlabs(), write: (*os.File).Write, writing: map[string]struct{}{}}
	if err := d.makeFolders(); err != nil {
		return nil, fmt.Errorf("open the blobs: %w", err)
	}
	return d, nil
}

// makeFolders makes all folders there will ever be, so that later no blob depends on a folder that is not on disk yet.
func (d *Disk) makeFolders() error {
	if err := os.MkdirAll(filepath.Join(d.dir, Unfinished), 0o700); err != nil {
		return err
	}
	for i := range 256 {
		if err := os.Mkdir(filepath.Join(d.dir, fmt.Sprintf("%02x", i)), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return errors.Join(durable.SyncDir(d.dir), durable.SyncDir(filepath.Dir(d.dir)))
}

// Place returns where a Disk keeps a finished blob, as a path below its folder.
func Place(key string) string { return filepath.Join(key[:2], key) }

func (d *Disk) subdir(key string) string { return filepath.Join(d.dir, key[:2]) }
func (d *Disk) path(key string) string   { return filepath.Join(d.subdir(key), key) }
func (d *Disk) temp(key string) string   { return filepath.Join(d.dir, Unfinished, key) }

func validKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(key) == 2*keyBytes
}

// Create begins a blob. It exists once its Writer is finished; the Writer must be finished or discarded.
func (d *Disk) Create(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var random [keyBytes]byte
	rand.Read(random[:])
	key := hex.EncodeToString(random[:])
	d.mark(key, true)
	f, err := os.OpenFile(d.temp(key), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		d.mark(key, false)
		return nil, fmt.Errorf("make a blob: %w", named(err))
	}
	return newWriter(d, key, f), nil
}

// mark notes whether a blob is being written.
func (d *Disk) mark(key string, writing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if writing {
		d.writing[key] = struct{}{}
	} else {
		delete(d.writing, key)
	}
}

func (d *Disk) isWriting(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.writing[key]
	return ok
}

// Open returns a blob's bytes. Whoever has them open can read on after the blob is deleted.
func (d *Disk) Open(key string) (Reader, error) {
	if !validKey(key) {
		return nil, ErrNotFound
	}
	f, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open a blob: %w", err)
	}
	return f, nil
}

// Delete removes a blob, or what an earlier process left of an unfinished one. It is no error if there is none.
func (d *Disk) Delete(key string) error {
	if !validKey(key) || d.isWriting(key) {
		return nil
	}
	for _, path := range []string{d.path(key), d.temp(key)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete a blob: %w", err)
		}
	}
	return nil
}

// Entry is what Keys finds.
type Entry struct {
	Key   string
	At    time.Time // of its last writing
	Whole bool      // false: an earlier process left it unfinished
}

// Keys calls yield for each blob, in no particular order. What an earlier process left unfinished is among them, what
// this one is writing is not.
func (d *Disk) Keys(yield func(Entry) error) error {
	folders, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("list the blobs: %w", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		if err := d.keysIn(folder.Name(), yield); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) keysIn(folder string, yield func(Entry) error) error {
	files, err := os.ReadDir(filepath.Join(d.dir, folder))
	if err != nil {
		return fmt.Errorf("list the blobs: %w", err)
	}
	for _, file := range files {
		key := file.Name()
		if !validKey(key) || folder != Unfinished && folder != key[:2] || d.isWriting(key) {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list the blobs: %w", err)
		}
		if err := yield(Entry{key, info.ModTime(), folder != Unfinished}); err != nil {
			return err
		}
	}
	return nil
}

// Free returns how much the disk can still hold, if the system tells.
func (d *Disk) Free() (bytes uint64, known bool) { return FreeBytes(d.dir) }
