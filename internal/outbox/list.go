package outbox

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mostRead is how much of a message is looked at for its code.
const mostRead = 64 << 10

// Unsent is a message that lies in the folder.
type Unsent struct {
	ID   string // the name of its file
	Kind Kind
	To   string
	Code string // the first number in its text, which is the verification code of one that brings a code; "" if there is none
	At   time.Time
}

// ErrNotFound says that no such message lies in the folder.
var ErrNotFound = errors.New("outbox: no such message")

var (
	fileName = regexp.MustCompile(`^(\d{8}T\d{6}\.\d{9}Z)-[0-9a-f]{12}\.(eml|sms)$`)
	number   = regexp.MustCompile(`\d+`)
)

// List returns the newest messages in the folder, most at most, the newest first. What is not whole, or no message of ours, is left out.
func (f *Folder) List(most int) ([]Unsent, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	slices.Reverse(entries) // names sort by time
	var list []Unsent
	for _, e := range entries {
		if len(list) == most {
			break
		}
		m, err := f.Find(e.Name())
		switch {
		case err == nil:
			list = append(list, m)
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return list, nil
}

// Find returns one message of the folder.
func (f *Folder) Find(id string) (Unsent, error) {
	at, err := f.check(id)
	if err != nil {
		return Unsent{}, err
	}
	file, err := os.Open(filepath.Join(f.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return Unsent{}, ErrNotFound
	}
	if err != nil {
		return Unsent{}, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, mostRead))
	if err != nil {
		return Unsent{}, err
	}
	m := Unsent{ID: id, At: at}
	if strings.HasSuffix(id, ".sms") {
		err = m.readSMS(content)
	} else {
		err = m.readMail(content)
	}
	return m, err
}

// check returns the time that is in the name of a message. Another name would be a way out of the folder.
func (f *Folder) check(id string) (time.Time, error) {
	parts := fileName.FindStringSubmatch(id)
	if parts == nil {
		return time.Time{}, ErrNotFound
	}
	at, err := time.Parse(stampForm, parts[1])
	if err != nil {
		return time.Time{}, ErrNotFound
	}
	return at, nil
}

// readSMS is the opposite of short.
func (m *Unsent) readSMS(content []byte) error {
	text, to, found := strings.Cut(string(content), "\n\nTo: ")
	if !found {
		return ErrNotFound
	}
	m.Kind, m.To, m.Code = SMS, strings.TrimSpace(to), number.FindString(text)
	return nil
}

// readMail is the opposite of compose, as far as mails of plain text go.
func (m *Unsent) readMail(content []byte) error {
	msg, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return ErrNotFound
	}
	to, err := msg.Header.AddressList("To")
	if err != nil || len(to) != 1 {
		return ErrNotFound
	}
	body := msg.Body
	if strings.EqualFold(msg.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return ErrNotFound
	}
	m.Kind, m.To = Mail, to[0].Address
	if strings.HasPrefix(msg.Header.Get("Content-Type"), "text/plain") {
		m.Code = number.FindString(string(text))
	}
	return nil
}

// Remove deletes a message from the folder.
func (f *Folder) Remove(id string) error {
	if _, err := f.check(id); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(f.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}
