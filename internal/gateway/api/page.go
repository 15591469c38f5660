package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The readable page of the interface is made of the same table and types as the OpenAPI document.

//go:embed assets/docs.html
var pageText string

//go:embed assets/docs.css
var pageStyle string

var pageTemplate = template.Must(template.New("docs").Funcs(template.FuncMap{"fields": fieldsWith}).Parse(pageText))

// fieldTable is a table of fields, with the words for its head.
type fieldTable struct {
	List []guideField
	T    map[string]string
}

func fieldsWith(list []guideField, words map[string]string) fieldTable {
	return fieldTable{list, words}
}

// pagePolicy lets the page have its own style and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
}()

// guide is what the page shows.
type guide struct {
	T           map[string]string
	Lang, Other string
	Style       template.CSS
	Base        string
	Groups      []guideGroup
	Types       []guideType
}

type guideGroup struct {
	Tag    string
	Title  string
	Routes []guideRoute
}

type guideRoute struct {
	ID, Method, Path, Summary string
	Access                    string // a text's key
	Parameters, Body          []guideField
	Takes, Produces           string
	Status                    int
	Answer                    guideRef
	Curl                      string
}

// guideField is a parameter of a route, or a member of an object.
type guideField struct {
	Name, Where, Doc, Example string
	Type                      guideRef
	Required                  bool
}

// guideRef is the type of a value: a word, perhaps of a list, or the name of another type on the page.
type guideRef struct {
	Word string
	Type string
	List bool
}

type guideType struct {
	Name   string
	Fields []guideField
}

// guidePage serves the page.
func (g *Gateway) guidePage() operation {
	return operation{status: http.StatusOK, in: reflect.TypeFor[languageRequest](), produces: "text/html", run: func(c *call) error {
		v := g.guide
		v.Groups = slices.Clone(v.Groups)
		v.Lang, v.Other = languageOf(c.r)
		v.T, v.Base, v.Style = guideTexts[v.Lang], c.base()+Prefix, template.CSS(pageStyle)
		for i, group := range v.Groups {
			v.Groups[i].Title = titleOf(v.Lang, group.Tag)
		}
		var b bytes.Buffer
		if err := pageTemplate.Execute(&b, v); err != nil {
			return err
		}
		h := c.w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Cache-Control", "no-cache")
		h.Add("Vary", "Accept-Language")
		c.sendAs("text/html; charset=utf-8", http.StatusOK, b.Bytes(), true)
		return nil
	}}
}

type languageRequest struct {
	Lang string `json:"-" query:"lang" doc:"en or zh; otherwise as the browser prefers"`
}

// languageOf returns the page's language and the other one.
func languageOf(r *http.Request) (lang, other string) {
	lang = r.URL.Query().Get("lang")
	if lang == "" {
		lang = r.Header.Get("Accept-Language")
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(lang)), "zh") {
		return "zh", "en"
	}
	return "en", "zh"
}

// guideOf describes a table of routes.
func guideOf(table []route) (v guide) {
	w := &guideWriter{seen: map[string]bool{}}
	for _, r := range table {
		i := slices.IndexFunc(v.Groups, func(g guideGroup) bool { return g.Tag == r.tag })
		if i < 0 {
			i = len(v.Groups)
			v.Groups = append(v.Groups, guideGroup{Tag: r.tag})
		}
		v.Groups[i].Routes = append(v.Groups[i].Routes, w.route(r))
	}
	slices.SortFunc(w.types, func(a, b guideType) int { return strings.Compare(a.Name, b.Name) })
	v.Types = w.types
	return v
}

// accessTexts are the keys of what the page says of who may call a route.
var accessTexts = map[access]string{everybody: "everybody", linked: "linked", users: "users", admins: "admins"}

// guideWriter collects the types on its way.
type guideWriter struct {
	types []guideType
	seen  map[string]bool
}

func (w *guideWriter) route(r route) guideRoute {
	v := guideRoute{
		ID: operationID(r), Method: r.method, Path: Prefix + r.path, Summary: r.summary, Access: accessTexts[r.access],
		Takes: r.takes, Produces: r.produces, Status: r.status, Curl: curlOf(r),
	}
	for _, f := range w.fields(r.in) {
		if f.Where == "json" {
			v.Body = append(v.Body, f)
		} else {
			v.Parameters = append(v.Parameters, f)
		}
	}
	if r.out != nil && r.out != reflect.TypeFor[nothing]() {
		v.Answer = w.ref(r.out)
	}
	return v
}

// fields describes the members of a structure.
func (w *guideWriter) fields(t reflect.Type) (list []guideField) {
	for _, f := range reflect.VisibleFields(t) {
		where, name := place(f)
		if f.Anonymous || name == "-" {
			continue
		}
		list = append(list, guideField{
			Name: name, Where: where, Doc: f.Tag.Get("doc"), Example: f.Tag.Get("example"), Type: w.ref(f.Type),
			Required: where == "path" || where == "json" && !strings.Contains(f.Tag.Get("json"), "omitzero"),
		})
	}
	return list
}

func (w *guideWriter) ref(t reflect.Type) guideRef {
	switch t.Kind() {
	case reflect.Pointer:
		return w.ref(t.Elem())
	case reflect.String:
		return guideRef{Word: "text"}
	case reflect.Bool:
		return guideRef{Word: "boolean"}
	case reflect.Int, reflect.Int64:
		return guideRef{Word: "number"}
	case reflect.Slice:
		ref := w.ref(t.Elem())
		ref.List = true
		return ref
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return guideRef{Word: "time"}
		}
		name := typeName(t)
		if !w.seen[name] {
			w.seen[name] = true
			w.types = append(w.types, guideType{name, w.fields(t)})
		}
		return guideRef{Type: name}
	}
	return guideRef{Word: "any"}
}

// curlOf is a line for a shell in which $api is the address of the interface and $token an access token.
func curlOf(r route) string {
	var b strings.Builder
	b.WriteString("curl ")
	if r.method != http.MethodGet {
		b.WriteString("-X " + r.method + " ")
	}
	if r.access != everybody {
		b.WriteString(`-H "Authorization: Bearer $token" `)
	}
	switch {
	case r.takes == "multipart/form-data":
		b.WriteString("-F file=@picture.jpg ")
	case r.takes != "":
		b.WriteString("-T file ")
	case hasBody(r.in):
		example, err := json.Marshal(exampleOf(r.in), json.Deterministic(true), jsontext.SpaceAfterComma(true))
		if err != nil {
			panic(err) // the table is part of the program
		}
		b.WriteString("-H 'Content-Type: application/json' -d '" + strings.ReplaceAll(string(example), "'", `'\''`) + "' ")
	}
	path := braces.ReplaceAllStringFunc(r.path, func(string) string { return "1" })
	b.WriteString(strconv.Quote("$api" + path))
	return b.String()
}
