package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/core"
)

const (
	// progressEvery is how often a long command says how far it is.
	progressEvery = 200 * time.Millisecond
	// maxLine bounds a line of an answer in bytes: a report can be long.
	maxLine = 64 << 20
)

// Progress is how far a long command is.
type Progress struct {
	What  string `json:"what"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 if that is not known
}

// line is one line of the answer to a long command: progress while it runs, at its end a result or an error.
type line struct {
	Progress *Progress      `json:"progress,omitzero"`
	Result   jsontext.Value `json:"result,omitzero"`
	Error    string         `json:"error,omitzero"`
}

// stream turns a long command into a handler that answers line by line. The command ends early when whoever gave it
// goes away, and when the server stops.
func stream[In, Out any](g *Gateway, run func(context.Context, In, func(Progress)) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(g.stopping, func() { cancel(core.ErrStopping) })()
		w.Header().Set("Content-Type", "application/jsonl")
		out := http.NewResponseController(w)
		say := func(l line) {
			if json.MarshalWrite(w, l) == nil {
				_, _ = io.WriteString(w, "\n")
				_ = out.Flush()
			}
		}
		var in In
		var result Out
		err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &in)
		if err != nil {
			err = fmt.Errorf("%w: %w", core.ErrInvalid, err)
		} else {
			var last time.Time
			result, err = safely(g, r, func() (Out, error) {
				return run(ctx, in, func(p Progress) {
					if now := time.Now(); now.Sub(last) >= progressEvery {
						last = now
						say(line{Progress: &p})
					}
				})
			})
		}
		if err != nil && ctx.Err() != nil { // whatever it was, this is why
			err = context.Cause(ctx)
		}
		l := line{}
		if err == nil {
			l.Result, err = json.Marshal(result)
		}
		if err != nil {
			l = line{Error: err.Error()}
		}
		say(l)
	}
}

// follow gives a long command, passes its progress on, and returns its result.
func follow[Out any](ctx context.Context, c *Client, path string, in any, progress func(Progress)) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://parley"+path, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	reader := &lineReader{progress: progress}
	if err := c.stream(r, reader); err != nil {
		return out, err
	}
	switch {
	case reader.err != nil: // a handler in this process does not mind
		return out, reader.err
	case reader.last.Error != "":
		return out, errors.New(reader.last.Error)
	case reader.last.Result == nil:
		return out, errors.New("the server went away")
	}
	return out, json.Unmarshal(reader.last.Result, &out)
}

// stream sends a request and writes the answer to w as it comes.
func (c *Client) stream(r *http.Request, w io.Writer) (err error) {
	if l, ok := c.transport.(local); ok {
		a := &answer{header: http.Header{}, status: http.StatusOK, body: w}
		l.ServeHTTP(a, r)
		return nil
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}

// lineReader takes an answer apart.
type lineReader struct {
	progress func(Progress)
	rest     []byte // the beginning of the next line
	last     line   // with a result or an error
	err      error  // the first one; nothing is read after it
}

func (l *lineReader) Write(p []byte) (int, error) {
	if l.err == nil {
		l.err = l.read(p)
	}
	return len(p), l.err
}

func (l *lineReader) read(p []byte) error {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(l.rest)+len(p) > maxLine {
				return errors.New("the answer is too long")
			}
			l.rest = append(l.rest, p...)
			return nil
		}
		var next line
		if err := json.Unmarshal(append(l.rest, p[:i]...), &next); err != nil {
			return fmt.Errorf("the answer: %w", err)
		}
		l.rest, p = l.rest[:0], p[i+1:]
		if next.Progress != nil {
			l.progress(*next.Progress)
			continue
		}
		l.last = next
	}
}
