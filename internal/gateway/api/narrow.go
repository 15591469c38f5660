package api

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"parley/internal/core"
)

// The document is narrower about names and passwords than an account has to be. It binds those who register or set a
// password here; accounts of other families log in as they are. docs/protocols/api.md#registration.

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_]{3,20}$`)

const minPassword = 8

func checkName(name string) error {
	switch {
	case name == "":
		return because(core.ErrInvalidName, "Username is required")
	case !nameForm.MatchString(name):
		return because(core.ErrInvalidName, "Username must be 3 to 20 letters, digits and underscores")
	}
	return nil
}

func checkPassword(password string) error {
	switch {
	case password == "":
		return because(core.ErrInvalidPassword, "Password is required")
	case utf8.RuneCountInString(password) < minPassword || classes(password) < 3:
		return because(core.ErrInvalidPassword, "Password must have at least 8 characters, of three of these kinds: small letters, capital letters, digits, others")
	}
	return nil
}

// classes counts the kinds of characters in a password.
func classes(password string) (n int) {
	const small, capital, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	for _, class := range []string{small, capital, digits} {
		if strings.ContainsAny(password, class) {
			n++
		}
	}
	if strings.ContainsFunc(password, func(r rune) bool { return !strings.ContainsRune(small+capital+digits, r) }) {
		n++
	}
	return n
}
