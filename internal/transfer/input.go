package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// errDamaged says that a file is no whole archive.
var errDamaged = errors.New("the archive is damaged")

const lastUID = 1_000_000_000 // the highest that a server gives

// fileBytes and avatarBytes are the bytes of a file and of a picture on their way.
type (
	fileBytes struct {
		ID   core.FileID
		Size int64
		r    io.Reader
	}
	avatarBytes struct {
		avatar
		Size int64
		r    io.Reader
	}
)

// input reads an archive from its beginning to its end and believes nothing in it.
type input struct {
	f       *os.File
	size    int64
	tar     *tar.Reader
	advance Advance
	take    func(ctx context.Context, v any) error // gets the manifest, each line, and bytes

	m      manifest
	seen   counts
	sums   []partSum
	checks *checks
	blobs  []partSum         // of the files, until their lines come
	shots  []partSum         // of the avatars, until their lines come
	rows   *io.SectionReader // the part of the files' lines, once it has been come across
}

func openInput(path string, advance Advance) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &input{f: f, size: info.Size(), advance: advance}, nil
}

// read goes through the archive once.
func (in *input) read(ctx context.Context, take func(ctx context.Context, v any) error) error {
	if _, err := in.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in.tar, in.take, in.seen, in.sums, in.checks, in.blobs, in.shots = tar.NewReader(in.f), take, counts{}, nil, newChecks(), nil, nil
	if err := in.manifest(ctx); err != nil {
		return err
	}
	for _, name := range partsOf(in.m.Kind) {
		if err := in.part(ctx, name); err != nil {
			return err
		}
	}
	return in.complete()
}

// next goes to the next entry, which is a file of some name.
func (in *input) next() (*tar.Header, error) {
	h, err := in.tar.Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("it ends too early: %w", errDamaged)
	case errors.Is(err, tar.ErrHeader):
		return nil, fmt.Errorf("it is no tar file, or a part of it is missing: %w", errDamaged)
	case err != nil:
		return nil, err
	case h.Typeflag != tar.TypeReg, h.Size < 0, h.Size > in.size:
		return nil, fmt.Errorf("%q is no file: %w", h.Name, errDamaged)
	}
	return h, nil
}

// whole reads a part that is small.
func (in *input) whole(h *tar.Header, limit int64, v any) error {
	if h.Size > limit {
		return at(h.Name, fmt.Errorf("it is too long: %w", errDamaged))
	}
	b, err := io.ReadAll(in.tar)
	if err != nil {
		return at(h.Name, ended(err))
	}
	in.sums = append(in.sums, partSum{h.Name, h.Size, sha256.Sum256(b)})
	if err := decode(bytes.TrimRight(b, " \n"), v); err != nil {
		return at(h.Name, err)
	}
	return nil
}

// ended makes the end of the file in the middle of a part a damaged archive.
func ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends too early: %w", errDamaged)
	}
	return err
}

func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: %w", err, errDamaged)
	}
	return nil
}

func (in *input) manifest(ctx context.Context) error {
	h, err := in.next()
	if err != nil {
		return err
	}
	if h.Name != manifestPart {
		return fmt.Errorf("it is no archive of Parley: it does not begin with %s", manifestPart)
	}
	if h.Size > manifestSize {
		return at(manifestPart, errDamaged)
	}
	b, err := io.ReadAll(in.tar)
	if err != nil {
		return ended(err)
	}
	// What another version has written may have other members.
	var which struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	switch err := json.Unmarshal(bytes.TrimRight(b, " \n"), &which); {
	case err != nil:
		return at(manifestPart, fmt.Errorf("%w: %w", err, errDamaged))
	case which.Format != format:
		return errors.New("it is no archive of Parley")
	case which.Version != version:
		return fmt.Errorf("it has version %d, and this program reads version %d", which.Version, version)
	}
	in.m = manifest{}
	if err := decode(bytes.TrimRight(b, " \n"), &in.m); err != nil {
		return at(manifestPart, err)
	}
	if in.m.Kind != Everything && in.m.Kind != Person || (in.m.Kind == Person) != (in.m.User > 0) {
		return at(manifestPart, fmt.Errorf("it is neither of everything nor of one person: %w", errDamaged))
	}
	if in.m.LastUID < 0 || in.m.LastUID > lastUID {
		return at(manifestPart, fmt.Errorf("%d is no uid: %w", in.m.LastUID, errDamaged))
	}
	in.sums = []partSum{{manifestPart, h.Size, sha256.Sum256(b)}}
	in.checks.kind, in.checks.user = in.m.Kind, in.m.User
	return in.take(ctx, in.m)
}

// part reads a part of lines, and the bytes that stand before the lines of files and avatars.
func (in *input) part(ctx context.Context, name string) error {
	for {
		h, err := in.next()
		if err != nil {
			return err
		}
		switch {
		case h.Name == name:
			return in.lines(ctx, h)
		case name == filesPart && strings.HasPrefix(h.Name, filesDir):
			err = in.fileBytes(ctx, h)
		case name == avatarsPart && strings.HasPrefix(h.Name, avatarsDir):
			err = in.avatarBytes(ctx, h)
		default:
			err = fmt.Errorf("%q stands where %s should: %w", h.Name, name, errDamaged)
		}
		if err != nil {
			return err
		}
	}
}

func (in *input) fileBytes(ctx context.Context, h *tar.Header) error {
	id, err := strconv.ParseInt(strings.TrimPrefix(h.Name, filesDir), 10, 64)
	if err != nil || fileEntry(core.FileID(id)) != h.Name || id <= 0 || id > maxNumber {
		return fmt.Errorf("%q is not the name of a file's bytes: %w", h.Name, errDamaged)
	}
	s, err := in.through(ctx, h, func(r io.Reader) error {
		return in.take(ctx, fileBytes{core.FileID(id), h.Size, r})
	})
	in.blobs = append(in.blobs, s)
	return err
}

func (in *input) avatarBytes(ctx context.Context, h *tar.Header) error {
	user, file, ok := strings.Cut(strings.TrimPrefix(h.Name, avatarsDir), "/")
	if !ok {
		return fmt.Errorf("%q is not the name of a picture: %w", h.Name, errDamaged)
	}
	if err := in.checks.picture(avatar{User: user, File: file}); err != nil {
		return err
	}
	s, err := in.through(ctx, h, func(r io.Reader) error {
		return in.take(ctx, avatarBytes{avatar{User: user, File: file}, h.Size, r})
	})
	in.shots = append(in.shots, s)
	return err
}

// through hands the bytes of an entry on and returns their sum, whether all of them were wanted or not.
func (in *input) through(ctx context.Context, h *tar.Header, use func(io.Reader) error) (partSum, error) {
	hash := sha256.New()
	r := &counting{ctx: ctx, in: in, part: h.Name, hash: hash}
	if err := use(r); err != nil {
		return partSum{}, fmt.Errorf("%s: %w", h.Name, ended(err))
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return partSum{}, fmt.Errorf("%s: %w", h.Name, ended(err))
	}
	s := partSum{Name: h.Name, Size: h.Size}
	hash.Sum(s.SHA256[:0])
	return s, nil
}

// counting reads an entry, hashes it and says how far the archive is read. It ends with the context.
type counting struct {
	ctx  context.Context
	in   *input
	part string
	hash hash.Hash
	n    int64
}

func (c *counting) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.tar.Read(p)
	c.hash.Write(p[:n])
	if c.n += int64(n); c.n >= 1<<20 || err != nil {
		c.n = 0
		if done, serr := c.in.f.Seek(0, io.SeekCurrent); serr == nil {
			c.in.advance(c.part, done, c.in.size)
		}
	}
	return n, err
}

// lines reads a part line by line.
func (in *input) lines(ctx context.Context, h *tar.Header) error {
	if h.Name == filesPart {
		here, err := in.f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		in.rows = io.NewSectionReader(in.f, here, h.Size)
	}
	n := in.seen.of(h.Name)
	s, err := in.through(ctx, h, func(r io.Reader) error {
		lines := newLineReader(r)
		for {
			b, err := lines.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			*n++
			if err == nil {
				err = in.line(ctx, h.Name, b)
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", *n, ended(err))
			}
		}
	})
	if err != nil {
		return err
	}
	in.sums = append(in.sums, s)
	if want := *in.m.Counts.of(h.Name); *n != want {
		return at(h.Name, fmt.Errorf("it has %d lines, and the manifest says %d: %w", *n, want, errDamaged))
	}
	if err := in.checks.after(h.Name); err != nil {
		return at(h.Name, err)
	}
	return nil
}

// lineReader takes a part apart. The last line must have its end, too.
type lineReader struct {
	r    *bufio.Reader
	long []byte // the beginning of a line that the reader has no room for
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 32<<10)} }

// next returns the next line, which is good until the next call. At the end it is io.EOF.
func (l *lineReader) next() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	for l.long = l.long[:0]; errors.Is(err, bufio.ErrBufferFull) && len(l.long) <= maxLine; b, err = l.r.ReadSlice('\n') {
		l.long = append(l.long, b...)
	}
	if len(l.long) > 0 {
		l.long = append(l.long, b...)
		b = l.long
	}
	switch {
	case len(b) > maxLine:
		return nil, fmt.Errorf("it is longer than %d bytes: %w", maxLine, errDamaged)
	case errors.Is(err, io.EOF) && len(b) > 0:
		return nil, fmt.Errorf("it is the last one and has no end: %w", errDamaged)
	case err != nil:
		return nil, err
	}
	return b[:len(b)-1], nil
}

// parse decodes a line of a part.
func parse(part string, b []byte) (any, error) {
	switch part {
	case usersPart:
		return parsed[userLine](b)
	case othersPart:
		return parsed[otherLine](b)
	case friendsPart:
		return parsed[friendLine](b)
	case requestsPart:
		return parsed[requestLine](b)
	case blocksPart:
		return parsed[blockLine](b)
	case conversationsPart:
		return parsed[conversationLine](b)
	case messagesPart:
		return parsed[messageLine](b)
	case membersPart:
		return parsed[memberLine](b)
	case gatewaysPart:
		return parsed[gatewayLine](b)
	case cursorsPart:
		return parsed[cursorLine](b)
	case auditPart:
		return parsed[auditLine](b)
	case importedPart:
		return parsed[importedLine](b)
	case filesPart:
		return parsed[fileLine](b)
	case avatarsPart:
		return parsed[avatarLine](b)
	}
	return nil, errDamaged
}

func parsed[T any](b []byte) (any, error) {
	var v T
	err := decode(b, &v)
	return v, err
}

func (in *input) line(ctx context.Context, part string, b []byte) error {
	v, err := parse(part, b)
	if err != nil {
		return err
	}
	if err := in.checks.line(v); err != nil {
		return err
	}
	switch l := v.(type) {
	case fileLine:
		err = in.blobOf(l)
	case avatarLine:
		err = in.shotOf(l)
	}
	if err != nil {
		return err
	}
	return in.take(ctx, v)
}

// blobOf compares a file with the bytes that came before it.
func (in *input) blobOf(l fileLine) error {
	if l.Kind != fileKind(core.PlainFile) {
		return nil
	}
	if len(in.blobs) == 0 || in.blobs[0] != (partSum{fileEntry(l.ID), l.Size, l.SHA256}) {
		return fmt.Errorf("the bytes of file %d are missing, or have another sum: %w", l.ID, errDamaged)
	}
	in.blobs = in.blobs[1:]
	in.seen.FileBytes += l.Size
	return nil
}

func (in *input) shotOf(l avatarLine) error {
	if len(in.shots) == 0 || in.shots[0] != (partSum{avatar{User: l.User, File: l.File}.entry(), l.Size, l.SHA256}) {
		return fmt.Errorf("the picture %s of %s is missing, or has another sum: %w", l.File, l.User, errDamaged)
	}
	in.shots = in.shots[1:]
	return nil
}

// complete reads the last part and compares all sums.
func (in *input) complete() error {
	if len(in.blobs) > 0 || len(in.shots) > 0 {
		return fmt.Errorf("%s is in no list: %w", append(in.blobs, in.shots...)[0].Name, errDamaged)
	}
	h, err := in.next()
	if err != nil {
		return err
	}
	if h.Name != completePart {
		return fmt.Errorf("%q stands where %s should: %w", h.Name, completePart, errDamaged)
	}
	got := slices.Clone(in.sums)
	var c complete
	if err := in.whole(h, maxLine, &c); err != nil {
		return err
	}
	for i, s := range got {
		if i >= len(c.Parts) || c.Parts[i] != s {
			return at(s.Name, fmt.Errorf("it has another sum than when it was written: %w", errDamaged))
		}
	}
	if len(c.Parts) != len(got) || in.seen != in.m.Counts {
		return at(completePart, errDamaged)
	}
	if _, err := in.tar.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something stands after its end: %w", errDamaged)
	}
	return nil
}
