package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/account"
	"parley/internal/core"
	"parley/internal/obs"
)

// maxBody bounds a command's body in bytes.
const maxBody = 64 << 10

// origin is where the operator's acts come from.
var origin = core.Origin{Gateway: "operator"}

// Gateway serves the operator's commands.
type Gateway struct {
	accounts *account.Service
	log      *slog.Logger
	mux      *http.ServeMux
	stopping context.Context // ends when the server stops, and with it the long commands
	stop     context.CancelFunc
}

// New returns the gateway. Whoever reaches its handler is the operator.
func New(accounts *account.Service, log *slog.Logger) *Gateway {
	g := &Gateway{accounts: accounts, log: log, mux: http.NewServeMux()}
	g.stopping, g.stop = context.WithCancel(context.Background())
	g.mux.HandleFunc("GET /users", serve(g, (*Gateway).list))
	g.mux.HandleFunc("POST /users", serve(g, (*Gateway).add))
	g.mux.HandleFunc("POST /users/passwd", serve(g, (*Gateway).passwd))
	g.mux.HandleFunc("POST /users/disable", serve(g, (*Gateway).disable))
	return g
}

// Handler returns the commands' handler, for a process that serves itself.
func (g *Gateway) Handler() http.Handler { return g.mux }

// Serve answers commands on a socket file until the context ends. A file that an earlier process left is replaced.
func (g *Gateway) Serve(ctx context.Context, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("the operator's socket (its path may have at most 100 characters): %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: g.mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug)}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		g.stop()
		stopped <- srv.Shutdown(context.WithoutCancel(ctx))
	})
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped // a command that runs is answered first; a long one is told that the server stops
}

// serve turns a command into a handler: decode, run, encode.
func serve[In, Out any](g *Gateway, run func(*Gateway, context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		var out Out
		var err error
		if r.Method == http.MethodPost {
			if err = json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &in); err != nil {
				err = fmt.Errorf("%w: %w", core.ErrInvalid, err)
			}
		}
		if err == nil {
			out, err = safely(g, r, func() (Out, error) { return run(g, r.Context(), in) })
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(status(err))
			_ = json.MarshalWrite(w, problem{err.Error()})
			return
		}
		_ = json.MarshalWrite(w, out)
	}
}

// errPanic is all that a command hears of a panic; the rest is in the log.
var errPanic = errors.New("the server made a mistake; its log says which")

// safely runs a command. A panic becomes an error, so that whoever gave the command is told.
func safely[Out any](g *Gateway, r *http.Request, run func() (Out, error)) (out Out, err error) {
	ended := false
	defer func() {
		if !ended {
			err = errPanic
		}
	}()
	defer obs.Recover(g.log, "the command "+r.URL.Path)
	out, err = run()
	ended = true
	return out, err
}

// status tells an operator's mistake from the server's trouble.
func status(err error) int {
	switch core.KindOf(err) {
	case core.Internal, core.Unavailable:
		return http.StatusInternalServerError
	default:
		return http.StatusUnprocessableEntity
	}
}

func (g *Gateway) list(ctx context.Context, _ struct{}) ([]User, error) {
	users, err := g.accounts.List(ctx, g.accounts.Operator())
	out := make([]User, 0, len(users))
	for _, u := range users {
		out = append(out, userOf(u))
	}
	return out, err
}

func (g *Gateway) add(ctx context.Context, in NewUser) (User, error) {
	u, err := g.accounts.Add(ctx, g.accounts.Operator(), origin, account.NewUser{
		Name: in.Name, Email: in.Email, Phone: in.Phone, Admin: in.Admin, Password: in.Password,
	})
	return userOf(u), err
}

func (g *Gateway) passwd(ctx context.Context, in Passwd) (struct{}, error) {
	return struct{}{}, g.accounts.SetPassword(ctx, g.accounts.Operator(), origin, in.Login, in.Password)
}

func (g *Gateway) disable(ctx context.Context, in Disable) (struct{}, error) {
	return struct{}{}, g.accounts.SetDisabled(ctx, g.accounts.Operator(), origin, in.Login, !in.Undo)
}
