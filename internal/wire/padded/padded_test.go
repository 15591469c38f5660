package padded

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 64 << 10

var sample = []string{
	`{"op":0,"args":{"user_name":"18671289536","user_pwd":"........"}}`,
	"",
	"{}",
	strings.Repeat("x", limit),
	`{"op":0,"test":0}`,
}

func stream(messages []string) (b []byte) {
	for _, m := range messages {
		b = Append(b, []byte(m))
	}
	return b
}

func TestBytes(t *testing.T) {
	for body, want := range map[string]string{
		`{"op":0,"test":0}`: `17             {"op":0,"test":0}`,
		"":                  "0              ",
		"你好":                "6              你好",
	} {
		if got := string(Append(nil, []byte(body))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	b := Begin([]byte("before"))
	if got := string(End(append(b, "body"...), len("before"))); got != "before4              body" {
		t.Errorf("%q", got)
	}
}

// readAll reads a stream with Read.
func readAll(r io.Reader) (got []string, err error) {
	for {
		body, err := Read(r, limit)
		if err != nil {
			return got, err
		}
		got = append(got, string(body))
	}
}

// split feeds a stream to a Splitter in segments of the given size.
func split(b []byte, size int) (got []string, s Splitter, err error) {
	s = NewSplitter(limit)
	for segment := range slices.Chunk(b, size) {
		s.Feed(bytes.Clone(segment))
		for {
			body, ok, err := s.Next()
			if err != nil {
				return got, s, err
			}
			if !ok {
				break
			}
			got = append(got, string(body))
		}
	}
	return got, s, nil
}

func TestReadHoweverTheStreamIsCut(t *testing.T) {
	b := stream(sample)
	for name, src := range map[string]io.Reader{
		"at once":         bytes.NewReader(b),
		"byte by byte":    iotest.OneByteReader(bytes.NewReader(b)),
		"in halves":       iotest.HalfReader(bytes.NewReader(b)),
		"error with data": iotest.DataErrReader(bytes.NewReader(b)),
	} {
		if got, err := readAll(src); err != io.EOF || !slices.Equal(got, sample) { //nolint:errorlint // exactly io.EOF is promised
			t.Errorf("%s: %d messages, error %v", name, len(got), err)
		}
	}
	for _, size := range []int{1, 2, 14, 15, 16, 17, 4096, len(b)} {
		got, s, err := split(b, size)
		if err != nil || !slices.Equal(got, sample) {
			t.Errorf("segments of %d: %d messages, %v", size, len(got), err)
		}
		if s.in != nil || s.partial != nil {
			t.Errorf("segments of %d: memory is held between messages", size)
		}
	}
}

// A segment that is fed before the one before it was looked at comes behind it.
func TestFeedTwice(t *testing.T) {
	b := stream(sample[:3])
	s := NewSplitter(limit)
	s.Feed(b[:20])
	s.Feed(b[20:])
	var got []string
	for body, ok, _ := s.Next(); ok; body, ok, _ = s.Next() {
		got = append(got, string(body))
	}
	if !slices.Equal(got, sample[:3]) {
		t.Errorf("%q", got)
	}
}

func TestBegun(t *testing.T) {
	s := NewSplitter(limit)
	for i, part := range []string{"", "2", "              ", "{", "}", "2              {}3"} {
		s.Feed([]byte(part))
		for ok := true; ok; {
			_, ok, _ = s.Next()
		}
		if want := i != 0 && i != 4; s.Begun() != want {
			t.Errorf("after %q: %v", part, !want)
		}
	}
}

func TestReadLeavesWhatFollows(t *testing.T) {
	r := strings.NewReader("2              {}raw bytes")
	if body, err := Read(r, limit); err != nil || string(body) != "{}" {
		t.Fatalf("%q, %v", body, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "raw bytes" {
		t.Errorf("%q is left", rest)
	}
}

var headers = map[string]error{
	"2              ": nil,
	"              2": nil, // padded on the other side
	"000000000000002": nil,
	"  2            ": nil,
	"               ": ErrHeader,
	"-2             ": ErrHeader,
	"+2             ": ErrHeader,
	"2.0            ": ErrHeader,
	"2 2            ": ErrHeader,
	"0x2            ": ErrHeader,
	"2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": ErrHeader,
	"2\n             ":    ErrHeader,
	"{\"op\":0,\"test\":": ErrHeader,
	"٢             ":      ErrHeader,
	"65537          ":     ErrTooLong,
	"999999999999999":     ErrTooLong,
}

func TestHeaders(t *testing.T) {
	for header, want := range headers {
		if len(header) != HeaderSize {
			t.Fatalf("%q has %d bytes", header, len(header))
		}
		body, err := Read(strings.NewReader(header+"{}"), limit)
		if !errors.Is(err, want) || want == nil && string(body) != "{}" {
			t.Errorf("%q: %q, %v", header, body, err)
		}
		for _, size := range []int{1, 17} {
			got, s, err := split([]byte(header+"{}{}"), size)
			if want == nil {
				if len(got) != 1 || got[0] != "{}" {
					t.Errorf("%q: %q, %v", header, got, err)
				}
				continue
			}
			if !errors.Is(err, want) || len(got) > 0 {
				t.Errorf("%q in segments of %d: %q, %v", header, size, got, err)
			}
			s.Feed(Append(nil, []byte("{}")))
			if body, ok, again := s.Next(); ok || again != err { //nolint:errorlint // the very same
				t.Errorf("%q: after the error comes %q, %v", header, body, again)
			}
		}
	}
}

func TestReadStopsInTheMiddle(t *testing.T) {
	whole := "2              {}"
	for n := 1; n < len(whole); n++ {
		if _, err := Read(strings.NewReader(whole[:n]), limit); err != io.ErrUnexpectedEOF { //nolint:errorlint // as it is promised
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// A header alone costs no memory for the body that it announces.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	s := NewSplitter(1 << 40)
	s.Feed([]byte("999999999999   x"))
	if _, ok, err := s.Next(); ok || err != nil {
		t.Fatal(ok, err)
	}
	if cap(s.partial) > 1024 {
		t.Errorf("%d bytes are held for 16", cap(s.partial))
	}
	if _, err := Read(strings.NewReader("999999999999   x"), 1<<40); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// FuzzStream reads arbitrary bytes both ways, cut anywhere. What is found is the same, and written again it is read again.
func FuzzStream(f *testing.F) {
	f.Add(stream(sample), uint16(7))
	for header := range headers {
		f.Add([]byte(header+"{}"), uint16(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		want, wantErr := readAll(bytes.NewReader(b))
		got, s, err := split(b, int(size)+1)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		if broken := errors.Is(wantErr, ErrHeader) || errors.Is(wantErr, ErrTooLong); broken != (err != nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if err == nil && (len(s.partial) == 0) != errors.Is(wantErr, io.EOF) {
			t.Fatalf("%d bytes are left, want %v", len(s.partial), wantErr)
		}
		if again, err := readAll(bytes.NewReader(stream(got))); !errors.Is(err, io.EOF) || !slices.Equal(again, got) {
			t.Fatalf("%q, %v", again, err)
		}
	})
}
