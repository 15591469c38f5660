package legacy

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxToken  = 64 << 20 // bytes of a text in a dump
	maxSymbol = 4 << 10  // bytes of a word
)

type tokenKind uint8

// The tokens of a dump.
const (
	endOfDump tokenKind = iota
	endOfStatement
	word   // a key word or a bare name
	name   // a quoted name
	quoted // a text
	number
	symbol // a single character of another kind
)

// token is what the lexer finds. Its text has no quotes and no escapes left.
type token struct {
	kind tokenKind
	text string
	line int
}

// is reports whether the token is this key word or this symbol.
func (t token) is(s string) bool {
	return (t.kind == word || t.kind == symbol) && strings.EqualFold(t.text, s)
}

func (t token) ends() bool { return t.kind == endOfStatement || t.kind == endOfDump }

// lexer finds the tokens of a dump as the mysql client and the server would: conditional comments are read as what they
// hide, other comments are left out, and DELIMITER changes what ends a statement.
type lexer struct {
	in         *text
	delimiter  string
	plainSlash bool // \ is a character like others: sql_mode NO_BACKSLASH_ESCAPES
	ansiQuotes bool // "x" is a name: sql_mode ANSI_QUOTES
	fresh      bool // at the beginning of a statement
	hidden     bool // inside a conditional comment
	skipping   bool // nobody needs what is in the texts
	note       func(comment string)
	buf        []byte
}

func newLexer(r io.Reader, note func(string)) *lexer {
	return &lexer{in: newText(r), delimiter: ";", fresh: true, note: note}
}

// next returns the next token. At the end of the dump inside a statement it fails.
func (l *lexer) next() (token, error) {
	for {
		t, ok, err := l.scan()
		if err != nil {
			return t, err
		}
		if !ok {
			continue
		}
		if t.kind == word && l.fresh && strings.EqualFold(t.text, "delimiter") {
			if err := l.setDelimiter(); err != nil {
				return t, err
			}
			continue
		}
		l.fresh = t.kind == endOfStatement
		return t, nil
	}
}

// scan reads one token, or something that is none.
func (l *lexer) scan() (t token, ok bool, err error) {
	t.line = l.in.line
	c, more, err := l.in.peek(0)
	switch {
	case err != nil:
		return t, false, err
	case !more && l.fresh && !l.hidden:
		return t, true, nil
	case !more:
		return t, false, fmt.Errorf("%w: the dump ends in the middle of a statement (line %d)", ErrDamaged, t.line)
	}
	if !l.hidden {
		if found, err := l.follows(l.delimiter); err != nil || found {
			l.in.skip(len(l.delimiter) * count(found))
			t.kind = endOfStatement
			return t, found, err
		}
	}
	switch {
	case c <= ' ':
		l.in.skip(1)
		return t, false, nil
	case c == '#', c == '-', c == '/', c == '*':
		if was, err := l.comment(c); err != nil || was {
			return t, false, err
		}
	case c == '\'', c == '"', c == '`':
		l.in.skip(1)
		t.kind = quoted
		if c == '`' || c == '"' && l.ansiQuotes {
			t.kind = name
		}
		t.text, err = l.string(c)
		return t, true, err
	case inWord(c):
		return l.word(t)
	}
	l.in.skip(1)
	t.kind, t.text = symbol, string(rune(c))
	return t, true, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// follows reports whether s comes next, without looking beyond it.
func (l *lexer) follows(s string) (bool, error) {
	for i := range len(s) {
		c, more, err := l.in.peek(i)
		if err != nil || !more || c != s[i] {
			return false, err
		}
	}
	return true, nil
}

func inWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// comment reads one that c begins, or the marks around a conditional one. false: it is no comment.
func (l *lexer) comment(c byte) (bool, error) {
	switch c {
	case '#':
		return true, l.lineComment()
	case '-':
		if found, err := l.follows("--"); err != nil || !found {
			return false, err
		}
		after, more, err := l.in.peek(2)
		if err != nil || more && after > ' ' {
			return false, err
		}
		return true, l.lineComment()
	case '*':
		end, err := l.follows("*/")
		if err != nil || !end || !l.hidden {
			return false, err
		}
		l.in.skip(2)
		l.hidden = false
		return true, nil
	}
	if found, err := l.follows("/*"); err != nil || !found {
		return false, err
	}
	for _, mark := range []string{"/*!", "/*M!"} {
		if found, err := l.follows(mark); err != nil {
			return false, err
		} else if found {
			return true, l.conditional(mark)
		}
	}
	l.in.skip(2)
	return true, l.skipComment()
}

// conditional begins a comment that servers of some version on read as SQL.
func (l *lexer) conditional(mark string) error {
	l.in.skip(len(mark))
	var version []byte
	for {
		c, more, err := l.in.peek(0)
		if err != nil {
			return err
		}
		if !more || c < '0' || c > '9' || len(version) == 6 {
			break
		}
		version = append(version, c)
		l.in.skip(1)
	}
	if n, _ := strconv.Atoi(string(version)); n >= 999999 { // for no server at all
		return l.skipComment()
	}
	l.hidden = true
	return nil
}

func (l *lexer) skipComment() error {
	for was := byte(0); ; {
		c, err := l.in.next()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: the dump ends in the middle of a comment", ErrDamaged)
		case err != nil:
			return err
		case was == '*' && c == '/':
			return nil
		}
		was = c
	}
}

func (l *lexer) lineComment() error {
	line, err := l.restOfLine()
	if err == nil && l.note != nil {
		l.note(line)
	}
	return err
}

// restOfLine returns the beginning of what is left of the line.
func (l *lexer) restOfLine() (string, error) {
	l.buf = l.buf[:0]
	for {
		c, err := l.in.next()
		if errors.Is(err, io.EOF) || err == nil && c == '\n' {
			return strings.TrimSpace(string(l.buf)), nil
		}
		if err != nil {
			return "", err
		}
		if len(l.buf) < maxSymbol {
			l.buf = append(l.buf, c)
		}
	}
}

func (l *lexer) setDelimiter() error {
	line, err := l.restOfLine()
	if err != nil {
		return err
	}
	if f := strings.Fields(line); len(f) > 0 && len(f[0]) <= 16 {
		l.delimiter = f[0]
		return nil
	}
	return fmt.Errorf("%w: line %d: DELIMITER without one", ErrDamaged, l.in.line)
}

// escapes are what stands behind a \ for another character.
var escapes = map[byte]byte{'0': 0, 'b': '\b', 'n': '\n', 'r': '\r', 't': '\t', 'Z': 26}

// string reads the rest of what a quote began.
func (l *lexer) string(quote byte) (string, error) {
	l.buf = l.buf[:0]
	begin := l.in.line
	for {
		c, err := l.in.next()
		switch {
		case err != nil:
			return "", cutText(err, begin)
		case c == quote:
			again, more, err := l.in.peek(0)
			if err != nil {
				return "", err
			}
			if !more || again != quote {
				return string(l.buf), nil
			}
			l.in.skip(1)
		case c == '\\' && quote != '`' && !l.plainSlash:
			c, err = l.in.next()
			if err != nil {
				return "", cutText(err, begin)
			}
			if e, ok := escapes[c]; ok {
				c = e
			} else if c == '%' || c == '_' { // the server leaves these as they are
				l.buf = append(l.buf, '\\')
			}
		}
		if l.skipping {
			continue
		}
		if l.buf = append(l.buf, c); len(l.buf) > maxToken {
			return "", fmt.Errorf("%w: line %d: a text is longer than %d MB", ErrDamaged, begin, maxToken>>20)
		}
	}
}

func cutText(err error, line int) error {
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the dump ends in the middle of a text (which begins in line %d)", ErrDamaged, line)
	}
	return err
}

// word reads a word or a number; X'41' and the like become texts.
func (l *lexer) word(t token) (token, bool, error) {
	l.buf = l.buf[:0]
	for {
		c, more, err := l.in.peek(0)
		if err != nil {
			return t, false, err
		}
		numeric := len(l.buf) > 0 && l.buf[0] >= '0' && l.buf[0] <= '9'
		exponent := numeric && (c == '+' || c == '-') && l.buf[len(l.buf)-1]|0x20 == 'e' && !strings.HasPrefix(string(l.buf), "0x")
		if !more || !inWord(c) && !(numeric && c == '.') && !exponent {
			break
		}
		if !l.hidden && len(l.buf) > 0 && c == l.delimiter[0] { // END$$
			if found, err := l.follows(l.delimiter); err != nil || found {
				if err != nil {
					return t, false, err
				}
				break
			}
		}
		if l.buf = append(l.buf, c); len(l.buf) > maxToken {
			return t, false, fmt.Errorf("%w: line %d: this is no SQL dump", ErrDamaged, t.line)
		}
		l.in.skip(1)
	}
	t.text, t.kind = string(l.buf), word
	if t.text[0] >= '0' && t.text[0] <= '9' {
		t.kind = number
	}
	c, more, err := l.in.peek(0)
	if err != nil || !more || c != '\'' || len(t.text) != 1 || strings.IndexByte("xXbBnN", t.text[0]) < 0 {
		return t, true, err
	}
	l.in.skip(1)
	base := t.text
	if t.text, err = l.string('\''); err != nil {
		return t, false, err
	}
	t.kind = quoted
	switch base {
	case "x", "X":
		t.kind, t.text = number, "0x"+t.text
	case "b", "B":
		t.kind, t.text = number, "0b"+t.text
	}
	return t, true, nil
}
