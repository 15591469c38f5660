package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/core"
)

const (
	// maxCandidates is how many names are tried for one file.
	maxCandidates = 1000
	// minWeight is what a folder and the smallest file count for in the quota: neither is free of cost.
	minWeight = 4 << 10
)

// bounds are how many files and folders there may be, since what a room has is listed as a whole.
type bounds struct {
	owned  int64 // by one user
	inRoom int64
}

// weightOf returns what a file counts for in the quota.
func weightOf(size int64) int64 { return max(size, minWeight) }

// store gives the file its place in the room. All that depends on what others do is decided here, in one unit of work.
func (w *Writer) store(ctx context.Context, f stored) (stored, error) {
	s := w.s
	if err := s.cfg.Rooms.MayPost(ctx, w.actor, f.Area); err != nil {
		return f, err
	}
	entries, used, err := s.usageOf(ctx, f.Owner.ID)
	if err != nil {
		return f, err
	}
	f.At = time.Now()
	for _, name := range w.path.folders {
		folder, err := s.ensureFolder(ctx, f, name)
		if err != nil {
			return f, err
		}
		f.Parent = folder
	}
	name, old, err := s.resolveFile(ctx, f, w.path)
	if err != nil {
		return f, err
	}
	f.Name, f.Wanted = name, unlessSame(f.Name, name)
	if f.ID = old.ID; f.ID != 0 {
		err = s.replace(ctx, f)
		s.removeAfterCommit(ctx, old.blobs())
		if err == nil {
			err = s.changed(ctx, []core.FileID{f.ID})
		}
	} else {
		f.ID, err = s.insert(ctx, f)
	}
	if err == nil {
		err = s.isAllowed(ctx, f, entries, used)
	}
	if err != nil {
		return f, err
	}
	if err := s.cfg.Audit.Record(ctx, w.actor, "file.upload", target(f.ID), describe(f.File), w.from); err != nil {
		return f, err
	}
	return s.byID(ctx, f.ID)
}

// ensureFolder returns the owner's folder of that name beside f, which is made if it is not there.
func (s *Service) ensureFolder(ctx context.Context, f stored, name string) (core.FileID, error) {
	got, old, err := s.resolve(ctx, f, name, core.Folder)
	if err != nil || old.ID != 0 {
		return old.ID, err
	}
	return s.insert(ctx, stored{File: core.File{
		Area: f.Area, Parent: f.Parent, Owner: f.Owner, Kind: core.Folder, Name: got, Wanted: unlessSame(name, got), At: f.At,
	}})
}

// unlessSame returns the name that a thing was given, "" if it got it.
func unlessSame(wanted, got string) string {
	if wanted == got {
		return ""
	}
	return wanted
}

// isAllowed refuses what an upload has made of the user's files and the room, if there is more than before: entries
// files and folders that counted for used bytes.
func (s *Service) isAllowed(ctx context.Context, f stored, entries, used int64) error {
	entriesNow, usedNow, err := s.usageOf(ctx, f.Owner.ID)
	quota := s.limits.quota.Load()
	switch {
	case err != nil:
		return err
	case quota > 0 && usedNow > used && usedNow > quota:
		return core.ErrQuotaUsedUp
	case entriesNow > entries:
		return s.hasPlace(ctx, f.Area, f.Owner.ID, 0)
	}
	return nil
}

// hasPlace refuses n more files and folders if they would be too many.
func (s *Service) hasPlace(ctx context.Context, area core.ConversationID, owner core.UserID, n int64) error {
	owned, _, err := s.usageOf(ctx, owner)
	if err != nil {
		return err
	}
	if owned+n > s.most.owned {
		return fmt.Errorf("the user has %d files and folders: %w", owned, core.ErrQuotaUsedUp)
	}
	held, err := s.entriesIn(ctx, area)
	if err != nil {
		return err
	}
	if held+n > s.most.inRoom {
		return fmt.Errorf("the room has %d files and folders: %w", held, core.ErrQuotaUsedUp)
	}
	return nil
}

// lookUp returns the file that an upload would replace at this moment, if any, and how many folders it would need.
func (s *Service) lookUp(ctx context.Context, area core.ConversationID, owner core.UserID, to path) (old stored, missing int64, err error) {
	beside := stored{File: core.File{Area: area, Owner: core.Author{ID: owner}}}
	for i, name := range to.folders {
		_, folder, err := s.resolve(ctx, beside, name, core.Folder)
		if err != nil {
			return stored{}, 0, err
		}
		if folder.ID == 0 {
			return stored{}, int64(len(to.folders) - i), nil
		}
		beside.Parent = folder.ID
	}
	_, old, err = s.resolveFile(ctx, beside, to)
	return old, 0, err
}

// resolveFile returns the name that an upload's file gets beside f, and the file that it replaces, if it does.
func (s *Service) resolveFile(ctx context.Context, f stored, to path) (string, stored, error) {
	if !to.keepBoth {
		return s.resolve(ctx, f, to.name, core.PlainFile)
	}
	name, _, err := s.firstName(ctx, f, to.name, core.PlainFile, func(string, holder) bool { return false })
	if !errors.Is(err, core.ErrNameTaken) {
		return name, stored{}, err
	}
	// So many have that name that counting them on would take ever longer.
	newest, err := s.newest(ctx)
	if err != nil {
		return "", stored{}, err
	}
	f.Name = candidate(to.name, core.PlainFile, maxCandidates+int(newest)+1)
	if _, err = s.byName(ctx, f.Area, f.Parent, f.Name); err == nil {
		err = core.ErrNameTaken
	} else if errors.Is(err, core.ErrFileNotFound) {
		err = nil
	}
	return f.Name, stored{}, err
}

// resolve returns the first candidate for a name beside f that is free, or that a thing of the same kind has to which
// f's owner gave just that name: then that thing too. One of another name that the owner has there is another thing.
func (s *Service) resolve(ctx context.Context, f stored, name string, kind core.FileKind) (string, stored, error) {
	free, held, err := s.firstName(ctx, f, name, kind, func(candidate string, h holder) bool {
		return h.owner == f.Owner.ID && h.kind == kind && (candidate == name || h.wanted == name)
	})
	if err != nil || !held {
		return free, stored{}, err
	}
	old, err := s.byName(ctx, f.Area, f.Parent, free)
	if errors.Is(err, core.ErrFileNotFound) { // any more, outside of a unit of work
		return free, stored{}, nil
	}
	return free, old, err
}

// firstName returns the first candidate for a name beside f that is free or whose holder will do, and whether it has one.
func (s *Service) firstName(
	ctx context.Context, f stored, name string, kind core.FileKind, willDo func(string, holder) bool,
) (free string, held bool, err error) {
	// Mostly the first will do. The more are taken, the more are looked up at once.
	for first, n := 1, 1; first <= maxCandidates; first, n = first+n, n*10 {
		var names []string
		for i := first; i < first+n && i <= maxCandidates; i++ {
			names = append(names, candidate(name, kind, i))
		}
		holders, err := s.holders(ctx, f.Area, f.Parent, names)
		if err != nil {
			return "", false, err
		}
		for _, c := range names {
			if h, held := holders[c]; !held || willDo(c, h) {
				return c, held, nil
			}
		}
	}
	return "", false, core.ErrNameTaken
}
