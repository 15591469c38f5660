package jsonstream

// scanner follows the syntax of one object, byte by byte.
type scanner struct {
	n       int    // bytes of the object so far
	arrays  uint64 // one bit for each level: it is an array
	depth   int8
	state   state
	literal literal
	at      uint8 // in the literal, or how many hex digits are still to come
}

// state is what the scanner expects next.
type state uint8

const (
	wantObject     state = iota // the outermost brace
	wantFirstKey                // a key or the end of the object
	wantKey                     // a key
	inKey                       // the rest of a key
	wantColon                   // the colon after a key
	wantValue                   // a value
	wantFirstValue              // a value or the end of the array
	afterValue                  // a comma or the end of the object or array
	inString                    // the rest of a string
	inEscape                    // what follows a backslash
	inHex                       // the digits of \uXXXX
	inLiteral                   // the rest of true, false or null
	afterMinus                  // a number's first digit
	afterZero                   // a point, an exponent or the number's end
	inInteger                   // more digits, a point, an exponent or the end
	afterPoint                  // the first digit of a fraction
	inFraction                  // more digits, an exponent or the end
	afterE                      // a sign or a digit
	afterSign                   // the first digit of an exponent
	inExponent                  // more digits or the end
)

type literal uint8

const (
	litTrue literal = iota
	litFalse
	litNull
)

var literals = [...]string{litTrue: "true", litFalse: "false", litNull: "null"}

// inKeyBit marks, in at, an escape that belongs to a key.
const inKeyBit = 0x80

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// step takes the next byte and reports whether the text can still become an object. It is one when depth is 0 again.
func (s *scanner) step(c byte) bool {
	s.n++
	switch s.state {
	case inString, inKey, inEscape, inHex:
		return s.text(c)
	case inLiteral:
		return s.word(c)
	case afterMinus, afterZero, inInteger, afterPoint, inFraction, afterE, afterSign, inExponent:
		return s.number(c)
	}
	return isSpace(c) || s.structure(c)
}

// structure takes a byte that is neither in a string, a word or a number nor white space.
func (s *scanner) structure(c byte) bool {
	switch s.state {
	case wantObject:
		return c == '{' && s.open(false)
	case wantFirstKey:
		return c == '}' && s.close() || s.key(c)
	case wantKey:
		return s.key(c)
	case wantColon:
		s.state = wantValue
		return c == ':'
	case wantFirstValue:
		return c == ']' && s.close() || s.value(c)
	case wantValue:
		return s.value(c)
	}
	inArray := s.inArray()
	switch {
	case c == ',' && inArray:
		s.state = wantValue
	case c == ',':
		s.state = wantKey
	case c == ']' && inArray, c == '}' && !inArray:
		return s.close()
	default:
		return false
	}
	return true
}

func (s *scanner) inArray() bool { return s.arrays>>(s.depth-1)&1 == 1 }

func (s *scanner) open(array bool) bool {
	if s.depth == MaxDepth {
		return false
	}
	bit := uint64(1) << s.depth
	s.depth++
	if array {
		s.arrays |= bit
		s.state = wantFirstValue
	} else {
		s.arrays &^= bit
		s.state = wantFirstKey
	}
	return true
}

func (s *scanner) close() bool {
	s.depth--
	s.state = afterValue
	return true
}

func (s *scanner) key(c byte) bool {
	s.state = inKey
	return c == '"'
}

// value takes the first byte of a value.
func (s *scanner) value(c byte) bool {
	switch {
	case c == '{':
		return s.open(false)
	case c == '[':
		return s.open(true)
	case c == '"':
		s.state = inString
	case c == '-':
		s.state = afterMinus
	case c == '0':
		s.state = afterZero
	case isDigit(c):
		s.state = inInteger
	case c == 't':
		s.begin(litTrue)
	case c == 'f':
		s.begin(litFalse)
	case c == 'n':
		s.begin(litNull)
	default:
		return false
	}
	return true
}

func (s *scanner) begin(l literal) { s.state, s.literal, s.at = inLiteral, l, 1 }

// word takes a byte of true, false or null.
func (s *scanner) word(c byte) bool {
	w := literals[s.literal]
	if c != w[s.at] {
		return false
	}
	if s.at++; int(s.at) == len(w) {
		s.state = afterValue
	}
	return true
}

// text takes a byte of a key or a string.
func (s *scanner) text(c byte) bool {
	switch s.state {
	case inEscape:
		return s.escape(c)
	case inHex:
		if s.at--; s.at&^inKeyBit == 0 {
			s.backToText()
		}
		return isHex(c)
	}
	switch {
	case c < ' ':
		return false
	case c == '\\':
		s.at = 0
		if s.state == inKey {
			s.at = inKeyBit
		}
		s.state = inEscape
	case c == '"' && s.state == inKey:
		s.state = wantColon
	case c == '"':
		s.state = afterValue
	}
	return true
}

func (s *scanner) escape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.backToText()
		return true
	case 'u':
		s.state = inHex
		s.at |= 4
		return true
	}
	return false
}

func (s *scanner) backToText() {
	s.state = inString
	if s.at&inKeyBit != 0 {
		s.state = inKey
	}
}

// number takes a byte of a number, or the one that ends it.
func (s *scanner) number(c byte) bool {
	digit := isDigit(c)
	exponent := c == 'e' || c == 'E'
	switch st := s.state; {
	case st == afterMinus && c == '0':
		s.state = afterZero
	case st == afterMinus && digit:
		s.state = inInteger
	case st == afterPoint && digit:
		s.state = inFraction
	case (st == afterE || st == afterSign) && digit:
		s.state = inExponent
	case st == afterE && (c == '+' || c == '-'):
		s.state = afterSign
	case st == afterMinus, st == afterPoint, st == afterE, st == afterSign:
		return false
	case st != afterZero && digit:
	case (st == afterZero || st == inInteger) && c == '.':
		s.state = afterPoint
	case st != inExponent && exponent:
		s.state = afterE
	default:
		s.state = afterValue
		return isSpace(c) || s.structure(c)
	}
	return true
}
