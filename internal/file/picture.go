package file

import (
	"bufio"
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

const (
	thumbnailSide = 320
	maxPixels     = 50_000_000
	// maxScattered is for pictures that are held in memory in two forms while they are decoded, the larger one 12 bytes a pixel.
	maxScattered = 16_000_000
	jpegQuality  = 82
)

var errTooManyPixels = errors.New("the picture has too many pixels")

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

// shrink returns a picture's thumbnail. Nothing is decoded before the number of pixels is known.
func shrink(r io.ReadSeeker, f *format) ([]byte, error) {
	c, err := f.config(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	turn, limit := upright, int64(maxPixels)
	if f.jpeg {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		head := readJPEGHead(bufio.NewReader(r))
		if turn = head.turn; !head.sequential {
			limit = maxScattered
		}
	}
	if c.Width <= 0 || c.Height <= 0 || int64(c.Width)*int64(c.Height) > limit {
		return nil, errTooManyPixels
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	large, err := f.decode(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	return encode(turn.apply(fit(large)))
}

// fit scales a picture down to the size of a thumbnail. A small one stays as large as it is.
func fit(m image.Image) *image.RGBA {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if long := max(w, h); long > thumbnailSide {
		w, h = max(1, w*thumbnailSide/long), max(1, h*thumbnailSide/long)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Bounds(), m, b, draw.Src, nil)
	return small
}

// encode returns a JPEG, or a PNG if one can see through the picture.
func encode(m *image.RGBA) ([]byte, error) {
	var b bytes.Buffer
	var err error
	if m.Opaque() {
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: jpegQuality})
	} else {
		err = png.Encode(&b, m)
	}
	return b.Bytes(), err
}
