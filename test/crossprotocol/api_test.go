package crossprotocol

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"parley/test/client"
	"parley/test/program"
)

func apiClient(s *program.Server) *client.API { return &client.API{URL: "http://" + s.HTTP} }

// want makes a request and compares the status.
func want(t *testing.T, a *client.API, method, path string, body any, status int) map[string]any {
	t.Helper()
	got, data, err := a.Ask(method, path, body)
	if err != nil || got != status {
		t.Fatalf("%s %s: %d %v, %v", method, path, got, data, err)
	}
	return data
}

const strong = "SecurePass123!"

// TestAnAccountOfTheAPIWorksEverywhere, and those of all others work there.
func TestAnAccountOfTheAPIWorksEverywhere(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	if _, err := apiClient(s).Enter("/auth/register", "vera", strong); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Login(s.HTTP, "vera", strong); err != nil {
		t.Errorf("llfc: %v", err)
	}
	if _, err := client.LoginCS3(s.CS3, "vera", strong, false); err != nil {
		t.Errorf("CS3: %v", err)
	}
	d := dpcUser(s, "vera")
	d.Password = strong
	if test, err := d.Login(); test != 0 || err != nil {
		t.Errorf("DPC: %d %v", test, err)
	}

	s.AddUser("ann")
	cs3Person(t, s, "carl", true)
	registerDPC(t, s, "dora", "13800138000")
	for _, name := range []string{"ann", "ann@example.org", "carl", "dora", "13800138000"} {
		a := apiClient(s)
		if _, err := a.Enter("/auth/login", name, "secret"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want(t, a, http.MethodGet, "/users/profile", nil, http.StatusOK)
	}
}

// TestABanReachesAllClients: what an administrator does in the API ends what goes on elsewhere.
func TestABanReachesAllClients(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	if out, err := s.Command(strong+"\n", "user", "add", "root", "--admin", "--password-stdin"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	root := apiClient(s)
	if _, err := root.Enter("/auth/login", "root", strong); err != nil {
		t.Fatal(err)
	}
	s.AddUser("ann")
	llfc, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	ann := apiClient(s)
	data, err := ann.Enter("/auth/login", "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	uid := int64(data["user_id"].(float64))
	ban := "/admin/users/" + itoa(uid) + "/ban"
	want(t, ann, http.MethodPost, ban, nil, http.StatusForbidden)
	want(t, root, http.MethodPost, ban, nil, http.StatusOK)
	want(t, ann, http.MethodGet, "/users/profile", nil, http.StatusUnauthorized)
	for {
		if _, err := llfc.Next(); err != nil {
			break // the connection is closed
		}
	}
	if _, _, err := client.Login(s.HTTP, "ann", "secret"); err == nil {
		t.Error("a banned user logs in with llfc")
	}
}

// TestFriendsMadeInOneClientAreFriendsInAll.
func TestFriendsMadeInOneClientAreFriendsInAll(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	ann, bob := apiClient(s), apiClient(s)
	var ids []int64
	for name, a := range map[string]*client.API{"ann": ann, "bob": bob} {
		data, err := a.Enter("/auth/register", name, strong)
		if err != nil {
			t.Fatal(err)
		}
		if id := int64(data["user_id"].(float64)); name == "bob" {
			ids = append([]int64{id}, ids...)
		} else {
			ids = append(ids, id)
		}
	}
	bobID, annID := ids[0], ids[1]
	llfc, _, err := client.Login(s.HTTP, "bob", strong)
	if err != nil {
		t.Fatal(err)
	}
	want(t, ann, http.MethodPost, "/contacts/requests", map[string]any{"user_id": bobID}, http.StatusCreated)
	if _, err := llfc.Wait(1011); err != nil { // somebody asks
		t.Fatal(err)
	}
	want(t, bob, http.MethodPost, "/contacts/requests/"+itoa(annID)+"/accept", nil, http.StatusOK)
	if err := llfc.Say(annID, "1", "hello"); err != nil {
		t.Fatal(err)
	}
	f, err := llfc.Wait(1018)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Texts(); err != nil || got.Error != 0 {
		t.Errorf("a friend cannot be written to: %s, %v", f.Body, err)
	}
	want(t, ann, http.MethodDelete, "/contacts/friends/"+itoa(bobID), nil, http.StatusOK)
	if err := llfc.Say(annID, "2", "still there?"); err != nil {
		t.Fatal(err)
	}
	if f, err = llfc.Wait(1018); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Texts(); err != nil || got.Error == 0 {
		t.Errorf("a friendship that was ended goes on: %s, %v", f.Body, err)
	}
}

// TestAPictureOfTheAPIIsTheOneOthersShow: CS3 clients get it where their protocol has it.
func TestAPictureOfTheAPIIsTheOneOthersShow(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	a := apiClient(s)
	if _, err := a.Enter("/auth/register", "vera", strong); err != nil {
		t.Fatal(err)
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 500, 400))); err != nil {
		t.Fatal(err)
	}
	status, data, err := a.Upload("/users/upload-avatar", "me.png", picture.Bytes())
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %v, %v", status, data, err)
	}
	url := data["avatar_url"].(string)
	here, err := program.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	there, err := program.Get("http://" + s.CS3HTTP + "/avatar/vera/" + url[strings.LastIndex(url, "/")+1:])
	if err != nil || here != there || !strings.HasPrefix(here, "\xff\xd8") {
		t.Errorf("%d bytes here, %d there, %v", len(here), len(there), err)
	}
}

// TestOldRoutesStayAsTheyWere beside the new ones.
func TestOldRoutesStayAsTheyWere(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	for path, body := range map[string]string{"/api/v2/auth/login": "url not found", "/api/v1x": "url not found", "/nothing": "url not found"} {
		if got, err := program.Get("http://" + s.HTTP + path); err != nil || got != body {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/auth//login", "/api/v1/../x"} {
		if got, err := program.Get("http://" + s.HTTP + path); err != nil || !strings.Contains(got, `"code":10404`) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestWhatTheDeletedSaidStays, under a name that says so; whoever has the name next has nothing to do with it.
func TestWhatTheDeletedSaidStays(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	vera := apiClient(s)
	data, err := vera.Enter("/auth/register", "vera", strong)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.LoginCS3(s.CS3, "vera", strong, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Say("goodbye"); err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.WaitMessage(); err != nil || text != "goodbye" {
		t.Fatal(text, err)
	}
	want(t, vera, http.MethodDelete, "/users/account", map[string]any{"password": strong}, http.StatusOK)
	for {
		if _, err := c.Next(); err != nil {
			break // the connection is closed
		}
	}
	if _, err := apiClient(s).Enter("/auth/register", "vera", strong); err != nil {
		t.Errorf("the name is not free: %v", err)
	}
	llfc, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	f, err := llfc.Wait(1019)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Texts()
	if wanted := "deleted-" + itoa(int64(data["user_id"].(float64))) + ": goodbye"; err != nil || len(got.Texts) != 1 || got.Texts[0].Content != wanted {
		t.Errorf("%s, %v; want %s", f.Body, err, wanted)
	}
}

var shell = regexp.MustCompile("(?s)```sh\n(.*?)```")

// answered are the lines of the page that print an answer.
var answered = regexp.MustCompile(`(?m)^(ask|curl) `)

// TestTheCommandsOfThePage runs what the protocol page tells people to try. Where there is no websocat, our own stand-in takes its place.
func TestTheCommandsOfThePage(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	page, err := os.ReadFile("../../docs/protocols/api.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n"
	for _, block := range shell.FindAllSubmatch(page, -1) {
		script += string(block[1])
	}
	s := program.Start(t, t.TempDir(), nil)
	here := strings.NewReplacer("localhost:8080", s.HTTP, "sleep 1)", "sleep 4)", "sleep 3)", "sleep 6)") // a busy machine takes longer to connect
	cmd := exec.CommandContext(t.Context(), "sh", "-c", here.Replace(script))
	cmd.Dir, cmd.Env = t.TempDir(), withWebsocat(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "[") { // events
			continue
		}
		if answers++; !strings.Contains(line, `"message":"success"`) {
			t.Errorf("answered with %s", line)
		}
	}
	if want := len(answered.FindAllString(script, -1)); answers != want || want < 20 {
		t.Errorf("%d answers to %d commands\n%s", answers, want, out)
	}
	for _, want := range []string{
		`"text":"It is me."`, `"remark":"from the choir"`, `"name":"Shell"`, `"text":"Shall we sing tonight?"`, `"text":"At nine."`, `"emoji":"👍"`,
		`"name":"score.txt"`, `"members":2`, `"type":"ready"`, `"text":"Hello @lucy, may I join?"`, `"text":"You are in already."`, `"type":"sent","ref":"1"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing has %s\n%s", want, out)
		}
	}
}

// withWebsocat returns the environment of a shell that finds a websocat.
func withWebsocat(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("websocat"); err == nil {
		return os.Environ()
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "websocat"), "parley/test/websocat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
