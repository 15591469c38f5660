package account

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for _, name := range []string{
		"a", "sqy", "张三", "_!@#$%^&+-~?", "bob@example.com", "123456", "...", "Zoë", "❤️x", strings.Repeat("é", 32), strings.Repeat("e\u0301", 32),
	} {
		if _, err := NormalizeName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for what, name := range map[string]string{
		"empty": "", "33 characters": strings.Repeat("a", 33), "space": "a b", "ideographic space": "a\u3000b", "no-break space": "a\u00a0b",
		"slash": "a/b", "backslash": `a\b`, "full-width slash": "a／b", "dot": ".", "dots": "..", "one-dot leader": "\u2024", "two-dot leader": "\u2025",
		"control": "a\x00", "newline": "a\n", "delete": "a\x7f", "right-to-left override": "a\u202eb", "right-to-left mark": "a\u200f", "isolate": "\u2066a",
		"zero-width space": "a\u200b", "zero-width joiner": "a\u200db", "soft hyphen": "a\u00ad", "Hangul filler": "a\u3164", "Braille blank": "\u2800",
		"grapheme joiner": "a\u034f", "only a variation selector": "\ufe0f", "mark first": "\u0301a", "not UTF-8": "a\xff", "private use": "\ue000",
	} {
		if got, err := NormalizeName(name); err == nil {
			t.Errorf("%s: %q is allowed as %q", what, name, got)
		}
	}
}

func TestNameKeyUnites(t *testing.T) {
	for _, same := range [][]string{
		{"Alice", "alice", "ALICE", "ａｌｉｃｅ"}, {"Straße", "STRASSE"}, {"Zoe\u0308", "zoë"}, {"ﬁn", "FIN"}, {"１００１", "1001"}, {"❤️", "❤"}, {"ΣΑΣ", "σας"},
	} {
		for _, name := range same[1:] {
			if a, b := NameKey(same[0]), NameKey(name); a != b {
				t.Errorf("%q has key %q, %q has %q", same[0], a, name, b)
			}
		}
	}
	if NameKey("bob") == NameKey("bod") {
		t.Error("different names have one key")
	}
}

func FuzzNameKey(f *testing.F) {
	for _, s := range []string{"", "Alice", "张三", "Straße", "ﬁ", "\xff", "\u0345\u0301", "ǰ", "İ", "\ufdfa", "❤️", "K", "\u1e9e", "\u03d3\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := NameKey(s)
		if again := NameKey(key); again != key {
			t.Errorf("%q has key %q, which has key %q", s, key, again)
		}
		name, err := NormalizeName(s)
		if err != nil {
			return
		}
		if again, err := NormalizeName(name); err != nil || again != name {
			t.Errorf("%q is stored as %q, which is stored as %q, %v", s, name, again, err)
		}
		if n := utf8.RuneCountInString(name); n < 1 || n > maxName || strings.ContainsAny(name+key, " /\\\x00") {
			t.Errorf("%q is allowed, with key %q", name, key)
		}
	})
}

func TestEmails(t *testing.T) {
	for email, want := range map[string]string{
		"user@example.com": "user@example.com", "User.Name+tag@Example.COM": "user.name+tag@example.com", "3175614975@qq.com": "3175614975@qq.com", "root@localhost": "root@localhost",
	} {
		if key, err := parseEmail(email); err != nil || key != want {
			t.Errorf("%q: %q, %v", email, key, err)
		}
	}
	for _, email := range []string{
		"", "x", "@", "a@", "@b", "a@b@c", "a b@c", " a@b", "a@b ", "a@b\r\nBcc: c@d", "Bob <a@b>", "<a@b>", `"a b"@c`, "a@b (c)", "a@[127.0.0.1]", "a@b, c@d",
		"ü@b.c", "a..b@c", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 260),
	} {
		if key, err := parseEmail(email); err == nil {
			t.Errorf("%q is accepted as %q", email, key)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	f.Add("user@example.com")
	f.Add("Bob <a@b>")
	f.Add(`"a\"b"@c`)
	f.Fuzz(func(t *testing.T, s string) {
		key, err := parseEmail(s)
		if err != nil {
			return
		}
		if again, err := parseEmail(key); err != nil || again != key || strings.ContainsAny(s, " \r\n\t<>,;\"()") || strings.Count(s, "@") != 1 {
			t.Errorf("%q is accepted as %q, %v", s, key, err)
		}
	})
}
