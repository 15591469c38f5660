package account

import (
	"net/mail"
	"strconv"
	"strings"

	"parley/internal/core"
)

// parseEmail returns the key of a bare ASCII e-mail address: itself in lower case.
func parseEmail(email string) (key string, err error) {
	if len(email) > 254 || strings.IndexByte(email, '@') > 64 || strings.ContainsAny(email, "[]") {
		return "", core.ErrInvalidEmail
	}
	for i := range len(email) {
		if email[i] <= ' ' || email[i] > '~' {
			return "", core.ErrInvalidEmail
		}
	}
	// What is more than a bare address (a display name, quotes, a comment) does not come back as it went in.
	a, err := mail.ParseAddress(email)
	if err != nil || a.Name != "" || a.Address != email {
		return "", core.ErrInvalidEmail
	}
	return strings.ToLower(email), nil
}

// checkPhone accepts 5-15 digits with an optional + before them, and nothing else between them: what is accepted is the
// one form of that number, and its key.
func checkPhone(phone string) error {
	digits := strings.TrimPrefix(phone, "+")
	if len(digits) < 5 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return core.ErrInvalidPhone
	}
	return nil
}

// parseID reads a uid in its one canonical form.
func parseID(s string) (core.UserID, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != s {
		return 0, false
	}
	return core.UserID(n), true
}
