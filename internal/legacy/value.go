package legacy

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// expression is a value that only a server could tell.
type expression struct{}

// row reads the values of a row behind its (.
func (d *dump) row(row []any, most int) ([]any, error) {
	for {
		v, t, err := d.value()
		if err != nil {
			return nil, err
		}
		if row = append(row, v); len(row) > most {
			return row, nil
		}
		if t.is(")") {
			return row, nil
		}
	}
}

// value reads a value and the , or ) behind it.
func (d *dump) value() (v any, after token, err error) {
	var parts []token
	for depth := 0; ; {
		t, err := d.lex.next()
		switch {
		case err != nil:
			return nil, t, err
		case t.ends():
			return nil, t, fmt.Errorf("%w: line %d: a row without its end", ErrDamaged, t.line)
		case depth == 0 && (t.is(",") || t.is(")")):
			v, err := literal(parts)
			return v, t, err
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		}
		if len(parts) < 64 {
			parts = append(parts, t)
		}
	}
}

// literal returns what the tokens of a value mean.
func literal(parts []token) (any, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: an empty value", ErrDamaged)
	}
	if parts[0].kind == word && strings.HasPrefix(parts[0].text, "_") && len(parts) > 1 { // _binary, _utf8mb4
		parts = parts[1:]
	}
	sign := ""
	if (parts[0].is("-") || parts[0].is("+")) && len(parts) == 2 && parts[1].kind == number {
		sign, parts = strings.TrimPrefix(parts[0].text, "+"), parts[1:]
	}
	first := parts[0]
	if first.kind == quoted { // texts side by side are one
		var b strings.Builder
		for _, p := range parts {
			if p.kind != quoted {
				return expression{}, nil
			}
			b.WriteString(p.text)
		}
		return b.String(), nil
	}
	switch {
	case len(parts) > 1:
		return expression{}, nil
	case first.is("null"), first.is("default"):
		return nil, nil
	case first.is("true"):
		return int64(1), nil
	case first.is("false"):
		return int64(0), nil
	case first.kind == number:
		return numeral(sign, first)
	}
	return expression{}, nil
}

// numeral reads a number; one with x or b is the bytes that it spells.
func numeral(sign string, t token) (any, error) {
	digits, isHex := strings.CutPrefix(t.text, "0x")
	bits, isBits := strings.CutPrefix(t.text, "0b")
	switch {
	case isHex:
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %.20q is not a number", ErrDamaged, t.line, t.text)
		}
		return string(b), nil
	case isBits:
		n, err := strconv.ParseUint(bits, 2, 63)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %.20q is not a number", ErrDamaged, t.line, t.text)
		}
		return int64(n), nil
	}
	if n, err := strconv.ParseInt(sign+t.text, 10, 64); err == nil {
		return n, nil
	}
	return sign + t.text, nil // a fraction, say; the column says whether that will do
}
