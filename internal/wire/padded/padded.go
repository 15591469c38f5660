// Package padded is the framing of the DPC protocol: a header of 15 bytes that holds the length of the body in decimal,
// padded with spaces, and as many bytes of body as it says.
package padded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// HeaderSize is the length of a header in bytes.
const HeaderSize = 15

// The errors of readers. After either the stream has no boundary that could be found again.
var (
	ErrHeader  = errors.New("padded: the header is no length")
	ErrTooLong = errors.New("padded: the message is too long")
)

const blank = "               "

// Begin appends the header of a message whose body the caller appends next. End completes it.
func Begin(dst []byte) []byte { return append(dst, blank...) }

// End fills in the length of the message that was begun at b[at:] and reaches to the end of b.
func End(b []byte, at int) []byte {
	strconv.AppendInt(b[at:at], int64(len(b)-at-HeaderSize), 10)
	return b
}

// Append appends a whole message.
func Append(dst, body []byte) []byte {
	at := len(dst)
	return End(append(Begin(dst), body...), at)
}

// length returns the length in a header, which may be at most limit. Spaces count on either side of the digits.
func length(header []byte, limit int) (int, error) {
	digits := bytes.Trim(header, " ")
	if len(digits) == 0 {
		return 0, ErrHeader
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, ErrHeader
		}
		n = n*10 + int(c-'0') // 15 digits are far from an overflow
	}
	if n > limit {
		return 0, fmt.Errorf("%w: %d bytes", ErrTooLong, n)
	}
	return n, nil
}

// Read reads one message, and not a byte of what follows it. The body may have limit bytes; memory is taken as it arrives. The
// error is io.EOF only if the stream ended where a message ends.
func Read(r io.Reader, limit int) ([]byte, error) {
	var header [HeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	n, err := length(header[:], limit)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(body) < n {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
