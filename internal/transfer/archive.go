package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
)

// version is that of the archive's form.
const version = 1

// What an archive can hold.
const (
	Everything = "everything"
	Person     = "person"
)

// The parts of an archive, in their order.
const (
	manifestPart      = "manifest.json"
	usersPart         = "users.jsonl"
	othersPart        = "others.jsonl" // of one person
	friendsPart       = "friends.jsonl"
	requestsPart      = "requests.jsonl"
	blocksPart        = "blocks.jsonl"
	conversationsPart = "conversations.jsonl"
	messagesPart      = "messages.jsonl"
	membersPart       = "members.jsonl"
	gatewaysPart      = "gateways.jsonl"
	cursorsPart       = "cursors.jsonl"
	auditPart         = "audit.jsonl"
	importedPart      = "imported.jsonl" // of everything
	filesPart         = "files.jsonl"    // after the files
	avatarsPart       = "avatars.jsonl"  // after the avatars
	completePart      = "complete.json"

	filesDir   = "files/"
	avatarsDir = "avatars/"
)

const (
	maxLine      = 1 << 20 // bytes of a line of an archive
	manifestSize = 4096    // bytes; it is written last, into a place that was left for it
	blockSize    = 512     // of a tar file
)

// manifest is the first part: what the archive is.
type manifest struct {
	Format  string      `json:"format"`
	Version int         `json:"version"`
	Kind    string      `json:"kind"`
	User    core.UserID `json:"user,omitzero"` // whose, if it is one person's
	Created stamp       `json:"created"`
	LastUID core.UserID `json:"last_uid,omitzero"` // the highest that was ever given, if it is everything
	Counts  counts      `json:"counts"`
}

const format = "parley archive"

// counts is how many lines each part has, and how many bytes all files have.
type counts struct {
	Users         int64 `json:"users"`
	Others        int64 `json:"others,omitzero"`
	Friends       int64 `json:"friends"`
	Requests      int64 `json:"requests"`
	Blocks        int64 `json:"blocks"`
	Conversations int64 `json:"conversations"`
	Messages      int64 `json:"messages"`
	Members       int64 `json:"members"`
	Gateways      int64 `json:"gateways"`
	Cursors       int64 `json:"cursors"`
	Audit         int64 `json:"audit"`
	Imported      int64 `json:"imported,omitzero"`
	Files         int64 `json:"files"`
	FileBytes     int64 `json:"file_bytes"`
	Avatars       int64 `json:"avatars"`
}

// of returns the count of a part.
func (c *counts) of(part string) *int64 {
	return map[string]*int64{
		usersPart: &c.Users, othersPart: &c.Others, friendsPart: &c.Friends, requestsPart: &c.Requests, blocksPart: &c.Blocks,
		conversationsPart: &c.Conversations, messagesPart: &c.Messages, membersPart: &c.Members, gatewaysPart: &c.Gateways,
		cursorsPart: &c.Cursors, auditPart: &c.Audit, importedPart: &c.Imported, filesPart: &c.Files, avatarsPart: &c.Avatars,
	}[part]
}

// complete is the last part: the sums of those that have none elsewhere. Files and avatars have theirs in their lines.
type complete struct {
	Parts []partSum `json:"parts"`
}

type partSum struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 sum    `json:"sha256"`
}

// output writes an archive. The size of a part is known only at its end: then its header, for which a place was left, is
// written. So the archive has to be a file, and nothing has to be kept beside it.
type output struct {
	f    *os.File
	buf  *bufio.Writer
	at   int64 // where the next byte goes
	now  time.Time
	sums []partSum

	begun int64 // where the header of the present part is
	name  string
	size  int64
	hash  hash.Hash
}

func newOutput(f *os.File, now time.Time) *output {
	return &output{f: f, buf: bufio.NewWriterSize(f, 256<<10), now: now}
}

// header returns a part's tar header. Its length does not depend on the size: GNU's form has room for all sizes.
func (o *output) header(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: o.now.Truncate(time.Second), Format: tar.FormatGNU,
	})
	return b.Bytes(), err
}

func (o *output) raw(p []byte) error {
	n, err := o.buf.Write(p)
	o.at += int64(n)
	return err
}

// begin begins a part.
func (o *output) begin(name string) error {
	h, err := o.header(name, 0)
	if err != nil {
		return err
	}
	o.begun, o.name, o.size, o.hash = o.at, name, 0, sha256.New()
	return o.raw(h)
}

// Write appends to the present part.
func (o *output) Write(p []byte) (int, error) {
	o.size += int64(len(p))
	o.hash.Write(p)
	return len(p), o.raw(p)
}

// end ends the present part and returns its sum.
func (o *output) end() (s partSum, err error) {
	s = partSum{Name: o.name, Size: o.size}
	o.hash.Sum(s.SHA256[:0])
	h, err := o.header(o.name, o.size)
	if err == nil {
		err = o.raw(make([]byte, -o.size&(blockSize-1)))
	}
	if err == nil {
		err = o.patch(h, o.begun)
	}
	return s, err
}

// patch overwrites what was written before.
func (o *output) patch(p []byte, at int64) error {
	if err := o.buf.Flush(); err != nil {
		return err
	}
	_, err := o.f.WriteAt(p, at)
	return err
}

// drop takes the present part back.
func (o *output) drop() error {
	if err := o.buf.Flush(); err != nil {
		return err
	}
	o.at = o.begun
	if err := o.f.Truncate(o.at); err != nil {
		return err
	}
	_, err := o.f.Seek(o.at, io.SeekStart)
	return err
}

// lines writes a part of lines. fill gives them to put.
func (o *output) lines(name string, n *int64, fill func(put func(any) error) error) error {
	if err := o.begin(name); err != nil {
		return err
	}
	err := fill(func(line any) error {
		*n++
		return o.line(line)
	})
	if err != nil {
		return err
	}
	s, err := o.end()
	o.sums = append(o.sums, s)
	return err
}

func (o *output) line(v any) error {
	// What an older version or another program has put into the database must not make an export impossible.
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err == nil {
		_, err = o.Write(append(b, '\n'))
	}
	return err
}

// leaveManifest leaves a place for the manifest at the beginning.
func (o *output) leaveManifest() error {
	if err := o.begin(manifestPart); err != nil {
		return err
	}
	_, err := o.Write(make([]byte, manifestSize))
	if err == nil {
		_, err = o.end()
	}
	return err
}

// finish writes the manifest into its place, the last part, and the archive's end.
func (o *output) finish(m manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	b = append(append(b, bytes.Repeat([]byte{' '}, manifestSize-1-len(b))...), '\n')
	if err := o.patch(b, blockSize); err != nil {
		return err
	}
	if err := o.begin(completePart); err != nil {
		return err
	}
	if err := o.line(complete{append([]partSum{{manifestPart, manifestSize, sha256.Sum256(b)}}, o.sums...)}); err != nil {
		return err
	}
	if _, err := o.end(); err != nil {
		return err
	}
	if err := o.raw(make([]byte, 2*blockSize)); err != nil {
		return err
	}
	return errors.Join(o.buf.Flush(), o.f.Sync())
}

func fileEntry(id core.FileID) string { return filesDir + strconv.FormatInt(int64(id), 10) }

// at says in which part of an archive something is wrong.
func at(part string, err error) error { return fmt.Errorf("%s: %w", part, err) }
