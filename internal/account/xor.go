package account

import (
	"unicode/utf16"
	"unicode/utf8"
)

// xorText returns the other reading of a password that its client may have XORed: every UTF-16 unit combined with the
// number of units modulo 255. It is its own inverse, since only low bytes change and surrogates stay surrogates.
// ok is false if there is no other reading.
func xorText(s string) (other string, ok bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	units := utf16.Encode([]rune(s))
	key := uint16(len(units) % 255)
	if key == 0 {
		return "", false
	}
	for i := range units {
		units[i] ^= key
	}
	return string(utf16.Decode(units)), true
}
