package picture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// striped returns a PNG of which the left and the right third are blue and the middle is of another colour.
func striped(t testing.TB, w, h int, middle color.Color) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.NRGBA{B: 255, A: 255})
			if x >= w/3 && x < w-w/3 {
				m.Set(x, y, middle)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bomb is the head of a PNG that claims a size.
func bomb(w, h uint32) string { return sized(w, h, 8, 0) }

// sized is the head of a PNG with so many bits for each part of a colour, interlaced or not.
func sized(w, h uint32, depth, interlaced byte) string {
	head := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	head = append(binary.BigEndian.AppendUint32(head, h), depth, 6, 0, 0, interlaced)
	return "\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + string(binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head)))
}

func TestSquareTakesTheMiddle(t *testing.T) {
	for _, size := range [][2]int{{900, 300}, {90, 30}} {
		b, ending, err := Square(bytes.NewReader(striped(t, size[0], size[1], color.NRGBA{R: 255, A: 255})), 256)
		if err != nil || ending != ".jpg" {
			t.Fatal(ending, err)
		}
		m, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil || m.Bounds() != image.Rect(0, 0, 256, 256) {
			t.Fatal(m.Bounds(), err)
		}
		for _, x := range []int{4, 128, 251} {
			if r, _, blue, _ := m.At(x, 128).RGBA(); r < 0xd000 || blue > 0x3000 {
				t.Errorf("%v: at %d it is red %x and blue %x", size, x, r, blue)
			}
		}
	}
}

func TestWhatOneCanSeeThroughIsAPNG(t *testing.T) {
	b, ending, err := Square(bytes.NewReader(striped(t, 30, 30, color.NRGBA{})), 256)
	if err != nil || ending != ".png" {
		t.Fatal(ending, err)
	}
	if m, err := png.Decode(bytes.NewReader(b)); err != nil || m.Bounds().Dx() != 256 {
		t.Error(err)
	}
}

// TestABombIsNotDecoded shows that the size is looked at first: decoding what there is of it would fail otherwise.
func TestABombIsNotDecoded(t *testing.T) {
	if _, err := Shrink(strings.NewReader(bomb(7072, 7072)), "image/png", 320); !errors.Is(err, ErrTooManyPixels) {
		t.Errorf("%v", err)
	}
	if _, _, err := Square(strings.NewReader(bomb(1<<31-1, 1<<31-1)), 256); err == nil {
		t.Error("a bomb is a picture")
	}
}

// TestADeepPNGTookTooMuchMemory has ones that a decoder would take 800 MB for.
func TestADeepPNGTookTooMuchMemory(t *testing.T) {
	for name, head := range map[string]string{"16 bits": sized(4001, 4000, 16, 0), "interlaced": sized(4001, 4000, 8, 1), "both": sized(7000, 7000, 16, 1)} {
		if _, err := Shrink(strings.NewReader(head), "image/png", 320); !errors.Is(err, ErrTooManyPixels) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, head := range map[string]string{"plain": sized(7000, 7000, 8, 0), "small": sized(4000, 4000, 16, 1)} {
		if _, err := Shrink(strings.NewReader(head), "image/png", 320); err == nil || errors.Is(err, ErrTooManyPixels) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gif := "GIF89a\xa1\x0f\xa0\x0f\x00\x00\x00" // 4001 by 4000
	if _, err := Shrink(strings.NewReader(gif), "image/gif", 320); !errors.Is(err, ErrTooManyPixels) {
		t.Errorf("a GIF: %v", err)
	}
}

// TestOneDecodesAtATime, whatever it is for.
func TestOneDecodesAtATime(t *testing.T) {
	if err := Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one: %v", err)
	}
	Leave()
	if err := Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	Leave()
}

func TestWhatIsNoPicture(t *testing.T) {
	for _, content := range []string{"", "hello", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<html><script>1</script>", "%PDF-1.4"} {
		if _, _, err := Square(strings.NewReader(content), 256); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if Known("image/svg+xml") || Known("text/html") || !Known("image/webp") {
		t.Error("the known kinds are others")
	}
}

// noted returns the beginning of a JPEG whose Exif part notes an orientation.
func noted(order binary.AppendByteOrder, begin string, o uint16) []byte {
	tiff := order.AppendUint32([]byte(begin), 8)
	for _, v := range []uint16{1, orientationTag, typeShort} {
		tiff = order.AppendUint16(tiff, v)
	}
	tiff = append(order.AppendUint16(order.AppendUint32(tiff, 1), o), 0, 0, 0, 0, 0, 0)
	head := binary.BigEndian.AppendUint16([]byte("\xff\xd8\xff\xe1"), uint16(2+len(exifHeader)+len(tiff)))
	return append(append(head, exifHeader...), tiff...)
}

// progressive is a grey progressive JPEG with segments before its frame.
func progressive(w, h int, before string) string {
	segment := func(marker byte, body string) string {
		return "\xff" + string([]byte{marker}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)+2))) + body
	}
	size := string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(h)), uint16(w)))
	blocks := (w + 7) / 8 * ((h + 7) / 8)
	return "\xff\xd8" + before +
		segment(0xdb, "\x00"+strings.Repeat("\x01", 64)) +
		segment(0xc2, "\x08"+size+"\x01\x01\x11\x00") +
		segment(0xc4, "\x00\x01"+strings.Repeat("\x00", 15)+"\x00") + // one code of one bit: no difference
		segment(0xda, "\x01\x01\x00\x00\x00\x00") + strings.Repeat("\x00", blocks/8+1) + "\xff\xd9"
}

// TestALargeProgressiveJPEGTookTooMuchMemory has ones that a decoder would take 700 MB for.
func TestALargeProgressiveJPEGTookTooMuchMemory(t *testing.T) {
	if b, err := Shrink(strings.NewReader(progressive(640, 640, "")), "image/jpeg", 320); err != nil || len(b) == 0 {
		t.Errorf("a small one: %v", err)
	}
	for name, before := range map[string]string{
		"plain":        "",
		"a comment":    "\xff\xfe\x00\x03c",
		"fill bytes":   "\xff\xff\xff\xfe\x00\x03c",
		"extra bytes":  "xx",
		"an escape":    "\xff\x00",
		"restart":      "\xff\xd0",
		"hidden frame": "\xff\xfe\x00\x0d\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01",
		// Who takes the second byte for a marker sees a frame in the comment that follows.
		"a frame behind fill bytes": "\xff\xff\xfe\xff\xff" + strings.Repeat("c", 65276) + "\xff\xc0\x00\x0b" + strings.Repeat("c", 253),
		"a frame behind a restart":  "\xff\xd0\xff\xfe\xff\xff" + strings.Repeat("c", 65530) + "\xff\xc0\x00",
		"many parts":                strings.Repeat("\xff\xfe\x00\x02", maxJPEGSegments),
	} {
		if _, err := jpeg.Decode(strings.NewReader(progressive(8, 8, before))); err != nil {
			t.Errorf("%s: no decoder would read it: %v", name, err)
		}
		if _, err := Shrink(strings.NewReader(progressive(4001, 4000, before)), "image/jpeg", 320); !errors.Is(err, ErrTooManyPixels) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The limit of others stays.
	sequential := strings.Replace(progressive(4001, 4000, ""), "\xff\xc2", "\xff\xc0", 1)
	if _, err := Shrink(strings.NewReader(sequential), "image/jpeg", 320); err == nil || errors.Is(err, ErrTooManyPixels) {
		t.Errorf("a sequential one: %v", err)
	}
}

func FuzzJPEGHead(f *testing.F) {
	for o := range uint16(10) {
		f.Add(noted(binary.LittleEndian, "II*\x00", o))
		f.Add(noted(binary.BigEndian, "MM\x00*", o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := readJPEGHead(bufio.NewReader(bytes.NewReader(b)))
		o := h.turn
		if o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
		if h.plain && !bytes.Contains(b, []byte{0xff, markerBaseline}) && !bytes.Contains(b, []byte{0xff, markerExtended}) {
			t.Error("a sequential picture without a frame")
		}
		for want := orientation(1); want <= 8; want++ {
			if (bytes.Equal(b, noted(binary.LittleEndian, "II*\x00", uint16(want))) || bytes.Equal(b, noted(binary.BigEndian, "MM\x00*", uint16(want)))) && o != want {
				t.Errorf("orientation %d is read as %d", want, o)
			}
		}
	})
}
