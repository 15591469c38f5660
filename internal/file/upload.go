package file

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gabriel-vasile/mimetype"

	"parley/internal/blob"
	"parley/internal/core"
)

const (
	// maxSize is far more than a disk holds and leaves room for sums.
	maxSize = 1 << 50
	// reserve is what uploads leave free on the disk, for the database above all.
	reserve = 256 << 20
	// step is how much of the quota an upload of unknown size claims at a time.
	step = 16 << 20
	// ahead is how much of the disk an upload claims beyond what it has written. More would let a slow one keep others
	// away for days.
	ahead = 64 << 20
	// maxRunning is how many uploads of one user may be in flight: each holds a file open.
	maxRunning = 100
	// maxHead is from how much of its beginning a file's type is told.
	maxHead = 4 << 10
)

var errOver = fmt.Errorf("the upload is over: %w", core.ErrInvalid)

// Upload is what somebody wants to add to a conversation's files.
type Upload struct {
	Area   core.ConversationID
	Folder string // the topmost folder, "" for a single file
	Name   string // a single file's name; inside a folder the path below it, with / or \ between its parts
	Size   int64  // as announced, -1 if it is not known
	// KeepBoth: an own file of that name stays as it is, and this one gets a number. Two pictures that are attached to
	// messages are two, even if a program gave both the same name.
	KeepBoth bool
}

// path is where an upload goes if no name is taken.
type path struct {
	folders  []string
	name     string
	sent     string
	keepBoth bool
}

func cleanUpload(u Upload) (path, error) {
	if u.Folder == "" {
		name, err := cleanPart(u.Name)
		return path{name: name, keepBoth: u.KeepBoth}, err
	}
	top, err := cleanPart(u.Folder)
	if err != nil {
		return path{}, err
	}
	parts, err := cleanPath(u.Name)
	if err != nil {
		return path{}, err
	}
	last := len(parts) - 1
	return path{folders: append([]string{top}, parts[:last]...), name: parts[last], sent: u.Name, keepBoth: u.KeepBoth}, nil
}

// Writer takes the bytes of an upload. It is for one goroutine at a time, and it must be committed or aborted.
type Writer struct {
	s       *Service
	ctx     context.Context // of Begin, without its end
	actor   core.Actor
	from    core.Origin
	area    core.ConversationID
	path    path
	size    int64 // as announced, -1 if it is not known
	folders int64 // what the folders that have to be made count for in the quota
	claim   claim
	blob    *blob.Writer
	written int64
	head    []byte
	err     error // the first error; nothing is kept after it
	over    bool
}

// Begin starts an upload. Refused is what cannot come to a good end: a conversation that the actor may not post in, a name
// that is not allowed, one more than a user may have in flight, and what is too large for the limits, the user's quota, uploads in
// flight included, or the disk.
func (s *Service) Begin(ctx context.Context, actor core.Actor, from core.Origin, u Upload) (*Writer, error) {
	w, err := s.begin(ctx, actor, u)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	w.from = from
	return w, nil
}

func (s *Service) begin(ctx context.Context, actor core.Actor, u Upload) (*Writer, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	if err := s.cfg.Rooms.MayPost(ctx, actor, u.Area); err != nil {
		return nil, err
	}
	to, err := cleanUpload(u)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Size < -1:
		return nil, core.ErrInvalid
	case s.tooLarge(u.Size):
		return nil, core.ErrFileTooLarge
	}
	w := &Writer{
		s: s, ctx: context.WithoutCancel(ctx), actor: actor, area: u.Area, path: to, size: u.Size, claim: claim{user: actor.User()},
	}
	if !s.inflight.begin(&w.claim) {
		return nil, fmt.Errorf("%d uploads are in flight: %w", maxRunning, core.ErrThrottled)
	}
	if err := w.reserve(ctx); err != nil {
		s.inflight.release(&w.claim)
		return nil, err
	}
	if w.blob, err = s.blobs.Create(ctx); err != nil {
		s.inflight.release(&w.claim)
		return nil, err
	}
	s.inflight.hold(w.blob.Key())
	return w, nil
}

// reserve claims what the upload needs as far as that can be known: the room may be another one at its end.
func (w *Writer) reserve(ctx context.Context) error {
	old, missing, err := w.s.lookUp(ctx, w.area, w.actor.User(), w.path)
	if err != nil {
		return err
	}
	if old.ID == 0 {
		if err := w.s.hasPlace(ctx, w.area, w.actor.User(), missing+1); err != nil {
			return err
		}
	} else {
		w.claim.frees = weightOf(old.Size)
	}
	w.folders = missing * minWeight
	if err := w.s.promise(ctx, &w.claim, w.folders+weightOf(w.size)); err != nil {
		return err
	}
	if !w.s.diskHas(w.size) {
		return core.ErrDiskFull
	}
	return w.s.claimDisk(&w.claim, min(max(w.size, 0), ahead))
}

// promise adds n bytes to what an upload may count for if the user's quota allows it.
func (s *Service) promise(ctx context.Context, c *claim, n int64) error {
	// The claim comes first: of two uploads at once, the second sees the first one's.
	change, promised := s.inflight.add(c, n)
	quota := s.limits.quota.Load()
	if change <= 0 || quota == 0 {
		return nil
	}
	_, used, err := s.usageOf(ctx, c.user)
	if err == nil && used+promised > quota {
		err = core.ErrQuotaUsedUp
	}
	if err != nil {
		s.inflight.add(c, -n)
	}
	return err
}

// claimDisk lets an upload write total bytes if the disk can hold them beside what others may still write.
func (s *Service) claimDisk(c *claim, total int64) error {
	n := total - c.disk // which only the upload's goroutine changes
	promised := s.inflight.addDisk(c, n)
	if !s.diskHas(promised) {
		s.inflight.addDisk(c, -n)
		return core.ErrDiskFull
	}
	return nil
}

// diskHas reports whether the disk can hold n bytes, as far as anybody knows.
func (s *Service) diskHas(n int64) bool {
	free, known := s.free()
	return !known || uint64(max(n, 0))+reserve <= free
}

// ReadFrom appends what r has until its end.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.blob.ReadFrom(&meter{w, r})
	return n, w.failed(err)
}

// meter admits what is read before the blob gets it.
type meter struct {
	w *Writer
	r io.Reader
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if aerr := m.w.admit(p[:n]); aerr != nil {
		return 0, aerr
	}
	return n, err
}

// Write appends p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.admit(p); err != nil {
		return 0, w.failed(err)
	}
	n, err := w.blob.Write(p)
	return n, w.failed(err)
}

// failed keeps an error for Commit, and for whoever writes on.
func (w *Writer) failed(err error) error {
	if err != nil {
		w.err = fmt.Errorf("upload: %w", err)
	}
	return w.err
}

// admit counts p, if that much may come.
func (w *Writer) admit(p []byte) error {
	total := w.written + int64(len(p))
	switch {
	case w.size >= 0 && total > w.size:
		return core.ErrIncomplete
	case w.size < 0:
		if err := w.grow(total); err != nil {
			return err
		}
	}
	if err := w.reach(total); err != nil {
		return err
	}
	if missing := min(maxHead-len(w.head), len(p)); missing > 0 {
		w.head = append(w.head, p[:missing]...)
	}
	w.written = total
	w.s.inflight.wrote(&w.claim, len(p))
	return nil
}

// grow sees to it that an upload of unknown size may count for total bytes.
func (w *Writer) grow(total int64) error {
	if w.s.tooLarge(total) {
		return core.ErrFileTooLarge
	}
	missing := w.folders + weightOf(total) - w.claim.bytes // which only this goroutine changes
	if missing <= 0 {
		return nil
	}
	err := w.s.promise(w.ctx, &w.claim, max(missing, step))
	if missing < step && errors.Is(err, core.ErrQuotaUsedUp) {
		err = w.s.promise(w.ctx, &w.claim, missing)
	}
	return err
}

// reach sees to it that total bytes may be written, and some more if there is room for them.
func (w *Writer) reach(total int64) error {
	if total <= w.claim.disk {
		return nil
	}
	far := total + ahead
	if w.size >= 0 {
		far = min(far, w.size)
	}
	if w.s.claimDisk(&w.claim, far) == nil {
		return nil
	}
	return w.s.claimDisk(&w.claim, total)
}

// Commit ends the upload. When it returns without an error, the file is on disk and listed; otherwise nothing is kept.
// An own file of that name is replaced in the same step, unless both shall be kept. Commit must not be called in a unit of work: it waits for the
// disk.
func (w *Writer) Commit(ctx context.Context) (core.File, error) {
	defer w.Abort()
	if w.err != nil {
		return core.File{}, w.err
	}
	if w.size >= 0 && w.written != w.size {
		return core.File{}, w.failed(core.ErrIncomplete)
	}
	size, sum, err := w.blob.Finish()
	if err != nil {
		return core.File{}, w.failed(err)
	}
	f := stored{blob: w.blob.Key(), File: core.File{
		Area: w.area, Owner: core.Author{ID: w.actor.User()}, Kind: core.PlainFile, Name: w.path.name, Sent: w.path.sent,
		Size: size, SHA256: sum, Type: mimetype.Detect(w.head).String(),
	}}
	wanted := ctx
	err = w.s.db.Update(ctx, func(ctx context.Context) (err error) {
		if err := wanted.Err(); err != nil { // a unit of work's own context does not end
			return err
		}
		f, err = w.store(ctx, f)
		return err
	})
	if err != nil {
		w.s.remove(w.blob.Key())
		return core.File{}, w.failed(err)
	}
	return f.File, nil
}

// Abort ends the upload and leaves nothing of it. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.over {
		return
	}
	w.over = true
	if w.err == nil {
		w.err = errOver
	}
	if err := w.blob.Discard(); err != nil {
		w.s.cfg.Log.Warn("an upload could not be discarded", "err", err)
	}
	w.s.inflight.letGo(w.blob.Key())
	w.s.inflight.release(&w.claim)
}
