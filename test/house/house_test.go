// Package house keeps the rules of the house: who may import whom, a sentence before every package, and pages whose links
// lead somewhere.
package house

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const module = "parley/"

// floors lists the house from the ground up. A package may import what stands on floors below its own,
// and on its own floor only what `among` allows.
var floors = []struct {
	packages []string
	among    bool
}{
	{packages: []string{"internal/core", "internal/wire/...", "internal/durable", "internal/obs"}},
	{packages: []string{"internal/store", "internal/cluster", "internal/blob", "internal/picture", "internal/certificate", "internal/outbox", "internal/legacy", "internal/media/...", "internal/tunnel", "internal/speech"}},
	{packages: []string{"internal/session"}},
	{packages: []string{"internal/account", "internal/contact", "internal/chat", "internal/audit", "internal/file", "internal/report", "internal/admin", "internal/meeting", "internal/node", "internal/notify"}},
	{packages: []string{"internal/gateway/...", "internal/transfer"}},
	{packages: []string{"internal/config"}},
	{packages: []string{"internal/app"}},
	{packages: []string{"cmd/..."}, among: true},
}

// exceptions are imports that jump floors, each with its reason.
var exceptions = map[string]string{
	"internal/config -> internal/outbox": "the mail URL is checked by the one who reads it",
}

// forbidden are imports that the floors would allow.
var forbidden = []struct{ from, to string }{
	{"internal/gateway/", "internal/store"},
	{"internal/gateway/", "internal/cluster"},
}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := jsontext.NewDecoder(bytes.NewReader(out)); d.PeekKind() == '{'; {
		var p pkg
		if err := json.UnmarshalDecode(d, &p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 15 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

func floorOf(name string) int {
	return slices.IndexFunc(floors, func(f struct {
		packages []string
		among    bool
	},
	) bool {
		return slices.ContainsFunc(f.packages, func(p string) bool {
			dir, all := strings.CutSuffix(p, "/...")
			return name == p || all && strings.HasPrefix(name, dir+"/")
		})
	})
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "test/") {
			continue
		}
		floor := floorOf(name)
		if floor < 0 {
			t.Errorf("%s stands on no floor of the house", name)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				if name == "internal/core" && strings.Contains(imp, ".") {
					t.Errorf("%s imports %s: it may use the standard library only", name, imp)
				}
				continue
			}
			if exceptions[name+" -> "+to] != "" {
				continue
			}
			if below := floorOf(to); below > floor || below == floor && !floors[floor].among {
				t.Errorf("%s imports %s, which does not stand below it", name, to)
			}
			for _, f := range forbidden {
				if strings.HasPrefix(name, f.from) && to == f.to {
					t.Errorf("%s imports %s", name, to)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		said := slices.ContainsFunc(p.GoFiles, func(file string) bool {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			return err == nil && f.Doc != nil && (strings.HasPrefix(f.Doc.Text(), "Package ") || strings.HasPrefix(f.Doc.Text(), "Command "))
		})
		if len(p.GoFiles) > 0 && !said {
			t.Errorf("%s has no sentence before it", p.ImportPath)
		}
	}
}

// TestProtocolWordsStayInTheirGateway keeps the words of the wire out of the core and the services.
func TestProtocolWordsStayInTheirGateway(t *testing.T) {
	words := []string{"llfc", "cs3", "dpc", "openp2p", "net/http"}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if floor := floorOf(name); name != "internal/core" && floor != floorOf("internal/chat") {
			continue
		}
		for _, file := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range words {
				if strings.Contains(strings.ToLower(string(src)), w) {
					t.Errorf("%s/%s speaks of %s", name, file, w)
				}
			}
		}
	}
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// TestLinksOfPagesLeadSomewhere looks at the files that links name, not at the headings in them.
func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	const root = "../.."
	links := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatch(codeBlock.ReplaceAll(page, nil), -1) {
			u, err := url.Parse(string(m[1]))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if u.Scheme != "" || u.Host != "" || u.Path == "" {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(u.Path))); err != nil {
				t.Errorf("%s links to %s, which is not there", path, u.Path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 20 {
		t.Errorf("only %d links found", links)
	}
}
