package api

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
)

// gzipFrom is the size from which answers are compressed.
const gzipFrom = 1024

// envelope is the form of every answer. docs/protocols/api.md#answers.
type envelope struct {
	Code      int            `json:"code"`
	Message   string         `json:"message"`
	Data      jsontext.Value `json:"data,omitzero"`
	Error     *reason        `json:"error,omitzero"`
	RequestID string         `json:"request_id,omitzero"`
	Timestamp string         `json:"timestamp"`
}

// reason is what an answer says that is no success.
type reason struct {
	Type    string `json:"type"`
	Code    int    `json:"code"`
	Details string `json:"details"`
}

func timestamp() string { return time.Now().UTC().Format(time.RFC3339) }

// answer writes a success. Answers with secrets are never compressed, since their length would tell of what is in them.
func (c *call) answer(status int, data any, secret bool) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		sum := sha256.Sum256(b)
		tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"` // weak, since the time of the answer is not in it
		c.w.Header().Set("ETag", tag)
		c.w.Header().Set("Cache-Control", "private, no-cache")
		if known(c.r.Header.Get("If-None-Match"), tag) {
			c.begun = true
			c.w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return c.write(status, envelope{Code: status, Message: "success", Data: b, Timestamp: timestamp()}, !secret)
}

// known reports whether a tag is among those that a client has.
func known(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// refuse writes what somebody is told when something cannot be done. What they may not know of it is in the log, under the
// id of the request.
func (c *call) refuse(err error) {
	if c.r.Context().Err() != nil {
		// Should somebody be there yet, the lack of an answer must not look like a success.
		panic(http.ErrAbortHandler)
	}
	r := refusalFor(err)
	if r.status == http.StatusInternalServerError {
		c.gw.Log.Error("request failed", "gateway", gateway, "request", c.id, "route", c.r.Pattern, "err", err)
	}
	if wait := core.RetryAfter(err); wait > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	} else if r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable {
		c.w.Header().Set("Retry-After", "1")
	}
	if r.status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	message, details := sentences(err, r)
	_ = c.write(r.status, envelope{
		Code: r.status, Message: message, Error: &reason{r.kind, r.code, details}, RequestID: c.id, Timestamp: timestamp(),
	}, true)
}

func because(err error, reason string) error { return core.Because(err, reason) }

// sentences returns what is shown of an error: the error's own words, and what is wrong in this case if it is known.
func sentences(err error, r refusal) (message, details string) {
	var own *ownError
	var named *core.Error
	switch {
	case r.status == http.StatusInternalServerError:
		return "Internal error", "Something went wrong in the server. Its log has the details under the id of this request."
	case errors.As(err, &own):
		message = own.text
	case errors.As(err, &named):
		message = strings.ToUpper(named.Text[:1]) + named.Text[1:]
	}
	return message, cmp.Or(core.Reason(err), message)
}

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func (c *call) write(status int, e envelope, compress bool) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	c.send(status, b, compress)
	return nil
}

// send writes JSON.
func (c *call) send(status int, b []byte, compress bool) {
	c.sendAs("application/json; charset=utf-8", status, b, compress)
}

// sendAs writes something of another media type.
func (c *call) sendAs(media string, status int, b []byte, compress bool) {
	h := c.w.Header()
	h.Set("Content-Type", media)
	if compress && len(b) >= gzipFrom {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(c.r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			b = zipped(b)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	c.begun = true
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) // nobody is left to be told
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	z.Reset(&out)
	_, _ = z.Write(b) // into memory
	_ = z.Close()
	zippers.Put(z)
	return out.Bytes()
}

// takesGzip reads the header as far as it matters: a list in which gzip is named and not refused.
func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
		return err != nil || weight > 0
	}
	return false
}
