package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"parley/internal/outbox"
)

// rule says which values a key takes.
type rule struct {
	allowed string // for the reference page; completes "must be …"
	// read returns the value in the type of the key. A file gives texts, booleans and numbers, the other sources texts.
	read func(v any) (any, error)
}

// text takes the texts that ok likes. A key without a value in a file is an empty text.
func text(allowed string, ok func(string) bool) rule {
	return rule{allowed, func(v any) (any, error) {
		s, isText := v.(string)
		if (isText || v == nil) && ok(s) {
			return s, nil
		}
		return nil, errors.New("must be " + allowed)
	}}
}

func oneOf(values ...string) rule {
	last := len(values) - 1
	return text(strings.Join(values[:last], ", ")+" or "+values[last], func(s string) bool { return slices.Contains(values, s) })
}

var (
	notEmpty = text("a text that is not empty", func(s string) bool { return strings.TrimSpace(s) != "" })

	nodeName = text("1 to 64 letters, digits, dots, hyphens and underscores", nodeShaped.MatchString)

	listenAddr = text("host:port, :port or empty", func(s string) bool { return s == "" || isAddr(s) })
	publicAddr = text("host:port or empty", func(s string) bool {
		return s == "" || isAddr(s) && s[0] != ':' && !strings.HasSuffix(s, ":0")
	})
	publicIP = text("an IP address or empty", func(s string) bool { _, err := netip.ParseAddr(s); return s == "" || err == nil })
	webURL   = text("an http:// or https:// URL or empty", func(s string) bool { return s == "" || isWebURL(s) })
	anyText  = text("a path or empty", func(string) bool { return true })
	origins  = text("origins separated by commas, * or empty", func(s string) bool { return s == "*" || every(s, isOrigin) })
	ports    = text("two ports as 49152-49999", isPortRange)
)

var nodeShaped = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$`)

func isAddr(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return host == "" || err == nil || hostName.MatchString(host)
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// every reports whether all items of a list that commas separate are so. An empty text is an empty list.
func every(list string, so func(string) bool) bool {
	for _, item := range List(list) {
		if !so(item) {
			return false
		}
	}
	return true
}

// List returns the items of a setting that is a list.
func List(s string) (items []string) {
	if s == "" {
		return nil
	}
	for item := range strings.SplitSeq(s, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

// hostNames also takes the switch that somebody may think the key is, as long as it is off.
var hostNames = rule{"host names separated by commas, or empty", func(v any) (any, error) {
	s, ok := v.(string)
	switch {
	case v == nil, v == false, s == "false":
		return "", nil
	case !ok || !every(s, func(item string) bool { return strings.Contains(item, ".") && hostName.MatchString(item) }):
		return nil, errors.New("must be host names separated by commas, or empty")
	}
	return s, nil
}}

// isOrigin wants the form that browsers send: no path, not even a slash.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isWebURL(s) && s == strings.ToLower(u.Scheme+"://"+u.Host)
}

func isPortRange(s string) bool {
	low, high, _ := strings.Cut(s, "-")
	l, err := strconv.ParseUint(low, 10, 16)
	if err != nil || l == 0 {
		return false
	}
	h, err := strconv.ParseUint(high, 10, 16)
	return err == nil && l <= h
}

// yes and no are what people write for a switch, besides YAML's own true and false.
var yes, no = []string{"true", "on", "yes"}, []string{"false", "off", "no"}

var toggle = rule{"true or false (also on and off, yes and no)", func(v any) (any, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	s, _ := v.(string)
	switch {
	case slices.Contains(yes, s):
		return true, nil
	case slices.Contains(no, s):
		return false, nil
	}
	return nil, errors.New("must be true or false")
}}

// count takes whole numbers from 0 to most.
func count(most int) rule {
	allowed := fmt.Sprintf("a number from 0 to %d", most)
	return rule{allowed, func(v any) (any, error) {
		if s, ok := v.(string); ok {
			if n, err := strconv.Atoi(s); err == nil {
				v = n
			}
		}
		if n, ok := v.(int); ok && n >= 0 && n <= most {
			return n, nil
		}
		return nil, errors.New("must be " + allowed)
	}}
}

var (
	smtpURL = checkedURL("smtp://user:password@host:port?from=address, smtps://… or empty", func(s string) error {
		_, err := outbox.NewSMTP(s)
		return err
	})
	smsURL = checkedURL("http:// or https:// URL with {to} and with {text} or {code}, or empty", func(s string) error {
		_, err := outbox.NewSMS(s)
		return err
	})
)

// checkedURL takes what check likes, and an empty text.
func checkedURL(allowed string, check func(string) error) rule {
	return rule{allowed, func(v any) (any, error) {
		s, ok := v.(string)
		switch {
		case v == nil || ok && s == "":
			return "", nil
		case !ok:
			return nil, errors.New("must be a URL")
		}
		return s, check(s)
	}}
}

// only takes the one value that this version knows.
func only(value string) rule {
	return text(value+" (the others are not part of this version)", func(s string) bool { return s == value })
}

// notBuilt is the rule of parts that are not built yet: they take only the value that leaves the part out.
var notBuilt = rule{"empty (not part of this version)", func(v any) (any, error) {
	if v == nil || v == "" {
		return "", nil
	}
	return nil, errors.New("this is not part of this version; leave it empty")
}}
