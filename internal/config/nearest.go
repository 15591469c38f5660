package config

import (
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest returns the known key that takes the fewest changes to come from key.
func nearest(key string) string {
	key = strings.ToLower(key)
	best, least := "", -1
	for _, k := range keys {
		if d := levenshtein.ComputeDistance(key, k.name); least < 0 || d < least {
			best, least = k.name, d
		}
	}
	return best
}

// section returns the keys under a name such as http, "" if there are none.
func section(name string) string {
	var members []string
	for _, k := range keys {
		if strings.HasPrefix(k.name, name+".") {
			members = append(members, k.name)
		}
	}
	return strings.Join(members, ", ")
}

var keyShaped = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,60}`)

// printable cuts what does not look like a key: a slip of the pen may have put a password there.
func printable(key string) string {
	if head := keyShaped.FindString(key); head != key {
		return head + "…"
	}
	return key
}
