package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxTerm is how much of a word is kept, in characters.
	maxTerm = 32
	// maxTerms is how many different terms of one message are found.
	maxTerms = 1_000
)

// normal is the form in which texts are compared: without differences of width, case or composition.
func normal(text string) string { return norm.NFKC.String(strings.ToLower(norm.NFKC.String(text))) }

// unspaced reports characters of scripts that are written without spaces, or with spaces between more than words.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo)
}

func wordy(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) && !unspaced(r)
}

// pieces cuts a normal text into words, and into runs of unspaced characters.
func pieces(text string, word, run func(string)) {
	for text != "" {
		r, n := utf8.DecodeRuneInString(text)
		same, yield := wordy, word
		switch {
		case unspaced(r):
			same, yield = unspaced, run
		case !wordy(r):
			text = text[n:]
			continue
		}
		end := strings.IndexFunc(text, func(r rune) bool { return !same(r) })
		if end < 0 {
			end = len(text)
		}
		yield(text[:end])
		text = text[end:]
	}
}

// termsOf returns the different terms under which a text is found: its words, and of unspaced characters each pair, so that
// words of two are found, and the last one alone, so that each character begins a term.
func termsOf(text string) []string {
	var terms []string
	seen := map[string]bool{}
	add := func(t string) {
		if !seen[t] && len(terms) < maxTerms {
			seen[t] = true
			terms = append(terms, t)
		}
	}
	pieces(normal(text), func(w string) { add(clipped(w)) }, func(run string) {
		for run != "" {
			_, first := utf8.DecodeRuneInString(run)
			_, second := utf8.DecodeRuneInString(run[first:])
			add(run[:first+second])
			run = run[first:]
		}
	})
	return terms
}

func clipped(word string) string {
	n := 0
	for i := range word {
		if n == maxTerm {
			return word[:i]
		}
		n++
	}
	return word
}

// wanted is what somebody looks for: texts that have all of it.
type wanted struct {
	words []string // as terms
	runs  []string // of unspaced characters
}

func want(text string) (w wanted) {
	pieces(normal(text), func(word string) { w.words = append(w.words, clipped(word)) }, func(run string) { w.runs = append(w.runs, run) })
	return w
}

// terms returns terms that every text has in which it is all found. A single unspaced character is none: it only begins terms.
func (w wanted) terms() (exact, beginnings []string) {
	exact = append(exact, w.words...)
	for _, run := range w.runs {
		if utf8.RuneCountInString(run) == 1 {
			beginnings = append(beginnings, run)
			continue
		}
		pairs := termsOf(run)
		exact = append(exact, pairs[:len(pairs)-1]...) // the last character may go on in the text
	}
	return exact, beginnings
}

// in reports whether a text has all of it. The pairs of a run may stand apart in a text in which the run does not occur.
func (w wanted) in(text string) bool {
	text = normal(text)
	for _, run := range w.runs {
		if !strings.Contains(text, run) {
			return false
		}
	}
	missing := map[string]bool{}
	for _, word := range w.words {
		missing[word] = true
	}
	pieces(text, func(word string) { delete(missing, clipped(word)) }, func(string) {})
	return len(missing) == 0
}
