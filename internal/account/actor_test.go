package account

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnlyAccountMakesActors keeps the rule that whoever holds an Actor got it from a proof of identity.
func TestOnlyAccountMakesActors(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	here := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, _ := filepath.Rel(root, filepath.Dir(path))
		for _, use := range actorMakers(t, path) {
			switch filepath.ToSlash(dir) {
			case "internal/account":
				here++
			case "internal/core":
			default:
				t.Errorf("%s makes an Actor", use)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if here == 0 {
		t.Error("the search found nothing in this package: it does not work")
	}
}

// actorMakers returns where a file mentions core.NewActor or core.NewOperator, by whatever name it imports core.
func actorMakers(t *testing.T, path string) (uses []string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	names := map[string]bool{}
	for _, im := range f.Imports {
		if im.Path.Value != `"parley/internal/core"` {
			continue
		}
		name := "core"
		if im.Name != nil {
			name = im.Name.Name
		}
		names[name] = true
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] && makesActors(n.Sel.Name) {
				uses = append(uses, files.Position(n.Pos()).String())
			}
		case *ast.Ident:
			if names["."] && makesActors(n.Name) {
				uses = append(uses, files.Position(n.Pos()).String())
			}
		}
		return true
	})
	return uses
}

func makesActors(name string) bool { return name == "NewActor" || name == "NewOperator" }
