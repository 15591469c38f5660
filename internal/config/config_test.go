package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes a configuration file and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantDefaults(t *testing.T) Config {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	c.DataDir = "./data"
	c.HTTP.Addr = ":8080"
	c.LLFC.Addr, c.LLFC.Rooms = ":8090", true
	c.CS3.Addr, c.CS3.HTTPAddr = ":8889", ":5001"
	c.DPC.AuthAddr, c.DPC.ChatAddr, c.DPC.FileAddr, c.DPC.Listen = ":9999", ":9998", ":9988", "login"
	c.TURN.RelayPorts = "49152-49999"
	c.Store.DSN = "sqlite"
	c.Cluster.Node = host
	c.Blob.URL = "disk"
	c.Metrics.Addr = "127.0.0.1:9090"
	c.Log.Level, c.Log.Format = "info", "text"
	c.Account.Registration = "open"
	c.Limits.Register, c.Limits.Requests, c.Limits.FileMB, c.Limits.QuotaMB = 100, 3000, 10240, 51200
	return c
}

func TestDefaults(t *testing.T) {
	for name, path := range map[string]string{
		"no file": "", "empty file": write(t, ""), "comment": write(t, "# nothing\n"), "empty sections": write(t, "http:\nlog: {}\n"),
	} {
		c, err := Load(path, nil, []string{"HOME=/root", "PARLEYX=1", "parley_http__addr=:1"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(wantDefaults(t), c); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestEverySourceReachesTheConfig(t *testing.T) {
	want := wantDefaults(t)
	want.HTTP.Addr, want.HTTP.PublicURL = "[::1]:80", "https://chat.example.org/parley"
	want.LLFC.PublicAddr, want.LLFC.Rooms = "chat.example.org:8090", false
	want.CS3.HTTPAddr, want.CS3.Replay = "", true
	want.Cluster.Node = "node-1"
	want.Mail.SMTP = "smtps://parley:secret@mx.example.org?from=parley@example.org"
	want.Media.PublicIP = "2001:db8::1"
	want.SMS.URL = `https://sms.example.org/send#post={"to":"{to}","text":"{text}"}&header=X-Key:secret`
	want.Limits.Register = 0
	want.Log.Level, want.DPC.Listen, want.Account.Registration = "debug", "strict", "invite"

	flat := []string{
		"http.addr=[::1]:80", "http.public_url=https://chat.example.org/parley", "llfc.public_addr=chat.example.org:8090",
		"llfc.rooms=off", "cs3.http_addr=", "cs3.replay=true", "cluster.node=node-1", "media.public_ip=2001:db8::1",
		"mail.smtp=smtps://parley:secret@mx.example.org?from=parley@example.org", "limits.register=0",
		`sms.url=https://sms.example.org/send#post={"to":"{to}","text":"{text}"}&header=X-Key:secret`,
		"log.level=debug", "dpc.listen=strict", "account.registration=invite",
	}
	var environ []string
	for _, pair := range flat {
		key, value, _ := strings.Cut(pair, "=")
		environ = append(environ, "PARLEY_"+strings.ToUpper(strings.ReplaceAll(key, ".", "__"))+"="+value)
	}
	file := write(t, `
http:
  addr: "[::1]:80"
  public_url: https://chat.example.org/parley
llfc: {public_addr: "chat.example.org:8090", rooms: no}
cs3:
  http_addr:
  replay: true
cluster.node: node-1
mail:
  smtp: smtps://parley:secret@mx.example.org?from=parley@example.org
sms: {url: 'https://sms.example.org/send#post={"to":"{to}","text":"{text}"}&header=X-Key:secret'}
media.public_ip: 2001:db8::1
limits: {register: 0}
log: {level: debug}
dpc: {listen: strict}
account: {registration: invite}
`)
	for name, load := range map[string]func() (Config, error){
		"file":        func() (Config, error) { return Load(file, nil, nil) },
		"environment": func() (Config, error) { return Load("", nil, environ) },
		"sets":        func() (Config, error) { return Load("", flat, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, c); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestOrderOfSources(t *testing.T) {
	file := write(t, "http: {addr: ':1'}\nllfc: {addr: ':1'}\ncs3: {addr: ':1'}\n")
	environ := []string{"PARLEY_LLFC__ADDR=:2", "PARLEY_CS3__ADDR=:2"}
	c, err := Load(file, []string{"cs3.addr=:3", "cs3.addr=:4"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	if got := [...]string{c.HTTP.Addr, c.LLFC.Addr, c.CS3.Addr}; got != [...]string{":1", ":2", ":4"} {
		t.Errorf("got %q", got)
	}
}

// fault is a setting that is an error; the error has to name all of want and nothing of never.
type fault struct {
	key, value  string
	want, never []string
}

var faults = []fault{
	{"http.adr", "hunter2", []string{"http.adr", "http.addr"}, []string{"hunter2"}},
	{"htp.addr", ":1", []string{"htp.addr", "http.addr"}, nil},
	{"mail_smtp", "hunter2", []string{"mail_smtp", "mail.smtp"}, []string{"hunter2"}},
	{"loglevel", "info", []string{"loglevel", "log.level"}, nil},
	{"account.registraton", "open", []string{"account.registration"}, nil},
	{"limits.registers", "1", []string{"limits.register"}, nil},
	{"http.addr.port", "1", []string{"http.addr.port", "http.addr?"}, nil},
	{"log", "debug", []string{"log", "log.level, log.format"}, nil},
	{"data_dir", "", []string{"data_dir", "not empty"}, nil},
	{"http.addr", "8080", []string{"http.addr", `"8080"`, "host:port", "empty"}, nil},
	{"http.addr", ":http", []string{"http.addr", `":http"`}, nil},
	{"http.addr", ":65536", []string{`":65536"`}, nil},
	{"http.addr", "a b:1", []string{`"a b:1"`}, nil},
	{"http.addr", "::1:80", []string{`"::1:80"`}, nil},
	{"http.addr", strings.Repeat("x", 500), []string{"xxx…"}, []string{strings.Repeat("x", 100)}},
	{"llfc.public_addr", ":8090", []string{"llfc.public_addr", "host:port"}, nil},
	{"llfc.public_addr", "host:0", []string{"llfc.public_addr"}, nil},
	{"http.public_url", "chat.example.org", []string{"http.public_url", "https://"}, nil},
	{"http.public_url", "ftp://chat.example.org", []string{"http.public_url"}, nil},
	{"http.public_url", "https://", []string{"http.public_url"}, nil},
	{"http.origins", "app.example.org", []string{"http.origins", "origins"}, nil},
	{"http.origins", "https://app.example.org/", []string{"http.origins"}, nil},
	{"http.origins", "https://a.example,*", []string{"http.origins"}, nil},
	{"http.origins", "https://App.example", []string{"http.origins"}, nil},
	{"media.public_ip", "host", []string{"media.public_ip", "IP address"}, nil},
	{"turn.relay_ports", "50000-49999", []string{"turn.relay_ports", "49152-49999"}, nil},
	{"turn.relay_ports", "49152", []string{"turn.relay_ports"}, nil},
	{"turn.relay_ports", "0-5", []string{"turn.relay_ports"}, nil},
	{"cluster.node", "a b", []string{"cluster.node", "letters"}, nil},
	{"llfc.rooms", "maybe", []string{"llfc.rooms", `"maybe"`, "true or false"}, nil},
	{"cs3.replay", "", []string{"cs3.replay", "true or false"}, nil},
	{"limits.register", "-1", []string{"limits.register", `"-1"`, "a number from 0 to"}, nil},
	{"limits.register", "many", []string{"limits.register", "a number from 0 to"}, nil},
	{"limits.file_mb", "9999999999999", []string{"limits.file_mb", "a number from 0 to"}, nil},
	{"limits.quota_mb", "9999999999999", []string{"limits.quota_mb", "a number from 0 to"}, nil},
	{"files.keep_days", "200000", []string{"files.keep_days", "a number from 0 to 36500"}, nil},
	{"log.level", "trace", []string{"log.level", `"trace"`, "debug, info, warn or error"}, nil},
	{"log.format", "xml", []string{"log.format", "text or json"}, nil},
	{"account.registration", "on", []string{"account.registration", "open, code, invite or closed"}, nil},
	{"dpc.listen", "all", []string{"dpc.listen", "login, open or strict"}, nil},
	{"mail.smtp", "smtp://u:hunter2@", []string{"mail.smtp", "host"}, []string{"hunter2"}},
	{"mail.smtp", "smtp://u:hun%zzter2@mx.example", []string{"mail.smtp", "percent-encoding"}, []string{"zzter2"}},
	{"store.dsn", "mysql://u:hunter2@db", []string{"store.dsn", "sqlite", "not part of this version"}, []string{"hunter2"}},
	{"blob.url", "s3://key:hunter2@s3", []string{"blob.url", "disk", "not part of this version"}, []string{"hunter2"}},
	{"cluster.redis", "redis://:hunter2@r", []string{"cluster.redis", "is not part of this version; leave it empty"}, []string{"hunter2"}},
	{"sms.url", "https://sms?key=hunter2", []string{"sms.url", "{to}", "{text}", "{code}"}, []string{"hunter2"}},
	{"sms.url", "https://u:hun%zzter2@sms/{to}/{code}", []string{"sms.url", "percent-encoding"}, []string{"zzter2"}},
	{"sms.url", "https://sms/{to}/{code}#post=hunter2", []string{"sms.url", "post must be"}, []string{"hunter2"}},
	{"speech.url", "https://hunter2@s", []string{"speech.url", "is not part of this version; leave it empty"}, []string{"hunter2"}},
	{"speech.engine", "openai", []string{"speech.engine", "is not part of this version; leave it empty"}, nil},
	{"tls.acme", "true", []string{"tls.acme", "host names"}, nil},
	{"https.addr", "8443", []string{"https.addr", "host:port"}, nil},
	{"llfc.grpc_addr", ":1", []string{"llfc.grpc_addr", "is not part of this version; leave it empty"}, nil},
	{"openp2p.addr", ":27183", []string{"openp2p.addr", "is not part of this version; leave it empty"}, nil},
	{"media.udp_addr", ":7882", []string{"media.udp_addr", "is not part of this version; leave it empty"}, nil},
	{"media.tcp_addr", ":7881", []string{"media.tcp_addr", "is not part of this version; leave it empty"}, nil},
	{"turn.addr", ":3478", []string{"turn.addr", "is not part of this version; leave it empty"}, nil},
	{"turn.tls_addr", ":5349", []string{"turn.tls_addr", "is not part of this version; leave it empty"}, nil},
}

func (f fault) check(t *testing.T, source string, c Config, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: %s=%s is no error", source, f.key, f.value)
		return
	}
	for _, s := range append(f.want, source) {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s=%s: %q does not name %q", f.key, f.value, err, s)
		}
	}
	for _, s := range f.never {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%s: %q tells %q", f.key, err, s)
		}
	}
	if c != (Config{}) {
		t.Errorf("%s: a Config beside the error", f.key)
	}
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		c, err := Load("", []string{f.key + "=" + f.value}, nil)
		f.check(t, "--set", c, err)

		variable := "PARLEY_" + strings.ToUpper(strings.ReplaceAll(f.key, ".", "__"))
		c, err = Load("", nil, []string{variable + "=" + f.value})
		f.check(t, variable, c, err)

		path := write(t, f.key+": '"+f.value+"'\n")
		c, err = Load(path, nil, nil)
		f.check(t, path, c, err)
	}
}

func TestFaultsOfFiles(t *testing.T) {
	for name, c := range map[string]struct {
		content     string
		want, never []string
	}{
		"number for an address":  {"http: {addr: 8080}", []string{"http.addr", `"8080"`, "host:port"}, nil},
		"list for an address":    {"http: {addr: [':1']}", []string{"http.addr", "host:port"}, nil},
		"empty map for a value":  {"http: {addr: {}}", []string{"http.addr", "host:port"}, nil},
		"text for a number":      {"limits: {register: lots}", []string{"limits.register", "a number from 0 to"}, nil},
		"fraction for a number":  {"limits: {register: 1.5}", []string{"limits.register", "a number from 0 to"}, nil},
		"number for a switch":    {"llfc: {rooms: 1}", []string{"llfc.rooms", "true or false"}, nil},
		"switch without a value": {"llfc: {rooms: }", []string{"llfc.rooms", "without a value", "true or false"}, nil},
		"number for a text":      {"cluster: {node: 1}", []string{"cluster.node"}, nil},
		"number for a secret":    {"sms: {url: 1}", []string{"sms.url", "must be a URL"}, nil},
		"list for a secret":      {"mail: {smtp: [hunter2]}", []string{"mail.smtp"}, []string{"hunter2"}},
		"value for a section":    {"mail: smtp://u:hunter2@mx", []string{"mail", "mail.smtp"}, []string{"hunter2"}},
		"secret in a key":        {"mail: {smtp: {'smtp://u:hunter2@mx': 1}}", []string{"mail.smtp"}, []string{"hunter2"}},
		"switch for host names":  {"tls: {acme: true}", []string{"tls.acme", "host names"}, nil},
		"unknown section":        {"htpp: {addr: ':1'}", []string{"htpp.addr", "http.addr"}, nil},
		"empty unknown section":  {"htpp: {}", []string{"htpp"}, nil},
		"two ways to one key":    {"http.addr: ':1'\nhttp: {addr: ':2'}", []string{"http.addr", "twice"}, nil},
		"one key twice":          {"data_dir: a\ndata_dir: b", []string{"data_dir"}, nil},
		"no YAML":                {"http: [", []string{"yaml"}, nil},
		"no map":                 {"- http", []string{"yaml"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.content+"\n")
			got, err := Load(path, nil, nil)
			fault{key: name, want: c.want, never: c.never}.check(t, path, got, err)
		})
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none.yaml"), "folder": t.TempDir()} {
		if _, err := Load(path, nil, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFaultsOfNames(t *testing.T) {
	for source, c := range map[string]struct {
		sets, environ []string
		want          string
	}{
		"--set":                  {sets: []string{"http.addr"}, want: "key=value"},
		"--set mail.smtp":        {sets: []string{"mail.smtp:smtp://u:hunter2@mx"}, want: "key=value"},
		"--set: mail.smtp":       {sets: []string{"mail.smtp:smtp://u:hunter2@mx?from=a@b"}, want: "did you mean mail.smtp?"},
		"PARLEY_HTTP_ADDR":       {environ: []string{"PARLEY_HTTP_ADDR=hunter2"}, want: "did you mean http.addr?"},
		"PARLEY_Http__Addr":      {environ: []string{"PARLEY_Http__Addr=hunter2"}, want: "is not a known key"},
		"PARLEY_HTTP__PUBLICURL": {environ: []string{"PARLEY_HTTP__PUBLICURL=hunter2"}, want: "did you mean http.public_url?"},
	} {
		got, err := Load("", c.sets, c.environ)
		fault{key: source, want: []string{c.want}, never: []string{"hunter2"}}.check(t, source, got, err)
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	_, err := Load(write(t, "a: 1\nb: 2\n"), []string{"c=3"}, []string{"PARLEY_D=4"})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("got %v", err)
	}
}

func TestOffIsAcceptedForWhatIsNotBuilt(t *testing.T) {
	file := write(t, "tls: {cert: '', key: , acme: false, self_signed: false}\nhttps: {addr: ''}\nturn.addr:\n")
	environ := []string{"PARLEY_TLS__ACME=false"}
	c, err := Load(file, []string{"store.dsn=sqlite", "blob.url=disk", "sms.url=", "tls.self_signed=off"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantDefaults(t), c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// leaves returns the key and the type of every field of the struct.
func leaves(t reflect.Type, prefix string) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() != reflect.Struct {
			all[name] = f.Type
			continue
		}
		for k, v := range leaves(f.Type, name+".") {
			all[k] = v
		}
	}
	return all
}

func TestTableAndStructAgree(t *testing.T) {
	fields := leaves(reflect.TypeFor[Config](), "")
	for _, k := range keys {
		if fields[k.name] != reflect.TypeOf(k.value) {
			t.Errorf("%s: the table has %T, the struct %v", k.name, k.value, fields[k.name])
		}
		if v, err := k.rule.read(k.value); err != nil || v != k.value {
			t.Errorf("%s: its default %v reads as %v, %v", k.name, k.value, v, err)
		}
		delete(fields, k.name)
	}
	if len(byName) != len(keys) {
		t.Error("a key stands in the table twice")
	}
	for name := range fields {
		t.Errorf("%s is in the struct only", name)
	}
}

// promised are the keys that operators rely on.
const promised = `data_dir http.addr https.addr tls.cert tls.key tls.acme tls.self_signed http.public_url llfc.addr
	llfc.public_addr llfc.grpc_addr cs3.addr cs3.http_addr dpc.auth_addr dpc.chat_addr dpc.file_addr openp2p.addr
	media.udp_addr media.tcp_addr media.public_ip turn.addr turn.tls_addr turn.public_ip turn.relay_ports store.dsn
	cluster.redis cluster.node blob.url mail.smtp sms.url speech.engine speech.url metrics.addr log.level log.format
	account.registration limits.register limits.file_mb limits.quota_mb files.keep_days chat.strangers llfc.rooms cs3.replay
	dpc.listen http.origins limits.requests`

func TestPromisedKeys(t *testing.T) {
	want := strings.Fields(promised)
	var got []string
	for _, k := range keys {
		got = append(got, k.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

var update = flag.Bool("update", false, "write docs/operate/configuration.md")

func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "operate", "configuration.md")
	var want bytes.Buffer
	if err := WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("the page is not the table; run go test ./internal/config -update (-want +got)\n%s", diff)
	}
}
