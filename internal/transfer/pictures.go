package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"parley/internal/core"
	"parley/internal/legacy"
)

// maxPicture bounds a picture, in bytes.
const maxPicture = 16 << 20

// picture is one that is to be copied.
type picture struct{ from, user, file string }

// isPictureName is the rule for the file names of pictures, which those hold to that clients can show.
func isPictureName(file string) bool {
	return (strings.HasSuffix(file, ".png") || strings.HasSuffix(file, ".jpg")) && isPart(file) &&
		!strings.ContainsFunc(file, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkFolders looks whether the folders that the job names are there.
func (r *run) checkFolders() error {
	for _, dir := range []string{r.job.Avatars, r.job.Files} {
		if dir == "" {
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
	}
	return nil
}

// picture has a user's picture copied, unless it is here already.
func (r *run) picture(u legacy.User, id core.UserID) {
	user, file := r.people.users[id].name, r.people.users[id].avatar
	switch {
	case file == "":
		return
	case r.job.Avatars == "":
		r.tally.noPicture++
		return
	case !isPart(u.Name) || !isPart(user):
		r.tally.noPicture++
		r.note(NotePicture, u, id, fmt.Sprintf("the picture of %s is left out: %s cannot be the name of a folder", person(user, id), quoteName(u.Name)))
		return
	}
	if _, err := os.Stat(filepath.Join(r.AvatarDir, user, file)); err == nil {
		return
	}
	from := filepath.Join(u.Name, file)
	info, err := statBelow(r.job.Avatars, from)
	switch {
	case err != nil || !info.Mode().IsRegular():
		r.tally.noPicture++
		r.note(NotePicture, u, id, fmt.Sprintf("the picture of %s is missing: there is no file %s", person(user, id), filepath.Join(r.job.Avatars, from)))
	case info.Size() > maxPicture:
		r.tally.noPicture++
		r.note(NotePicture, u, id, fmt.Sprintf("the picture of %s is left out: it is larger than %d MB", person(user, id), maxPicture>>20))
	default:
		r.tally.pictures++
		r.pictures = append(r.pictures, picture{from, user, file})
	}
}

// statBelow looks at a file of a folder; links do not lead out of it.
func statBelow(dir, name string) (fs.FileInfo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(name)
	return info, errors.Join(err, root.Close())
}

// copyPictures copies the pictures whose owners are there by now.
func (r *run) copyPictures(ctx context.Context) error {
	if r.job.DryRun || len(r.pictures) == 0 {
		return nil
	}
	root, err := os.OpenRoot(r.job.Avatars)
	if err != nil {
		return err
	}
	to := avatars{r.AvatarDir}
	for i, p := range r.pictures {
		if err := errors.Join(ctx.Err(), copyPicture(root, to, p)); err != nil {
			return errors.Join(err, root.Close())
		}
		if i%batch == 0 {
			r.progress("pictures", int64(i), int64(len(r.pictures)))
		}
	}
	return root.Close()
}

func copyPicture(root *os.Root, to avatars, p picture) (err error) {
	f, err := root.Open(p.from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return to.put(avatar{User: p.user, File: p.file, Changed: info.ModTime()}, f)
}
