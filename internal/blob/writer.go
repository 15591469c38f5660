package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"parley/internal/durable"
)

const (
	// trickle is the size of the first read after a pause. Less than that is written as it is; more is gathered in a slab.
	trickle = 16 << 10
	// beside is from how much on hashing is worth a goroutine.
	beside = 64 << 10
	// writeback is how much may be written before the system is asked to begin to bring it to the disk.
	writeback = 8 << 20
)

var errClosed = errors.New("the blob is finished or discarded")

// Writer takes the bytes of a blob. It is for one goroutine at a time.
//
// The bytes are hashed while they are written and while the next ones are read. A Writer has two slabs at most, and none
// while its source pauses: an idle upload costs an open file and a little memory.
type Writer struct {
	disk *Disk
	key  string
	file *os.File
	size int64
	sent int64 // up to where write-back was begun
	way  way
	hash hash.Hash
	busy chan struct{} // closed when the hash is free again, nil if it is
	err  error         // the first error; nothing is written after it
	done bool
}

func newWriter(d *Disk, key string, f *os.File) *Writer {
	return &Writer{disk: d, key: key, file: f, hash: sha256.New()}
}

// Key returns the key under which the blob will be.
func (w *Writer) Key() string { return w.key }

// Write appends p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(p) < beside {
		w.await()
		w.hash.Write(p)
		return w.append(p)
	}
	w.hashBeside(p)
	n, err := w.append(p)
	w.await() // p is the caller's again
	return n, err
}

// ReadFrom appends what r has until its end.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	before := w.size
	first := make([]byte, trickle)
	for err == nil {
		m, rerr := r.Read(first)
		slab := (*slab)(nil)
		if m == len(first) && rerr == nil {
			slab = w.disk.slabs.take()
		}
		if slab == nil {
			_, err = w.Write(first[:m])
		} else {
			rerr, err = w.gather(r, first, slab)
		}
		if err == nil && rerr != nil {
			err = rerr
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return w.size - before, err
}

// gather appends what has been read and what r has at hand, by slabs, until r pauses. The slab is given back.
func (w *Writer) gather(r io.Reader, first []byte, into *slab) (rerr, err error) {
	var hashed *slab // being hashed; what is in it has been written
	giveBack := func() {
		if w.await(); hashed != nil {
			w.disk.slabs.give(hashed)
		}
	}
	defer func() { giveBack() }()
	lead := int((block - w.size%block) % block) // so that the slab begins where a block does
	if _, err := w.Write(first[:lead]); err != nil {
		w.disk.slabs.give(into)
		return nil, err
	}
	for fill := copy(into[:], first[lead:]); into != nil; fill = 0 {
		flows := true
		for flows && fill < len(into) {
			var m int
			m, rerr = r.Read(into[fill:])
			fill += m
			flows = rerr == nil && m >= trickle
		}
		giveBack()
		w.hashBeside(into[:fill])
		_, err := w.append(into[:fill])
		if hashed, into = into, nil; err != nil {
			return rerr, err
		}
		if flows {
			into = w.disk.slabs.take()
		}
	}
	return rerr, nil
}

// hashBeside hashes p in a goroutine. p must stay as it is until await.
func (w *Writer) hashBeside(p []byte) {
	w.await()
	busy := make(chan struct{})
	w.busy = busy
	w.disk.goroutines.Go("hash a blob", func() {
		defer close(busy)
		w.hash.Write(p)
	})
}

// await waits until the hash is free.
func (w *Writer) await() {
	if w.busy != nil {
		<-w.busy
		w.busy = nil
	}
}

func (w *Writer) append(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := w.straight(p)
	if err == nil && n < len(p) {
		var rest int
		rest, err = w.cached(p[n:])
		n += rest
	}
	if err != nil {
		w.err = fmt.Errorf("write a blob: %w", named(err))
	}
	return n, w.err
}

// straight brings whole blocks to the disk without the system's cache: a big upload is no reason to forget what many
// read. What it leaves, cached writes.
func (w *Writer) straight(p []byte) (int, error) {
	whole := len(p) / block * block
	if whole < beside || w.size%block != 0 || !w.way.straight(w.file, p) {
		return 0, nil
	}
	n, err := w.disk.write(w.file, p[:whole])
	w.size += int64(n)
	w.sent = w.size
	if refusesStraight(err) {
		// It never could, or not from where it has come to: on a disk that is nearly full a write may end inside a block.
		w.way.refused = true
		err = nil
	}
	return n, err
}

func (w *Writer) cached(p []byte) (int, error) {
	if err := w.way.cached(w.file); err != nil {
		return 0, err
	}
	n, err := w.disk.write(w.file, p)
	w.size += int64(n)
	if err == nil && w.size-w.sent >= writeback {
		beginWriteback(w.file, w.sent, w.size-w.sent)
		w.sent = w.size
	}
	return n, err
}

// Finish brings the blob to the disk and gives it its name. If it fails, nothing is left.
func (w *Writer) Finish() (size int64, sum [32]byte, err error) {
	if w.done {
		return 0, sum, errClosed
	}
	w.await()
	if err = w.err; err == nil {
		err = named(w.file.Sync())
	}
	if err != nil {
		return 0, sum, errors.Join(fmt.Errorf("finish a blob: %w", err), w.Discard())
	}
	w.end()
	if err = os.Rename(w.disk.temp(w.key), w.disk.path(w.key)); err == nil {
		err = durable.SyncDir(w.disk.subdir(w.key))
	}
	w.disk.mark(w.key, false)
	if err != nil {
		// The new name may stand although it could not be made to last.
		return 0, sum, fmt.Errorf("finish a blob: %w", errors.Join(named(err), w.disk.Delete(w.key)))
	}
	return w.size, [32]byte(w.hash.Sum(nil)), nil
}

// Discard leaves nothing of an unfinished blob. Of a finished or discarded one it does nothing.
func (w *Writer) Discard() error {
	if w.done {
		return nil
	}
	w.await()
	w.end()
	w.disk.mark(w.key, false)
	return w.disk.Delete(w.key)
}

// end closes the file. What closing it could report, syncing it has.
func (w *Writer) end() {
	w.done = true
	if w.err == nil {
		w.err = errClosed
	}
	_ = w.file.Close()
}
