package api

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object whose members are written in the order of their names.
type object map[string]any

// describe serves the document.
func (g *Gateway) describe() operation {
	return operation{status: http.StatusOK, in: reflect.TypeFor[nothing](), produces: "application/json", run: func(c *call) error {
		c.w.Header().Set("Cache-Control", "public, max-age=300")
		c.send(http.StatusOK, g.openAPI, true)
		return nil
	}}
}

// document returns the OpenAPI document of a table of routes.
func document(table []route) []byte {
	d := &describer{schemas: object{}}
	paths := object{}
	for _, r := range table {
		at, _ := paths[Prefix+r.path].(object)
		if at == nil {
			at = object{}
			paths[Prefix+r.path] = at
		}
		at[strings.ToLower(r.method)] = d.operation(r)
	}
	d.schema(reflect.TypeFor[reason]())
	d.schemas["failure"] = envelopeOf(nil)
	b, err := json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Parley", "version": "1", "license": object{"name": "see the file LICENSE"},
			"description": "Accounts, contacts, conversations and rooms. Every answer is an envelope of code, message, data and timestamp; one that is no success has error in place of data.",
		},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"link":   object{"type": "apiKey", "in": "query", "name": "signature", "description": "as links to files have it"},
			},
		},
	}, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		panic(err) // the table is part of the program
	}
	return append(b, '\n')
}

// describer collects the schemas of types on its way.
type describer struct{ schemas object }

var braces = regexp.MustCompile(`\{(\w+)\}`)

// operationID names a route.
func operationID(r route) string {
	return strings.ToLower(r.method) + strings.NewReplacer("/", "_", "-", "_", "{", "", "}", "", ".", "_").Replace(r.path)
}

func (d *describer) operation(r route) object {
	op := object{
		"operationId": operationID(r),
		"summary":     r.summary,
		"tags":        []string{r.tag},
		"responses":   d.responses(r),
	}
	switch {
	case r.access == linked:
		op["security"] = []object{{"bearer": []string{}}, {"link": []string{}}}
	case r.access != everybody:
		op["security"] = []object{{"bearer": []string{}}}
	}
	if r.access == admins {
		op["description"] = "For administrators."
	}
	if params := d.parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	switch {
	case r.takes != "":
		content := object{r.takes: object{"schema": object{
			"type": "object", "required": []string{r.field}, "properties": object{r.field: object{"type": "string", "format": "binary"}},
		}}}
		if r.raw {
			content[bytesOfNoKind] = object{"schema": object{"type": "string", "format": "binary"}}
		}
		op["requestBody"] = object{"required": true, "content": content}
	case hasBody(r.in):
		content := object{"schema": d.schema(r.in)}
		if example := exampleOf(r.in); len(example) > 0 {
			content["example"] = example
		}
		op["requestBody"] = object{"required": true, "content": object{"application/json": content}}
	}
	return op
}

func (d *describer) parameters(r route) (params []object) {
	for _, f := range reflect.VisibleFields(r.in) {
		where, name := place(f)
		if where == "json" || f.Anonymous {
			continue
		}
		schema := d.schema(f.Type)
		if f.Type.Kind() != reflect.String {
			schema["minimum"] = minimum(name)
		}
		p := object{"name": name, "in": where, "required": where == "path", "schema": schema}
		if doc := f.Tag.Get("doc"); doc != "" {
			p["description"] = doc
		}
		params = append(params, p)
	}
	for _, m := range braces.FindAllStringSubmatch(r.path, -1) {
		if !slices.ContainsFunc(params, func(p object) bool { return p["name"] == m[1] && p["in"] == "path" }) {
			panic(fmt.Sprintf("%s %s: nothing takes %s", r.method, r.path, m[1]))
		}
	}
	return params
}

func (d *describer) responses(r route) object {
	failed := object{"description": "It failed; error.code says why.", "content": object{
		"application/json": object{"schema": object{"$ref": "#/components/schemas/failure"}},
	}}
	success := object{"description": "It is done."}
	switch {
	case r.produces == "application/json":
		success["content"] = object{r.produces: object{"schema": object{"type": "object"}}}
	case r.produces != "":
		success["content"] = object{r.produces: object{"schema": object{"type": "string", "format": "binary"}}}
	default:
		success["content"] = object{"application/json": object{"schema": envelopeOf(d.schema(r.out))}}
	}
	all := object{strconv.Itoa(r.status): success, "default": failed}
	if r.instead != 0 {
		all[strconv.Itoa(r.instead)] = success
	}
	return all
}

// envelopeOf is the schema of a success with data, or of a failure if there is none.
func envelopeOf(data object) object {
	properties := object{
		"code":      object{"type": "integer", "description": "the status of HTTP"},
		"message":   object{"type": "string"},
		"timestamp": object{"type": "string", "format": "date-time"},
	}
	required := []string{"code", "message", "timestamp"}
	if data != nil {
		properties["data"] = data
		return object{"type": "object", "properties": properties, "required": append(required, "data")}
	}
	properties["error"] = object{"$ref": "#/components/schemas/reason"}
	properties["request_id"] = object{"type": "string"}
	return object{"type": "object", "properties": properties, "required": append(required, "error", "request_id")}
}

// schema returns the schema of a type; of a named structure a reference to it.
func (d *describer) schema(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Interface: // anything
		return object{}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return object{"type": "string", "format": "date-time"}
		}
		name := typeName(t)
		if d.schemas[name] == nil {
			d.schemas[name] = object{} // so that it is not described twice
			d.schemas[name] = d.structure(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	panic("openapi: a type without a schema: " + t.String())
}

func (d *describer) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		where, name := place(f)
		if where != "json" || f.Anonymous || name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Map { // takes all members that there are
			return object{"type": "object", "additionalProperties": d.schema(f.Type.Elem()), "description": f.Tag.Get("doc")}
		}
		schema := d.schema(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			schema["description"] = doc
		}
		properties[name] = schema
		if !strings.Contains(f.Tag.Get("json"), "omitzero") {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required}
}

var typeArgument = regexp.MustCompile(`^(\w+)\[.*\.(\w+)\]$`)

// typeName writes page[…/api.user] as page_of_user.
func typeName(t reflect.Type) string {
	if m := typeArgument.FindStringSubmatch(t.Name()); m != nil {
		return m[1] + "_of_" + m[2]
	}
	return t.Name()
}

// exampleOf is made of the examples of a type's fields.
func exampleOf(t reflect.Type) object {
	example := object{}
	for _, f := range reflect.VisibleFields(t) {
		where, name := place(f)
		text := f.Tag.Get("example")
		if where != "json" || text == "" {
			continue
		}
		if f.Type.Kind() == reflect.Map {
			return whole(text)
		}
		example[name] = text
		kind := f.Type.Kind()
		if kind == reflect.Pointer {
			kind = f.Type.Elem().Kind()
		}
		if kind != reflect.String {
			example[name] = jsontext.Value(text)
		}
	}
	return example
}

// whole is the example of a type that takes all members that there are.
func whole(text string) object {
	var example object
	if err := json.Unmarshal([]byte(text), &example); err != nil {
		panic(err) // the type is part of the program
	}
	return example
}
