package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/account"
	"parley/internal/admin"
	"parley/internal/audit"
	"parley/internal/cluster"
	"parley/internal/core"
	"parley/internal/obs"
	"parley/internal/outbox"
	"parley/internal/session"
	"parley/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

var home = core.Origin{Gateway: "test", IP: netip.MustParseAddr("192.0.2.7")}

// town is a world with an administrator, somebody else, and three settings.
type town struct {
	*line.World
	*admin.Service
	root, ann core.Actor
	codes     *outbox.Folder
	log       bytes.Buffer
	applied   map[string]any // what each setting was last told
	config    admin.Config
}

func newTown(t *testing.T) *town {
	t.Helper()
	tw := &town{World: line.NewWorld(t, line.Options{}), codes: outbox.NewFolder(t.TempDir())}
	trail := audit.New(tw.DB)
	accounts := account.New(tw.DB, cluster.NewLocal(), nil, nil, trail, tw.Chat, account.Config{
		Metrics: tw.Metrics, Goroutines: obs.NewGoroutines(nil), AvatarDir: t.TempDir(),
	})
	for _, u := range []struct {
		name  string
		actor *core.Actor
	}{{"root", &tw.root}, {"ann", &tw.ann}} {
		added, err := accounts.Add(t.Context(), accounts.Operator(), home, account.NewUser{Name: u.name, Password: "SecurePass123!", Admin: u.name == "root"})
		tw.Check(err)
		*u.actor = core.NewActor(added)
	}
	tw.config = admin.Config{
		DB: tw.DB, Hub: tw.Hub, Codes: tw.codes, Accounts: accounts, Audit: trail, Log: slog.New(slog.NewTextHandler(&tw.log, nil)),
		Settings: []admin.Setting{
			{Name: "most", Default: 5, Configured: 10, Read: number, Apply: tw.apply("most")},
			{Name: "least", Default: 0, Configured: 1, Read: number, Apply: tw.apply("least")},
			{Name: "fixed", Default: "a", Configured: "b", Read: number},
			{Name: "password", Secret: true, Read: number},
		},
		Version: "1.2.3", Started: time.Now().Add(-time.Hour),
		Figures: func(context.Context, core.Actor) (admin.Figures, error) {
			return admin.Figures{Users: 2, Messages: 7}, nil
		},
	}
	tw.restart()
	return tw
}

// restart gives the town a new service on the same database.
func (tw *town) restart() {
	tw.Helper()
	tw.applied = map[string]any{}
	tw.Service = admin.New(tw.config)
	tw.Check(tw.Load(context.Background()))
}

func (tw *town) apply(name string) func(any) {
	return func(v any) { tw.applied[name] = v }
}

func number(v any) (any, error) {
	if n, ok := v.(float64); ok && n >= 0 {
		return int(n), nil
	}
	return nil, errors.New("must be a number")
}

func (tw *town) change(actor core.Actor, changes map[string]any) error {
	_, err := tw.Change(tw.Context(), actor, home, changes)
	return err
}

// state is what settings are, as text.
func (tw *town) state() string {
	tw.Helper()
	list, err := tw.Settings(tw.Context(), tw.root)
	tw.Check(err)
	var b strings.Builder
	for _, v := range list {
		fmt.Fprintf(&b, "%s=%v %v; ", v.Name, v.Value, v.Set)
	}
	return b.String()
}

func (tw *town) want(err, want error) {
	tw.Helper()
	if !errors.Is(err, want) {
		tw.Errorf("error %v, want %v", err, want)
	}
}

// others are all who may do nothing here.
func (tw *town) others() []core.Actor { return []core.Actor{{}, tw.ann} }

func TestSettingsHoldUntilTheyAreReset(t *testing.T) {
	tw := newTown(t)
	if got := tw.state(); got != "most=10 false; least=1 false; fixed=b false; password=<nil> false; " {
		t.Errorf("before: %s", got)
	}
	tw.Check(tw.change(tw.root, map[string]any{"most": 20.0, "least": 2.0}))
	if tw.applied["most"] != 20 || tw.applied["least"] != 2 {
		t.Errorf("applied: %v", tw.applied)
	}
	tw.restart()
	if tw.applied["most"] != 20 || tw.applied["least"] != 2 {
		t.Errorf("applied at the start: %v", tw.applied)
	}
	tw.Check(tw.change(tw.root, map[string]any{"most": nil}))
	if got := tw.state(); got != "most=10 false; least=2 true; fixed=b false; password=<nil> false; " || tw.applied["most"] != 10 {
		t.Errorf("after the reset: %s, applied %v", got, tw.applied)
	}
	tw.restart()
	if _, ok := tw.applied["most"]; ok || tw.applied["least"] != 2 {
		t.Errorf("applied at the next start: %v", tw.applied)
	}
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'setting.change' AND actor_name = 'root' AND target = 'most' AND detail IN ('20', 'back to what is configured')`); n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestAWrongSettingChangesNothing(t *testing.T) {
	tw := newTown(t)
	for name, changes := range map[string]map[string]any{
		"most must be a number":                       {"least": 3.0, "most": "many"},
		"fixed cannot be changed while the server":    {"least": 3.0, "fixed": 1.0},
		"password cannot be changed while the server": {"least": 3.0, "password": nil},
		"mots is not a known key":                     {"least": 3.0, "mots": 1.0},
	} {
		err := tw.change(tw.root, changes)
		var wrong *admin.SettingError
		if !errors.Is(err, core.ErrInvalidSetting) || !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := tw.state(); got != "most=10 false; least=1 false; fixed=b false; password=<nil> false; " || len(tw.applied) != 0 {
		t.Errorf("%s, applied %v", got, tw.applied)
	}
}

// TestAStoredSettingThatThisVersionDoesNotTakeIsLeftAlone: the server starts, and says so.
func TestAStoredSettingThatThisVersionDoesNotTakeIsLeftAlone(t *testing.T) {
	tw := newTown(t)
	for name, value := range map[string]string{"config.most": `"many"`, "config.least": `3`, "config.fixed": `1`, "config.gone": `1`} {
		tw.Exec(`INSERT INTO setting (name, value) VALUES (?, ?)`, name, value)
	}
	tw.restart()
	if got := tw.state(); got != "most=10 false; least=3 true; fixed=b false; password=<nil> false; " {
		t.Error(got)
	}
	for _, key := range []string{"most", "fixed", "gone"} {
		if !strings.Contains(tw.log.String(), "does not count\" key="+key) {
			t.Errorf("%s is not in the log: %s", key, tw.log.String())
		}
	}
}

func TestOnlyThoseWhoAdministerSeeAndChangeAnything(t *testing.T) {
	tw := newTown(t)
	tw.Check(tw.codes.Send(t.Context(), outbox.CodeMail("ann@example.org", "123456")))
	codes, err := tw.Codes(t.Context(), tw.root)
	tw.Check(err)
	for _, actor := range tw.others() {
		list, err := tw.Settings(t.Context(), actor)
		tw.want(err, core.ErrForbidden)
		tw.want(tw.change(actor, map[string]any{"most": 1.0}), core.ErrForbidden)
		st, err := tw.Statistics(t.Context(), actor)
		tw.want(err, core.ErrForbidden)
		connections, _, err := tw.Connections(t.Context(), actor, admin.Filter{}, 0, 10)
		tw.want(err, core.ErrForbidden)
		tw.want(tw.Disconnect(t.Context(), actor, home, 1), core.ErrForbidden)
		unsent, err := tw.Codes(t.Context(), actor)
		tw.want(err, core.ErrForbidden)
		code, err := tw.Code(t.Context(), actor, home, codes[0].ID)
		tw.want(err, core.ErrForbidden)
		tw.want(tw.DropCode(t.Context(), actor, home, codes[0].ID), core.ErrForbidden)
		if list != nil || st.Version != "" || connections != nil || unsent != nil || code.Code != "" {
			t.Errorf("%q sees something", actor.Name())
		}
	}
	tw.Exec(`UPDATE "user" SET admin = 0`) // since the actor was made
	tw.want(tw.change(tw.root, map[string]any{"most": 1.0}), core.ErrForbidden)
	_, err = tw.Code(t.Context(), tw.root, home, codes[0].ID)
	tw.want(err, core.ErrForbidden)
	tw.want(tw.DropCode(t.Context(), tw.root, home, codes[0].ID), core.ErrForbidden)
	tw.want(tw.Disconnect(t.Context(), tw.root, home, 1), core.ErrForbidden)
	if left, err := tw.codes.List(10); err != nil || len(left) != 1 || len(tw.applied) != 0 {
		t.Errorf("%v, %v, applied %v", left, err, tw.applied)
	}
}

func TestWhoLooksAtACodeIsKept(t *testing.T) {
	tw := newTown(t)
	tw.Check(tw.codes.Send(t.Context(), outbox.CodeMail("ann@example.org", "123456")))
	tw.Check(tw.codes.Send(t.Context(), outbox.CodeSMS("+8613800138000", "654321")))
	list, err := tw.Codes(t.Context(), tw.root)
	if err != nil || len(list) != 2 || list[0].To != "+8613800138000" || list[0].Code != "" || list[1].Code != "" {
		t.Fatalf("%+v, %v", list, err)
	}
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'code.read'`); n != 0 {
		t.Errorf("%d entries of a list without codes", n)
	}
	m, err := tw.Code(t.Context(), tw.root, home, list[1].ID)
	if err != nil || m.Code != "123456" {
		t.Errorf("%+v, %v", m, err)
	}
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'code.read' AND actor_name = 'root' AND target = 'ann@example.org' AND ip = '192.0.2.7'`); n != 1 {
		t.Errorf("%d entries", n)
	}
	if n := tw.Int(`SELECT count(*) FROM audit WHERE detail LIKE '%123456%' OR target LIKE '%123456%'`); n != 0 {
		t.Error("the code is in the audit log")
	}
	tw.Check(tw.DropCode(t.Context(), tw.root, home, list[1].ID))
	for _, id := range []string{list[1].ID, "../secret", ""} {
		_, err := tw.Code(t.Context(), tw.root, home, id)
		tw.want(err, core.ErrUnsentNotFound)
		tw.want(tw.DropCode(t.Context(), tw.root, home, id), core.ErrUnsentNotFound)
	}
}

func TestConnectionsAreListedAndEnded(t *testing.T) {
	tw := newTown(t)
	users := map[core.UserID]core.Actor{tw.root.User(): tw.root, tw.ann.User(): tw.ann}
	addr := tw.Listen(&line.Gateway{Rivalry: session.Share}, func(id core.UserID) core.Actor { return users[id] })
	var clients []*line.Client
	for _, actor := range []core.Actor{tw.root, tw.ann, tw.ann} {
		conn, err := net.Dial("tcp", addr)
		tw.Check(err)
		t.Cleanup(func() { conn.Close() })
		c := line.NewClient(conn)
		c.Must(t, fmt.Sprintf("login %d", actor.User()))
		c.Expect(t, fmt.Sprintf("welcome %d", actor.User()))
		clients = append(clients, c)
	}
	list, total, err := tw.Connections(t.Context(), tw.root, admin.Filter{}, 1, 1)
	if err != nil || total != 3 || len(list) != 1 || list[0].User != tw.ann.User() || list[0].Name != "ann" || list[0].Gateway != "line" ||
		!list[0].Online || !list[0].IP.IsLoopback() || time.Since(list[0].Since) > time.Minute {
		t.Fatalf("%+v of %d, %v", list, total, err)
	}
	if _, total, err := tw.Connections(t.Context(), tw.root, admin.Filter{User: tw.ann.User()}, 0, 10); err != nil || total != 2 {
		t.Errorf("ann has %d: %v", total, err)
	}
	if beyond, total, err := tw.Connections(t.Context(), tw.root, admin.Filter{Gateway: "line"}, 50, 10); err != nil || total != 3 || len(beyond) != 0 {
		t.Errorf("%v of %d: %v", beyond, total, err)
	}
	if _, total, err := tw.Connections(t.Context(), tw.root, admin.Filter{Gateway: "other"}, 0, 10); err != nil || total != 0 {
		t.Errorf("%d of another family: %v", total, err)
	}
	st, err := tw.Statistics(t.Context(), tw.root)
	if err != nil || st.Online != 2 || !slices.Equal(st.Connections, []admin.Count{{Gateway: "line", Connections: 3}}) || st.Version != "1.2.3" ||
		st.Figures.Users != 2 || st.Figures.Messages != 7 || st.Uptime < time.Hour || st.DatabaseBytes < 4096 || st.Goroutines < 4 || st.Memory < 1<<20 {
		t.Errorf("%+v, %v", st, err)
	}
	tw.Check(tw.Disconnect(t.Context(), tw.root, home, list[0].ID))
	clients[1].Expect(t, "bye kicked")
	clients[1].ExpectEnd(t)
	clients[2].Must(t, "ping still")
	clients[2].Expect(t, "pong still")
	tw.want(tw.Disconnect(t.Context(), tw.root, home, 99), core.ErrConnectionNotFound)
	if n := tw.Int(`SELECT count(*) FROM audit WHERE action = 'connection.close' AND target = ? AND detail = 'line'`, fmt.Sprintf("user %d", tw.ann.User())); n != 1 {
		t.Errorf("%d entries", n)
	}
}
