// Package certificate is what the server proves itself with over TLS: files of the operator's, a certificate that it makes for
// the local network, or one that it gets from an authority (ACME).
package certificate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// Files is a certificate in two files. It is read again when one of them has changed, so that whoever renews it need not
// restart the server.
type Files struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex // guards the following
	loaded *tls.Certificate
	stamp  stamp
	looked time.Time
}

// stamp is what shows that a file is another.
type stamp struct {
	certSize, keySize int64
	certAt, keyAt     time.Time
}

// OpenFiles reads a certificate chain and its key, both PEM.
func OpenFiles(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	now, err := f.look()
	if err != nil {
		return nil, err
	}
	if err := f.load(now); err != nil {
		return nil, err
	}
	return f, nil
}

// GetCertificate is for tls.Config. While the files make no sense, the certificate before serves on.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		f.renew()
	}
	return f.loaded, nil
}

// renew loads files that have changed. It reads two small files under the lock, which only handshakes wait for.
func (f *Files) renew() {
	now, err := f.look()
	if err == nil && now == f.stamp {
		return
	}
	if err == nil {
		err = f.load(now)
	}
	if err != nil {
		f.log.Warn("the changed certificate is not used", "err", err)
		f.stamp = now // it is told once
		return
	}
	f.log.Info("the certificate was read again", "file", f.cert)
}

func (f *Files) look() (stamp, error) {
	c, cerr := os.Stat(f.cert)
	k, kerr := os.Stat(f.key)
	if err := errors.Join(cerr, kerr); err != nil {
		return stamp{}, fmt.Errorf("the certificate: %w", err)
	}
	return stamp{c.Size(), k.Size(), c.ModTime(), k.ModTime()}, nil
}

func (f *Files) load(now stamp) error {
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("the certificate: %w", err)
	}
	f.loaded, f.stamp = &c, now
	return nil
}
