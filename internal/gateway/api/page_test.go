package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"parley/internal/gateway/api"
)

// TestThePageShowsEveryRoute, and every link on it leads somewhere on it.
func TestThePageShowsEveryRoute(t *testing.T) {
	w := newWorld(t)
	page := w.stranger().do("GET", "/docs", "", "Accept-Language", "en").ok(200)
	if page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("it is %s", page.header.Get("Content-Type"))
	}
	for path, methods := range w.doc.Paths {
		for method, op := range methods {
			_, article, found := strings.Cut(page.body, `<article id="`+op.OperationID+`">`)
			article, _, _ = strings.Cut(article, "</article>")
			if !found || !strings.Contains(article, "<code>"+path+"</code>") || !strings.Contains(article, ">"+strings.ToUpper(method)+"<") {
				t.Errorf("%s %s is not on the page", method, path)
			}
			for _, p := range op.Parameters {
				if !strings.Contains(article, "<code>"+p.Name+"</code>") {
					t.Errorf("%s %s: %s is not on the page", method, path, p.Name)
				}
			}
			if tokens := strings.Contains(article, "Bearer $token"); tokens != (len(op.Security) > 0) {
				t.Errorf("%s %s: the line for a shell sends a token: %v", method, path, tokens)
			}
		}
	}
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		if strings.Count(page.body, `id="`+m[1]+`"`) != 1 {
			t.Errorf("#%s is there %d times", m[1], strings.Count(page.body, `id="`+m[1]+`"`))
		}
	}
}

// TestSectionsStoodInNoOrder: files came behind the events, and what is for administrators before what is for all.
func TestSectionsStoodInNoOrder(t *testing.T) {
	page := newWorld(t).stranger().do("GET", "/docs", "", "Accept-Language", "en").ok(200)
	var titles []string
	for _, m := range regexp.MustCompile(`<h2[^>]*>([^<]*)`).FindAllStringSubmatch(page.body, -1) {
		titles = append(titles, m[1])
	}
	const want = "Reading Files Presence Rooms Members Invitations Events Reports Settings Inspection Administration"
	if got := strings.Join(titles, " "); !strings.Contains(got, want) {
		t.Errorf("they are %s", got)
	}
}

// TestThePageIsInertAndStyled: browsers run nothing of it, and take its style and no other.
func TestThePageIsInertAndStyled(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.PublicURL = `https://parley.example/"><script>alert(1)</script>` })
	page := w.stranger().get("/docs").ok(200)
	_, style, _ := strings.Cut(page.body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || len(style) < 100 {
		t.Errorf("the policy %s does not let the style in", policy)
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") || !strings.HasPrefix(policy, "default-src 'none';") || !strings.HasSuffix(policy, "; sandbox") {
		t.Errorf("the policy is %s", policy)
	}
	if strings.Contains(page.body, "<script") || strings.Contains(page.body, " style=") {
		t.Error("the page has a script, or a style of an element")
	}
	if page.header.Get("X-Content-Type-Options") != "nosniff" || page.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%v", page.header)
	}
}

func TestThePageSpeaksTwoLanguages(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ query, accept, want string }{
		{"", "zh-CN,zh;q=0.9", `<html lang="zh">`}, {"", "de", `<html lang="en">`}, {"?lang=zh", "en", `<html lang="zh">`}, {"?lang=en", "zh", `<html lang="en">`},
	} {
		page := w.stranger().do("GET", "/docs"+tt.query, "", "Accept-Language", tt.accept).ok(200)
		if !strings.Contains(page.body, tt.want) || !strings.Contains(page.header.Get("Vary"), "Accept-Language") {
			t.Errorf("%+v: %s", tt, page.body[:80])
		}
		if tt.want == `<html lang="zh">` {
			han := regexp.MustCompile(`\p{Han}`)
			for _, m := range regexp.MustCompile(`<h[124][^>]*>([^<]*)`).FindAllStringSubmatch(page.body, -1) {
				if !han.MatchString(m[1]) {
					t.Errorf("the heading %q is not in Chinese", m[1])
				}
			}
		}
	}
	if got := w.stranger().get("/docs").ok(200).body; !strings.Contains(got, "api=http://127.0.0.1") || !strings.Contains(got, api.Prefix+"<") {
		t.Error("it does not say where the interface is")
	}
}
