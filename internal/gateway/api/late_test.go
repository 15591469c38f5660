package api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// TestASlowRequestEndedWithoutAnAnswer, although one could still be written.
func TestASlowRequestEndedWithoutAnAnswer(t *testing.T) {
	ann := newWorld(t, func(s *settings) { s.api.UploadPause = hurry }).join("ann").hurried()
	const form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\nhalf"
	for path, tt := range map[string]struct {
		kind, body   string
		status, code int
	}{
		"/reports":               {"application/json", `{"reason":"`, 408, 10408},
		"/auth/login":            {"application/json", "", 408, 10408},
		"/conversations/1/files": {"multipart/form-data; boundary=x", form, 400, 30001},
		"/users/upload-avatar":   {"multipart/form-data; boundary=x", form, 400, 30001},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(ann.web.URL, "http://"))
			ann.must(err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n%s",
				api.Prefix, path, ann.access, tt.kind, tt.body)
			ann.must(err)
			ann.must(conn.SetReadDeadline(time.Now().Add(time.Minute)))
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			ann.must(err)
			answer{t, path, resp.StatusCode, resp.Header, string(b)}.refused(tt.status, tt.code)
			if _, err := in.ReadByte(); err == nil {
				t.Error("something follows")
			}
		})
	}
}
