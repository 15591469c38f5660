package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"parley/internal/core"
)

const (
	maxName    = 32  // characters
	maxRawName = 512 // bytes, before composition
)

// NormalizeName returns a name as it is stored, or core.ErrInvalidName: 1-32 printable characters that leave no room for
// paths, invisible letters or text that runs the other way. Both the name and what its key makes of it are checked, so
// that a full-width slash is no way round.
func NormalizeName(name string) (string, error) {
	if len(name) > maxRawName || !utf8.ValidString(name) {
		return "", core.ErrInvalidName
	}
	name = norm.NFC.String(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName {
		return "", core.ErrInvalidName
	}
	if first, _ := utf8.DecodeRuneInString(name); unicode.Is(unicode.M, first) {
		return "", core.ErrInvalidName
	}
	key := NameKey(name)
	if key == "" || key == "." || key == ".." || strings.ContainsFunc(name, notInName) || strings.ContainsFunc(key, notInName) {
		return "", core.ErrInvalidName
	}
	return name, nil
}

// NameKey returns the form under which a name is unique: compatibility forms and case folded, emoji styles dropped.
func NameKey(name string) string {
	// Folding can undo normalisation and the other way round; two or three turns reach the fixed point.
	for range 8 {
		key := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.Map(dropSelector, name))))
		if key == name {
			break
		}
		name = key
	}
	return name
}

func dropSelector(r rune) rune {
	if unicode.Is(unicode.Variation_Selector, r) {
		return -1
	}
	return r
}

// notInName reports characters that a name must not have. IsPrint excludes control and format characters, the bidi
// controls among them.
func notInName(r rune) bool {
	const brailleBlank = '\u2800'
	return !unicode.IsPrint(r) || r == ' ' || r == '/' || r == '\\' || r == brailleBlank ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// notInText reports characters that a line of text people see must not have. Joiners inside emoji are fine.
func notInText(r rune) bool {
	return !unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)
}
