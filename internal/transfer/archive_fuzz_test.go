package transfer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// FuzzArchiveLines reads lines as those of a part, after a user and a conversation. What is accepted must be written as
// it was read.
func FuzzArchiveLines(f *testing.F) {
	for part, line := range map[string]string{
		usersPart:         `{"uid":7,"name":"a","nick":"","desc":"","icon":"","avatar":"","sex":0,"created":"2026-01-02T03:04:05.678Z"}`,
		othersPart:        `{"uid":8,"name":"b","nick":""}`,
		friendsPart:       `{"user":1,"friend":2,"remark":"","created":"2026-01-02T03:04:05.678Z"}`,
		requestsPart:      `{"from":1,"to":2,"status":"pending","text":"","created":"2026-01-02T03:04:05.678Z"}`,
		blocksPart:        `{"user":1,"blocked":2,"created":"2026-01-02T03:04:05.678Z"}`,
		conversationsPart: `{"id":5,"kind":"direct","users":[1,2],"last_seq":3,"created":"2026-01-02T03:04:05.678Z"}`,
		messagesPart:      `{"conversation":3,"seq":1,"sender":1,"client_id":"x","retry":-9223372036854775808,"text":"t","origin":"g","sent":"2026-01-02T03:04:05.678Z"}`,
		membersPart:       `{"user":1,"conversation":3,"joined_seq":0,"joined":"2026-01-02T03:04:05.678Z"}`,
		gatewaysPart:      `{"user":1,"gateway":"g","since":"2026-01-02T03:04:05.678Z"}`,
		cursorsPart:       `{"user":1,"gateway":"g","conversation":3,"seq":1}`,
		auditPart:         `{"at":"2026-01-02T03:04:05.678Z","actor":0,"name":"","action":"x","target":"","detail":"","gateway":"","ip":""}`,
		importedPart:      `{"source":"s","noun":"n","foreign_id":"f","local_id":1}`,
		filesPart:         `{"id":1,"conversation":3,"owner":1,"kind":"folder","name":"n","size":0,"created":"2026-01-02T03:04:05.678Z"}`,
		avatarsPart:       `{"user":"a","file":"b","size":0,"sha256":"` + strings.Repeat("0a", 32) + `","changed":"2026-01-02T03:04:05.678Z"}`,
	} {
		f.Add(part, []byte(line))
		f.Add(part, []byte(line+"\n"+line))
	}
	f.Fuzz(func(t *testing.T, part string, text []byte) {
		c := newChecks()
		c.kind = Everything
		for _, v := range []any{
			otherLine{UID: 1, Name: "one"},
			otherLine{UID: 2, Name: "two"},
			conversationLine{ID: 3, Kind: kind(core.Room), LastSeq: 2, Created: stamp(time.Unix(1, 0))},
		} {
			if err := c.line(v); err != nil {
				t.Fatal(err)
			}
			c.last = nil
		}
		for lines := newLineReader(bytes.NewReader(text)); ; {
			b, err := lines.next()
			if err != nil {
				return
			}
			v, err := parse(part, b)
			if err != nil || c.line(v) != nil {
				return
			}
			out, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%q is read, and cannot be written: %v", b, err)
			}
			again, err := parse(part, out)
			if err != nil {
				t.Fatalf("%q is written as %q, which cannot be read: %v", b, out, err)
			}
			if second, err := json.Marshal(again); err != nil || !bytes.Equal(out, second) {
				t.Fatalf("%q is written as %q, and then as %q", b, out, second)
			}
		}
	})
}

// FuzzArchive reads anything as an archive, which must neither fail in an unforeseen way nor take longer than it is long.
func FuzzArchive(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "seed")
	file, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	o := newOutput(file, time.Unix(1_700_000_000, 0))
	m := manifest{Format: format, Version: version, Kind: Everything}
	err = o.leaveManifest()
	for _, p := range partsOf(Everything) {
		err = errors.Join(err, o.lines(p, m.Counts.of(p), func(put func(any) error) error {
			if p == usersPart {
				return put(userLine{UID: 1001, Name: "ann", Created: stamp(time.Unix(1, 0))})
			}
			return nil
		}))
	}
	err = errors.Join(err, o.finish(m), file.Close())
	seed, rerr := os.ReadFile(path)
	if err = errors.Join(err, rerr); err != nil {
		f.Fatal(err)
	}
	read := func(b []byte) (int, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return 0, err
		}
		in, err := openInput(path, func(string, int64, int64) {})
		if err != nil {
			return 0, err
		}
		defer in.f.Close()
		things := 0
		err = in.read(context.Background(), func(context.Context, any) error { things++; return nil })
		return things, err
	}
	if n, err := read(seed); n != 2 || err != nil { // the manifest and a user
		f.Fatal(n, err)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := read(b); err == nil && n > len(b) {
			t.Errorf("%d things of %d bytes", n, len(b))
		}
	})
}
