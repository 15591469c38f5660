package frame

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type message struct {
	id   uint16
	body string
}

// read returns every frame of a stream and the error at its end.
func read(src io.Reader) (got []message, err error) {
	r := NewReader(src)
	for {
		burst, err := r.Read()
		if err != nil {
			if r.buf != nil || r.block != nil {
				return got, errors.New("a buffer is held after the end")
			}
			return got, err
		}
		for len(burst) > 0 {
			var m message
			var body []byte
			m.id, body, burst = Cut(burst)
			m.body = string(body)
			got = append(got, m)
		}
	}
}

var sample = []message{
	{1023, `{"fromuid":1054}`},
	{0, ""},
	{65535, string(bytes.Repeat([]byte("x"), MaxBody))},
	{1005, ""},
	{1017, string(bytes.Repeat([]byte("y"), blockSize-HeaderSize))},
	{1017, string(bytes.Repeat([]byte("z"), blockSize))},
	{1023, "{}"},
}

func stream(messages []message) (b []byte) {
	for _, m := range messages {
		b = Append(b, m.id, []byte(m.body))
	}
	return b
}

func TestDocumentedBytes(t *testing.T) {
	want := "\x03\xff\x00\x10{\"fromuid\":1054}"
	if got := Append(nil, 1023, []byte(`{"fromuid":1054}`)); string(got) != want {
		t.Errorf("got % x", got)
	}
}

func TestReadHoweverTheStreamIsCut(t *testing.T) {
	b := stream(sample)
	for name, src := range map[string]io.Reader{
		"at once":          bytes.NewReader(b),
		"byte by byte":     iotest.OneByteReader(bytes.NewReader(b)),
		"in halves":        iotest.HalfReader(bytes.NewReader(b)),
		"error with data":  iotest.DataErrReader(bytes.NewReader(b)),
		"halves and error": iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(b))),
	} {
		if got, err := read(src); err != io.EOF || !slices.Equal(got, sample) { //nolint:errorlint // exactly io.EOF is promised
			t.Errorf("%s: %d messages, error %v", name, len(got), err)
		}
	}
}

func TestBurstHoldsAllThatArrived(t *testing.T) {
	var b []byte
	for range 10 {
		b = Append(b, 1023, []byte("{}"))
	}
	r := NewReader(bytes.NewReader(append(b, 3)))
	burst, err := r.Read()
	if err != nil || !bytes.Equal(burst, b) {
		t.Errorf("got % x, %v", burst, err)
	}
	if _, err := r.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut header ends with %v", err)
	}
}

func TestNoBufferBetweenFrames(t *testing.T) {
	pr, pw := io.Pipe()
	r := NewReader(pr)
	waiting := make(chan struct{}, 1)
	got := make(chan error, 1)
	r.src = readerFunc(func(p []byte) (int, error) {
		if r.buf == nil {
			if len(p) > HeaderSize {
				t.Errorf("waits for a header with %d bytes", len(p))
			}
			waiting <- struct{}{}
		}
		return pr.Read(p)
	})
	go func() {
		for {
			if _, err := r.Read(); err != nil {
				got <- err
				return
			}
		}
	}()
	for range 3 {
		<-waiting
		if _, err := pw.Write(Append(nil, 1, []byte("body"))); err != nil {
			t.Fatal(err)
		}
	}
	<-waiting
	_ = pw.Close()
	if err := <-got; err != io.EOF { //nolint:errorlint // exactly io.EOF is promised
		t.Errorf("ended with %v", err)
	}
	if r.buf != nil || r.block != nil {
		t.Error("a buffer is held")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReadPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, before := range []string{"", "\x03", "\x03\xff\x00\x10{"} {
		src := io.MultiReader(bytes.NewReader([]byte(before)), iotest.ErrReader(broken))
		if _, err := read(src); !errors.Is(err, broken) {
			t.Errorf("after % x: %v", before, err)
		}
	}
}

func TestEndRefusesATooLongBody(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a body of 65,536 bytes was framed")
		}
	}()
	Append(nil, 1, make([]byte, MaxBody+1))
}

// FuzzReader reads arbitrary bytes, cut arbitrarily, and compares with the definition: header, body, header, body.
func FuzzReader(f *testing.F) {
	f.Add(stream(append(sample[:2:2], sample[6])), uint16(3))
	f.Add(stream(sample[3:4]), uint16(4096))
	f.Add([]byte("\x03\xff\x00\x10{"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		var want []message
		wantErr := io.EOF
		for rest := b; len(rest) > 0; {
			if len(rest) < HeaderSize || len(rest) < HeaderSize+int(rest[2])<<8+int(rest[3]) {
				wantErr = io.ErrUnexpectedEOF
				break
			}
			n := HeaderSize + int(rest[2])<<8 + int(rest[3])
			want = append(want, message{uint16(rest[0])<<8 + uint16(rest[1]), string(rest[HeaderSize:n])})
			rest = rest[n:]
		}
		src := bytes.NewReader(b)
		got, err := read(readerFunc(func(p []byte) (int, error) {
			return src.Read(p[:min(len(p), 1+int(cut))])
		}))
		if err != wantErr || !slices.Equal(got, want) { //nolint:errorlint // exactly io.EOF is promised
			t.Errorf("got %d messages and %v, want %d and %v", len(got), err, len(want), wantErr)
		}
		var again []byte
		for _, m := range got {
			again = Append(again, m.id, []byte(m.body))
		}
		if !bytes.HasPrefix(b, again) {
			t.Error("encoding what was decoded gives other bytes")
		}
	})
}

func BenchmarkReader(b *testing.B) {
	burst := bytes.Repeat(Append(nil, 1023, []byte(`{"fromuid":1054}`)), 10)
	src := bytes.NewReader(burst)
	r := NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(burst)
		for range 10 {
			got, err := r.Read()
			if err == io.EOF { //nolint:errorlint // exactly io.EOF is promised
				break
			}
			for len(got) > 0 {
				_, _, got = Cut(got)
			}
		}
	}
}
