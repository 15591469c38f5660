package picture

import (
	"bufio"
	"bytes"
	"io"
)

var pngBegin = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")

// Where a PNG says what takes memory.
const (
	pngDepth     = 24 // bits for each part of a colour
	pngInterlace = 28
	pngHead      = pngInterlace + 1
)

// readPNGHead reads the first part of a PNG. Interlaced ones are held in two forms while they are decoded.
func readPNGHead(r *bufio.Reader) head {
	var b [pngHead]byte
	_, err := io.ReadFull(r, b[:])
	return head{turn: upright, plain: err == nil && bytes.HasPrefix(b[:], pngBegin) && b[pngDepth] <= 8 && b[pngInterlace] == 0}
}
