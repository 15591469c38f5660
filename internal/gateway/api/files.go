package api

import (
	"cmp"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/core"
	"parley/internal/file"
)

const (
	// linkLife is how long the links to files are good at least.
	linkLife = 24 * time.Hour
	// downloadStall is how long somebody who fetches a file may take nothing of it.
	downloadStall = time.Minute
)

// shown are the media types that browsers show beside a page and never run. All others are only downloaded, as bytes of no kind.
// docs/protocols/api.md#files.
var shown = []string{
	"image/png", "image/jpeg", "image/gif", "image/webp",
	"video/mp4", "video/webm", "video/ogg",
	"audio/mp4", "audio/webm", "audio/ogg", "audio/wav", "audio/mpeg",
	"text/plain",
}

const (
	bytesOfNoKind = "application/octet-stream"
	anyKind       = "*/*"
)

// showable returns as what a file is served, and whether a browser may show it.
func showable(kind string) (string, bool) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil || !slices.Contains(shown, media) {
		return bytesOfNoKind, false
	}
	if media == "text/plain" {
		return mime.FormatMediaType(media, map[string]string{"charset": cmp.Or(params["charset"], "utf-8")}), true
	}
	return media, true
}

// LinkPath is where the file of a link is served, below the address of the server.
func LinkPath(l file.Link) string {
	what := "content"
	if l.Thumbnail {
		what = "thumbnail"
	}
	return Prefix + "/files/" + strconv.FormatInt(int64(l.File), 10) + "/" + what +
		"?expires=" + strconv.FormatInt(l.Expires.Unix(), 10) + "&signature=" + url.QueryEscape(l.Proof)
}

func (g *Gateway) fileLink(f core.File, thumbnail bool) string {
	return LinkPath(g.Files.Link(f, thumbnail, linkLife))
}

type uploadRequest struct {
	Conversation core.ConversationID `json:"-" path:"conversation_id"`
	Name         string              `json:"-" query:"name" doc:"what the file is called; otherwise as the form says"`
	Replace      string              `json:"-" query:"replace" doc:"1: an own file of that name is replaced, which otherwise stays beside the new one"`
}

// docs/protocols/api.md#files.
func uploadFile(c *call, in uploadRequest) error {
	body, name, size, err := c.fileBody()
	if err != nil {
		return err
	}
	w, err := c.gw.Files.Begin(c.ctx(), c.actor, c.from, file.Upload{
		Area: in.Conversation, Name: cmp.Or(in.Name, name), Size: size, KeepBoth: in.Replace != "1",
	})
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.ReadFrom(body); err != nil {
		return err
	}
	// It may have taken hours.
	if c.actor, c.device, err = c.gw.Accounts.AuthenticateDevice(c.ctx(), bearer(c.r)); err != nil {
		return err
	}
	f, err := w.Commit(c.ctx())
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, c.shapes().file(f), false)
}

// fileBody returns what is uploaded: the file of a form, or the whole body, with its name and size, "" and -1 if they are not known.
func (c *call) fileBody() (body io.Reader, name string, size int64, err error) {
	c.r.Body = &arriving{ReadCloser: c.r.Body, c: c, began: time.Now(), endless: true}
	if media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); !strings.HasPrefix(media, "multipart/") {
		return formFile{c.r.Body}, "", c.r.ContentLength, nil
	}
	part, err := c.filePart()
	if err != nil {
		return nil, "", 0, err
	}
	return formFile{part}, part.FileName(), -1, nil
}

type filesRequest struct {
	paging
	Conversation core.ConversationID `json:"-" path:"conversation_id"`
	Parent       core.FileID         `json:"-" query:"parent" doc:"a folder; without it, what is in none"`
}

// docs/protocols/api.md#files.
func listFiles(c *call, in filesRequest) (page[sharedFile], error) {
	skip, most, err := in.span()
	if err != nil {
		return page[sharedFile]{}, err
	}
	list, total, err := c.gw.Files.Page(c.ctx(), c.actor, in.Conversation, in.Parent, skip, most)
	return pageOf(list, total, skip, most, c.shapes().file), err
}

type fileRequest struct {
	File core.FileID `json:"-" path:"file_id"`
}

// docs/protocols/api.md#files.
func showFile(c *call, in fileRequest) (sharedFile, error) {
	f, err := c.gw.Files.Get(c.ctx(), c.actor, in.File)
	return c.shapes().file(f), err
}

// docs/protocols/api.md#files.
func deleteFile(c *call, in fileRequest) (nothing, error) {
	return nothing{}, c.gw.Files.Delete(c.ctx(), c.actor, c.from, in.File)
}

type fileUsage struct {
	Used  int64 `json:"used" doc:"bytes of all of one's files, small ones counted as 4096"`
	Quota int64 `json:"quota" doc:"how many they may be, 0 for any number"`
}

// docs/protocols/api.md#files.
func usage(c *call, _ nothing) (fileUsage, error) {
	used, quota, err := c.gw.Files.Usage(c.ctx(), c.actor, c.actor.User())
	return fileUsage{used, quota}, err
}

type contentRequest struct {
	File      core.FileID `json:"-" path:"file_id"`
	Expires   int64       `json:"-" query:"expires" doc:"of a link"`
	Signature string      `json:"-" query:"signature" doc:"of a link, in place of a token"`
	Download  string      `json:"-" query:"download" doc:"1: browsers shall keep the file and not show it"`
}

func (in contentRequest) link() file.Link {
	return file.Link{File: in.File, Expires: time.Unix(in.Expires, 0), Proof: in.Signature}
}

// docs/protocols/api.md#files.
func fileContent(c *call, in contentRequest) error {
	f, r, err := c.openFile(in)
	if err != nil {
		return err
	}
	defer r.Close()
	kind, show := showable(f.Type)
	return c.serveBytes(bytesOf{
		r, kind, attachment(f.Name, show && in.Download != "1"), `"` + hexOf(f.SHA256) + `"`, f.At, in.Signature != "",
	})
}

func (c *call) openFile(in contentRequest) (core.File, io.ReadSeekCloser, error) {
	if in.Signature != "" {
		return c.gw.Files.OpenLink(c.ctx(), in.link())
	}
	return c.gw.Files.Open(c.ctx(), c.actor, in.File)
}

// docs/protocols/api.md#files.
func fileThumbnail(c *call, in contentRequest) error {
	f, r, err := c.openThumbnail(in)
	if err != nil {
		return err
	}
	defer r.Close()
	kind, err := thumbnailKind(r)
	if err != nil {
		return err
	}
	return c.serveBytes(bytesOf{r, kind, "inline", `"small-` + hexOf(f.SHA256) + `"`, f.At, in.Signature != ""})
}

func (c *call) openThumbnail(in contentRequest) (core.File, io.ReadSeekCloser, error) {
	if in.Signature != "" {
		return c.gw.Files.OpenThumbnailLink(c.ctx(), in.link())
	}
	return c.gw.Files.Thumbnail(c.ctx(), c.actor, in.File)
}

// thumbnailKind tells the two kinds that thumbnails have apart.
func thumbnailKind(r io.ReadSeeker) (string, error) {
	var first [1]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return "", err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if first[0] == 0xff {
		return "image/jpeg", nil
	}
	return "image/png", nil
}

// attachment says under which name a file is kept, and whether it may be shown instead.
func attachment(name string, show bool) string {
	how := "attachment"
	if show {
		how = "inline"
	}
	return cmp.Or(mime.FormatMediaType(how, map[string]string{"filename": name}), how)
}

// bytesOf is what a file is served with.
type bytesOf struct {
	r           io.ReadSeeker
	kind        string
	disposition string
	tag         string
	at          time.Time
	lasting     bool // under this address it never is another one
}

// serveBytes answers with a file, or a part of it.
func (c *call) serveBytes(b bytesOf) error {
	h := c.w.Header()
	h.Set("Content-Type", b.kind)
	h.Set("Content-Disposition", b.disposition)
	h.Set("ETag", b.tag)
	h.Set("Cache-Control", "private, no-cache")
	if b.lasting {
		h.Set("Cache-Control", "private, max-age=86400")
	}
	err := c.serveRange(&flowing{ReadSeeker: b.r, c: c}, b.at)
	if err != nil {
		h.Del("Content-Disposition")
	}
	return err
}

// serveRange answers with what the request asks for of something that was changed at some time.
func (c *call) serveRange(r io.ReadSeeker, changed time.Time) error {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	w := &ranged{ResponseWriter: c.w, c: c}
	http.ServeContent(w, withRange(c.r, size), "", changed, r)
	if w.beyond {
		return errRange
	}
	return nil
}

// ranged keeps back the answer to a request for what lies beyond the file, which has the form of all refusals.
type ranged struct {
	http.ResponseWriter
	c      *call
	beyond bool
}

func (w *ranged) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.beyond = true
		return
	}
	w.c.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *ranged) Write(p []byte) (int, error) {
	if w.beyond {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// flowing is a file on its way to somebody who may take their time as long as they take something.
type flowing struct {
	io.ReadSeeker
	c     *call
	moved time.Time // when the deadline was
}

func (f *flowing) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(f.moved) > time.Second {
		f.moved = now
		_ = http.NewResponseController(f.c.w).SetWriteDeadline(now.Add(downloadStall)) // what is no connection has none
	}
	return f.ReadSeeker.Read(p)
}

// streamed makes a route's function of a handler that writes its own answer. In has nothing of the body.
func streamed[In any](status int, fn func(*call, In) error) operation {
	return operation{status: status, in: reflect.TypeFor[In](), run: func(c *call) error {
		var v In
		if err := c.decode(reflect.ValueOf(&v).Elem()); err != nil {
			return err
		}
		return fn(c, v)
	}}
}

// uploading is streamed for what takes a file and answers with Out.
func uploading[In, Out any](status int, field string, raw bool, fn func(*call, In) error) operation {
	o := streamed(status, fn)
	o.out, o.takes, o.field, o.raw = reflect.TypeFor[Out](), "multipart/form-data", field, raw
	return o
}

// serving is streamed for what answers with bytes of a media type.
func serving[In any](produces string, fn func(*call, In) error) operation {
	o := streamed(http.StatusOK, fn)
	o.produces = produces
	return o
}

// fileRoutes are the routes of shared files.
func (g *Gateway) fileRoutes() []route {
	const tag = "files"
	return []route{
		{
			http.MethodPost, "/conversations/{conversation_id}/files", tag, users, "Upload a file, as a form or as it is.",
			uploading[uploadRequest, sharedFile](http.StatusCreated, "file", true, uploadFile),
		},
		{http.MethodGet, "/conversations/{conversation_id}/files", tag, users, "The files of a conversation, the newest first.", op(200, listFiles)},
		{http.MethodGet, "/files/usage", tag, users, "How much space one's files take.", op(200, usage)},
		{http.MethodGet, "/files/{file_id}", tag, users, "What is known of a file.", op(200, showFile)},
		{http.MethodDelete, "/files/{file_id}", tag, users, "Delete a file, or a folder with all in it.", op(200, deleteFile)},
		{http.MethodGet, "/files/{file_id}/content", tag, linked, "A file's bytes, or a range of them.", serving(anyKind, fileContent)},
		{http.MethodGet, "/files/{file_id}/thumbnail", tag, linked, "A picture's small form, of 320 by 320 pixels at most.", serving("image/*", fileThumbnail)},
	}
}
