package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/admin"
	"parley/internal/blob"
	"parley/internal/config"
	"parley/internal/gateway/control"
	"parley/internal/store"
)

const (
	wantOpenFiles = 4096
	wantFreeBytes = 1 << 30
	dialTimeout   = 5 * time.Second
)

var defaultPort = map[string]string{"smtp": "587", "smtps": "465", "http": "80", "https": "443"}

// Finding is one thing that Check looked at.
type Finding struct {
	What   string
	Err    error  // nil: all is well
	Remedy string // what to do about Err
}

// Check looks at the configuration and at what it needs of this machine.
func Check(ctx context.Context, cfg config.Config) []Finding {
	running := false
	if _, err := control.Dial(ctx, filepath.Join(cfg.DataDir, socketFile)); err == nil {
		running = true
	}
	findings := []Finding{
		{"data folder " + cfg.DataDir, checkWritable(cfg.DataDir), "let the server's user write there, or set data_dir"},
		{"free disk space", checkSpace(cfg.DataDir), "free some space, or set data_dir to another disk"},
		{"open files", checkOpenFiles(), fmt.Sprintf("raise the limit: ulimit -n %d, or LimitNOFILE= in the service", wantOpenFiles)},
		{"database", checkDatabase(ctx, filepath.Join(cfg.DataDir, databaseFile)), "stop the server and restore a backup"},
		{"shared files", checkFiles(ctx, cfg.DataDir), "put the folder " + filesDir + " back from a backup"},
	}
	findings = append(findings, settingsSet(ctx, &cfg)...)
	if !running {
		findings = append(findings, checkPorts(ctx, cfg)...)
	}
	if cfg.HTTPS.Addr != "" {
		findings = append(findings, Finding{"certificate", checkCertificate(cfg), "set one of tls.cert with tls.key, tls.acme and tls.self_signed"})
	}
	if cfg.Mail.SMTP != "" {
		findings = append(findings, Finding{"mail server", checkDial(ctx, cfg.Mail.SMTP), "check mail.smtp and the way to that server"})
	}
	if cfg.SMS.URL != "" {
		findings = append(findings, Finding{"SMS gateway", checkDial(ctx, cfg.SMS.URL), "check sms.url and the way to that gateway"})
	}
	return findings
}

func checkWritable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func checkSpace(dir string) error {
	free, known := blob.FreeBytes(dir)
	if known && free < wantFreeBytes {
		return fmt.Errorf("only %d MiB are left", free>>20)
	}
	return nil
}

func checkOpenFiles() error {
	limit, known := openFiles()
	if known && limit < wantOpenFiles {
		return fmt.Errorf("a process may open only %d, and each connection is one", limit)
	}
	return nil
}

func checkDatabase(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found, err := store.Check(ctx, path)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%d kinds of damage, first: %s", len(found), found[0])
	}
	return err
}

func checkFiles(ctx context.Context, dataDir string) error {
	if _, err := os.Stat(filepath.Join(dataDir, databaseFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return filesAreThere(ctx, dataDir)
}

// settingsSet tells what administrators have set: it holds, whatever the configuration says.
func settingsSet(ctx context.Context, cfg *config.Config) (findings []Finding) {
	path := filepath.Join(cfg.DataDir, databaseFile)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	set, err := store.Column(ctx, path, admin.SetQuery)
	if err != nil {
		return nil // what is wrong with the database is told elsewhere
	}
	for _, pair := range set {
		name, text, _ := strings.Cut(pair, "=")
		var v any
		err := json.Unmarshal([]byte(text), &v)
		if err == nil {
			_, err = config.Read(name, v)
		}
		if err != nil {
			findings = append(findings, Finding{
				"setting " + pair + " of an administrator", err, "set " + name + " again, or reset it, among the settings of the API; until then the configuration counts",
			})
			continue
		}
		findings = append(findings, Finding{What: fmt.Sprintf("setting %s of an administrator, in place of %v in the configuration", pair, cfg.Value(name))})
	}
	return findings
}

func checkPorts(ctx context.Context, cfg config.Config) (findings []Finding) {
	for _, l := range addresses(&cfg) {
		if *l.addr == "" {
			continue
		}
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", *l.addr)
		if err == nil {
			err = ln.Close()
		}
		findings = append(findings, Finding{
			l.key + " " + *l.addr, err, "stop what uses the port, or set " + l.key + " to another address, or to \"\" to turn it off",
		})
	}
	return findings
}

// checkDial opens a connection to the server of a URL.
func checkDial(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return errors.New("the address cannot be read") // the error would show the password
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), defaultPort[u.Scheme])
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}

// checkCertificate looks at what https.addr would prove itself with, and makes nothing.
func checkCertificate(cfg config.Config) error {
	if waysToProve(cfg) != 1 {
		return errNoCertificate
	}
	if cfg.TLS.Cert == "" && cfg.TLS.Key == "" {
		return nil
	}
	_, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	return err
}
