package transfer

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// avatars are the pictures in the data folder: one folder for each name, with files in it.
type avatars struct {
	dir string
}

// avatar is one picture.
type avatar struct {
	User, File string
	Changed    time.Time
}

func (a avatar) entry() string { return avatarsDir + a.User + "/" + a.File }

// isPart reports whether a name can be that of a file or a folder on every system, and leads nowhere else.
func isPart(name string) bool {
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && !strings.ContainsAny(name, `/\:`) &&
		!strings.ContainsFunc(name, unicode.IsControl) && filepath.IsLocal(name) && name != "."
}

// each calls yield for every picture of people with these names, in the order of the names. What is no picture in such a
// folder is passed over.
func (p avatars) each(of map[string]bool, yield func(a avatar, r io.Reader) error) error {
	root, err := os.OpenRoot(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	users, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, u := range users {
		if !u.IsDir() || !isPart(u.Name()) || !of[u.Name()] {
			continue
		}
		files, err := fs.ReadDir(root.FS(), u.Name())
		if err != nil {
			return err
		}
		for _, f := range files {
			if !f.Type().IsRegular() || !isPictureName(f.Name()) || strings.HasPrefix(f.Name(), unfinished) {
				continue
			}
			if err := p.one(root, avatar{User: u.Name(), File: f.Name()}, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

func (avatars) one(root *os.Root, a avatar, yield func(a avatar, r io.Reader) error) error {
	f, err := root.Open(path.Join(a.User, a.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	a.Changed = within(info.ModTime())
	return yield(a, f)
}

// unfinished is how the name of a picture begins that is being written.
const unfinished = ".parley-"

// put stores a picture. One of that name is replaced once the new one is whole.
func (p avatars) put(a avatar, r io.Reader) (err error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := root.MkdirAll(a.User, 0o700); err != nil {
		return err
	}
	tmp := path.Join(a.User, unfinished+rand.Text())
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Chtimes(tmp, a.Changed, a.Changed)
	}
	if err == nil {
		err = root.Rename(tmp, path.Join(a.User, a.File))
	}
	if err != nil {
		err = errors.Join(err, root.Remove(tmp))
	}
	return err
}
