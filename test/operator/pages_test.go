package operator

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/program"
)

// get fetches a page as a program with these headers does.
func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestFirstPage(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil, "metrics.addr="+program.FreeAddr(t))
	home := "http://" + s.HTTP + "/"
	for _, p := range []struct {
		name, url, want string
		header          []string
	}{
		{"a browser", home, "How to connect", []string{"Accept", "text/html,*/*"}},
		{"a Chinese browser", home, "如何连接", []string{"Accept", "text/html", "Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8"}},
		{"a German browser", home, "How to connect", []string{"Accept", "text/html", "Accept-Language", "de"}},
		{"a choice", home + "?lang=zh", "如何连接", []string{"Accept", "text/html", "Accept-Language", "en"}},
	} {
		resp, body := get(t, p.url, p.header...)
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, p.want) || !strings.Contains(body, s.LLFC) || !strings.Contains(body, s.CS3) {
			t.Errorf("%s: status %d\n%s", p.name, resp.StatusCode, body)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", p.name, policy)
		}
	}
	for _, url := range []string{home, home + "nothing", home + "setup/more"} {
		if resp, body := get(t, url); resp.StatusCode != http.StatusNotFound || body != "url not found" {
			t.Errorf("%s for a program: status %d %q", url, resp.StatusCode, body)
		}
	}
	if resp, body := get(t, home+"setup?token=%22%3E%3Cscript%3E"); strings.Contains(body, "<script") {
		t.Errorf("the token is not escaped: status %d\n%s", resp.StatusCode, body)
	}
	if resp, body := get(t, home+"healthz"); resp.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: status %d %q", resp.StatusCode, body)
	}
}

func TestMetrics(t *testing.T) {
	addr := program.FreeAddr(t)
	s := program.Start(t, t.TempDir(), nil, "metrics.addr="+addr)
	_, body := get(t, "http://"+addr+"/metrics")
	for _, name := range []string{
		"parley_session_connections", "parley_store_commit_units", "parley_store_queue_length", "parley_chat_pending_posts",
		"parley_chat_post_seconds", "parley_store_commit_seconds", "parley_panics_total 0",
	} {
		if !strings.Contains(body, name) {
			t.Errorf("%s is missing", name)
		}
	}
	if resp, _ := get(t, "http://"+s.HTTP+"/metrics"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("metrics on http.addr: status %d", resp.StatusCode)
	}
}

// TestOthersOfTheMachineStayOut looks at who may open what the operator's commands go through.
func TestOthersOfTheMachineStayOut(t *testing.T) {
	s := program.Start(t, filepath.Join(t.TempDir(), "data"), nil)
	for name, want := range map[string]os.FileMode{".": 0o700, "parley.sock": 0o600} {
		info, err := os.Stat(filepath.Join(s.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}
