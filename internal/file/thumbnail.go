package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"parley/internal/blob"
	"parley/internal/core"
	"parley/internal/picture"
)

const (
	thumbnailSide = 320  // pixels
	maxWaiting    = 32   // demands that wait for their turn
	maxHopeless   = 4096 // contents that are remembered as no pictures
)

// darkroom makes pictures small, one at a time.
type darkroom struct {
	waiting chan struct{}

	mu       sync.Mutex          // guards hopeless
	hopeless map[string]struct{} // blobs that turned out to be no pictures
}

func (d *darkroom) init() {
	d.waiting, d.hopeless = make(chan struct{}, maxWaiting), map[string]struct{}{}
}

// enter waits for the actor's turn, but not for ever.
func (d *darkroom) enter(ctx context.Context) error {
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		return core.ErrBusy
	}
	return picture.Enter(ctx)
}

func (d *darkroom) isHopeless(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.hopeless[key]
	return ok
}

func (d *darkroom) giveUp(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.hopeless) >= maxHopeless {
		clear(d.hopeless)
	}
	d.hopeless[key] = struct{}{}
}

// Thumbnail returns a picture's small form, a JPEG or PNG of 320 by 320 pixels at most. It is made when somebody asks for
// it first, and kept. Of what is no picture, or too large a one, there is none: core.ErrFileNotFound.
func (s *Service) Thumbnail(ctx context.Context, actor core.Actor, id core.FileID) (core.File, io.ReadSeekCloser, error) {
	f, r, err := s.thumbnailOf(ctx, s.readable(actor, id))
	if err != nil {
		return core.File{}, nil, fmt.Errorf("thumbnail: %w", err)
	}
	return f.File, r, nil
}

func (s *Service) thumbnailOf(ctx context.Context, find finder) (f stored, r io.ReadSeekCloser, err error) {
	// The file may be replaced at any moment, but not again and again.
	for range 5 {
		f, err = find(ctx)
		if err == nil && (!picture.Known(f.Type) || s.pictures.isHopeless(f.blob)) {
			err = core.ErrFileNotFound
		}
		if err != nil {
			return f, nil, err
		}
		if f.thumbnail == "" {
			if err := s.makeThumbnail(ctx, find); err != nil {
				return f, nil, err
			}
			continue
		}
		r, err = s.blobs.Open(f.thumbnail)
		if errors.Is(err, blob.ErrNotFound) {
			// Either the file has just been replaced, or the thumbnail is lost and another has to be made.
			err = s.db.Update(ctx, func(ctx context.Context) error { return s.clearThumbnail(ctx, f.thumbnail) })
			if err == nil {
				continue
			}
		}
		return f, r, err
	}
	return f, nil, fmt.Errorf("file %d: %w", f.ID, blob.ErrNotFound)
}

// makeThumbnail makes and keeps a thumbnail, unless somebody else has meanwhile.
func (s *Service) makeThumbnail(ctx context.Context, find finder) error {
	if err := s.pictures.enter(ctx); err != nil {
		return err
	}
	defer picture.Leave()
	f, r, err := s.open(ctx, find)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.thumbnail != "" || !picture.Known(f.Type) {
		return nil
	}
	source := &source{ctx: ctx, r: r}
	small, err := picture.Shrink(source, f.Type, thumbnailSide)
	if source.err != nil {
		return source.err // which says nothing of the picture
	}
	if err != nil {
		s.cfg.Log.Debug("no thumbnail", "file", f.ID, "err", err)
		s.pictures.giveUp(f.blob)
		return core.ErrFileNotFound
	}
	return s.keepThumbnail(ctx, f, small)
}

func (s *Service) keepThumbnail(ctx context.Context, f stored, small []byte) error {
	w, err := s.blobs.Create(ctx)
	if err != nil {
		return err
	}
	key := w.Key()
	s.inflight.hold(key)
	defer s.inflight.letGo(key)
	if _, err := w.Write(small); err != nil {
		return errors.Join(err, w.Discard())
	}
	if _, _, err := w.Finish(); err != nil {
		return err
	}
	kept := false
	err = s.db.Update(ctx, func(ctx context.Context) (err error) {
		kept, err = s.setThumbnail(ctx, f, key)
		return err
	})
	if err != nil || !kept {
		s.remove(key)
	}
	return err
}

// source reads a picture until the context ends, and tells an error of reading from one of decoding.
type source struct {
	ctx context.Context
	r   io.ReadSeeker
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) Seek(offset int64, whence int) (int64, error) { return s.r.Seek(offset, whence) }
