package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	"parley/internal/gateway/api"
	"parley/internal/obs"
	"parley/internal/outbox"
	"parley/internal/report"
	"parley/internal/session"
	"parley/internal/store"
	"parley/test/clean"
	"parley/test/fresh"
)

func TestMain(m *testing.M) { clean.Main(m) }

// world is a server with this gateway alone, on a database of its own.
type world struct {
	t        testing.TB
	db       *store.DB
	accounts *account.Service
	keys     *cluster.Local
	contacts *contact.Service
	files    *file.Service
	rooms    *chat.Service
	hub      *session.Hub
	gateway  *api.Gateway
	web      *httptest.Server
	stop     func()
	mail     *mailbox
	outbox   *outbox.Folder
	log      *record
	doc      *openAPI
	events   *asyncAPI
}

// settings are what a test's server has otherwise than most.
type settings struct {
	account account.Config
	files   file.Config
	api     api.Config
}

func newWorld(t testing.TB, edit ...func(*settings)) *world {
	t.Helper()
	w := &world{t: t, keys: cluster.NewLocal(), mail: &mailbox{}, log: &record{}}
	log, metrics := slog.New(slog.NewTextHandler(w.log, nil)), obs.NewMetrics()
	goroutines := obs.NewGoroutines(log)
	var err error
	w.db, err = store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(t.TempDir(), "parley.db")), Log: log, Metrics: metrics})
	w.must(err)
	hub := session.NewHub(log, metrics, goroutines)
	w.contacts = contact.New(w.db, account.NameKey, hub.Publish, contact.Config{})
	rooms := chat.New(chat.Config{
		DB: w.db, Audit: audit.New(w.db), Contacts: w.contacts, Publish: hub.Publish, Gather: hub.Gather, Log: log, Metrics: metrics, Goroutines: goroutines,
	})
	trail := audit.New(w.db)
	s := settings{account: account.Config{Log: log, Metrics: metrics, Goroutines: goroutines, AvatarDir: filepath.Join(t.TempDir(), "avatars")}}
	for _, e := range edit {
		e(&s)
	}
	w.accounts = account.New(w.db, w.keys, w.mail, nil, trail, rooms, s.account)
	w.accounts.OnLeave(w.contacts.Forget)
	w.accounts.OnLeave(rooms.LeaveAll)
	blobs, err := blob.OpenDisk(filepath.Join(t.TempDir(), "files"), goroutines)
	w.must(err)
	s.files.DB, s.files.Blobs, s.files.Rooms, s.files.Audit = w.db, blobs, rooms, trail
	s.files.Log, s.files.Metrics, s.files.Goroutines = log, metrics, goroutines
	w.files, err = file.New(context.Background(), s.files)
	w.must(err)
	rooms.OnDetach(w.files.Detach)
	w.files.OnChange(rooms.FilesChanged)
	w.accounts.OnRevoke(func(user core.UserID, epoch int64) {
		rooms.AccountChanged(user)
		hub.Revoke(user, epoch)
	})
	w.accounts.OnDeviceClosed(hub.RevokeDevice)
	w.contacts.OnChange(rooms.ContactsChanged)
	w.contacts.Ask(w.accounts)
	hub.OnPresence(func(user core.UserID, online bool) {
		if err := w.contacts.ShowPresence(context.Background(), user, online); err != nil {
			log.Error("presence", "err", err)
		}
	})
	hub.Start(rooms)
	w.outbox = outbox.NewFolder(filepath.Join(t.TempDir(), "outbox"))
	s.api.Reports = report.New(report.Config{DB: w.db, Publish: hub.Publish, Messages: rooms, Accounts: w.accounts, Audit: trail})
	s.api.Admin = admin.New(admin.Config{
		DB: w.db, Hub: hub, Codes: w.outbox, Accounts: w.accounts, Audit: trail, Log: log, Settings: w.settings(), Version: "test", Started: time.Now(),
		Figures: func(ctx context.Context, actor core.Actor) (f admin.Figures, err error) {
			f.Users, err = w.accounts.Count(ctx, actor)
			return f, err
		},
	})
	w.hub, w.rooms = hub, rooms
	s.api.Accounts, s.api.Contacts, s.api.Chat, s.api.Audit, s.api.Log = w.accounts, w.contacts, rooms, trail, log
	s.api.Files, s.api.Hub, s.api.Goroutines, s.api.Metrics = w.files, hub, goroutines, metrics
	w.gateway = api.New(s.api)
	w.web = httptest.NewServer(w)
	w.stop = sync.OnceFunc(func() {
		w.web.Close()
		rooms.Drain(context.Background())
		hub.Stop(context.Background())
		rooms.Close()
		w.check(goroutines.Wait(context.Background()))
		w.check(w.db.Close())
	})
	t.Cleanup(w.stop)
	w.doc = w.readDocument()
	w.events = w.readEventDocument()
	return w
}

// settings are some keys: one that can be changed, one that cannot, and a secret.
func (w *world) settings() []admin.Setting {
	read := func(name string) func(any) (any, error) {
		return func(v any) (any, error) { return config.Read(name, v) }
	}
	return []admin.Setting{
		{Name: "http.addr", Default: ":8080", Configured: ":80", Allowed: "host:port", Doc: "Plain HTTP.", Read: read("http.addr")},
		{Name: "mail.smtp", Default: "", Secret: true, Allowed: "a URL", Doc: "The mail server.", Read: read("mail.smtp")},
		{
			Name: "account.registration", Default: "open", Configured: "open", Allowed: "open, code, invite or closed", Doc: "Who may register.",
			Read: read("account.registration"), Apply: func(v any) { w.accounts.SetRegistration(v.(string)) },
		},
		{
			Name: "limits.register", Default: 100, Configured: 100, Allowed: "a number", Doc: "Registrations an hour.",
			Read: read("limits.register"), Apply: func(v any) { w.accounts.SetLimits(v.(int), 0) },
		},
	}
}

// ServeHTTP serves what the program has under the gateway's addresses.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == api.EventsPath {
		w.gateway.ServeEvents(rw, r)
		return
	}
	w.gateway.ServeHTTP(rw, r)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

// leave puts a code into the outbox, as a server that cannot send mail does, and returns its id.
func (w *world) leave(to, code string) string {
	w.t.Helper()
	w.must(w.outbox.Send(context.Background(), outbox.CodeMail(to, code)))
	list, err := w.outbox.List(1)
	w.must(err)
	return list[0].ID
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.must(w.db.Update(context.Background(), func(ctx context.Context) error {
		_, err := w.db.Exec(ctx, query, args...)
		return err
	}))
}

const password = "SecurePass123!"

// client is somebody's program.
type client struct {
	*world
	id                    core.UserID
	device                account.DeviceID
	name, access, refresh string
}

// stranger is a client that is not logged in.
func (w *world) stranger() *client { return &client{world: w} }

// join makes an account and logs in.
func (w *world) join(name string) *client {
	w.t.Helper()
	c := w.stranger()
	c.take(c.post("/auth/register", fmt.Sprintf(`{"username":%q,"email":"%[1]s@example.org","password":%q}`, name, password)).ok(200))
	return c
}

// admin makes an account that administers.
func (w *world) admin(name string) *client {
	w.t.Helper()
	_, err := w.accounts.Add(context.Background(), w.accounts.Operator(), core.Origin{}, account.NewUser{Name: name, Password: password, Admin: true})
	w.must(err)
	return w.login(name)
}

func (w *world) login(name string) *client {
	w.t.Helper()
	c := w.stranger()
	c.take(c.post("/auth/login", fmt.Sprintf(`{"username":%q,"password":%q}`, name, password)).ok(200))
	return c
}

// take takes on what an answer to a login has.
func (c *client) take(a answer) {
	c.t.Helper()
	var in struct {
		UserID       core.UserID      `json:"user_id"`
		DeviceID     account.DeviceID `json:"device_id"`
		Username     string           `json:"username"`
		Token        string           `json:"token"`
		RefreshToken string           `json:"refresh_token"`
	}
	a.read(&in)
	c.id, c.device, c.name, c.access, c.refresh = in.UserID, in.DeviceID, in.Username, in.Token, in.RefreshToken
}

// until asks again until the answer is as it shall be.
func (c *client) until(path string, good func(answer) bool) answer {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if a := c.get(path); a.status == http.StatusOK && good(a) {
			return a
		} else if time.Now().After(deadline) {
			c.t.Fatalf("%s: it stays %d %s", path, a.status, a.body)
		}
	}
}

// befriend makes friends of two.
func (c *client) befriend(other *client) {
	c.t.Helper()
	c.post("/contacts/requests", fmt.Sprintf(`{"user_id":%d}`, other.id)).ok(201)
	other.post(fmt.Sprintf("/contacts/requests/%d/accept", c.id), "").ok(200)
}

// answer is what came back.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   string
}

func (c *client) get(path string) answer        { return c.do("GET", path, "") }
func (c *client) delete(path string) answer     { return c.do("DELETE", path, "") }
func (c *client) post(path, body string) answer { return c.do("POST", path, body) }
func (c *client) put(path, body string) answer  { return c.do("PUT", path, body) }

// do makes a request below the prefix. Each answer is held to the OpenAPI document.
func (c *client) do(method, path, body string, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequest(method, c.web.URL+api.Prefix+path, strings.NewReader(body))
	c.must(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.access != "" {
		req.Header.Set("Authorization", "Bearer "+c.access)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.send(req)
}

func (w *world) send(req *http.Request) answer {
	w.t.Helper()
	resp, err := w.web.Client().Transport.RoundTrip(req)
	w.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	a := answer{w.t, req.Method + " " + req.URL.Path, resp.StatusCode, resp.Header, string(b)}
	if w.doc != nil && req.Method != http.MethodHead && req.Method != http.MethodOptions && resp.StatusCode != http.StatusNotModified && resp.StatusCode != http.StatusPartialContent {
		w.doc.check(w.t, req, a)
	}
	return a
}

// upload sends a picture of oneself as a form.
func (c *client) upload(field, name string, content []byte) answer {
	c.t.Helper()
	return c.uploadTo("/users/upload-avatar", field, name, content)
}

// uploadTo sends a file as a form.
func (c *client) uploadTo(path, field, name string, content []byte) answer {
	c.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile(field, name)
	c.must(err)
	_, err = part.Write(content)
	c.must(err)
	c.must(form.Close())
	return c.do("POST", path, b.String(), "Content-Type", form.FormDataContentType())
}

// ok fails the test unless the answer has this status.
func (a answer) ok(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d %s, want %d", a.what, a.status, a.body, status)
	}
	return a
}

// refused fails the test unless the answer is a failure with this status and five-digit code.
func (a answer) refused(status, code int) answer {
	a.t.Helper()
	var e struct {
		Code  int `json:"code"`
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	err := json.Unmarshal([]byte(a.body), &e)
	if err != nil || a.status != status || e.Code != status || e.Error.Code != code {
		a.t.Errorf("%s: %d %s, want %d and %d", a.what, a.status, a.body, status, code)
	}
	return a
}

// because fails the test unless that is what the failure says.
func (a answer) because(details string) answer {
	a.t.Helper()
	var e struct {
		Error struct {
			Details string `json:"details"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.Details != details {
		a.t.Errorf("%s: %s, want %q", a.what, a.body, details)
	}
	return a
}

// read fills in from the answer's data.
func (a answer) read(in any) {
	a.t.Helper()
	var e struct {
		Data jsontext.Value `json:"data"`
	}
	err := json.Unmarshal([]byte(a.body), &e)
	if err == nil {
		err = json.Unmarshal(e.Data, in)
	}
	if err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
}

// at returns the text, number or list at a place in the answer's data, as JSON.
func (a answer) at(pointer string) string {
	a.t.Helper()
	var v any
	a.read(&v)
	for part := range strings.SplitSeq(pointer, "/") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(at) {
				return ""
			}
			v = at[i]
		default:
			return ""
		}
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.Trim(string(b), `"`)
}

// equal compares what is at a place of the answer's data.
func (a answer) equal(pointer, want string) answer {
	a.t.Helper()
	if got := a.at(pointer); got != want {
		a.t.Errorf("%s: %s is %s, want %s", a.what, pointer, got, want)
	}
	return a
}

// mailbox takes the codes of a test.
type mailbox struct {
	mu    sync.Mutex // guards codes
	codes map[string]string
}

func (m *mailbox) SendCode(_ context.Context, to, code string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.codes == nil {
		m.codes = map[string]string{}
	}
	m.codes[to] = code
	return nil
}

func (m *mailbox) code(to string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.codes[to]
}

// record is the log of a test.
type record struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
