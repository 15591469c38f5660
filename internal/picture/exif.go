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
	maxExifSegments = 64
	maxExifEntries  = 512
)

var exifHeader = []byte("Exif\x00\x00")

// orientationOf returns what the Exif part of a JPEG notes, upright if there is none or it makes no sense.
func orientationOf(r *bufio.Reader) orientation {
	var head [4]byte // a marker and the length of its segment, which counts itself
	if _, err := io.ReadFull(r, head[:2]); err != nil || head[0] != 0xff || head[1] != 0xd8 {
		return upright
	}
	for range maxExifSegments {
		if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0xff || head[1] == 0xda {
			return upright // the picture itself begins at 0xda
		}
		n := int(binary.BigEndian.Uint16(head[2:])) - 2
		if n < 0 {
			return upright
		}
		if begin, _ := r.Peek(min(n, len(exifHeader))); head[1] != 0xe1 || !bytes.Equal(begin, exifHeader) {
			if _, err := r.Discard(n); err != nil {
				return upright
			}
			continue
		}
		segment := make([]byte, n)
		if _, err := io.ReadFull(r, segment); err != nil {
			return upright
		}
		return orientationIn(segment[len(exifHeader):])
	}
	return upright
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
