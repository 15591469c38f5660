package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/account"
	"parley/internal/core"
)

const (
	maxBody = 64 << 10

	uploadPause  = 30 * time.Second
	uploadMost   = 5 * time.Minute // for all of it
	uploadLeast  = 16 << 10        // bytes, for each of which of a file there is another second
	uploadAnswer = time.Minute     // after the last of it
)

// op makes a route's function of a handler that takes In and gives Out. In's fields are filled by their tags: path and query
// from the address, json from the body.
func op[In, Out any](status int, fn func(*call, In) (Out, error)) operation {
	in, out := reflect.TypeFor[In](), reflect.TypeFor[Out]()
	secret := reflect.TypeFor[Out]() == reflect.TypeFor[login]()
	return operation{status: status, in: in, out: out, run: func(c *call) error {
		var v In
		if err := c.decode(reflect.ValueOf(&v).Elem()); err != nil {
			return err
		}
		answer, err := fn(c, v)
		if err != nil {
			return err
		}
		return c.answer(cmp.Or(c.status, status), answer, secret)
	}}
}

// place is where a field of a request comes from: path, query or json, and its name there.
func place(f reflect.StructField) (where, name string) {
	for _, where := range []string{"path", "query"} {
		if name := f.Tag.Get(where); name != "" {
			return where, name
		}
	}
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	return "json", name
}

// hasBody reports whether a type of requests has fields that come from the body.
func hasBody(in reflect.Type) bool {
	for _, f := range reflect.VisibleFields(in) {
		if where, _ := place(f); where == "json" && !f.Anonymous {
			return true
		}
	}
	return false
}

func (c *call) decode(in reflect.Value) error {
	if hasBody(in.Type()) {
		if err := c.decodeBody(in.Addr().Interface()); err != nil {
			return err
		}
	}
	for _, f := range reflect.VisibleFields(in.Type()) {
		where, name := place(f)
		var text string
		switch where {
		case "path":
			text = c.r.PathValue(name)
		case "query":
			text = c.r.URL.Query().Get(name)
		}
		if text == "" {
			continue
		}
		if err := parse(in.FieldByIndex(f.Index), where, name, text); err != nil {
			return err
		}
	}
	return nil
}

// parse fills a field from the address. A path whose number is too small leads to what is not there; in a query that is a mistake.
func parse(to reflect.Value, where, name, text string) error {
	if to.Kind() == reflect.String {
		to.SetString(text)
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return because(errBody, name+" must be a number")
	}
	if least := minimum(name); where == "query" && n < least {
		return because(errBody, fmt.Sprintf("%s must be %d or more", name, least))
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	to.SetInt(n)
	return nil
}

// minimum is the least number that a parameter can be: after 0 comes the first of everything, and nothing else begins there.
func minimum(name string) int64 {
	if name == "after" {
		return 0
	}
	return 1
}

// receive reads the body of a route that takes JSON.
func (c *call) receive(rt route) (err error) {
	if rt.in != nil && rt.takes == "" && hasBody(rt.in) {
		c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	} else if c.r.ContentLength != 0 {
		return nil
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.outlast()
		return errSlow
	case err != nil:
		return because(errBody, "The body did not arrive")
	}
	c.arrived()
	return nil
}

// arrived ends the time that a request has to arrive. It would go on otherwise, and end the context while the client waits.
func (c *call) arrived() { _ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) }

// outlast lets a request that took too long be answered. Its context ended with the time for reading; writing is still possible, and
// nothing more is read.
func (c *call) outlast() {
	c.r = c.r.WithContext(context.WithoutCancel(c.ctx()))
	if c.r.ProtoMajor == 1 {
		c.w.Header().Set("Connection", "close")
	}
}

// decodeBody reads a JSON object. No body at all is an empty one. A body must be said to be JSON: then no page elsewhere can have a
// browser send it unasked.
func (c *call) decodeBody(in any) error {
	if kind := c.r.Header.Get("Content-Type"); kind != "" || len(c.body) > 0 {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return errMedia
		}
	}
	body := bytes.TrimSpace(c.body)
	if len(body) == 0 {
		return nil
	}
	if jsontext.Value(body).Kind() != '{' {
		return because(errBody, "The body is not a JSON object")
	}
	if err := json.Unmarshal(body, in); err != nil {
		return malformed(err)
	}
	return nil
}

// malformed says what is wrong with some JSON.
func malformed(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.JSONPointer != "" {
		return because(errBody, string(semantic.JSONPointer[1:])+" has the wrong type")
	}
	return because(errBody, "The body is not valid JSON")
}

// upload returns the file of a form, whatever its field is called.
func (c *call) upload() (io.Reader, error) {
	c.r.Body = http.MaxBytesReader(c.w, &arriving{ReadCloser: c.r.Body, c: c, began: time.Now()}, account.MaxAvatar+maxBody)
	part, err := c.filePart()
	return formFile{part}, err
}

// filePart returns the first file of a form.
func (c *call) filePart() (*multipart.Part, error) {
	form, err := c.r.MultipartReader()
	if err != nil {
		return nil, because(errForm, "The body is not multipart/form-data")
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, uploadFailed(err)
		}
		if part.FileName() != "" {
			return part, nil
		}
	}
}

// arriving is the body of an upload, which may take its time as long as it goes on.
type arriving struct {
	io.ReadCloser
	c       *call
	began   time.Time
	endless bool  // it may take longer the more arrives
	got     int64 // bytes
}

func (a *arriving) Read(p []byte) (int, error) {
	until := a.began.Add(uploadMost)
	if a.endless {
		until = until.Add(time.Duration(a.got/uploadLeast) * time.Second)
	}
	pause := time.Now().Add(a.c.gw.UploadPause)
	if pause.After(until) {
		pause = until
	}
	conn := http.NewResponseController(a.c.w)
	// What is no connection has no deadline to move.
	_, _ = conn.SetReadDeadline(pause), conn.SetWriteDeadline(pause.Add(uploadAnswer))
	n, err := a.ReadCloser.Read(p)
	a.got += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		a.c.arrived()
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.c.outlast()
	}
	return n, err
}

// formFile names what can go wrong while it is read.
type formFile struct{ r io.Reader }

func (f formFile) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = uploadFailed(err)
	}
	return n, err
}

// uploadFailed turns what stopped an upload into what its sender is told.
func uploadFailed(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return core.ErrFileTooLarge
	case errors.Is(err, io.EOF):
		return because(errForm, "There is no file in the form")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return because(errForm, "The upload did not go on")
	}
	return because(errForm, "The upload did not arrive whole")
}
