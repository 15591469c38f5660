package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"parley/internal/gateway/api"
)

// hurry is the time that a request has on the server of a test.
const hurry = 100 * time.Millisecond

// hurried returns a client of the same server that has little patience.
func (c *client) hurried() *client {
	c.t.Helper()
	web := httptest.NewUnstartedServer(c.web.Config.Handler)
	web.Config.ReadTimeout, web.Config.WriteTimeout = hurry, 5*time.Second
	web.Start()
	c.t.Cleanup(web.Close)
	w := *c.world
	w.web = web
	other := *c
	other.world = &w
	return &other
}

// TestALateAnswerWasAnEmptySuccess: the time for a request to arrive went on while the server worked, and ended that.
func TestALateAnswerWasAnEmptySuccess(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann").hurried()
	held, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- w.db.Update(context.Background(), func(context.Context) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	time.AfterFunc(3*hurry, func() { close(release) })
	ann.put("/users/profile", `{"full_name":"Late"}`).ok(200).equal("full_name", "Late")
	w.must(<-done)
}

// TestNobodyIsToldASuccessThatWasNone: when the context of a request is over, its connection is cut.
func TestNobodyIsToldASuccessThatWasNone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, api.Prefix+"/nothing", http.NoBody)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("it ends with %v", err)
		}
	}()
	w.web.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
	t.Error("it is answered")
}

// TestASlowUploadWasCutOff although it went on.
func TestASlowUploadWasCutOff(t *testing.T) {
	ann := newWorld(t).join("ann").hurried()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("avatar", "me.png")
	ann.must(err)
	_, err = part.Write(picture(t, 300, 200))
	ann.must(err)
	ann.must(form.Close())
	pr, pw := io.Pipe()
	go func() {
		_, _ = pw.Write(b.Bytes()[:b.Len()/2]) // the server's answer tells
		time.Sleep(3 * hurry)
		_, _ = pw.Write(b.Bytes()[b.Len()/2:])
		pw.Close()
	}()
	req, err := http.NewRequest(http.MethodPost, ann.web.URL+api.Prefix+"/users/upload-avatar", pr)
	ann.must(err)
	req.Header.Set("Authorization", "Bearer "+ann.access)
	req.Header.Set("Content-Type", form.FormDataContentType())
	ann.send(req).ok(200)
}
