// Package file holds the files and folders that people share in a conversation: who may see, add and remove them, what they
// may be called, and how much of the disk they may take.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"parley/internal/blob"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/store"
)

// Rooms answers who may do what in a conversation.
type Rooms interface {
	// FilesSince returns from when on what was shared in it is the actor's to see, the zero time for all of it, and
	// core.ErrConversationNotFound if the actor is not in it.
	FilesSince(ctx context.Context, actor core.Actor, id core.ConversationID) (time.Time, error)
	// MayPost is asked for uploads. It returns an error for who may not read it, and for who may not write in it now.
	MayPost(ctx context.Context, actor core.Actor, id core.ConversationID) error
	// MayModerate returns an error for who may not remove what others have posted.
	MayModerate(ctx context.Context, actor core.Actor, id core.ConversationID) error
}

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Config is what the service works with.
type Config struct {
	DB         *store.DB
	Blobs      *blob.Disk // nobody else keeps anything there: Sweep deletes what the service does not know
	Rooms      Rooms
	Audit      Auditor
	Log        *slog.Logger
	Metrics    *obs.Metrics
	Goroutines *obs.Goroutines
	MaxFile    int64         // bytes of one file, 0 for no limit
	Quota      int64         // bytes of all files of one user, each of them weightOf at least, 0 for no limit
	Keep       time.Duration // after which files are deleted, 0 for never
}

// Service is the shared files of one installation.
type Service struct {
	cfg      Config
	db       *store.DB
	blobs    *blob.Disk
	free     func() (bytes uint64, known bool) // of the disk
	most     bounds
	limits   limits
	inflight inflight
	pictures darkroom
	linkKey  []byte
	files    atomic.Int64 // at the last Sweep
	bytes    atomic.Int64 // at the last Sweep
	changing []func(ctx context.Context, files []core.FileID) error
}

// New returns the service. All of Config's pointers must be set.
func New(ctx context.Context, cfg Config) (*Service, error) {
	s := &Service{cfg: cfg, db: cfg.DB, blobs: cfg.Blobs, free: cfg.Blobs.Free, most: bounds{owned: 25_000, inRoom: 100_000}}
	s.SetMaxFile(cfg.MaxFile)
	s.SetQuota(cfg.Quota)
	s.SetKeep(cfg.Keep)
	s.inflight.init()
	s.pictures.init()
	var err error
	if s.linkKey, err = s.readLinkKey(ctx); err != nil {
		return nil, err
	}
	cfg.Metrics.Gauge("file", "files", "Shared files at the last sweep.", func() float64 { return float64(s.files.Load()) })
	cfg.Metrics.Gauge("file", "bytes", "Bytes of the shared files at the last sweep.", func() float64 { return float64(s.bytes.Load()) })
	cfg.Metrics.Gauge("file", "uploads", "Uploads in flight.", func() float64 { return float64(s.inflight.uploads()) })
	return s, nil
}

// view is what of a conversation's files somebody sees: what was shared since they may read along, and what is their own.
type view struct {
	since time.Time
	user  core.UserID
}

func (v view) shows(f core.File) bool { return f.Owner.ID == v.user || !f.At.Before(v.since) }

// viewOf returns what the actor sees of a conversation's files, else core.ErrLoginRequired or core.ErrConversationNotFound.
func (s *Service) viewOf(ctx context.Context, actor core.Actor, area core.ConversationID) (v view, err error) {
	if actor.Operator() {
		return v, nil
	}
	if !actor.Known() {
		return v, core.ErrLoginRequired
	}
	v.user = actor.User()
	v.since, err = s.cfg.Rooms.FilesSince(ctx, actor, area)
	return v, err
}

// finder finds a stored thing again and again, and each time asks whether it may still be read.
type finder func(context.Context) (stored, error)

// readable finds what the actor may read.
func (s *Service) readable(actor core.Actor, id core.FileID) finder {
	return func(ctx context.Context) (stored, error) {
		f, _, err := s.find(ctx, actor, id)
		return f, err
	}
}

// find returns a stored thing that the actor sees, and what else they see there; core.ErrFileNotFound if they do not.
func (s *Service) find(ctx context.Context, actor core.Actor, id core.FileID) (stored, view, error) {
	f, v, err := s.inside(ctx, actor, id)
	if err == nil && !v.shows(f.File) {
		err = core.ErrFileNotFound
	}
	return f, v, err
}

// inside is find for whatever the conversation has that the actor reads, of whatever age.
func (s *Service) inside(ctx context.Context, actor core.Actor, id core.FileID) (f stored, v view, err error) {
	if !actor.Known() && !actor.Operator() {
		return stored{}, v, core.ErrLoginRequired
	}
	if f, err = s.byID(ctx, id); err != nil {
		return stored{}, v, err
	}
	v, err = s.viewOf(ctx, actor, f.Area)
	if errors.Is(err, core.ErrConversationNotFound) {
		err = core.ErrFileNotFound // who may not read the room is not told what is in it
	}
	return f, v, err
}

// List returns what is in a folder of a conversation, 0 for its top, the newest last.
func (s *Service) List(ctx context.Context, actor core.Actor, area core.ConversationID, parent core.FileID) ([]core.File, error) {
	v, err := s.mayList(ctx, actor, area, parent)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	list, err := s.children(ctx, v, area, parent)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return list, nil
}

// Page returns a part of what is in a folder of a conversation, the newest first, and how much there is of it.
func (s *Service) Page(
	ctx context.Context, actor core.Actor, area core.ConversationID, parent core.FileID, skip, most int,
) (list []core.File, total int, err error) {
	v, err := s.mayList(ctx, actor, area, parent)
	if err != nil {
		return nil, 0, fmt.Errorf("list files: %w", err)
	}
	if list, total, err = s.someChildren(ctx, v, area, parent, skip, most); err != nil {
		return nil, 0, fmt.Errorf("list files: %w", err)
	}
	return list, total, nil
}

// mayList returns what the actor sees in a folder, or why they do not.
func (s *Service) mayList(ctx context.Context, actor core.Actor, area core.ConversationID, parent core.FileID) (view, error) {
	v, err := s.viewOf(ctx, actor, area)
	if err != nil || parent == 0 {
		return v, err
	}
	f, err := s.byID(ctx, parent)
	if err == nil && (f.Kind != core.Folder || f.Area != area || !v.shows(f.File)) {
		err = core.ErrFileNotFound
	}
	return v, err
}

// Find returns what stands at the top of a conversation under a name.
func (s *Service) Find(ctx context.Context, actor core.Actor, area core.ConversationID, name string) (core.File, error) {
	v, err := s.viewOf(ctx, actor, area)
	if err != nil {
		return core.File{}, fmt.Errorf("find a file: %w", err)
	}
	if len(name) > maxRaw {
		return core.File{}, fmt.Errorf("find a file: %w", core.ErrFileNotFound)
	}
	f, err := s.byName(ctx, area, 0, norm.NFC.String(name))
	if err == nil && !v.shows(f.File) {
		err = core.ErrFileNotFound
	}
	if err != nil {
		return core.File{}, fmt.Errorf("find a file: %w", err)
	}
	return f.File, nil
}

// Tree returns all plain files below a folder, in the order of their paths as sent.
func (s *Service) Tree(ctx context.Context, actor core.Actor, folder core.FileID) ([]core.File, error) {
	f, v, err := s.find(ctx, actor, folder)
	if err == nil && f.Kind != core.Folder {
		err = core.ErrFileNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("list a folder: %w", err)
	}
	list, err := s.filesBelow(ctx, v, folder)
	if err != nil {
		return nil, fmt.Errorf("list a folder: %w", err)
	}
	return list, nil
}

// Get returns a file or a folder.
func (s *Service) Get(ctx context.Context, actor core.Actor, id core.FileID) (core.File, error) {
	f, _, err := s.find(ctx, actor, id)
	if err != nil {
		return core.File{}, fmt.Errorf("get a file: %w", err)
	}
	return f.File, nil
}

// Open returns a file and its bytes, which stay readable when the file is replaced or deleted.
func (s *Service) Open(ctx context.Context, actor core.Actor, id core.FileID) (core.File, io.ReadSeekCloser, error) {
	f, r, err := s.open(ctx, s.readable(actor, id))
	if err != nil {
		return core.File{}, nil, fmt.Errorf("open a file: %w", err)
	}
	return f.File, r, nil
}

func (s *Service) open(ctx context.Context, find finder) (stored, io.ReadSeekCloser, error) {
	for missing := ""; ; {
		f, err := find(ctx)
		if err == nil && f.Kind != core.PlainFile {
			err = core.ErrFileNotFound
		}
		if err != nil {
			return stored{}, nil, err
		}
		r, err := s.blobs.Open(f.blob)
		if errors.Is(err, blob.ErrNotFound) && f.blob != missing {
			missing = f.blob // it may just have been replaced
			continue
		}
		if err != nil {
			return stored{}, nil, fmt.Errorf("file %d: %w", f.ID, err)
		}
		return f, r, nil
	}
}

// OnChange has fn called for files that are deleted or get other content, in the unit of work that does it. It must be called before
// the service is used.
func (s *Service) OnChange(fn func(ctx context.Context, files []core.FileID) error) {
	s.changing = append(s.changing, fn)
}

// changed is called after files were deleted or replaced, in the same unit of work.
func (s *Service) changed(ctx context.Context, files []core.FileID) error {
	if len(files) == 0 {
		return nil
	}
	for _, fn := range s.changing {
		if err := fn(ctx, files); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes a file, or a folder with all in it. Only its owner and those who administer the server or the room may.
func (s *Service) Delete(ctx context.Context, actor core.Actor, from core.Origin, id core.FileID) error {
	err := s.db.Update(ctx, func(ctx context.Context) error {
		f, err := s.mayDelete(ctx, actor, id)
		if err != nil {
			return err
		}
		ids, blobs, err := s.deleteTree(ctx, id)
		if err != nil {
			return err
		}
		s.removeAfterCommit(ctx, blobs)
		if err := s.changed(ctx, ids); err != nil {
			return err
		}
		return s.cfg.Audit.Record(ctx, actor, "file.delete", target(id), describe(f.File), from)
	})
	if err != nil {
		return fmt.Errorf("delete a file: %w", err)
	}
	return nil
}

func (s *Service) mayDelete(ctx context.Context, actor core.Actor, id core.FileID) (stored, error) {
	if administers(actor) {
		return s.byID(ctx, id)
	}
	f, _, err := s.inside(ctx, actor, id)
	if err == nil && f.Owner.ID != actor.User() {
		err = s.cfg.Rooms.MayModerate(ctx, actor, f.Area)
	}
	return f, err
}

// removeAfterCommit deletes blobs once the context's unit of work is committed. What cannot be deleted is left to Sweep.
func (s *Service) removeAfterCommit(ctx context.Context, blobs []string) {
	if len(blobs) == 0 {
		return
	}
	store.AfterCommit(ctx, func() {
		s.cfg.Goroutines.Go("delete blobs", func() { s.remove(blobs...) })
	})
}

// discard removes a blob that got no row.
func (s *Service) discard(key string) {
	s.remove(key)
	s.inflight.letGo(key)
}

func (s *Service) remove(blobs ...string) {
	for _, key := range blobs {
		if err := s.blobs.Delete(key); err != nil {
			s.cfg.Log.Warn("a blob could not be deleted", "err", err)
		}
	}
}

// Usage returns how many bytes a user's files count for in the quota and how many they may, 0 for no limit. It is for the
// user and for those who administer.
func (s *Service) Usage(ctx context.Context, actor core.Actor, user core.UserID) (used, quota int64, err error) {
	if !actor.Known() && !actor.Operator() {
		return 0, 0, fmt.Errorf("usage: %w", core.ErrLoginRequired)
	}
	if actor.User() != user && !administers(actor) {
		return 0, 0, fmt.Errorf("usage: %w", core.ErrForbidden)
	}
	if _, used, err = s.usageOf(ctx, user); err != nil {
		return 0, 0, fmt.Errorf("usage: %w", err)
	}
	return used, s.limits.quota.Load(), nil
}

func administers(a core.Actor) bool { return a.Operator() || a.Admin() }

// target names a file in the audit log, describe says what it was.
func target(id core.FileID) string { return "file " + strconv.FormatInt(int64(id), 10) }

func describe(f core.File) string {
	return fmt.Sprintf("%q of user %d in conversation %d, %d bytes", f.Name, f.Owner.ID, f.Area, f.Size)
}
