// Package config holds the settings of the whole program, and reads them from a file, the environment and the command line.
package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Config is every setting. The table in keys.go says what each means, and docs/operate/configuration.md is made from it.
type Config struct {
	DataDir string `koanf:"data_dir"`
	HTTP    struct {
		Addr      string `koanf:"addr"`
		PublicURL string `koanf:"public_url"`
		Origins   string `koanf:"origins"`
	} `koanf:"http"`
	HTTPS struct {
		Addr string `koanf:"addr"`
	} `koanf:"https"`
	TLS struct {
		Cert       string `koanf:"cert"`
		Key        string `koanf:"key"`
		ACME       string `koanf:"acme"`
		SelfSigned bool   `koanf:"self_signed"`
	} `koanf:"tls"`
	LLFC struct {
		Addr       string `koanf:"addr"`
		PublicAddr string `koanf:"public_addr"`
		GRPCAddr   string `koanf:"grpc_addr"`
		Rooms      bool   `koanf:"rooms"`
	} `koanf:"llfc"`
	CS3 struct {
		Addr     string `koanf:"addr"`
		HTTPAddr string `koanf:"http_addr"`
		Replay   bool   `koanf:"replay"`
	} `koanf:"cs3"`
	DPC struct {
		AuthAddr string `koanf:"auth_addr"`
		ChatAddr string `koanf:"chat_addr"`
		FileAddr string `koanf:"file_addr"`
		Listen   string `koanf:"listen"`
	} `koanf:"dpc"`
	OpenP2P struct {
		Addr string `koanf:"addr"`
	} `koanf:"openp2p"`
	Media struct {
		UDPAddr  string `koanf:"udp_addr"`
		TCPAddr  string `koanf:"tcp_addr"`
		PublicIP string `koanf:"public_ip"`
	} `koanf:"media"`
	TURN struct {
		Addr       string `koanf:"addr"`
		TLSAddr    string `koanf:"tls_addr"`
		PublicIP   string `koanf:"public_ip"`
		RelayPorts string `koanf:"relay_ports"`
	} `koanf:"turn"`
	Store struct {
		DSN string `koanf:"dsn"`
	} `koanf:"store"`
	Cluster struct {
		Redis string `koanf:"redis"`
		Node  string `koanf:"node"`
	} `koanf:"cluster"`
	Blob struct {
		URL string `koanf:"url"`
	} `koanf:"blob"`
	Mail struct {
		SMTP string `koanf:"smtp"`
	} `koanf:"mail"`
	SMS struct {
		URL string `koanf:"url"`
	} `koanf:"sms"`
	Speech struct {
		Engine string `koanf:"engine"`
		URL    string `koanf:"url"`
	} `koanf:"speech"`
	Metrics struct {
		Addr string `koanf:"addr"`
	} `koanf:"metrics"`
	Log struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`
	Account struct {
		Registration string `koanf:"registration"`
	} `koanf:"account"`
	Limits struct {
		Register int `koanf:"register"`
		Requests int `koanf:"requests"`
		FileMB   int `koanf:"file_mb"`
		QuotaMB  int `koanf:"quota_mb"`
	} `koanf:"limits"`
	Files struct {
		KeepDays int `koanf:"keep_days"`
	} `koanf:"files"`
	Chat struct {
		Strangers bool `koanf:"strangers"`
	} `koanf:"chat"`
}

// Load returns the defaults, overridden by the YAML file at path, overridden by the PARLEY_ variables of environ,
// overridden by sets, each key=value. An empty path means no file. The error tells of every fault at once, one a line,
// and never shows the value of a setting that may hold a secret.
func Load(path string, sets []string, environ []string) (Config, error) {
	var faults []error
	merged := koanf.New(".")
	values := defaults()
	for _, read := range []func() ([]setting, []error){
		func() ([]setting, []error) { return fromFile(path) },
		func() ([]setting, []error) { return fromEnviron(environ) },
		func() ([]setting, []error) { return fromSets(sets) },
	} {
		settings, errs := read()
		faults = append(faults, errs...)
		for _, s := range settings {
			v, err := s.check()
			if err != nil {
				faults = append(faults, err)
				continue
			}
			values[s.key] = v
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, err
	}
	var c Config
	if err := merged.Load(confmap.Provider(values, "."), nil); err != nil {
		return Config{}, err
	}
	return c, merged.Unmarshal("", &c)
}

func defaults() map[string]any {
	values := make(map[string]any, len(keys))
	for _, k := range keys {
		values[k.name] = k.value
	}
	if host, err := os.Hostname(); err == nil && nodeShaped.MatchString(host) {
		values[clusterNode] = host
	}
	return values
}

// setting is one value from one source, not yet checked.
type setting struct {
	source string // as the operator knows it: the file, the variable, the option
	key    string
	value  any
}

func (s setting) check() (any, error) {
	k, ok := byName[s.key]
	if !ok {
		return nil, s.unknown()
	}
	v, err := k.rule.read(s.value)
	switch {
	case err == nil:
		return v, nil
	case k.secret:
		return nil, fmt.Errorf("%s: %s: %w", s.source, s.key, err)
	default:
		return nil, fmt.Errorf("%s: %s is %s: %w", s.source, s.key, show(s.value), err)
	}
}

func (s setting) unknown() error {
	if members := section(s.key); members != "" {
		return fmt.Errorf("%s: %s holds several keys and has no value itself: %s", s.source, s.key, members)
	}
	return fmt.Errorf("%s: %s is not a known key; did you mean %s?", s.source, printable(s.key), nearest(s.key))
}

// show writes a value into an error, on one line and not without end.
func show(v any) string {
	const most = 80
	s := fmt.Sprintf("%q", fmt.Sprint(v))
	if v == nil {
		s = "without a value"
	}
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
