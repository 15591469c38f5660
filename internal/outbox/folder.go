package outbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	netmail "net/mail"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley/internal/durable"
)

// stampForm makes names sort by time.
const stampForm = "20060102T150405.000000000Z"

var folderFrom = &netmail.Address{Name: "Parley", Address: "parley@localhost"}

// Folder writes each message as one file: *.eml, a complete mail, or *.sms, the text and a last line with the recipient.
// A file has its final name only when it is whole and on disk. Names sort in the order in which this Folder wrote them.
type Folder struct {
	dir string

	mu   sync.Mutex // guards last
	last time.Time
}

// NewFolder returns a Folder that writes to dir. The directory is made when the first message needs it.
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

// Send writes m.
func (f *Folder) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return failed(err)
	}
	content, ext, err := file(m)
	if err != nil {
		return failed(err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return failed(err)
	}
	if err := f.write(f.stamp()+"-"+random()+ext, content); err != nil {
		return failed(err)
	}
	return nil
}

func file(m Message) (content []byte, ext string, err error) {
	if m.Kind == SMS {
		content, err = short(m)
		return content, ".sms", err
	}
	msg, err := compose(m, folderFrom, true)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	_, err = msg.WriteTo(&b)
	return b.Bytes(), ".eml", err
}

// stamp returns the time, later than any that it returned before.
func (f *Folder) stamp() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now().UTC().Round(0)
	if !now.After(f.last) {
		now = f.last.Add(1)
	}
	f.last = now
	return now.Format(stampForm)
}

// random keeps the names of two processes with one folder apart.
func random() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (f *Folder) write(name string, content []byte) error {
	temp := filepath.Join(f.dir, "."+name+".tmp")
	if err := writeSynced(temp, content); err != nil {
		os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, filepath.Join(f.dir, name)); err != nil {
		os.Remove(temp)
		return err
	}
	return durable.SyncDir(f.dir)
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
