package cs3

import (
	"bytes"
	_ "embed"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const defaultAvatar = "default_avatar.png"

//go:embed avatar/default_avatar.png
var defaultPicture []byte

// serveAvatar serves a user's picture, or the default one.
func (g *Gateway) serveAvatar(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=300")
	file := r.PathValue("filename")
	f, changed := g.openAvatar(r.PathValue("username"), file)
	if f == nil {
		h.Set("Content-Type", "image/png")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(defaultPicture))
		return
	}
	defer f.Close()
	h.Set("Content-Type", "image/png")
	if strings.HasSuffix(file, ".jpg") {
		h.Set("Content-Type", "image/jpeg")
	}
	http.ServeContent(w, r, "", changed, f)
}

// openAvatar opens a picture below AvatarDir, nil if there is none. The root keeps links and names from leading out.
func (g *Gateway) openAvatar(user, file string) (io.ReadSeekCloser, time.Time) {
	if !validAvatar(file) || strings.ContainsAny(user, `/\`) || user == "." || !filepath.IsLocal(user) {
		return nil, time.Time{}
	}
	root, err := os.OpenRoot(g.AvatarDir)
	if err != nil {
		return nil, time.Time{}
	}
	defer root.Close()
	name := filepath.Join(user, file)
	if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil, time.Time{} // opening a pipe would wait
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, time.Time{}
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, time.Time{}
	}
	return f, info.ModTime()
}
