package operator

import (
	"net/http"
	"strings"
	"testing"

	"parley/test/client"
	"parley/test/program"
)

// TestWhatAnAdministratorSetsWinsOverTheConfiguration, after a restart as well, until it is reset.
func TestWhatAnAdministratorSetsWinsOverTheConfiguration(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil, "account.registration=open", "limits.file_mb=1")
	if out, err := s.Command("secret\n", "user", "add", "root", "--admin", "--password-stdin"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	root := client.API{URL: "http://" + s.HTTP}
	if _, err := root.Enter("/auth/login", "root", "secret"); err != nil {
		t.Fatal(err)
	}
	registers := func(name string) bool {
		t.Helper()
		a := client.API{URL: root.URL}
		status, data, err := a.Ask(http.MethodPost, "/auth/register", map[string]any{"username": name, "password": "SecurePass123!"})
		if err != nil || status != http.StatusOK && status != http.StatusForbidden {
			t.Fatalf("%s: %d %v, %v", name, status, data, err)
		}
		return status == http.StatusOK
	}
	set := func(changes map[string]any) {
		t.Helper()
		if status, data, err := root.Ask(http.MethodPut, "/admin/settings", changes); err != nil || status != http.StatusOK {
			t.Fatalf("%v: %d %v, %v", changes, status, data, err)
		}
	}
	if !registers("ann") {
		t.Error("ann cannot register")
	}
	set(map[string]any{"account.registration": "closed", "limits.file_mb": 7})
	if registers("bob") {
		t.Error("bob registers although an administrator has closed registration")
	}
	if out, err := s.Command("", "check"); err != nil || !strings.Contains(out, `setting account.registration="closed" of an administrator, in place of open`) {
		t.Errorf("check: %v\n%s", err, out)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Run()
	if registers("bob") {
		t.Error("bob registers after a restart")
	}
	if !strings.Contains(s.Output(), "key=limits.file_mb value=7") {
		t.Errorf("the log does not say what is set:\n%s", s.Output())
	}
	set(map[string]any{"account.registration": nil})
	if !registers("bob") {
		t.Error("bob cannot register after the reset")
	}
	status, data, err := root.Ask(http.MethodGet, "/admin/statistics", nil)
	if err != nil || status != http.StatusOK || data["users"] != 3.0 || data["rooms"] != 1.0 || data["version"] == "" {
		t.Errorf("statistics: %d %v, %v", status, data, err)
	}
}
