package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/internal/core"
	"parley/internal/picture"
)

const (
	avatarSide = 256
	// avatarUnfinished is how the name of a picture begins that is being written.
	avatarUnfinished = ".parley-"
)

// MaxAvatar is how large the file of a picture may be that somebody uploads, in bytes.
const MaxAvatar = 8 << 20

// SetAvatar makes the middle of a picture the actor's: core.ErrFileTooLarge if it is more than MaxAvatar, core.ErrNotAPicture if
// it is none. It is stored as a new file, in a form that every family of clients shows; the one before is removed.
func (s *Service) SetAvatar(ctx context.Context, actor core.Actor, r io.Reader) (core.User, error) {
	u, err := s.setAvatar(ctx, actor, r)
	if err != nil {
		return core.User{}, fmt.Errorf("set an avatar: %w", err)
	}
	return u, nil
}

func (s *Service) setAvatar(ctx context.Context, actor core.Actor, r io.Reader) (core.User, error) {
	if !actor.Known() {
		return core.User{}, core.ErrLoginRequired
	}
	whole, err := s.arrive(r)
	if err != nil {
		return core.User{}, err
	}
	defer func() { _ = errors.Join(whole.Close(), os.Remove(whole.Name())) }()
	small, ending, err := s.square(ctx, whole)
	if err != nil {
		return core.User{}, err
	}
	file := strings.ToLower(rand.Text()) + ending
	if err := s.writeAvatar(actor.Name(), file, small); err != nil {
		return core.User{}, err
	}
	var before string
	var a account
	err = s.db.Update(ctx, func(ctx context.Context) (err error) {
		if err := s.present(ctx, actor, false); err != nil {
			return err
		}
		if a, err = s.byID(ctx, actor.User()); err != nil {
			return err
		}
		before, a.user.Avatar = a.user.Avatar, file
		_, err = s.db.Exec(ctx, `UPDATE "user" SET avatar = ? WHERE uid = ?`, file, a.user.ID)
		return err
	})
	if err != nil {
		return core.User{}, errors.Join(err, s.removeAvatar(actor.Name(), file))
	}
	if err := s.removeAvatar(actor.Name(), before); err != nil {
		s.cfg.Log.Warn("a former avatar could not be removed", "uid", actor.User(), "err", err)
	}
	return a.user, nil
}

// arrive keeps an upload in a file until it is there: many slow ones at once must not fill the memory.
func (s *Service) arrive(r io.Reader) (*os.File, error) {
	if err := os.MkdirAll(s.cfg.AvatarDir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.cfg.AvatarDir, avatarUnfinished)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(r, MaxAvatar+1))
	if err == nil && n > MaxAvatar {
		err = core.ErrFileTooLarge
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// square makes a picture small.
func (s *Service) square(ctx context.Context, r io.ReadSeeker) ([]byte, string, error) {
	if err := picture.Enter(ctx); err != nil {
		return nil, "", err
	}
	defer picture.Leave()
	small, ending, err := picture.Square(r, avatarSide)
	if err != nil {
		err = fmt.Errorf("%w: %w", core.ErrNotAPicture, err)
	}
	return small, ending, err
}

// avatars opens the folder of all pictures. It keeps links and names from leading out.
func (s *Service) avatars() (*os.Root, error) { return os.OpenRoot(s.cfg.AvatarDir) }

func (s *Service) writeAvatar(user, file string, content []byte) (err error) {
	root, err := s.avatars()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.MkdirAll(user, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(user, avatarUnfinished+file)
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Rename(tmp, filepath.Join(user, file))
	}
	if err != nil {
		err = errors.Join(err, root.Remove(tmp))
	}
	return err
}

// removeAvatar removes a picture, if there is one of that name.
func (s *Service) removeAvatar(user, file string) error {
	if file == "" || !isFileName(file) {
		return nil
	}
	root, err := s.avatars()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	err = root.Remove(filepath.Join(user, file))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// dropAvatars removes all pictures of a name.
func (s *Service) dropAvatars(user string) error {
	root, err := s.avatars()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(user)
}

// Avatar opens somebody's picture, which everybody may see who knows the name of its file: core.ErrFileNotFound if it is
// not, or no longer, theirs.
func (s *Service) Avatar(ctx context.Context, user core.UserID, file string) (io.ReadSeekCloser, time.Time, error) {
	f, changed, err := s.avatar(ctx, user, file)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("avatar: %w", err)
	}
	return f, changed, nil
}

func (s *Service) avatar(ctx context.Context, user core.UserID, file string) (*os.File, time.Time, error) {
	a, err := s.byID(ctx, user)
	if errors.Is(err, core.ErrUserNotFound) || err == nil && (file == "" || a.user.Avatar != file || !isFileName(file)) {
		return nil, time.Time{}, core.ErrFileNotFound
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	root, err := s.avatars()
	if err != nil {
		return nil, time.Time{}, notExist(err)
	}
	defer root.Close()
	name := filepath.Join(a.user.Name, file)
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, time.Time{}, errors.Join(core.ErrFileNotFound, err)
	}
	f, err := root.Open(name)
	return f, info.ModTime(), notExist(err)
}

func notExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return core.ErrFileNotFound
	}
	return err
}
