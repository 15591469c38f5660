package config

import (
	"fmt"
	"math"
	"reflect"
	"strings"
)

// Key describes a setting to others.
type Key struct {
	Name    string
	Default any    // a text, a number or a boolean
	Allowed string // completes "must be …"
	Doc     string // Markdown
	Secret  bool   // it may hold a password
	Live    bool   // administrators may change it while the server runs
}

// Keys returns all settings, in the order of the reference page.
func Keys() []Key {
	values := defaults()
	list := make([]Key, 0, len(keys))
	for _, k := range keys {
		list = append(list, Key{k.name, values[k.name], k.rule.allowed, k.doc, k.secret, k.live})
	}
	return list
}

// Read returns a value in the type of a key, or says what the key takes. Numbers may be of any type that holds them exactly.
func Read(name string, v any) (any, error) {
	k, ok := byName[name]
	if !ok {
		return nil, fmt.Errorf("is not a known key; did you mean %s?", nearest(name))
	}
	if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		v = int(f)
	}
	return k.rule.read(v)
}

// Value returns the value of a key that exists.
func (c *Config) Value(name string) any {
	v := reflect.ValueOf(c).Elem()
	for part := range strings.SplitSeq(name, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("koanf") == part {
				v = v.Field(i)
				break
			}
		}
	}
	return v.Interface()
}
