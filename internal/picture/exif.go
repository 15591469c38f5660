package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	"io"
)

// orientation says how a picture must be turned to stand upright, numbered 1 to 8 as in Exif.
type orientation uint16

const upright orientation = 1

const (
	orientationTag  = 0x0112
	typeShort       = 3
	maxJPEGSegments = 64
	maxExifEntries  = 512
)

// The markers of a JPEG's segments that matter here.
const (
	markerBaseline    = 0xc0 // the frame, if the picture is stored from top to bottom
	markerExtended    = 0xc1 // likewise
	markerHuffman     = 0xc4
	markerTables      = 0xdb
	markerRestart     = 0xdd
	markerApplication = 0xe0 // to 0xef
	markerExif        = markerApplication + 1
	markerComment     = 0xfe
)

var exifHeader = []byte("Exif\x00\x00")

// readJPEGHead reads until the picture's frame. What makes no sense ends it too: a decoder may be more liberal, so only
// what was seen in good order is believed to be sequential, and that is plain. A progressive one is all in memory while it is decoded.
func readJPEGHead(r *bufio.Reader) head {
	h := head{turn: upright}
	var mark [4]byte // a marker and the length of its segment, which counts itself
	if _, err := io.ReadFull(r, mark[:2]); err != nil || mark[0] != 0xff || mark[1] != 0xd8 {
		return h
	}
	for found, segments := false, 0; segments < maxJPEGSegments; segments++ {
		if _, err := io.ReadFull(r, mark[:]); err != nil || mark[0] != 0xff {
			return h
		}
		n := int(binary.BigEndian.Uint16(mark[2:])) - 2
		if marker := mark[1]; marker == markerBaseline || marker == markerExtended {
			h.plain = true
			return h
		} else if n < 0 || !precedesFrame(marker) {
			return h
		}
		if begin, _ := r.Peek(min(n, len(exifHeader))); found || mark[1] != markerExif || !bytes.Equal(begin, exifHeader) {
			if _, err := r.Discard(n); err != nil {
				return h
			}
			continue
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(r, segment); err != nil {
			return h
		}
		h.turn, found = orientationIn(segment[len(exifHeader):]), true
	}
	return h
}

func precedesFrame(marker byte) bool {
	switch marker {
	case markerHuffman, markerTables, markerRestart, markerComment:
		return true
	}
	return marker&0xf0 == markerApplication
}

// orientationIn looks through the first directory of an Exif part, which is laid out as a TIFF file.
func orientationIn(tiff []byte) orientation {
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	count := min(int(order.Uint16(tiff[at:])), maxExifEntries)
	for entries := tiff[at+2:]; count > 0 && len(entries) >= 12; entries, count = entries[12:], count-1 {
		if order.Uint16(entries) != orientationTag || order.Uint16(entries[2:]) != typeShort || order.Uint32(entries[4:]) != 1 {
			continue
		}
		if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
			return o
		}
		return upright
	}
	return upright
}

// apply turns a picture upright.
func (o orientation) apply(m *image.RGBA) *image.RGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if o == upright {
		return m
	}
	turned := image.NewRGBA(image.Rect(0, 0, w, h))
	if o >= 5 {
		turned = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			// The right edge is w-1, the lower one h-1.
			to := [...]image.Point{
				{x, y},
				{w - 1 - x, y},
				{w - 1 - x, h - 1 - y},
				{x, h - 1 - y},
				{y, x},
				{h - 1 - y, x},
				{h - 1 - y, w - 1 - x},
				{y, w - 1 - x},
			}[o-1]
			turned.SetRGBA(to.X, to.Y, m.RGBAAt(x, y))
		}
	}
	return turned
}
