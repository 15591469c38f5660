// Package picture makes pictures smaller, of the kinds that browsers show, and never decodes one that is too large.
package picture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"github.com/gabriel-vasile/mimetype"
	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/webp"

	"parley/internal/core"
)

const (
	// maxPixels is for pictures that take 4 bytes a pixel at most while they are decoded: PNGs and JPEGs of the plain sort.
	maxPixels = 50_000_000
	// maxCostly is for all others. Some take 12 bytes a pixel, and some are held in two forms.
	maxCostly   = 16_000_000
	jpegQuality = 82

	maxWait = 15 * time.Second // for one's turn
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
	head   func(*bufio.Reader) head
}

// head is what a picture says of itself before it begins.
type head struct {
	turn  orientation
	plain bool // it is stored from top to bottom, with 8 bits at most for each part of a colour
}

func readHead(*bufio.Reader) head { return head{turn: upright} }

// place is held by whoever decodes: a large picture takes much memory, whatever it is wanted for.
var place = make(chan struct{}, 1)

// Enter waits for the one place where pictures are decoded, but not for ever: core.ErrBusy. Leave gives it back.
func Enter(ctx context.Context) error {
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case place <- struct{}{}:
		return nil
	case <-late.C:
		return core.ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave ends what Enter began.
func Leave() { <-place }

// formats are the kinds of picture by their media types.
var formats = map[string]*format{
	"image/jpeg":             {jpeg.DecodeConfig, jpeg.Decode, readJPEGHead},
	"image/png":              {png.DecodeConfig, png.Decode, readPNGHead},
	"image/vnd.mozilla.apng": {png.DecodeConfig, png.Decode, readPNGHead},
	"image/gif":              {gif.DecodeConfig, gif.Decode, readHead},
	"image/webp":             {webp.DecodeConfig, webp.Decode, readHead},
	"image/bmp":              {bmp.DecodeConfig, bmp.Decode, readHead},
}

// Known reports whether files of a media type are pictures.
func Known(mediaType string) bool { return formats[mediaType] != nil }

// Shrink returns a picture no wider and no higher than side, as a JPEG, or as a PNG if one can see through it. A small one
// stays as large as it is. The caller has entered.
func Shrink(r io.ReadSeeker, mediaType string, side int) ([]byte, error) {
	m, turn, err := read(r, formats[mediaType])
	if err != nil {
		return nil, err
	}
	small, _, err := encode(turn.apply(fit(m, side)))
	return small, err
}

// Square returns the middle of a picture, side by side pixels large, and the ending of a file's name for it: .jpg or .png.
// What kind of picture it is shows from its first bytes. The caller has entered.
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
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, upright, err
	}
	h, limit := f.head(bufio.NewReader(r)), int64(maxCostly)
	if h.plain {
		limit = maxPixels
	}
	if c.Width <= 0 || c.Height <= 0 || int64(c.Width)*int64(c.Height) > limit {
		return nil, upright, ErrTooManyPixels
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, upright, err
	}
	m, err := f.decode(bufio.NewReader(r))
	return m, h.turn, err
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
