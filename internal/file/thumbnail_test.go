package file

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"sync"
	"testing"

	"golang.org/x/image/bmp"

	"parley/internal/core"
	"parley/internal/picture"
)

// The colours of the quarters of test pictures: upper left, upper right, lower left, lower right.
var quarters = [4]color.RGBA{{R: 255, A: 255}, {G: 255, A: 255}, {B: 255, A: 255}, {R: 255, G: 255, A: 255}}

func quartered(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, quarters[2*(2*y/h)+2*x/w])
		}
	}
	return m
}

// drawn returns a quartered picture in a format.
func drawn(t testing.TB, kind string, w, h int) string {
	t.Helper()
	var b bytes.Buffer
	m := quartered(w, h)
	var err error
	switch kind {
	case "png":
		err = png.Encode(&b, m)
	case "jpeg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 95})
	case "gif":
		err = gif.Encode(&b, m, nil)
	case "bmp":
		err = bmp.Encode(&b, m)
	case "webp":
		b.WriteString(losslessWebP(m))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// losslessWebP encodes a picture whose colours have only components of 0 and 255: one bit each.
func losslessWebP(m *image.RGBA) string {
	var stream []byte
	free := 0 // bits in the last byte
	put := func(v uint64, n int) {
		for ; n > 0; v, n = v>>1, n-1 {
			if free == 0 {
				stream, free = append(stream, 0), 8
			}
			stream[len(stream)-1] |= byte(v&1) << (8 - free)
			free--
		}
	}
	put(0x2f, 8)
	put(uint64(m.Rect.Dx()-1), 14)
	put(uint64(m.Rect.Dy()-1), 14)
	put(0, 1+3+3) // no alpha, version 0, no transformation, no cache, one group of codes
	for range 3 { // green, red, blue: two symbols of 8 bits, 0 and 255
		put(0b111, 3)
		put(0xff00, 16)
	}
	put(0b101, 3) // alpha: one symbol of 8 bits
	put(0xff, 8)
	put(0b0001, 4) // distance: one symbol of 1 bit
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			c := m.RGBAAt(x, y)
			put(uint64(c.G&1|c.R&1<<1|c.B&1<<2), 3)
		}
	}
	if len(stream)%2 == 1 {
		stream = append(stream, 0)
	}
	size := func(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	return "RIFF" + size(len(stream)+12) + "WEBPVP8L" + size(len(stream)) + string(stream)
}

// quartersOf returns which quarter of the original is in which corner, -1 if it is none.
func quartersOf(m image.Image) (got [4]int) {
	b := m.Bounds()
	for i := range got {
		got[i] = -1
		r, g, bl, _ := m.At(b.Min.X+b.Dx()/4+b.Dx()/2*(i%2), b.Min.Y+b.Dy()/4+b.Dy()/2*(i/2)).RGBA()
		for q, c := range quarters {
			near := func(a uint32, b uint8) bool { d := int(a>>8) - int(b); return d > -60 && d < 60 }
			if near(r, c.R) && near(g, c.G) && near(bl, c.B) {
				got[i] = q
			}
		}
	}
	return got
}

func TestThumbnailsOfAllFormats(t *testing.T) {
	tw := newTown(t, Config{})
	for _, tt := range []struct {
		kind, content string
		w, h          int
	}{
		{"png", drawn(t, "png", 800, 400), 320, 160},
		{"jpeg", drawn(t, "jpeg", 400, 1000), 128, 320},
		{"gif", drawn(t, "gif", 640, 640), 320, 320},
		{"bmp", drawn(t, "bmp", 330, 10), 320, 9},
		{"webp", drawn(t, "webp", 900, 300), 320, 106},
		{"png", drawn(t, "png", 40, 20), 40, 20},
		{"png", drawn(t, "png", 10_000, 2), 320, 1},
	} {
		f := tw.share(ann, single("a."+tt.kind, tt.content), tt.content)
		small, err := tw.thumbnail(bob, f.ID)
		if err != nil {
			t.Errorf("%s: %v", tt.kind, err)
			continue
		}
		m, kind, err := image.Decode(bytes.NewReader(small))
		if err != nil || kind != "jpeg" || m.Bounds() != image.Rect(0, 0, tt.w, tt.h) {
			t.Errorf("%s: a %s of %v: %v", tt.kind, kind, m.Bounds(), err)
		}
		if got := quartersOf(m); tt.h > 1 && got != [4]int{0, 1, 2, 3} {
			t.Errorf("%s: %v", tt.kind, got)
		}
		again, err := tw.thumbnail(ann, f.ID)
		if err != nil || !bytes.Equal(again, small) {
			t.Errorf("%s: another one the second time: %v", tt.kind, err)
		}
		tw.holds(2)
		tw.must(tw.Delete(t.Context(), ann, home, f.ID))
		tw.holds(0)
	}
}

func TestAThumbnailStaysTransparent(t *testing.T) {
	tw := newTown(t, Config{})
	var b bytes.Buffer
	tw.must(png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 500, 500))))
	f := tw.share(ann, single("a.png", b.String()), b.String())
	small, err := tw.thumbnail(ann, f.ID)
	tw.must(err)
	m, kind, err := image.Decode(bytes.NewReader(small))
	tw.must(err)
	if _, _, _, alpha := m.At(160, 160).RGBA(); kind != "png" || alpha != 0 {
		t.Errorf("a %s of alpha %d", kind, alpha)
	}
}

// turned returns a JPEG whose Exif part notes an orientation.
func turned(t testing.TB, order binary.ByteOrder, o uint16) string {
	t.Helper()
	exif := []byte("Exif\x00\x00II*\x00")
	if order == binary.ByteOrder(binary.BigEndian) {
		exif = []byte("Exif\x00\x00MM\x00*")
	}
	add16 := func(v uint16) { exif = append(exif, 0, 0); order.PutUint16(exif[len(exif)-2:], v) }
	add32 := func(v uint32) { exif = append(exif, 0, 0, 0, 0); order.PutUint32(exif[len(exif)-4:], v) }
	add32(8)
	add16(2)
	add16(0x010f) // the maker: another entry before
	add16(2)
	add32(1)
	add32(0)
	add16(0x0112) // the orientation
	add16(3)      // a short
	add32(1)
	add16(o)
	add16(0)
	add32(0)
	plain := drawn(t, "jpeg", 400, 200)
	head := "\xff\xd8\xff\xe0\x00\x04xx\xff\xe1" + string(binary.BigEndian.AppendUint16(nil, uint16(len(exif)+2)))
	return head + string(exif) + plain[2:]
}

func TestATurnedJPEGStandsUpright(t *testing.T) {
	tw := newTown(t, Config{})
	for o, want := range map[uint16][4]int{
		1: {0, 1, 2, 3}, 2: {1, 0, 3, 2}, 3: {3, 2, 1, 0}, 4: {2, 3, 0, 1},
		5: {0, 2, 1, 3}, 6: {2, 0, 3, 1}, 7: {3, 1, 2, 0}, 8: {1, 3, 0, 2},
		0: {0, 1, 2, 3}, 9: {0, 1, 2, 3},
	} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			content := turned(t, order, o)
			f := tw.share(ann, single("a.jpg", content), content)
			small, err := tw.thumbnail(ann, f.ID)
			tw.must(err)
			m, err := jpeg.Decode(bytes.NewReader(small))
			tw.must(err)
			size := image.Rect(0, 0, 320, 160)
			if o >= 5 && o <= 8 {
				size = image.Rect(0, 0, 160, 320)
			}
			if got := quartersOf(m); got != want || m.Bounds() != size {
				t.Errorf("orientation %d: %v of %v", o, got, m.Bounds())
			}
		}
	}
}

// bomb is a PNG that says it is w by h pixels large.
func bomb(w, h uint32) string {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), 8, 6, 0, 0, 0)
	return "\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + string(binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head)))
}

func TestWhatIsNoPictureHasNoThumbnail(t *testing.T) {
	tw := newTown(t, Config{})
	for name, content := range map[string]string{
		"empty":            "",
		"text":             "hello",
		"half a JPEG":      drawn(t, "jpeg", 400, 400)[:600],
		"half a PNG":       drawn(t, "png", 400, 400)[:600],
		"half a GIF":       drawn(t, "gif", 400, 400)[:900],
		"half a BMP":       drawn(t, "bmp", 400, 400)[:600],
		"a WebP's head":    "RIFF\x20\x00\x00\x00WEBPVP8 \x10\x00\x00\x00" + strings.Repeat("\x00", 16),
		"garbage in a GIF": "GIF89a" + strings.Repeat("\xff", 100),
		"no pixels":        bomb(0, 5),
		"too many pixels":  bomb(7072, 7072),
		"a bomb":           bomb(1<<31-1, 1<<31-1),
	} {
		f := tw.share(ann, single("a", content), content)
		for range 2 {
			if _, err := tw.thumbnail(ann, f.ID); !errors.Is(err, core.ErrFileNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	tw.holds(1)
}

func TestALostThumbnailFailedForEver(t *testing.T) {
	tw := newTown(t, Config{})
	content := drawn(t, "png", 400, 400)
	f := tw.share(ann, single("a.png", content), content)
	want, err := tw.thumbnail(ann, f.ID)
	tw.must(err)
	lost, err := tw.byID(t.Context(), f.ID)
	tw.must(err)
	tw.must(tw.blobs.Delete(lost.thumbnail))
	if got, err := tw.thumbnail(bob, f.ID); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
	if now, err := tw.byID(t.Context(), f.ID); err != nil || now.thumbnail == lost.thumbnail || now.thumbnail == "" {
		t.Errorf("%q after %q: %v", now.thumbnail, lost.thumbnail, err)
	}
	tw.holds(2)
}

func TestManyFirstDemandsMakeOneThumbnail(t *testing.T) {
	tw := newTown(t, Config{})
	content := drawn(t, "png", 1000, 1000)
	f := tw.share(ann, single("a.png", content), content)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if small, err := tw.thumbnail(bob, f.ID); err != nil || len(small) == 0 {
				t.Error(err)
			}
		})
	}
	all.Wait()
	tw.holds(2)
}

func TestDemandsWaitOnlySoLong(t *testing.T) {
	tw := newTown(t, Config{})
	content := drawn(t, "png", 10, 10)
	f := tw.share(ann, single("a.png", content), content)
	tw.must(tw.pictures.enter(t.Context())) // somebody has the turn
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	for range maxWaiting + 1 {
		go func() {
			_, _, err := tw.Thumbnail(ctx, ann, f.ID)
			results <- err
		}()
	}
	tw.want(<-results, core.ErrBusy) // one too many
	cancel()
	for range maxWaiting {
		tw.want(<-results, context.Canceled)
	}
	picture.Leave()
	_, err := tw.thumbnail(ann, f.ID)
	tw.must(err)
}

func TestAReplacedPictureHasItsOwnThumbnail(t *testing.T) {
	tw := newTown(t, Config{})
	for _, side := range []int{100, 200} {
		content := drawn(t, "png", side, side)
		f := tw.share(ann, single("a.png", content), content)
		small, err := tw.thumbnail(ann, f.ID)
		tw.must(err)
		c, err := jpeg.DecodeConfig(bytes.NewReader(small))
		if err != nil || c.Width != side {
			t.Errorf("%d pixels wide, not %d: %v", c.Width, side, err)
		}
		tw.holds(2)
	}
}
