// Package picture makes pictures smaller, of the kinds that browsers show, and never decodes one that is too large.
package picture

import (
	"bufio"
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/gabriel-vasile/mimetype"
	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

const (
	maxPixels = 50_000_000
	// maxScattered is for pictures that are held in memory in two forms while they are decoded, the larger one 12 bytes a pixel.
	maxScattered = 16_000_000
	jpegQuality  = 82
)

// The reasons why nothing is decoded.
var (
	ErrTooManyPixels = errors.New("the picture has too many pixels")
	ErrUnknown       = errors.New("the file is no picture of a known kind")
)

// format is how one kind of picture is read.
type format struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	jpeg   bool
}

// formats are the kinds of picture by their media types.
var formats = map[string]*format{
	"image/jpeg":             {jpeg.DecodeConfig, jpeg.Decode, true},
	"image/png":              {png.DecodeConfig, png.Decode, false},
	"image/vnd.mozilla.apng": {png.DecodeConfig, png.Decode, false},
	"image/gif":              {gif.DecodeConfig, gif.Decode, false},
	"image/webp":             {webp.DecodeConfig, webp.Decode, false},
	"image/bmp":              {bmp.DecodeConfig, bmp.Decode, false},
}

// Known reports whether files of a media type are pictures.
func Known(mediaType string) bool { return formats[mediaType] != nil }

// Shrink returns a picture no wider and no higher than side, as a JPEG, or as a PNG if one can see through it. A small one
// stays as large as it is.
func Shrink(r io.ReadSeeker, mediaType string, side int) ([]byte, error) {
	m, turn, err := read(r, formats[mediaType])
	if err != nil {
		return nil, err
	}
	small, _, err := encode(turn.apply(fit(m, side)))
	return small, err
}

// Square returns the middle of a picture, side by side pixels large, and the ending of a file's name for it: .jpg or .png.
// What kind of picture it is shows from its first bytes.
func Square(r io.ReadSeeker, side int) (small []byte, ending string, err error) {
	kind, err := mimetype.DetectReader(r)
	if err != nil {
		return nil, "", err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	m, turn, err := read(r, formats[kind.String()])
	if err != nil {
		return nil, "", err
	}
	return encode(turn.apply(crop(m, side)))
}

// read decodes a picture, and tells how it must be turned. Nothing is decoded before the number of pixels is known.
func read(r io.ReadSeeker, f *format) (image.Image, orientation, error) {
	if f == nil {
		return nil, upright, ErrUnknown
	}
	c, err := f.config(bufio.NewReader(r))
	if err != nil {
		return nil, upright, err
	}
	turn, limit := upright, int64(maxPixels)
	if f.jpeg {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return nil, upright, err
		}
		head := readJPEGHead(bufio.NewReader(r))
		if turn = head.turn; !head.sequential {
			limit = maxScattered
		}
	}
	if c.Width <= 0 || c.Height <= 0 || int64(c.Width)*int64(c.Height) > limit {
		return nil, upright, ErrTooManyPixels
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, upright, err
	}
	m, err := f.decode(bufio.NewReader(r))
	return m, turn, err
}

// fit scales a picture down to a size.
func fit(m image.Image, side int) *image.RGBA {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if long := max(w, h); long > side {
		w, h = max(1, w*side/long), max(1, h*side/long)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Bounds(), m, b, draw.Src, nil)
	return small
}

// crop scales the middle of a picture to a square, up as well as down.
func crop(m image.Image, side int) *image.RGBA {
	b := m.Bounds()
	short := min(b.Dx(), b.Dy())
	at := b.Min.Add(image.Pt((b.Dx()-short)/2, (b.Dy()-short)/2))
	small := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.BiLinear.Scale(small, small.Bounds(), m, image.Rectangle{at, at.Add(image.Pt(short, short))}, draw.Src, nil)
	return small
}

// encode returns a JPEG, or a PNG if one can see through the picture, and the ending of its name.
func encode(m *image.RGBA) ([]byte, string, error) {
	var b bytes.Buffer
	if m.Opaque() {
		err := jpeg.Encode(&b, m, &jpeg.Options{Quality: jpegQuality})
		return b.Bytes(), ".jpg", err
	}
	err := png.Encode(&b, m)
	return b.Bytes(), ".png", err
}
