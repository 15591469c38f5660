package outbox

import (
	"regexp"
	"testing"
)

// firstNumber finds what a program takes for the code: digits with no digit beside them.
func firstNumber(text string) string {
	for _, n := range regexp.MustCompile(`[0-9]+`).FindAllString(text, -1) {
		if len(n) == 4 || len(n) == 6 {
			return n
		}
	}
	return ""
}

func TestCodeMailHoldsNoOtherNumber(t *testing.T) {
	for _, code := range []string{"0427", "934010"} {
		m := CodeMail("mei2026@example.org", code)
		if all := regexp.MustCompile(`[0-9]+`).FindAllString(m.Text, -1); len(all) != 1 || all[0] != code {
			t.Errorf("numbers in the text: %q, want only %s", all, code)
		}
		// Some programs look between word boundaries, and a Chinese character is part of a word for many of them.
		if !regexp.MustCompile(`(?m)^ *` + code + `$`).MatchString(m.Text) {
			t.Errorf("the code has no line of its own:\n%s", m.Text)
		}
		if m.Kind != Mail || m.To != "mei2026@example.org" {
			t.Errorf("got %+v", m)
		}
	}
}
