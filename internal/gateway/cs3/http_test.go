package cs3_test

import (
	"bytes"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/gateway/cs3"
)

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api/register", http.StatusMethodNotAllowed},
		{"GET", "/api/chat", http.StatusMethodNotAllowed},
		{"POST", "/avatar/alice/alice.png", http.StatusMethodNotAllowed},
		{"GET", "/", http.StatusNotFound},
		{"POST", "/api/logout", http.StatusNotFound},
		{"GET", "/avatar/alice", http.StatusNotFound},
		{"HEAD", "/avatar/alice/alice.png", http.StatusOK},
	} {
		status, header, _ := w.response(tt.method, tt.path, "", "")
		if status != tt.status {
			t.Errorf("%s %s: %d", tt.method, tt.path, status)
		}
		for name := range header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s: %s", tt.method, tt.path, name)
			}
		}
	}
}

func TestLargeBody(t *testing.T) {
	w := newWorld(t)
	status, body := w.request("POST", "/api/login", "", `{"username":"`+strings.Repeat("x", 64<<10)+`"}`)
	if status != http.StatusRequestEntityTooLarge || body != `{"type":"error","status":"error","message":"Request too large"}` {
		t.Error(status, body)
	}
}

func TestAvatars(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *cs3.Config) { c.AvatarDir = filepath.Join(dir, "avatars") })
	status, header, picture := w.response("GET", "/avatar/default/default_avatar.png", "", "")
	if status != http.StatusOK || header.Get("Content-Type") != "image/png" {
		t.Fatal(status, header)
	}
	config, err := png.DecodeConfig(strings.NewReader(picture))
	if err != nil || config.Width != 128 || config.Height != 128 {
		t.Errorf("the default picture is %dx%d, %v", config.Width, config.Height, err)
	}

	put := func(name, content string) {
		path := filepath.Join(dir, name)
		w.must(os.MkdirAll(filepath.Dir(path), 0o700))
		w.must(os.WriteFile(path, []byte(content), 0o600))
	}
	put("secret.png", "outside")
	put("avatars/top.png", "not a user's")
	put("avatars/alice/alice.png", "PNG")
	put("avatars/alice/alice.jpg", "JPG")
	put("avatars/alice/page.html", "<script>")
	put("avatars/alice/sub/deep.png", "deep")
	put("avatars/#?%/a&b.png", "odd")
	w.must(os.Mkdir(filepath.Join(dir, "avatars/alice/folder.png"), 0o700))
	w.must(os.Symlink("../../secret.png", filepath.Join(dir, "avatars/alice/link.png")))
	w.must(os.Symlink("alice.png", filepath.Join(dir, "avatars/alice/me.png")))
	for _, tt := range []struct{ path, contentType, content string }{
		{"/avatar/alice/alice.png", "image/png", "PNG"},
		{"/avatar/alice/alice.jpg", "image/jpeg", "JPG"},
		{"/avatar/alice/me.png", "image/png", "PNG"},
		{"/avatar/%23%3F%25/a%26b.png", "image/png", "odd"},
		{"/avatar/alice/missing.png", "image/png", picture},
		{"/avatar/nobody/alice.png", "image/png", picture},
		{"/avatar/alice/page.html", "image/png", picture},
		{"/avatar/alice/folder.png", "image/png", picture},
		{"/avatar/alice/link.png", "image/png", picture},
		{"/avatar/%2e%2e/secret.png", "image/png", picture},
		{"/avatar/alice/..%2f..%2fsecret.png", "image/png", picture},
		{"/avatar/alice/..%5c..%5csecret.png", "image/png", picture},
		{"/avatar/alice/sub%2fdeep.png", "image/png", picture},
		{"/avatar/alice%2fsub/deep.png", "image/png", picture},
		{"/avatar/alice%2f..%2f/alice.png", "image/png", picture},
		{"/avatar/%2e/top.png", "image/png", picture},
		{"/avatar/alice/alice.png%00.png", "image/png", picture},
	} {
		status, header, body := w.response("GET", tt.path, "", "")
		if status != http.StatusOK || header.Get("Content-Type") != tt.contentType || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", tt.path, status, header)
		}
		if body != tt.content {
			t.Errorf("%s: %.20q", tt.path, body)
		}
	}
	onDisk, err := os.ReadFile("avatar/default_avatar.png")
	w.must(err)
	if !bytes.Equal(onDisk, []byte(picture)) {
		t.Error("the default picture is another one than the file")
	}
}
