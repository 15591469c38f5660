package chat

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTermsOf(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		"Hello, hello world!":       {"hello", "world"},
		"北京大学":                      {"北京", "京大", "大学", "学"},
		"一":                         {"一"},
		"v2版本":                      {"v2", "版本", "本"},
		"ＡＢ１":                       {"ab1"},
		"Straße":                    {"straße"},
		"\xff\x00":                  nil,
		strings.Repeat("y", 100):    {strings.Repeat("y", 32)},
		"a-b_c":                     {"a", "b", "c"},
		"https://example.org/x?y=1": {"https", "example", "org", "x", "y", "1"},
	} {
		if got := termsOf(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if n := len(termsOf(strings.Repeat("一丁七万丈三上下不与", 2) + manyWords())); n != maxTerms {
		t.Errorf("%d terms", n)
	}
}

func manyWords() string {
	var b strings.Builder
	for i := range 20_000 {
		b.WriteRune(rune('一' + i))
	}
	return b.String()
}

// FuzzTerms checks that a text has bounded terms in a storable form, and is found by each stretch of words in it.
func FuzzTerms(f *testing.F) {
	for _, s := range []string{"Hello, world", "我们明天去北京", "東京タワー ﾀﾜｰ", "한국어", "e\u0301\u0301", "\xff", "ﷺ", "İ", "ǅ", "1️⃣ 👍", "a\u200db"} {
		f.Add(s, 0, 5)
	}
	f.Fuzz(func(t *testing.T, text string, from, to int) {
		if len(text) > MaxText {
			return
		}
		text = clean(text)
		terms := termsOf(text)
		if len(terms) > maxTerms {
			t.Fatalf("%d terms", len(terms))
		}
		for _, term := range terms {
			if n := utf8.RuneCountInString(term); n == 0 || n > maxTerm || !utf8.ValidString(term) {
				t.Fatalf("term %q", term)
			}
		}
		// Whoever looks for a piece of one kind of the text as it is compared, finds it.
		var all []string
		pieces(normal(text), func(w string) { all = append(all, w) }, func(run string) { all = append(all, run) })
		for _, piece := range all {
			if normal(piece) != piece {
				continue // it was cut where a character takes others along
			}
			w := want(piece)
			if !w.in(text) {
				t.Fatalf("%q is not found in %q", piece, text)
			}
			if len(terms) == maxTerms {
				continue
			}
			exact, beginnings := w.terms()
			for _, e := range exact {
				if !slices.Contains(terms, e) {
					t.Fatalf("%q needs term %q, which %q has not", piece, e, text)
				}
			}
			for _, b := range beginnings {
				if !slices.ContainsFunc(terms, func(term string) bool { return strings.HasPrefix(term, b) }) {
					t.Fatalf("%q needs a term that begins with %q, which %q has not", piece, b, text)
				}
			}
		}
	})
}
