package api

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// withRange returns a request whose header Range says what the standard library reads as RFC 9110 means it. What is no range of bytes
// counts for nothing there; the library would refuse it. Of nothing there is no range.
func withRange(r *http.Request, size int64) *http.Request {
	said, ok := r.Header["Range"]
	if !ok {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	if tidy, ok := tidyRanges(strings.Join(said, ",")); ok && size > 0 {
		r.Header.Set("Range", tidy)
	}
	return r
}

// tidyRanges writes a list of ranges anew, and reports whether it was one: RFC 9110, 14.1.2.
func tidyRanges(text string) (string, bool) {
	unit, list, ok := strings.Cut(text, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return "", false
	}
	var ranges []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, ok := strings.Cut(part, "-")
		from, fromOK := number(first)
		to, toOK := number(last)
		switch {
		case !ok, !fromOK, !toOK, from < 0 && to < 0, from >= 0 && to >= 0 && to < from:
			return "", false
		case from < 0 && to == 0: // the last none of all bytes: the library would answer with them
			part = beyond
		case from < 0:
			part = "-" + strconv.FormatInt(to, 10)
		case to < 0:
			part = strconv.FormatInt(from, 10) + "-"
		default:
			part = strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to, 10)
		}
		ranges = append(ranges, part)
	}
	return "bytes=" + strings.Join(ranges, ","), len(ranges) > 0
}

// beyond is a range that no file has.
const beyond = "9223372036854775807-"

// number reads digits, -1 if there are none. What is larger than any file counts as the largest.
func number(digits string) (int64, bool) {
	if digits == "" {
		return -1, true
	}
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil { // it is too large
		n = math.MaxInt64
	}
	return n, true
}
