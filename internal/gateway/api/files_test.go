package api_test

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/gateway/api"
)

const lobbyFiles = "/conversations/1/files"

// share uploads a file to the lobby as it is.
func (c *client) share(name, content string) answer {
	c.t.Helper()
	return c.do("POST", lobbyFiles+"?name="+url.QueryEscape(name), content, "Content-Type", "application/octet-stream")
}

// follow makes a request at an address that an answer has, with no token.
func (w *world) follow(method, address string, headers ...string) answer {
	w.t.Helper()
	path, ok := strings.CutPrefix(address, w.web.URL+api.Prefix)
	if !ok {
		w.t.Fatalf("the address is %s", address)
	}
	return w.stranger().do(method, path, "", headers...)
}

// nothingIsKept checks that the lobby has no files, and the disk no bytes.
func (w *world) nothingIsKept(c *client) {
	w.t.Helper()
	c.get(lobbyFiles).ok(200).equal("total", "0")
	c.get("/files/usage").ok(200).equal("used", "0")
}

func TestAFileIsSharedAndFetched(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	words := strings.Repeat("words ", 2000)
	a := ann.share("Grüße 你好.txt", words).ok(201)
	a.equal("name", "Grüße 你好.txt").equal("size", "12000").equal("conversation_id", "1").equal("owner/username", "ann").equal("thumbnail_url", "null")
	if a.header.Get("Content-Encoding") != "" {
		t.Error("links are compressed")
	}
	get := func(headers ...string) answer { return bob.do("GET", "/files/1/content", "", headers...) }
	whole := get().ok(200)
	if whole.body != words || whole.header.Get("Content-Length") != "12000" || whole.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("%d bytes, %v", len(whole.body), whole.header)
	}
	if is := whole.header.Get("Content-Disposition"); is != "inline; filename*=utf-8''Gr%C3%BC%C3%9Fe%20%E4%BD%A0%E5%A5%BD.txt" {
		t.Errorf("kept as %s", is)
	}
	tag := `"` + a.at("sha256") + `"`
	if whole.header.Get("ETag") != tag || whole.header.Get("Last-Modified") == "" {
		t.Errorf("%v", whole.header)
	}
	if part := get("Range", "bytes=6-10"); part.status != 206 || part.body != "words" || part.header.Get("Content-Range") != "bytes 6-10/12000" {
		t.Errorf("%d %q", part.status, part.body)
	}
	if part := get("Range", "bytes=-6", "If-Range", tag); part.status != 206 || part.body != "words " {
		t.Errorf("%d %q", part.status, part.body)
	}
	if a := get("Range", "bytes=6-10", "If-Range", `"another"`).ok(200); a.body != words {
		t.Error("a range of what has changed")
	}
	beyond := get("Range", "bytes=12000-").refused(416, 10416)
	if beyond.header.Get("Content-Range") != "bytes */12000" {
		t.Errorf("%v", beyond.header)
	}
	if a := get("If-None-Match", tag); a.status != 304 || a.body != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := bob.do("HEAD", "/files/1/content", ""); a.status != 200 || a.body != "" || a.header.Get("Content-Length") != "12000" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
	if a := get("Accept-Encoding", "gzip").ok(200); a.header.Get("Content-Encoding") != "" {
		t.Error("a file is compressed")
	}
	if a := bob.get("/files/1/content?download=1").ok(200); !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment; ") {
		t.Errorf("kept as %s", a.header.Get("Content-Disposition"))
	}
}

func TestLinksToFilesNeedNoToken(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	a := ann.uploadTo(lobbyFiles, "file", "a.png", picture(t, 800, 600)).ok(201)
	link, small := a.at("url"), a.at("thumbnail_url")
	if got := w.follow("GET", link).ok(200); got.header.Get("Content-Type") != "image/png" || got.body != string(picture(t, 800, 600)) {
		t.Errorf("%v", got.header)
	}
	if got := w.follow("GET", link, "Range", "bytes=0-3"); got.status != 206 || got.body != "\x89PNG" || !strings.Contains(got.header.Get("Cache-Control"), "max-age") {
		t.Errorf("%d %q", got.status, got.body)
	}
	got := w.follow("GET", small).ok(200)
	if c, kind, err := image.DecodeConfig(strings.NewReader(got.body)); err != nil || c.Width != 320 || got.header.Get("Content-Type") != "image/"+kind {
		t.Errorf("%+v %s: %v, %v", c, kind, got.header, err)
	}
	if again := ann.get("/files/1").ok(200); again.at("url") != link {
		t.Error("caches cannot know a file again")
	}
	_, query, _ := strings.Cut(link, "?")
	end := "?" + query
	for _, path := range []string{
		"/files/1/content", "/files/1/content?signature=", "/files/1/content?signature=x", "/files/1/content?expires=9999999999&signature=x",
		strings.Replace("/files/1/content"+end, "expires=", "expires=1", 1), "/files/1/thumbnail" + end, "/files/2/content" + end, "/files/0/content" + end,
	} {
		if a := w.stranger().get(path); a.status != 404 && a.status != 401 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	// A link is good for nothing else.
	w.stranger().get("/files/1"+end).refused(401, 10004)
	w.stranger().delete("/files/1"+end).refused(401, 10004)
	w.stranger().get(lobbyFiles+end).refused(401, 10004)

	ann.delete("/files/1").ok(200)
	w.follow("GET", link).refused(404, 10404)
	w.follow("GET", small).refused(404, 10404)
}

// TestWhatABrowserWouldRunIsNotServedAsThat, whatever it is called.
func TestWhatABrowserWouldRunIsNotServedAsThat(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	const script = "<script>alert(1)</script>"
	for _, tt := range []struct {
		name, content, kind string
		shown               bool
	}{
		{"page.html", "<!DOCTYPE html><html>" + script, "application/octet-stream", false},
		{"page.txt", "<html>" + script + "</html>", "application/octet-stream", false},
		{"picture.png", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "application/octet-stream", false},
		{"feed.xml", "<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>", "application/octet-stream", false},
		{"paper.pdf", "%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>", "application/octet-stream", false},
		{"code.js", "#!/usr/bin/env node\nalert(1)", "application/octet-stream", false},
		{"page.html", "alert(1), which is text\n" + script, "text/plain; charset=utf-8", true},
		{"notes", "just words", "text/plain; charset=utf-8", true},
		{"a.gif", "GIF89a\x01\x00\x01\x00\x00\x00\x00;" + script, "image/gif", true},
		{"a.zip", "PK\x03\x04", "application/octet-stream", false},
		{"empty.html", "", "text/plain; charset=utf-8", true},
	} {
		link := ann.share(tt.name, tt.content).ok(201).at("url")
		a := w.follow("GET", link).ok(200)
		how := "attachment; "
		if tt.shown {
			how = "inline; "
		}
		if a.header.Get("Content-Type") != tt.kind || !strings.HasPrefix(a.header.Get("Content-Disposition"), how) {
			t.Errorf("%s %q: %s, %s", tt.name, tt.content, a.header.Get("Content-Type"), a.header.Get("Content-Disposition"))
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'; sandbox" {
			t.Errorf("%s: %v", tt.name, a.header)
		}
	}
}

func TestNamesOfFilesAreNoPaths(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	for _, name := range []string{
		"../../etc/passwd", "/etc/passwd", `..\..\parley.db`, "..", ".", "C:evil", "a\x00b", "a\nb", "x\u202egnp.exe", strings.Repeat("x", 256), "\xff", " a", "",
	} {
		ann.share(name, "x").refused(400, 30006)
	}
	w.nothingIsKept(ann)
	ann.uploadTo(lobbyFiles, "file", "../../me.png", []byte("x")).ok(201).equal("name", "me.png")
	ann.share(`say "hi"; filename=evil.exe`, "x").ok(201)
	a := ann.get("/files/2/content").ok(200)
	if is := a.header.Get("Content-Disposition"); is != `inline; filename="say \"hi\"; filename=evil.exe"` {
		t.Errorf("kept as %s", is)
	}
}

func TestUploadsThatAreTooMuch(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.files.MaxFile, s.files.Quota = 10_000, 15_000 })
	ann := w.join("ann")
	ann.share("a", strings.Repeat("x", 10_001)).refused(413, 30003)
	ann.uploadTo(lobbyFiles, "file", "a", bytes.Repeat([]byte{1}, 10_001)).refused(413, 30003) // the size of a form's file is not known before
	w.nothingIsKept(ann)
	ann.share("a", strings.Repeat("x", 10_000)).ok(201)
	ann.share("b", strings.Repeat("x", 6_000)).refused(409, 30007)
	ann.get("/files/usage").ok(200).equal("used", "10000").equal("quota", "15000")
}

func TestUploadsThatAreNone(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	const form = "multipart/form-data; boundary=b"
	ann.do("POST", lobbyFiles, "--b--\r\n", "Content-Type", form).refused(400, 30001)
	ann.do("POST", lobbyFiles, "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhttp://127.0.0.1/x\r\n--b--\r\n", "Content-Type", form).refused(400, 30001)
	ann.do("POST", lobbyFiles, "no form", "Content-Type", form).refused(400, 30001)
	ann.do("POST", lobbyFiles, "no boundary", "Content-Type", "multipart/form-data").refused(400, 30001)
	ann.do("POST", lobbyFiles, "no name", "Content-Type", "text/plain").refused(400, 30006)
	ann.do("POST", "/conversations/x/files?name=a", "words", "Content-Type", "text/plain").refused(400, 10400)
	w.nothingIsKept(ann)
}

// TestABrokenUploadKeepsNothing: neither a form that does not end nor a connection that breaks in the middle.
func TestABrokenUploadKeepsNothing(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	const form = "Content-Type: multipart/form-data; boundary=b\r\n"
	const part = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\nhalf"
	for _, tt := range []struct{ rest, want string }{
		{form + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(part)) + part, `"code":30001`},
		{form + "Content-Length: 900\r\n\r\n" + part, ""},
		{"Content-Type: text/plain\r\nContent-Length: 60\r\n\r\nhalf of it", ""},
		{"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n8\r\nof", ""},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.web.URL, "http://"))
		w.must(err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST %s%s?name=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n%s", api.Prefix, lobbyFiles, ann.access, tt.rest)
		w.must(err)
		if tt.want == "" { // who seems to have gone is answered only if that is noticed late
			w.must(conn.(*net.TCPConn).CloseWrite())
		}
		b, err := io.ReadAll(conn)
		w.must(err)
		if !strings.Contains(string(b), tt.want) || tt.want == "" && len(b) > 0 && !strings.Contains(string(b), `"code":30001`) {
			t.Errorf("%s: answered with %s", tt.rest, b)
		}
	}
	w.nothingIsKept(ann)
}

// slowly uploads a file of which the second half comes when it is let go.
func (c *client) slowly(name string) (finish func() answer) {
	c.t.Helper()
	pr, pw := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, c.web.URL+api.Prefix+lobbyFiles+"?name="+name, pr)
	c.must(err)
	req.Header.Set("Authorization", "Bearer "+c.access)
	done := make(chan answer)
	go func() { done <- c.send(req) }()
	_, err = io.WriteString(pw, "half ")
	c.must(err)
	return func() answer {
		c.t.Helper()
		_, _ = io.WriteString(pw, "and half") // the server's answer tells
		pw.Close()
		return <-done
	}
}

// TestAnUploadMayTakeItsTime beyond what another request has, as long as it goes on.
func TestAnUploadMayTakeItsTime(t *testing.T) {
	ann := newWorld(t).join("ann").hurried()
	finish := ann.slowly("a")
	time.Sleep(3 * hurry)
	finish().ok(201).equal("size", "13")
}

// TestADownloadMayTakeItsTime beyond what another answer has, as long as it goes on.
func TestADownloadMayTakeItsTime(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	content := strings.Repeat("0123456789abcdef", 2<<20) // far more than what the system holds between the two
	ann.share("big", content).ok(201)
	web := httptest.NewUnstartedServer(w.web.Config.Handler)
	web.Config.WriteTimeout = hurry
	web.Start()
	defer web.Close()
	req, err := http.NewRequest(http.MethodGet, web.URL+api.Prefix+"/files/1/content", http.NoBody)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+ann.access)
	resp, err := web.Client().Do(req)
	w.must(err)
	defer resp.Body.Close()
	time.Sleep(3 * hurry)
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestFilesGoOverHTTP2 as well, with several on one connection.
func TestFilesGoOverHTTP2(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	web := httptest.NewUnstartedServer(w.web.Config.Handler)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	secure := *w
	secure.web = web
	ann.world = &secure
	var all sync.WaitGroup
	for i := range 4 {
		content := strings.Repeat(fmt.Sprint(i), 1<<20)
		all.Go(func() {
			a := ann.uploadTo(lobbyFiles, "file", "a", []byte(content))
			got := ann.do("GET", "/files/"+a.at("file_id")+"/content", "", "Range", "bytes=10-")
			if got.status != 206 || got.body != content[10:] || !strings.HasPrefix(a.at("url"), "https://") {
				t.Errorf("%d with %d bytes, %s", got.status, len(got.body), a.body)
			}
		})
	}
	all.Wait()
}

// TestAnUploadOutlivedTheRightToIt has somebody banned while it is on its way.
func TestAnUploadOutlivedTheRightToIt(t *testing.T) {
	w := newWorld(t)
	root, ann, bob := w.admin("root"), w.join("ann"), w.join("bob")
	banned, out := ann.slowly("a"), bob.slowly("b")
	root.post(fmt.Sprintf("/admin/users/%d/ban", ann.id), "").ok(200)
	bob.post("/auth/logout", "").ok(200)
	banned().refused(401, 10004)
	out().refused(401, 10004)
	w.nothingIsKept(root)
}

func TestFilesOfOthers(t *testing.T) {
	w := newWorld(t)
	ann, bob, root := w.join("ann"), w.join("bob"), w.admin("root")
	link := ann.share("a", "x").ok(201).at("url")
	bob.delete("/files/1").refused(403, 10403)
	bob.get("/files/1/thumbnail").refused(404, 10404)
	bob.get("/files/2").refused(404, 10404)
	bob.get("/conversations/1/files?parent=1").refused(404, 10404)
	root.delete("/files/1").ok(200)
	w.follow("GET", link).refused(404, 10404)

	// What one may not read is not told of, to administrators neither.
	w.exec(`INSERT INTO conversation (id, kind, name, created_at) VALUES (7, 2, 'private', 1)`)
	w.exec(`INSERT INTO file (id, conversation_id, owner_id, kind, name, created_at) VALUES (70, 7, ?, 2, 'folder', 1)`, int64(ann.id))
	for _, c := range []*client{ann, bob, root} {
		c.get("/conversations/7/files").refused(404, c.codeOfNone())
		c.get("/files/70").refused(404, 10404)
		c.get("/files/70/content").refused(404, 10404)
	}
}

// TestAFileGoesWithTheOnlyMessageThatShowsIt, if whoever wrote the message shared the file.
func TestAFileGoesWithTheOnlyMessageThatShowsIt(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	link := ann.share("a", "x").ok(201).at("url")
	attach := func(c *client, id string) {
		t.Helper()
		c.post("/conversations/1/messages", fmt.Sprintf(`{"client_id":%q,"file_id":1}`, id)).ok(201)
	}
	attach(ann, "one")
	attach(bob, "two")
	ann.delete("/conversations/1/messages/1").ok(200)
	w.follow("GET", link).ok(200)
	bob.delete("/conversations/1/messages/2").ok(200) // it was not his
	w.follow("GET", link).ok(200)
	attach(ann, "three")
	ann.delete("/conversations/1/messages/3").ok(200)
	w.follow("GET", link).refused(404, 10404)
	w.nothingIsKept(ann)
}

// codeOfNone is the code of a conversation that is not there: one that is not theirs has the same.
func (c *client) codeOfNone() int {
	c.t.Helper()
	var code int
	a := c.get("/conversations/99/files")
	if _, err := fmt.Sscanf(a.body[strings.LastIndex(a.body, `"code":`):], `"code":%d`, &code); err != nil || a.status != 404 {
		c.t.Fatalf("%s: %v", a.body, err)
	}
	return code
}

// TestNoAddressIsEverFetched: a picture is what is uploaded, never what an address leads to.
func TestNoAddressIsEverFetched(t *testing.T) {
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	w := newWorld(t)
	ann := w.join("ann")
	for _, address := range []string{inside.URL + "/me.png", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/"} {
		body := fmt.Sprintf(`{"avatar":%q,"avatar_url":%[1]q,"url":%[1]q,"file":%[1]q}`, address)
		ann.post("/users/upload-avatar", body).refused(400, 30001)
		ann.do("POST", "/users/upload-avatar", "avatar="+url.QueryEscape(address), "Content-Type", "application/x-www-form-urlencoded").refused(400, 30001)
		ann.upload("avatar", address, []byte(address)).refused(400, 30002)
		ann.put("/users/profile", body).ok(200).equal("avatar_url", "")
		w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"eve%d","password":%q,"avatar":%q,"avatar_url":%[3]q}`, len(address), password, address)).
			ok(200).equal("user/avatar_url", "")
		ann.uploadTo(lobbyFiles+"?url="+url.QueryEscape(address), "file", "a", []byte(address)).ok(201).equal("size", fmt.Sprint(len(address)))
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d addresses were fetched", n)
	}
}

func TestFilesComeAPageAtATime(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	for i := range 5 {
		ann.share(fmt.Sprint("file ", i), "x").ok(201)
	}
	a := ann.get(lobbyFiles+"?page=2&page_size=2").ok(200).equal("total", "5").equal("total_pages", "3").equal("items/0/name", "file 2")
	a.equal("items/1/name", "file 1").equal("items/2", "")
	ann.get(lobbyFiles+"?page_size=101").refused(400, 10400)
	ann.get(lobbyFiles+"?parent=x").refused(400, 10400)
	for _, parent := range []string{ann.share("plain", "file").ok(201).at("file_id"), "999"} { // neither is a folder
		ann.get(lobbyFiles+"?parent="+parent).refused(404, 10404)
	}
}

// TestARangeThatWasNoneWasRefused, and one of nothing was answered with bytes.
func TestARangeThatWasNoneWasRefused(t *testing.T) {
	ann := newWorld(t).join("ann")
	ann.share("ten", "0123456789").ok(201)
	ann.share("none", "").ok(201)
	for what, want := range map[string]string{
		"items=0-1": "0123456789", "bytes=abc": "0123456789", "bytes=5-1": "0123456789", "bytes": "0123456789", "bytes=": "0123456789",
		"bytes=-": "0123456789", "bytes=1": "0123456789", "bytes=0-1,x": "0123456789", "bytes=+1-2": "0123456789", "bytes=--1": "0123456789",
		"bytes=3-4": "34", "Bytes=3-4": "34", "bytes=8-99999999999999999999": "89", "bytes=-99999999999999999999": "0123456789", "bytes= ,3-4": "34",
		"bytes=-2,-0": "89", "bytes=-0": "", "bytes=10-": "", "bytes=99999999999999999999-": "",
	} {
		a := ann.do("GET", "/files/1/content", "", "Range", what)
		switch {
		case want == "":
			if a.refused(416, 10416); a.header.Get("Content-Range") != "bytes */10" {
				t.Errorf("%s: %v", what, a.header)
			}
		case a.body != want, (a.status == 206) != (a.header.Get("Content-Range") != ""):
			t.Errorf("%s: %d %q %v", what, a.status, a.body, a.header)
		}
		if a := ann.do("GET", "/files/2/content", "", "Range", what); a.status != 200 || a.body != "" {
			t.Errorf("%s of nothing: %d %q %v", what, a.status, a.body, a.header)
		}
	}
}
