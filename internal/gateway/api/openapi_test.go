package api_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/gateway/api"
)

// openAPI is the document as a client reads it.
type openAPI struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	OperationID string              `json:"operationId"`
	Description string              `json:"description"`
	Tags        []string            `json:"tags"`
	Security    []map[string]any    `json:"security"`
	Responses   map[string]response `json:"responses"`
	Parameters  []struct {
		Name     string `json:"name"`
		In       string `json:"in"`
		Required bool   `json:"required"`
		Schema   schema `json:"schema"`
	} `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema  schema `json:"schema"`
			Example any    `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
}

type response struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

// schema is as much of JSON Schema as the document uses.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
}

var braces = regexp.MustCompile(`\{\w+\}`)

func (w *world) readDocument() *openAPI {
	w.t.Helper()
	var d openAPI
	w.must(json.Unmarshal([]byte(w.stranger().get("/openapi.json").ok(200).body), &d))
	return &d
}

// find returns what the document has of a request, and nil if it has nothing.
func (d *openAPI) find(method, path string) *operation {
	best, found := "", (*operation)(nil)
	for template, methods := range d.Paths {
		op, ok := methods[strings.ToLower(method)]
		if ok && fits(template, path) && (best == "" || strings.Count(template, "{") < strings.Count(best, "{")) {
			best, found = template, &op
		}
	}
	return found
}

// fits reports whether a path is one of a template's.
func fits(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(a, b, func(a, b string) bool { return a == b || strings.HasPrefix(a, "{") && b != "" })
}

// check holds an answer to the document.
func (d *openAPI) check(t testing.TB, req *http.Request, a answer) {
	t.Helper()
	r := d.Paths[api.Prefix+"/openapi.json"]["get"].Responses["default"] // an address that is none fails like all
	if op := d.find(req.Method, req.URL.Path); op != nil {
		r = op.Responses["default"]
		if success, ok := op.Responses[fmt.Sprint(a.status)]; ok {
			r = success
		}
	}
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	content, ok := r.Content[media]
	if _, all := r.Content["*/*"]; all {
		return
	}
	if !ok {
		if _, picture := r.Content["image/*"]; !picture || !strings.HasPrefix(media, "image/") {
			t.Errorf("%s: %d: the document knows no %s", a.what, a.status, media)
		}
		return
	}
	if a.header.Get("Content-Encoding") != "" || media != "application/json" {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Errorf("%s: %v", a.what, err)
		return
	}
	if err := d.valid(content.Schema, v, ""); err != nil {
		t.Errorf("%s: %d: %v: %s", a.what, a.status, err, a.body)
	}
}

// valid says what is wrong with a value. Members that a schema does not have are wrong as well.
func (d *openAPI) valid(s schema, v any, at string) error {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		if s, ok = d.Components.Schemas[name]; !ok {
			return fmt.Errorf("%s: there is no schema %s", at, name)
		}
	}
	if s.Type == "" { // anything
		return nil
	}
	wrong := fmt.Errorf("%s is no %s: %v", at, s.Type, v)
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			return wrong
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s/%s is missing", at, name)
			}
		}
		for name, member := range v {
			p, ok := s.Properties[name]
			if !ok && s.Properties != nil {
				return fmt.Errorf("%s/%s is not in the document", at, name)
			}
			if ok {
				if err := d.valid(p, member, at+"/"+name); err != nil {
					return err
				}
			}
		}
	case []any:
		if s.Type != "array" {
			return wrong
		}
		for i, item := range v {
			if err := d.valid(*s.Items, item, fmt.Sprint(at, "/", i)); err != nil {
				return err
			}
		}
	case string:
		if s.Type != "string" {
			return wrong
		}
		if s.Format == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				return err
			}
		}
	case float64:
		if s.Type != "integer" || v != float64(int64(v)) {
			return wrong
		}
	case bool:
		if s.Type != "boolean" {
			return wrong
		}
	default:
		return wrong
	}
	return nil
}

// TestTheDocumentIsTheOneInDocs: people read it there.
func TestTheDocumentIsTheOneInDocs(t *testing.T) {
	const file = "../../../docs/protocols/openapi.json"
	w := newWorld(t)
	resp, err := w.web.Client().Get(w.web.URL + api.Prefix + "/openapi.json")
	w.must(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	w.must(err)
	if *update {
		w.must(os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s is not what is served (make it with go test ./internal/gateway/api -update): %v", file, err)
	}
}

// TestTheDocumentIsSound: references lead somewhere, names are unique, examples are valid, and parameters are those of the
// path.
func TestTheDocumentIsSound(t *testing.T) {
	w := newWorld(t)
	if w.doc.OpenAPI != "3.1.0" || len(w.doc.Paths) < 20 {
		t.Errorf("%s with %d paths", w.doc.OpenAPI, len(w.doc.Paths))
	}
	seen := map[string]bool{}
	bodies := 0
	for path, methods := range w.doc.Paths {
		for method, op := range methods {
			if seen[op.OperationID] || op.OperationID == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: id %q, tags %v", method, path, op.OperationID, op.Tags)
			}
			seen[op.OperationID] = true
			for _, content := range op.RequestBody.Content {
				if content.Example == nil {
					continue
				}
				bodies++
				if err := w.doc.valid(content.Schema, content.Example, ""); err != nil {
					t.Errorf("%s %s: the example: %v", method, path, err)
				}
			}
			for _, p := range op.Parameters {
				if inPath := strings.Contains(path, "{"+p.Name+"}"); inPath != (p.In == "path") || inPath != p.Required {
					t.Errorf("%s %s: parameter %+v", method, path, p)
				}
			}
			for _, r := range op.Responses {
				for _, content := range r.Content {
					w.resolves(path, content.Schema)
				}
			}
		}
	}
	if bodies < 10 {
		t.Errorf("only %d examples", bodies)
	}
}

func (w *world) resolves(path string, s schema) {
	w.t.Helper()
	if s.Ref != "" {
		if _, ok := w.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]; !ok {
			w.t.Errorf("%s: %s leads nowhere", path, s.Ref)
		}
	}
	for _, p := range s.Properties {
		w.resolves(path, p)
	}
	if s.Items != nil {
		w.resolves(path, *s.Items)
	}
}

// TestEveryRouteOfTheDocumentIsServed, and each has its section on the protocol page and its place in a transcript.
func TestEveryRouteOfTheDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	page, err := os.ReadFile("../../../docs/protocols/api.md")
	w.must(err)
	transcripts := allTranscripts(t)
	for path, methods := range w.doc.Paths {
		short := strings.TrimPrefix(path, api.Prefix)
		for method, op := range methods {
			method = strings.ToUpper(method)
			a := w.stranger().do(method, braces.ReplaceAllString(short, "1"), "")
			if a.status == http.StatusMethodNotAllowed || strings.Contains(a.body, `"code":10404`) && !strings.Contains(short, "{file}") {
				t.Errorf("%s %s is not served: %s", method, path, a.body)
			}
			if !strings.Contains(string(page), "`"+method+" "+path+"`") {
				t.Errorf("%s %s is not on the protocol page", method, path)
			}
			if !strings.Contains(strings.ToLower(string(page)), "\n## "+op.Tags[0]+"\n") {
				t.Errorf("the protocol page has no section %s", op.Tags[0])
			}
			in := regexp.MustCompile(`(?m)^\w+ > ` + method + ` ` + braces.ReplaceAllString(short, `[^/ ]+`) + `([? ]|$)`)
			if !in.MatchString(transcripts) && !strings.HasSuffix(short, "api.json") && short != "/docs" {
				t.Errorf("%s %s is in no transcript", method, path)
			}
		}
	}
}

// TestRoutesThatAreNoneAreTold: everything under the prefix has the envelope.
func TestRoutesThatAreNoneAreTold(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	for _, path := range []string{"", "/", "/nothing", "/auth", "/auth/", "/auth/login/", "//auth/login", "/auth/../auth/login", "/users/1/2", "/../v1/users/profile"} {
		ann.do("GET", path, "").refused(404, 10404)
	}
	a := ann.do("PATCH", "/users/profile", "").refused(405, 10405)
	if allow := a.header.Get("Allow"); allow != "GET, HEAD, OPTIONS, PUT" {
		t.Errorf("allowed are %s", allow)
	}
	ann.do("GET", "/auth/login", "").refused(405, 10405)
	if a := ann.do("OPTIONS", "/auth/login", ""); a.status != 204 || a.header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("%d, allowed are %s", a.status, a.header.Get("Allow"))
	}
	if a := ann.do("HEAD", "/users/profile", ""); a.status != 200 || a.body != "" || a.header.Get("ETag") == "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

// secured lists what needs a token.
func (d *openAPI) secured() (list []string) {
	for path, methods := range d.Paths {
		for method, op := range methods {
			if len(op.Security) > 0 {
				list = append(list, strings.ToUpper(method)+" "+strings.TrimPrefix(path, api.Prefix))
			}
		}
	}
	slices.Sort(list)
	return list
}
