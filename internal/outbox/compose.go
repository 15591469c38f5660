package outbox

import (
	"crypto/rand"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"

	"github.com/wneessen/go-mail"

	"parley/internal/core"
)

// maxLine is the longest line that RFC 5322 lets a mail have, without its end.
const maxLine = 998

var phone = regexp.MustCompile(`^\+?[0-9]{5,15}$`)

// compose makes the RFC 5322 form of a mail. The body is readable as it is, if plain is set and its lines are short
// enough; otherwise it is quoted-printable, which every mail server takes.
func compose(m Message, from *netmail.Address, plain bool) (*mail.Msg, error) {
	to, err := address(m.To)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return nil, fmt.Errorf("%w: a control character in the subject", core.ErrInvalid)
	}
	text, html := lines(m.Text), lines(m.HTML)
	encoding := mail.EncodingQP
	if plain && !tooLong(text) && !tooLong(html) {
		encoding = mail.NoEncoding
	}
	msg := mail.NewMsg(mail.WithEncoding(encoding), mail.WithNoDefaultUserAgent())
	msg.SetAddrHeaderFromMailAddress(mail.HeaderFrom, from)
	msg.SetAddrHeaderFromMailAddress(mail.HeaderTo, to)
	msg.Subject(m.Subject)
	msg.SetDate()
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(rand.Text() + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(mail.TypeTextPlain, text)
	if html != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, html)
	}
	return msg, nil
}

// address takes a bare address only: no display name, no comment, no list, nothing that could end the header.
func address(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Address != s || strings.ContainsFunc(s, unicode.IsControl) {
		return nil, fmt.Errorf("recipient: %w", core.ErrInvalidEmail)
	}
	return a, nil
}

// lines gives a text the line ends of mail.
func lines(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n", "\r\n")
}

func tooLong(s string) bool {
	for line := range strings.SplitSeq(s, "\r\n") {
		if len(line) > maxLine {
			return true
		}
	}
	return false
}

func checkPhone(s string) error {
	if !phone.MatchString(s) {
		return fmt.Errorf("recipient: %w", core.ErrInvalidPhone)
	}
	return nil
}

// short makes the file of an SMS: the text, then the recipient, so that the first number in the file is the text's.
func short(m Message) ([]byte, error) {
	if err := checkPhone(m.To); err != nil {
		return nil, err
	}
	return []byte(strings.TrimRight(m.Text, "\r\n") + "\n\nTo: " + m.To + "\n"), nil
}
