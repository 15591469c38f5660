package legacy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charsets are the encodings that a dump may say it is in, by MySQL's names. nil is UTF-8.
var charsets = map[string]encoding.Encoding{
	"utf8": nil, "utf8mb3": nil, "utf8mb4": nil, "binary": nil, "ascii": nil,
	"gbk": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030,
	"big5": traditionalchinese.Big5, "latin1": charmap.Windows1252,
}

// text turns a dump into UTF-8, byte by byte, because a statement inside the dump can change what the bytes after it mean.
type text struct {
	in      *bufio.Reader
	decode  *encoding.Decoder // nil: the bytes are UTF-8
	fixed   bool              // a byte order mark has said what they are
	decoded []byte            // the rest of a character that was decoded
	ahead   []byte            // looked at, but not yet read
	line    int
}

func newText(r io.Reader) *text {
	in := bufio.NewReaderSize(r, 256<<10)
	t := &text{in: in, line: 1}
	mark, _ := in.Peek(3)
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, _ = in.Discard(3)
		t.fixed = true
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")): // redirected by PowerShell
		t.in = bufio.NewReader(transform.NewReader(in, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()))
		t.fixed = true
	}
	return t
}

// become says what the bytes are from here on. Nothing may have been looked at beyond.
func (t *text) become(charset string) error {
	e, ok := charsets[strings.ToLower(charset)]
	switch {
	case !ok:
		return fmt.Errorf("line %d: the dump is in the encoding %.40q, which is not supported; make one with --default-character-set=utf8mb4", t.line, charset)
	case t.fixed:
	case e == nil:
		t.decode = nil
	default:
		t.decode = e.NewDecoder()
	}
	return nil
}

// peek returns the byte that is i bytes ahead, false at the end.
func (t *text) peek(i int) (byte, bool, error) {
	for len(t.ahead) <= i {
		b, err := t.fetch()
		if errors.Is(err, io.EOF) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		t.ahead = append(t.ahead, b)
	}
	return t.ahead[i], true, nil
}

// skip reads n bytes that were looked at.
func (t *text) skip(n int) {
	t.line += bytes.Count(t.ahead[:n], []byte{'\n'})
	t.ahead = t.ahead[:copy(t.ahead, t.ahead[n:])]
}

func (t *text) next() (b byte, err error) {
	if len(t.ahead) > 0 {
		b = t.ahead[0]
		t.skip(1)
		return b, nil
	}
	if b, err = t.fetch(); b == '\n' && err == nil {
		t.line++
	}
	return b, err
}

func (t *text) fetch() (byte, error) {
	if len(t.decoded) > 0 {
		b := t.decoded[0]
		t.decoded = t.decoded[1:]
		return b, nil
	}
	b, err := t.in.ReadByte()
	if err != nil || t.decode == nil || b < utf8.RuneSelf {
		return b, err
	}
	if err := t.character(b); err != nil {
		return 0, err
	}
	return t.fetch()
}

// character decodes the one that begins with b, which takes up to four bytes.
func (t *text) character(b byte) error {
	raw := []byte{b}
	for len(raw) <= 4 {
		out, err := t.decode.Bytes(raw)
		if err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
			t.decoded = out
			return nil
		}
		more, err := t.in.Peek(len(raw))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(more) < len(raw) {
			break
		}
		raw = append(raw[:1], more...)
		if out, err := t.decode.Bytes(raw); err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
			_, err := t.in.Discard(len(raw) - 1)
			t.decoded = out
			return err
		}
	}
	t.decoded = []byte(string(utf8.RuneError))
	return nil
}
