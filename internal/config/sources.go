package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

const envPrefix = "PARLEY_"

func fromFile(path string) ([]setting, []error) {
	if path == "" {
		return nil, nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, []error{fmt.Errorf("configuration file %s: %w", path, err)}
	}
	var settings []setting
	var errs []error
	seen := map[string]bool{}
	walk(k.Raw(), "", func(key string, value any) {
		if seen[key] {
			errs = append(errs, fmt.Errorf("%s: %s is given twice", path, printable(key)))
			return
		}
		seen[key] = true
		settings = append(settings, setting{path, key, value})
	})
	return settings, errs
}

// walk visits the leaves of a file in the order of their keys. a.b may be written in one piece or as b under a.
// A section without content sets nothing.
func walk(m map[string]any, prefix string, visit func(key string, value any)) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		key, value := prefix+name, m[name]
		inner, nested := value.(map[string]any)
		switch {
		case nested && len(inner) > 0:
			walk(inner, key+".", visit)
		case (nested || value == nil) && section(key) != "":
		default:
			visit(key, value)
		}
	}
}

func fromEnviron(environ []string) ([]setting, []error) {
	k := koanf.New(".")
	// Without a delimiter the names stay as they are, so that two variables cannot fall on one key.
	provider := env.Provider("", env.Opt{Prefix: envPrefix, EnvironFunc: func() []string { return environ }})
	if err := k.Load(provider, nil); err != nil {
		return nil, []error{fmt.Errorf("environment: %w", err)}
	}
	var settings []setting
	walk(k.Raw(), "", func(name string, value any) {
		settings = append(settings, setting{"environment variable " + printable(name), envKey(name), value})
	})
	return settings, nil
}

// envKey returns the key of a variable: PARLEY_HTTP__ADDR is http.addr. A name that is not in capitals has none.
func envKey(name string) string {
	if name != strings.ToUpper(name) {
		return name
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", "."))
}

func fromSets(sets []string) (settings []setting, errs []error) {
	for _, pair := range sets {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("--set %s: want key=value", printable(pair)))
			continue
		}
		settings = append(settings, setting{"--set", strings.TrimSpace(key), value})
	}
	return settings, errs
}
