package config

import "testing"

func TestValuesOfAllKeysAreFound(t *testing.T) {
	c, err := Load("", []string{"limits.register=7", "chat.strangers=yes", "account.registration=closed"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]any{"limits.register": 7, "chat.strangers": true, "account.registration": "closed"}
	live := 0
	for _, k := range Keys() {
		want, ok := changed[k.Name]
		if !ok {
			want = k.Default
		}
		if got := c.Value(k.Name); got != want {
			t.Errorf("%s is %v, want %v", k.Name, got, want)
		}
		if k.Allowed == "" || k.Doc == "" {
			t.Errorf("%s is not described", k.Name)
		}
		if k.Live && k.Secret {
			t.Errorf("%s is a secret that others may see", k.Name)
		}
		if k.Live {
			live++
		}
	}
	if live != 7 {
		t.Errorf("%d keys can be changed while the server runs", live)
	}
}

func TestReadTakesWhatJSONGives(t *testing.T) {
	for _, tt := range []struct {
		key     string
		v, want any
	}{
		{"limits.register", float64(12), 12},
		{"limits.register", 12, 12},
		{"limits.register", 1.5, nil},
		{"limits.register", -1.0, nil},
		{"limits.register", 1e300, nil},
		{"limits.register", true, nil},
		{"limits.register", nil, nil},
		{"limits.register", map[string]any{}, nil},
		{"chat.strangers", true, true},
		{"chat.strangers", 1.0, nil},
		{"account.registration", "invite", "invite"},
		{"account.registration", "Invite", nil},
		{"account.registraton", "invite", nil},
	} {
		got, err := Read(tt.key, tt.v)
		if got != tt.want || (err == nil) != (tt.want != nil) {
			t.Errorf("%s = %v reads as %v, %v", tt.key, tt.v, got, err)
		}
	}
}
