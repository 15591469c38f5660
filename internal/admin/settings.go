package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
	"parley/internal/store"
)

// prefix begins the names under which the table of settings keeps what administrators have set.
const prefix = "config."

// SetQuery returns what administrators have set in a database, each as key=value.
const SetQuery = `SELECT substr(name, 8) || '=' || value FROM setting WHERE name LIKE 'config.%' ORDER BY name`

// Setting is a key of the configuration.
type Setting struct {
	Name       string
	Default    any
	Configured any    // what the sources of the operator say; nil of a secret
	Allowed    string // completes "must be …"
	Doc        string
	Secret     bool
	Read       func(v any) (any, error) // returns a value in the type of the setting
	Apply      func(v any)              // nil if the setting holds until the server stops; it must not block
}

// Value is a setting as it is.
type Value struct {
	Setting
	Value any  // nil of a secret
	Set   bool // by an administrator
}

// settings is what administrators have set.
type settings struct {
	mu  sync.Mutex // guards set
	set map[string]any
}

// SettingError says what is wrong with the value of a setting.
type SettingError struct {
	Key     string
	Problem string // completes a sentence that begins with the key
}

func (e *SettingError) Error() string { return e.Key + " " + e.Problem }

// Unwrap makes it a core.ErrInvalidSetting.
func (e *SettingError) Unwrap() error { return core.ErrInvalidSetting }

// Load applies what administrators have set before. What this version does not take any more is left alone, and told in the log.
func (s *Service) Load(ctx context.Context) error {
	rows, err := s.db.Query(ctx, `SELECT substr(name, 8), value FROM setting WHERE name LIKE 'config.%' ORDER BY name`)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		k, err := s.live(name)
		var v any
		if err == nil {
			err = json.Unmarshal([]byte(text), &v)
		}
		if err == nil {
			v, err = k.Read(v)
		}
		if err != nil {
			s.cfg.Log.Warn("a setting of an administrator does not count", "key", name, "err", err)
			continue
		}
		s.keep(k, v)
		s.cfg.Log.Info("an administrator has set", "key", name, "value", v)
	}
	return rows.Err()
}

// live returns a setting that can be changed while the server runs.
func (s *Service) live(name string) (Setting, error) {
	i := slices.IndexFunc(s.cfg.Settings, func(k Setting) bool { return k.Name == name })
	switch {
	case i < 0:
		return Setting{}, &SettingError{name, "is not a known key"}
	case s.cfg.Settings[i].Apply == nil:
		return Setting{}, &SettingError{name, "cannot be changed while the server runs"}
	}
	return s.cfg.Settings[i], nil
}

// keep remembers what a setting is, nil for what is configured, and applies it.
func (s *Service) keep(k Setting, v any) {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	if v == nil {
		delete(s.settings.set, k.Name)
		v = k.Configured
	} else {
		s.settings.set[k.Name] = v
	}
	k.Apply(v)
}

// Settings returns all settings, in the order of the reference page. Of those that may hold a password the value is left out.
func (s *Service) Settings(_ context.Context, actor core.Actor) ([]Value, error) {
	if !administers(actor) {
		return nil, fmt.Errorf("list the settings: %w", core.ErrForbidden)
	}
	return s.values(), nil
}

func (s *Service) values() []Value {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	list := make([]Value, 0, len(s.cfg.Settings))
	for _, k := range s.cfg.Settings {
		v := Value{Setting: k, Value: k.Configured}
		if set, ok := s.settings.set[k.Name]; ok {
			v.Value, v.Set = set, true
		}
		list = append(list, v)
	}
	return list
}

// Change sets settings, each to a value or, if that is nil, back to what is configured: all of them or, if one cannot be, none.
// It returns all settings as they are then.
func (s *Service) Change(ctx context.Context, actor core.Actor, from core.Origin, changes map[string]any) ([]Value, error) {
	if !administers(actor) {
		return nil, fmt.Errorf("change settings: %w", core.ErrForbidden)
	}
	read, err := s.read(changes)
	if err != nil {
		return nil, fmt.Errorf("change settings: %w", err)
	}
	err = s.act(ctx, actor, func(ctx context.Context) error {
		for _, name := range slices.Sorted(maps.Keys(read)) {
			if err := s.change(ctx, actor, from, name, read[name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("change settings: %w", err)
	}
	return s.values(), nil
}

// read checks values, and returns them in the types of their settings.
func (s *Service) read(changes map[string]any) (map[string]any, error) {
	read := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		k, err := s.live(name)
		if err != nil {
			return nil, err
		}
		v := changes[name]
		if v != nil {
			if v, err = k.Read(v); err != nil {
				return nil, &SettingError{name, err.Error()}
			}
		}
		read[name] = v
	}
	return read, nil
}

// change stores one setting in the context's unit of work, and applies it after the commit.
func (s *Service) change(ctx context.Context, actor core.Actor, from core.Origin, name string, v any) error {
	k, err := s.live(name)
	if err != nil {
		return err
	}
	detail := "back to what is configured"
	if v == nil {
		_, err = s.db.Exec(ctx, `DELETE FROM setting WHERE name = ?`, prefix+name)
	} else {
		var text []byte
		if text, err = json.Marshal(v); err != nil {
			return err
		}
		detail = string(text)
		_, err = s.db.Exec(ctx, `INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, prefix+name, detail)
	}
	if err != nil {
		return err
	}
	store.AfterCommit(ctx, func() { s.keep(k, v) })
	return s.cfg.Audit.Record(ctx, actor, "setting.change", name, detail, from)
}
