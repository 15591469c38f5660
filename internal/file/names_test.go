package file

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"parley/internal/core"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("é", 127) + "x"
	for _, tt := range []struct{ name, want string }{
		{"a.txt", "a.txt"},
		{"报告 (最终).pdf", "报告 (最终).pdf"},
		{"cafe\u0301.txt", "café.txt"},
		{"a .a", "a .a"},
		{"❤\ufe0f", "❤\ufe0f"},
		{" .a", ""},
		{"trail ", ""},
		{"a\u3000", ""},
		{" ", ""},
		{"\u200b", ""},
		{"a\u200b", ""},
		{"\u115f", ""},
		{"...", "..."},
		{"..a", "..a"},
		{"1:2", "1:2"},
		{"a\u200db", "a\u200db"},
		{"CON", "CON"},
		{long, long},
		{norm.NFD.String(long), long},
		{"", ""},
		{".", ""},
		{"..", ""},
		{"a/b", ""},
		{`a\b`, ""},
		{"/etc/passwd", ""},
		{`\\server\share`, ""},
		{"../a", ""},
		{`..\a`, ""},
		{"C:", ""},
		{"c:a", ""},
		{`C:\a`, ""},
		{"a\x00b", ""},
		{"a\nb", ""},
		{"a\x7fb", ""},
		{"a\u0085b", ""},
		{"txt.\u202eexe", ""},
		{"a\u2066b", ""},
		{"a\xffb", ""},
		{long + "x", ""},
		{strings.Repeat("a", maxRaw+1), ""},
	} {
		got, err := cleanPart(tt.name)
		if tt.want == "" && !errors.Is(err, core.ErrInvalidFileName) || tt.want != "" && (err != nil || got != tt.want) {
			t.Errorf("%q: %q, %v", tt.name, got, err)
		}
	}
}

func TestPaths(t *testing.T) {
	deep := strings.Repeat("d/", maxParts-1)
	for _, tt := range []struct{ path, want string }{
		{"a", "a"},
		{"a/b", "a|b"},
		{`a\b/c d`, "a|b|c d"},
		{"cafe\u0301/x", "café|x"},
		{deep + "x", strings.ReplaceAll(deep, "/", "|") + "x"},
		{deep + "d/x", ""},
		{"", ""},
		{"/", ""},
		{"/a", ""},
		{`\a`, ""},
		{"a/", ""},
		{"a//b", ""},
		{`a/\b`, ""},
		{"a/./b", ""},
		{"a/../b", ""},
		{`..\a`, ""},
		{"a/..", ""},
		{"C:/a", ""},
		{"a/C:/b", ""},
		{"a/b\x00", ""},
		{"a/\xff/b", ""},
		{"a/" + strings.Repeat("b", 256), ""},
		{strings.Repeat("/", maxRaw+1), ""},
	} {
		got, err := cleanPath(tt.path)
		if tt.want == "" && !errors.Is(err, core.ErrInvalidFileName) || tt.want != "" && (err != nil || strings.Join(got, "|") != tt.want) {
			t.Errorf("%q: %q, %v", tt.path, got, err)
		}
	}
}

func TestCandidates(t *testing.T) {
	long := strings.Repeat("é", 126)
	for _, tt := range []struct {
		name string
		kind core.FileKind
		n    int
		want string
	}{
		{"a.txt", core.PlainFile, 1, "a.txt"},
		{"a.txt", core.PlainFile, 2, "a (2).txt"},
		{"a.tar.gz", core.PlainFile, 12, "a.tar (12).gz"},
		{"a", core.PlainFile, 2, "a (2)"},
		{".profile", core.PlainFile, 2, ".profile (2)"},
		{"v1.2", core.Folder, 2, "v1.2 (2)"},
		{"a." + strings.Repeat("b", maxSuffix), core.PlainFile, 2, "a." + strings.Repeat("b", maxSuffix) + " (2)"},
		{long + ".c", core.PlainFile, 2, strings.Repeat("é", 124) + " (2).c"},
		{long + "abc", core.Folder, 100, strings.Repeat("é", 124) + " (100)"},
	} {
		got := candidate(tt.name, tt.kind, tt.n)
		if got != tt.want || len(got) > maxPart || !utf8.ValidString(got) {
			t.Errorf("%q, %d: %q", tt.name, tt.n, got)
		}
	}
}

// TestWhateverTheNameNothingIsKeptUnderIt uploads under every sort of name, and looks at what is on disk after it.
func TestWhateverTheNameNothingIsKeptUnderIt(t *testing.T) {
	tw := newTown(t, Config{})
	part := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"..", ".", "", "C:", "a", "a.txt", "~", "$HOME", "a\x00b", "cafe\u0301", "%2e%2e"}))
	sep := rapid.SampledFrom([]string{"/", `\`, "//", "/../", ""})
	name := rapid.Custom(func(rt *rapid.T) string {
		s := part.Draw(rt, "first")
		for range rapid.IntRange(0, 3).Draw(rt, "more") {
			s += sep.Draw(rt, "separator") + part.Draw(rt, "part")
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		defer tw.exec(`DELETE FROM file`)
		u := Upload{Area: core.Lobby, Name: name.Draw(rt, "name"), Size: 1}
		if rapid.Bool().Draw(rt, "in a folder") {
			u.Folder = name.Draw(rt, "folder")
		}
		f, err := tw.send(ann, u, "x")
		switch {
		case errors.Is(err, core.ErrInvalidFileName):
			tw.listed(0)
		case err != nil:
			rt.Error(err)
		case u.Folder != "":
			tw.listed(0, norm.NFC.String(u.Folder)+"/")
			if f.Sent != u.Name {
				rt.Errorf("sent as %q, kept as %q", u.Name, f.Sent)
			}
		default:
			tw.listed(0, norm.NFC.String(u.Name))
			if got, err := tw.Find(context.Background(), bob, core.Lobby, u.Name); err != nil || got != f {
				rt.Errorf("found %+v: %v", got, err)
			}
		}
		err = filepath.WalkDir(tw.dir, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(tw.dir, path)
			if depth := strings.Count(rel, string(filepath.Separator)); err == nil && !d.IsDir() && !strings.HasPrefix(rel, "parley.db") && (depth != 2 || len(d.Name()) != 32) {
				rt.Errorf("%s is on the disk", rel)
			}
			return err
		})
		if err != nil {
			rt.Error(err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b", `a\b`, "../x", "C:/x", "a//b", "cafe\u0301", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		parts, err := cleanPath(path)
		if err != nil {
			return
		}
		// What is accepted stays within any folder it is joined to, and is accepted again as it is.
		if !filepath.IsLocal(filepath.Join(parts...)) || len(parts) > maxParts {
			t.Errorf("%q: %q", path, parts)
		}
		for _, p := range parts {
			if again, err := cleanPart(p); err != nil || again != p || len(p) > maxPart {
				t.Errorf("%q: %q: %v", path, p, err)
			}
		}
	})
}
