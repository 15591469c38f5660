package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"
)

type filesCmd struct {
	MB          int   `name:"mb" help:"Size of each file in MiB." default:"512"`
	Connections []int `help:"How many files are on their way at the same time." default:"1,4"`
	Rounds      int   `help:"How often each thing is measured; the median counts." default:"5"`
}

const (
	fileChunk   = 1 << 20
	paddedWidth = 15 // of the header before a JSON object of the DPC family
	mega        = 1e6
)

// haul is the measurement of one number of connections.
type haul struct {
	server *server
	dir    string // on the disk that the server writes to
	size   int64  // of each file, in bytes
	n      int    // files at the same time
	chunk  []byte
	sum    [sha256.Size]byte // of a whole file
}

// Run measures uploads and downloads over the DPC family's file port, and right beside each the disk and the loopback
// alone: the slower of the two is what a server that does nothing else could reach.
func (c *filesCmd) Run(ctx context.Context, o *options, rep *report) error {
	if c.MB < 1 || c.Rounds < 1 {
		return errors.New("files: size and rounds must be at least 1")
	}
	return withServer(ctx, o, "files", 0, func(s *server) error {
		h := &haul{server: s, dir: filepath.Dir(s.dir), size: int64(c.MB) << 20, chunk: make([]byte, fileChunk)}
		_, _ = rand.Read(h.chunk)
		all := sha256.New()
		for range c.MB {
			all.Write(h.chunk)
		}
		all.Sum(h.sum[:0])
		for _, h.n = range c.Connections {
			if err := h.measure(ctx, c.Rounds, rep); err != nil {
				return err
			}
		}
		return h.verify(ctx)
	})
}

// measure takes turns, so that a slow hour of the machine slows all of them.
func (h *haul) measure(ctx context.Context, rounds int, rep *report) error {
	var up, down, write, read, loop, sum []float64
	before, err := h.server.rss()
	if err != nil {
		return err
	}
	var most int64
	for range rounds {
		for _, step := range []struct {
			rates *[]float64
			run   func(context.Context, int) error
		}{
			{&write, h.writeDisk}, {&loop, h.loopback}, {&up, h.upload}, {&read, h.readDisk}, {&down, h.download}, {&sum, h.hash},
		} {
			rate, err := h.timed(ctx, step.run)
			if err != nil {
				return err
			}
			*step.rates = append(*step.rates, rate)
			rss, err := h.server.rss()
			if err != nil {
				return err
			}
			most = max(most, rss)
		}
	}
	for _, r := range []struct {
		name        string
		rates, disk []float64
	}{{"upload", up, write}, {"download", down, read}} {
		res := result{Name: fmt.Sprintf("%s, %d at a time", r.name, h.n), Unit: "MB/s", Rate: median(r.rates), RSSBefore: before, RSSAfter: most}
		res.figure("disk alone MB/s", median(r.disk))
		res.figure("loopback alone MB/s", median(loop))
		if r.name == "upload" {
			res.figure("SHA-256 alone MB/s", median(sum))
		}
		res.figure("share of the slower of disk and loopback", res.Rate/min(median(r.disk), median(loop)))
		rep.add(res)
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// timed runs a step for every file at the same time and returns the megabytes a second of all of them.
func (h *haul) timed(ctx context.Context, step func(context.Context, int) error) (float64, error) {
	g, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i := range h.n {
		g.Go(func() error { return step(ctx, i) })
	}
	err := g.Wait()
	return float64(h.size) * float64(h.n) / time.Since(start).Seconds() / mega, err
}

func (h *haul) diskFile(i int) string {
	return filepath.Join(h.dir, fmt.Sprintf("parley-bench-file-%d", i))
}

// writeDisk writes a file and makes it last, as the server has to.
func (h *haul) writeDisk(_ context.Context, i int) (err error) {
	f, err := os.Create(h.diskFile(i))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for range h.size / fileChunk {
		if _, err := f.Write(h.chunk); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return forget(f) // so that readDisk reads from the disk
}

// hash computes the sum that the server computes of every upload.
func (h *haul) hash(context.Context, int) error {
	sum := sha256.New()
	return h.pour(sum)
}

// readDisk reads what writeDisk wrote, and removes it.
func (h *haul) readDisk(_ context.Context, i int) (err error) {
	f, err := os.Open(h.diskFile(i))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	return swallow(f, h.size)
}

// swallow reads exactly n bytes.
func swallow(r io.Reader, n int64) error {
	buf := make([]byte, fileChunk)
	for n > 0 {
		got, err := r.Read(buf[:min(n, fileChunk)])
		n -= int64(got)
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
	}
	return nil
}

// loopback carries as many bytes over a connection between two goroutines.
func (h *haul) loopback(ctx context.Context, _ int) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		defer conn.Close()
		return swallow(conn, h.size)
	})
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", ln.Addr().String())
	if err != nil {
		return errors.Join(err, ln.Close(), g.Wait())
	}
	return errors.Join(h.pour(conn), conn.Close(), g.Wait())
}

func (h *haul) pour(w io.Writer) error {
	for range h.size / fileChunk {
		if _, err := w.Write(h.chunk); err != nil {
			return err
		}
	}
	return nil
}

// fileRequest is a request of the DPC family's file port.
type fileRequest struct {
	Op   int `json:"op"`
	Args struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	} `json:"args"`
	Look     int    `json:"look"`
	FileName string `json:"file_name"`
	FileType int    `json:"file_type"`
	FileSize string `json:"file_size"`
}

// ask connects to the file port and sends a request for the i-th file.
func (h *haul) ask(ctx context.Context, op, i int) (net.Conn, error) {
	r := fileRequest{Op: op, Look: 1, FileName: fmt.Sprintf("bench %d.bin", i), FileSize: strconv.FormatInt(h.size, 10)}
	r.Args.Name, r.Args.Password = benchUser, benchPassword
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", h.server.files)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "%-*d%s", paddedWidth, len(body), body); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// upload sends a file; the server closes the connection when the file is stored.
func (h *haul) upload(ctx context.Context, i int) error {
	conn, err := h.ask(ctx, 0, i)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := h.pour(conn); err != nil {
		return err
	}
	said, err := io.ReadAll(conn)
	if len(said) > 0 {
		err = errors.Join(err, fmt.Errorf("the upload is refused: %s", said))
	}
	return err
}

// download receives a file.
func (h *haul) download(ctx context.Context, i int) error { return h.fetch(ctx, i, nil) }

func (h *haul) fetch(ctx context.Context, i int, sum hash.Hash) error {
	conn, err := h.ask(ctx, 1, i)
	if err != nil {
		return err
	}
	defer conn.Close()
	var header [paddedWidth]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimRight(string(header[:]), " "))
	if err != nil || n > 4096 {
		return fmt.Errorf("the answer begins with %q", header)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	if want := fmt.Appendf(nil, `"file_size":"%d"`, h.size); !bytes.Contains(body, want) {
		return fmt.Errorf("the answer is %s", body)
	}
	if sum == nil {
		return swallow(conn, h.size)
	}
	_, err = io.Copy(sum, conn)
	return err
}

// verify downloads the first file once more and compares what it is.
func (h *haul) verify(ctx context.Context) error {
	sum := sha256.New()
	if err := h.fetch(ctx, 0, sum); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), h.sum[:]) {
		return errors.New("files: what came back is not what was sent")
	}
	return nil
}
