package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

const limit = 64 << 10

// client is a frame as a client sends it.
func client(op ws.OpCode, fin bool, rsv byte, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	f.Header.Rsv = rsv
	return ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4}))
}

func text(payload string) []byte { return client(ws.OpText, true, 0, payload) }

var compressedBit = ws.Rsv(true, false, false)

func compressed(t testing.TB, payload string) string {
	t.Helper()
	b, err := wsflate.DefaultHelper.Compress([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// split feeds a stream in segments of the given size, and returns the messages in words.
func split(s *Splitter, b []byte, size int) (got []string, err error) {
	for segment := range slices.Chunk(bytes.Clone(b), size) {
		s.Feed(segment)
		for {
			m, ok, err := s.Next()
			if err != nil {
				return got, err
			}
			if !ok {
				break
			}
			got = append(got, fmt.Sprintf("%d:%s", m.Op, m.Payload))
		}
	}
	return got, nil
}

var long = strings.Repeat("long ", 4000)

func sample(t testing.TB) (stream []byte, want []string) {
	t.Helper()
	stream = slices.Concat(
		text(`{"type":"ping"}`),
		text(""),
		text(long),
		client(ws.OpPing, true, 0, "there?"),
		client(ws.OpText, false, 0, "in "), client(ws.OpPing, true, 0, "between"), client(ws.OpContinuation, false, 0, ""),
		client(ws.OpContinuation, true, 0, "pieces"),
		client(ws.OpText, true, compressedBit, compressed(t, long)),
		client(ws.OpText, false, compressedBit, compressed(t, "张三")[:3]), client(ws.OpContinuation, true, 0, compressed(t, "张三")[3:]),
		client(ws.OpText, true, compressedBit, "\x00"), // the shortest form of an empty one
		client(ws.OpBinary, true, 0, "\xff"),
		client(ws.OpText, false, 0, "\xe5"), client(ws.OpContinuation, true, 0, "\xbc\xa0"), // one character
		client(ws.OpClose, true, 0, "\x03\xe8bye"),
	)
	want = []string{
		`1:{"type":"ping"}`, "1:", "1:" + long, "9:there?", "9:between", "1:in pieces", "1:" + long, "1:张三", "1:", "2:\xff", "1:张", "8:\x03\xe8bye",
	}
	return stream, want
}

func TestMessagesHoweverTheStreamIsCut(t *testing.T) {
	b, want := sample(t)
	for _, size := range []int{1, 2, 3, 5, 7, 14, 100, 8192, len(b)} {
		s := NewSplitter(limit, true)
		got, err := split(&s, b, size)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("segments of %d: %d messages, %v", size, len(got), err)
		}
		if s.in != nil || s.message != nil || s.control != nil || s.Begun() {
			t.Errorf("segments of %d: memory is held between messages", size)
		}
	}
}

func TestBegun(t *testing.T) {
	s := NewSplitter(limit, false)
	b := slices.Concat(client(ws.OpText, false, 0, "a"), client(ws.OpContinuation, true, 0, "b"))
	for i := range b {
		s.Feed(b[i : i+1])
		m, ok, err := s.Next()
		last := i == len(b)-1
		if err != nil || ok != last || s.Begun() == last {
			t.Errorf("after %d bytes: %v %v %v, begun %v", i+1, m, ok, err, s.Begun())
		}
	}
}

var brokenStreams = map[string]struct {
	stream  []byte
	deflate bool
	code    ws.StatusCode
}{
	"no mask":                        {ws.MustCompileFrame(ws.NewTextFrame([]byte("{}"))), false, 1002},
	"a reserved bit":                 {client(ws.OpText, true, 1, "{}"), true, 1002},
	"compressed without agreement":   {client(ws.OpText, true, compressedBit, "{}"), false, 1002},
	"a compressed ping":              {client(ws.OpPing, true, compressedBit, "{}"), true, 1002},
	"a compressed later piece":       {slices.Concat(client(ws.OpText, false, 0, "a"), client(ws.OpContinuation, true, compressedBit, "b")), true, 1002},
	"a reserved operation":           {client(3, true, 0, ""), false, 1002},
	"a later piece of nothing":       {client(ws.OpContinuation, true, 0, ""), false, 1002},
	"another message between pieces": {slices.Concat(client(ws.OpText, false, 0, "a"), text("b")), false, 1002},
	"a ping in pieces":               {client(ws.OpPing, false, 0, ""), false, 1002},
	"a long ping":                    {client(ws.OpPing, true, 0, strings.Repeat("x", 126)), false, 1002},
	"a length with its highest bit":  {[]byte("\x81\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"), false, 1002},
	"half a code of closing":         {client(ws.OpClose, true, 0, "\x03"), false, 1002},
	"a code that nobody may send":    {client(ws.OpClose, true, 0, "\x03\xee"), false, 1002},
	"a reason that is no UTF-8":      {client(ws.OpClose, true, 0, "\x03\xe8\xff"), false, 1002},
	"a text that is no UTF-8":        {text("\xff"), false, 1007},
	"half a character":               {slices.Concat(client(ws.OpText, false, 0, "a"), client(ws.OpContinuation, true, 0, "\xe5")), false, 1007},
	"broken compression":             {client(ws.OpText, true, compressedBit, "\xff\xff\xff"), true, 1007},
	"too long":                       {text(strings.Repeat("x", limit+1)), false, 1009},
	"too long in pieces":             {slices.Concat(client(ws.OpText, false, 0, strings.Repeat("x", limit)), client(ws.OpContinuation, true, 0, "x")), false, 1009},
	"too long is announced":          {[]byte("\x81\xff\x7f\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"), false, 1009},
}

func TestBrokenStreamsEndWithTheirCode(t *testing.T) {
	for name, tt := range brokenStreams {
		checkBroken(t, name, tt.stream, tt.deflate, tt.code)
	}
	bomb := compressed(t, strings.Repeat("x", 40*limit))
	checkBroken(t, "a bomb", client(ws.OpText, true, compressedBit, bomb), true, ws.StatusMessageTooBig)
}

func checkBroken(t *testing.T, name string, stream []byte, deflate bool, code ws.StatusCode) {
	t.Helper()
	for _, size := range []int{1, 3, len(stream)} {
		s := NewSplitter(limit, deflate)
		got, err := split(&s, slices.Concat(text("fine"), stream), size)
		var b *Broken
		if !errors.As(err, &b) || b.Code != code || !slices.Equal(got, []string{"1:fine"}) {
			t.Errorf("%s, in segments of %d: %q, %v, want %d", name, size, got, err, code)
		}
		s.Feed(text("more"))
		if _, ok, again := s.Next(); ok || again != err { //nolint:errorlint // the very same
			t.Errorf("%s: after the error comes %v", name, again)
		}
	}
}

// TestMemoryGrowsWithWhatArrives: a header alone costs no memory for what it announces.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	s := NewSplitter(limit, false)
	s.Feed(text(strings.Repeat("x", limit))[:20])
	if _, ok, err := s.Next(); ok || err != nil || cap(s.message) > 64 {
		t.Errorf("%v %v, %d bytes are held for 20", ok, err, cap(s.message))
	}
}

// TestFramesAreReadByClients: what is sent is what another implementation reads.
func TestFramesAreReadByClients(t *testing.T) {
	for _, payload := range []string{"", "[]", strings.Repeat("x", 125), strings.Repeat("x", 126), long, strings.Repeat(long, 10)} {
		for name, b := range map[string][]byte{"plain": Text([]byte(payload)), "deflated": Deflated([]byte(payload))} {
			f, err := ws.ReadFrame(bytes.NewReader(b)) //nolint:staticcheck // it is our own
			if err == nil {
				err = ws.CheckHeader(f.Header, ws.StateClientSide|ws.StateExtended)
			}
			if err == nil {
				f, err = wsflate.DecompressFrame(f)
			}
			if err != nil || string(f.Payload) != payload || f.Header.OpCode != ws.OpText {
				t.Errorf("%s, %d bytes: %d bytes, %v", name, len(payload), len(f.Payload), err)
			}
		}
	}
	if n := len(Deflated([]byte(long))); n > len(long)/20 {
		t.Errorf("%d bytes take %d", len(long), n)
	}
	for name, b := range map[string][]byte{"\x89\x00": Ping(), "\x8a\x02hi": Pong([]byte("hi")), "\x88\x06\x0f\xa1word": Close(4001, "word")} {
		if string(b) != name {
			t.Errorf("%q, want %q", b, name)
		}
	}
}

// FuzzStream reads arbitrary bytes, cut anywhere: the same is found.
func FuzzStream(f *testing.F) {
	b, _ := sample(f)
	f.Add(b, uint16(7), true)
	for _, tt := range brokenStreams {
		f.Add(tt.stream, uint16(3), tt.deflate)
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16, deflate bool) {
		whole, cut := NewSplitter(limit, deflate), NewSplitter(limit, deflate)
		want, wantErr := split(&whole, b, max(1, len(b)))
		got, err := split(&cut, b, int(size)+1)
		if !slices.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q %v, want %q %v", got, err, want, wantErr)
		}
		if whole.Begun() != cut.Begun() || len(whole.message) > limit || len(cut.message) > limit {
			t.Fatalf("%+v, want %+v", cut, whole)
		}
	})
}

// FuzzMessage sends any text in pieces, compressed or not: it arrives.
func FuzzMessage(f *testing.F) {
	f.Add("张三", uint16(1), true)
	f.Add(long, uint16(1000), true)
	f.Add("", uint16(0), false)
	f.Fuzz(func(t *testing.T, payload string, size uint16, deflate bool) {
		payload = strings.ToValidUTF8(payload[:min(len(payload), limit)], "?")
		if len(payload) > limit {
			return
		}
		sent, rsv := payload, byte(0)
		if deflate {
			sent, rsv = compressed(t, payload), compressedBit
		}
		if len(sent) > limit {
			return
		}
		var stream []byte
		op := ws.OpText
		for piece := range slices.Chunk([]byte(sent), int(size)+1) {
			stream = append(stream, client(op, false, rsv, string(piece))...)
			op, rsv = ws.OpContinuation, 0
		}
		stream = append(stream, client(op, true, rsv, "")...)
		s := NewSplitter(limit, deflate)
		got, err := split(&s, stream, int(size)+3)
		if err != nil || len(got) != 1 || got[0] != "1:"+payload {
			t.Fatalf("%q, %v, want %q", got, err, payload)
		}
	})
}
