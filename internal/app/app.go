// Package app wires everything together. The order of start and stop is in serve.go.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"parley/internal/account"
	"parley/internal/admin"
	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/config"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/gateway/control"
	"parley/internal/obs"
	"parley/internal/outbox"
	"parley/internal/report"
	"parley/internal/session"
	"parley/internal/store"
)

// Names inside the data folder.
const (
	databaseFile = "parley.db"
	lockFile     = "parley.lock"
	socketFile   = "parley.sock"
	outboxDir    = "outbox"
	avatarDir    = "avatars"
	filesDir     = "files"
)

// Version is the program's; the build sets it.
var Version = "dev"

// ErrInUse says that another process has the data folder.
var ErrInUse = errors.New("the data folder is in use by a running server")

// App is the program without its listeners: the store and the services on it.
type App struct {
	cfg        config.Config
	log        *slog.Logger
	lock       *flock.Flock
	metrics    *obs.Metrics
	goroutines *obs.Goroutines
	db         *store.DB
	hub        *session.Hub
	accounts   *account.Service
	contacts   *contact.Service
	chat       *chat.Service
	files      *file.Service
	audit      *audit.Log
	reports    *report.Service
	admin      *admin.Service
	control    *control.Gateway
}

// Open takes the data folder and starts the services.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	a := &App{cfg: cfg, log: log, metrics: obs.NewMetrics(), goroutines: obs.NewGoroutines(log)}
	if err := a.takeDataDir(); err != nil {
		return nil, err
	}
	mail, texts, err := senders(cfg)
	if err != nil {
		return nil, errors.Join(err, a.lock.Unlock())
	}
	blobs, err := blob.OpenDisk(a.path(filesDir), a.goroutines)
	if err != nil {
		return nil, errors.Join(err, a.lock.Unlock())
	}
	a.db, err = store.Open(ctx, store.Config{Path: a.path(databaseFile), Log: log, Metrics: a.metrics})
	if err != nil {
		return nil, errors.Join(err, a.lock.Unlock())
	}
	a.hub = session.NewHub(log, a.metrics, a.goroutines)
	a.contacts = contact.New(a.db, account.NameKey, a.hub.Publish, contact.Config{Strangers: cfg.Chat.Strangers})
	a.audit = audit.New(a.db)
	a.chat = chat.New(chat.Config{
		DB: a.db, Audit: a.audit, Contacts: a.contacts, Publish: a.hub.Publish, Gather: a.hub.Gather, NameKey: account.NameKey,
		Log: log, Metrics: a.metrics, Goroutines: a.goroutines,
	})
	a.contacts.OnChange(a.chat.ContactsChanged)
	a.accounts = account.New(a.db, cluster.NewLocal(), mailer{mail}, texter{texts}, a.audit, a.chat, account.Config{
		Registration: cfg.Account.Registration, RegisterPerHour: cfg.Limits.Register, Requests: cfg.Limits.Requests,
		AvatarDir: a.path(avatarDir), Log: log, Metrics: a.metrics, Goroutines: a.goroutines,
	})
	a.contacts.Ask(a.accounts)
	a.accounts.OnLeave(a.contacts.Forget)
	a.accounts.OnLeave(a.chat.LeaveAll)
	a.files, err = file.New(ctx, file.Config{
		DB: a.db, Blobs: blobs, Rooms: a.chat, Audit: a.audit, Log: log, Metrics: a.metrics, Goroutines: a.goroutines,
		MaxFile: int64(cfg.Limits.FileMB) << 20, Quota: int64(cfg.Limits.QuotaMB) << 20,
		Keep: time.Duration(cfg.Files.KeepDays) * 24 * time.Hour,
	})
	if err != nil {
		a.chat.Close()
		return nil, errors.Join(err, a.goroutines.Wait(ctx), a.db.Close(), a.lock.Unlock())
	}
	a.chat.OnClose(a.files.Abandon)
	a.chat.OnDetach(a.files.Detach)
	a.files.OnChange(a.chat.FilesChanged)
	a.accounts.OnRevoke(func(user core.UserID, epoch int64) {
		a.chat.AccountChanged(user)
		a.hub.Revoke(user, epoch)
	})
	a.accounts.OnDeviceClosed(a.hub.RevokeDevice)
	a.reports = report.New(report.Config{DB: a.db, Publish: a.hub.Publish, Messages: a.chat, Accounts: a.accounts, Audit: a.audit})
	a.admin = admin.New(admin.Config{
		DB: a.db, Hub: a.hub, Codes: outbox.NewFolder(a.path(outboxDir)), Accounts: a.accounts, Audit: a.audit, Log: log,
		Figures: a.figures, Settings: a.settings(), Version: Version, Started: time.Now(),
	})
	a.control = control.New(a.accounts, log)
	a.control.ServeImports(a.imports())
	a.control.ServeArchives(a.archives(a.audit))
	a.hub.OnPresence(func(user core.UserID, online bool) {
		if err := a.contacts.ShowPresence(context.Background(), user, online); err != nil {
			log.Error("friends were not told who is online", "uid", user, "err", err)
		}
	})
	a.hub.Start(a.chat)
	if err := errors.Join(a.admin.Load(ctx), a.chat.ResumeClosing(ctx)); err != nil {
		return nil, errors.Join(err, a.Close(context.WithoutCancel(ctx)))
	}
	a.metrics.Gauge("store", "queue_length", "Units of work that wait for the committer.", func() float64 { return float64(a.db.QueueLength()) })
	a.metrics.Gauge("chat", "pending_posts", "Posts that wait for their commit.", func() float64 { return float64(a.chat.Pending()) })
	return a, nil
}

// Close ends the services in the opposite order. Connections that are still open get what the context allows.
func (a *App) Close(ctx context.Context) error {
	a.hub.Quiesce()
	a.chat.Drain(ctx)
	a.hub.Stop(ctx)
	a.chat.Close()
	err := a.goroutines.Wait(ctx)
	return errors.Join(err, a.db.Close(), a.lock.Unlock())
}

// Control returns a client for the operator's commands in this process.
func (a *App) Control() *control.Client { return control.Local(a.control.Handler()) }

// Operate runs fn with the operator's commands: through the socket of the server that has the data folder, or, if none
// runs, on services of its own.
func Operate(ctx context.Context, cfg config.Config, log *slog.Logger, fn func(*control.Client) error) error {
	if c, err := control.Dial(ctx, filepath.Join(cfg.DataDir, socketFile)); err == nil {
		return fn(c)
	}
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(fn(a.Control()), a.Close(context.WithoutCancel(ctx)))
}

func (a *App) path(name string) string { return filepath.Join(a.cfg.DataDir, name) }

func (a *App) takeDataDir() (err error) {
	a.lock, err = lockDataDir(a.cfg.DataDir)
	return err
}

// lockDataDir makes the data folder if needed and takes it for this process.
func lockDataDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data folder: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return lock, nil
}

// senders return what carries mails, and text messages, out of the server: each the folder, unless it has its own way.
func senders(cfg config.Config) (mail, texts outbox.Sender, err error) {
	folder := outbox.NewFolder(filepath.Join(cfg.DataDir, outboxDir))
	mail, texts = folder, folder
	if cfg.Mail.SMTP != "" {
		if mail, err = outbox.NewSMTP(cfg.Mail.SMTP); err != nil {
			return nil, nil, fmt.Errorf("mail.smtp: %w", err)
		}
	}
	if cfg.SMS.URL != "" {
		if texts, err = outbox.NewSMS(cfg.SMS.URL); err != nil {
			return nil, nil, fmt.Errorf("sms.url: %w", err)
		}
	}
	return mail, texts, nil
}

// mailer sends the accounts' verification codes by mail.
type mailer struct{ out outbox.Sender }

func (m mailer) SendCode(ctx context.Context, to, code string) error {
	return m.out.Send(ctx, outbox.CodeMail(to, code))
}

// texter sends the accounts' verification codes as text messages.
type texter struct{ out outbox.Sender }

func (t texter) TextCode(ctx context.Context, to, code string) error {
	return t.out.Send(ctx, outbox.CodeSMS(to, code))
}
