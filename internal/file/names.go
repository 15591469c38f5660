package file

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"parley/internal/core"
)

const (
	maxPart   = 255 // bytes of one name
	maxParts  = 32  // names in a path
	maxRaw    = 16 << 10
	maxSuffix = 32 // bytes after the last dot that are still taken for what tells the kind of a file
)

// cleanPart returns a name as it is stored, or core.ErrInvalidFileName. Nothing is kept under it here, but whoever
// downloads the file may do just that.
func cleanPart(name string) (string, error) {
	if len(name) > maxRaw || !utf8.ValidString(name) {
		return "", core.ErrInvalidFileName
	}
	name = norm.NFC.String(name)
	switch {
	case name == "", len(name) > maxPart, name == ".", name == "..", hasDrive(name), strings.ContainsFunc(name, notInPart),
		!visibleAtItsEnds(name):
		return "", core.ErrInvalidFileName
	}
	return name, nil
}

// notInPart reports characters that would divide a name, hide something in it or turn it round.
func notInPart(r rune) bool {
	return r == '/' || r == '\\' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// visibleAtItsEnds reports whether a name begins and ends with something that people see: two that differ in nothing else
// look the same in a list.
func visibleAtItsEnds(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	return visible(first) && visible(last)
}

func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// hasDrive reports whether a name begins as a path on a drive does.
func hasDrive(name string) bool {
	return len(name) > 1 && name[1] == ':' && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z'
}

// cleanPath returns the parts of a path as they are stored, or core.ErrInvalidFileName. Both separators are known.
func cleanPath(path string) ([]string, error) {
	if len(path) > maxRaw {
		return nil, core.ErrInvalidFileName
	}
	parts := strings.FieldsFunc(path, separates)
	// An empty part is a separator too many: at the beginning, at the end or beside another.
	if len(parts) == 0 || len(parts) > maxParts || strings.Count(path, "/")+strings.Count(path, `\`) != len(parts)-1 {
		return nil, core.ErrInvalidFileName
	}
	for i, part := range parts {
		var err error
		if parts[i], err = cleanPart(part); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func separates(r rune) bool { return r == '/' || r == '\\' }

// candidate returns the nth name for something that was sent as name: the name itself, then "a (2).txt", "a (3).txt" ….
func candidate(name string, kind core.FileKind, n int) string {
	if n == 1 {
		return name
	}
	stem, suffix := name, ""
	if dot := strings.LastIndexByte(name, '.'); kind == core.PlainFile && dot > 0 && len(name)-dot <= maxSuffix {
		stem, suffix = name[:dot], name[dot:]
	}
	suffix = fmt.Sprintf(" (%d)%s", n, suffix)
	cut := min(len(stem), maxPart-len(suffix))
	for cut < len(stem) && !utf8.RuneStart(stem[cut]) {
		cut--
	}
	return stem[:cut] + suffix
}
