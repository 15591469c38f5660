package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"parley/internal/core"
)

// request is what a gateway was asked.
type request struct {
	Method, URI, Body, Type string
	Header                  http.Header
}

// gateway is a real HTTP server that keeps what it is asked.
type gateway struct {
	*httptest.Server
	mu  sync.Mutex // guards got
	got []request
}

func startGateway(t *testing.T, answer http.HandlerFunc) *gateway {
	t.Helper()
	g := &gateway{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		g.got = append(g.got, request{r.Method, r.RequestURI, string(body), r.Header.Get("Content-Type"), r.Header})
		g.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) requests() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got
}

func newSMS(t *testing.T, url string) *SMSGateway {
	t.Helper()
	g, err := NewSMS(url)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return g
}

var text = Message{Kind: SMS, To: "+8613800138000", Code: "0427", Text: `验证码 0427 & "code" = 100%+{to}` + "\n"}

const (
	textEscaped = "%E9%AA%8C%E8%AF%81%E7%A0%81%200427%20%26%20%22code%22%20%3D%20100%25%2B%7Bto%7D%0A"
	textForm    = "%E9%AA%8C%E8%AF%81%E7%A0%81+0427+%26+%22code%22+%3D+100%25%2B%7Bto%7D%0A"
	textJSON    = `"验证码 0427 & \"code\" = 100%+{to}\n"`
)

func TestSMSRequests(t *testing.T) {
	const form, object = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		url  string // from the path on
		want request
	}{
		"GET": {"/send?to={to}&text={text}", request{"GET", "/send?to=%2B8613800138000&text=" + textEscaped, "", "", nil}},
		"GET, other names": {
			"/s?p={phone}&m={message}&c={code}", request{"GET", "/s?p=%2B8613800138000&m=" + textEscaped + "&c=0427", "", "", nil},
		},
		"GET, in the path": {
			"/KEY/{to}/{code}", request{"GET", "/KEY/%2B8613800138000/0427", "", "", nil},
		},
		"GET, no path": {"?to={to}&c={code}", request{"GET", "/?to=%2B8613800138000&c=0427", "", "", nil}},
		"GET, text in Chinese": {
			"/s?m={to}&c=【P】您的 码{code}&sign=%D6%D0+1", request{
				"GET", "/s?m=%2B8613800138000&c=%E3%80%90P%E3%80%91%E6%82%A8%E7%9A%84%20%E7%A0%810427&sign=%D6%D0+1", "", "", nil,
			},
		},
		"GET, empty options": {"/s?m={to}&c={code}#&", request{"GET", "/s?m=%2B8613800138000&c=0427", "", "", nil}},
		"form": {
			"/v1/Messages?To={to}&From=a+b&Body={text}#post=form",
			request{"POST", "/v1/Messages", "Body=" + textForm + "&From=a+b&To=%2B8613800138000", form, nil},
		},
		"form, key in the path": {
			"/{code}/x?to={to}#post=form", request{"POST", "/0427/x", "to=%2B8613800138000", form, nil},
		},
		"JSON object": {
			"/send?text={text}&mobile={to}&n=1#post=json",
			request{"POST", "/send", `{"mobile":"+8613800138000","n":"1","text":` + textJSON + `}`, object, nil},
		},
		"any JSON": {
			`/send?key=K&to={to}#post={"to": ["{to}"], "n": 12345678901234567890, "in": {"text": "{text}", "say": "c={code}%26"}}`,
			request{
				"POST", "/send?key=K&to=%2B8613800138000",
				`{"to":["+8613800138000"],"n":12345678901234567890,"in":{"text":` + textJSON + `,"say":"c=0427&"}}`, object, nil,
			},
		},
		"headers": {
			"/s?to={to}&text={code}#header=Authorization:Bearer%20a+b/c=&post=form&header=X-Two: 1&header=X-Two:2&header=Content-Type:text/x",
			request{"POST", "/s", "text=0427&to=%2B8613800138000", "text/x", http.Header{"Authorization": {"Bearer a+b/c="}, "X-Two": {"1", "2"}}},
		},
		"user": {
			"USER/s?to={to}&text={code}", request{
				"GET", "/s?to=%2B8613800138000&text=0427", "", "", http.Header{"Authorization": {"Basic cGFybGV5OnBAc3Mvd29yZD8="}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := startGateway(t, nil)
			srv.Start()
			url := srv.URL + c.url
			if rest, ok := strings.CutPrefix(c.url, "USER"); ok {
				url = "http://" + user + srv.Listener.Addr().String() + rest
			}
			if err := newSMS(t, url).Send(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			got := srv.requests()
			if len(got) != 1 {
				t.Fatalf("%d requests", len(got))
			}
			for name, want := range c.want.Header {
				if diff := cmp.Diff(want, got[0].Header[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			c.want.Header, got[0].Header = nil, nil
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSMSAnswers(t *testing.T) {
	say := func(status int, answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
		}
	}
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, r.RequestURI)
		}
	}
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		options string
		why     string // "": it was sent
	}{
		"200":                       {say(200, "error?"), "", ""},
		"202":                       {say(202, ""), "", ""},
		"204":                       {say(204, ""), "", ""},
		"200 and what is asked for": {say(200, ` {"code": 0, "msg": "发送成功"}`), `#ok="code":\s*0\b`, ""},
		"the whole answer":          {say(200, "0\r\n"), "#ok=^0$", ""},
		"200 with an error text":    {say(200, `{"code": 30, "msg": "hunter2"}`), `#ok="code":\s*0\b`, "option ok"},
		"200 with another number":   {say(200, "30"), "#ok=^0$", "option ok"},
		"far behind":                {say(200, strings.Repeat("x", maxAnswer)+"OK"), "#ok=OK", "option ok"},
		"304":                       {say(304, ""), "", "status 304"},
		"400":                       {echo(400), "", "status 400"},
		"401":                       {echo(401), "", "status 401"},
		"500":                       {echo(500), "", "status 500"},
		"500 with a good text":      {say(500, "OK"), "#ok=OK", "status 500"},
		"no HTTP": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET "+r.RequestURI+"\r\n\r\n")
		}, "", "cannot be read as HTTP"},
		"closed": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "connection ended"},
		"cut short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "OK "+r.RequestURI)
		}, "#ok=OK", "connection ended"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := startGateway(t, c.answer)
			srv.Start()
			g := newSMS(t, "http://u:hunter2@"+srv.Listener.Addr().String()+"/s?key=hunter2&to={to}&text={text}"+c.options)
			err := g.Send(t.Context(), CodeSMS("13800138000", secretCode))
			if c.why == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, core.ErrDeliveryFailed) || !strings.Contains(fmt.Sprint(err), c.why) {
				t.Errorf("got %v, want ErrDeliveryFailed with %q", err, c.why)
			}
			tellsNothing(t, err)
			if n := len(srv.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func tellsNothing(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"hunter2", secretCode, "13800138000"} {
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s stands in %q", secret, err)
		}
	}
}

// TestSMSRedirectsAreNotFollowed: neither the password nor the code goes to a place that the operator did not name.
func TestSMSRedirectsAreNotFollowed(t *testing.T) {
	other := startGateway(t, nil)
	other.Start()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := startGateway(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/?hunter2", status) })
		srv.Start()
		err := newSMS(t, srv.URL+"/s?to={to}&text={text}#post=form").Send(t.Context(), CodeSMS("13800138000", secretCode))
		if !errors.Is(err, core.ErrDeliveryFailed) || !strings.Contains(fmt.Sprint(err), fmt.Sprint(status)) {
			t.Errorf("%d: %v", status, err)
		}
		tellsNothing(t, err)
	}
	if n := len(other.requests()); n != 0 {
		t.Errorf("%d requests were redirected", n)
	}
}

func TestSMSOverTLS(t *testing.T) {
	srv := startGateway(t, nil)
	srv.StartTLS()
	g := newSMS(t, strings.Replace(srv.URL, "https://", "https://u:hunter2@", 1)+"/s?to={to}&text={text}")
	err := g.Send(t.Context(), CodeSMS("13800138000", secretCode))
	if !errors.Is(err, core.ErrDeliveryFailed) || !strings.Contains(fmt.Sprint(err), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	tellsNothing(t, err)
	if n := len(srv.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	g.client.Transport.(*http.Transport).TLSClientConfig.RootCAs = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if err := g.Send(t.Context(), CodeSMS("13800138000", secretCode)); err != nil {
		t.Error(err)
	}
}

func TestSMSSlowGateway(t *testing.T) {
	release := make(chan struct{})
	for name, before := range map[string]string{"before the answer": "", "in the answer": "O"} {
		srv := startGateway(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, before)
			_ = http.NewResponseController(w).Flush()
			<-release
		})
		srv.Start()
		g := newSMS(t, srv.URL+"/s?to={to}&text={text}#ok=OK")
		if g.timeout != 10*time.Second {
			t.Errorf("a message may take %v", g.timeout)
		}
		g.timeout = 150 * time.Millisecond
		start := time.Now()
		err := g.Send(t.Context(), CodeSMS("13800138000", secretCode))
		if !errors.Is(err, core.ErrDeliveryFailed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took < g.timeout || took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		g.timeout = smsTimeout
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := g.Send(ctx, CodeSMS("13800138000", secretCode)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(release)
}

func TestSMSNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = newSMS(t, "http://u:hunter2@"+l.Addr().String()+"/hunter2?to={to}&text={text}").Send(t.Context(), CodeSMS("13800138000", secretCode))
	if !errors.Is(err, core.ErrDeliveryFailed) || !strings.Contains(fmt.Sprint(err), "refused") {
		t.Errorf("got %v", err)
	}
	tellsNothing(t, err)
}

func TestSMSRefusesWhatIsNoTextMessage(t *testing.T) {
	srv := startGateway(t, nil)
	srv.Start()
	g := newSMS(t, srv.URL+"/s?to={to}&text={text}")
	if err := g.Send(t.Context(), CodeMail("a@b.example", "1234")); !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("a mail: %v", err)
	}
	for _, to := range []string{"", "1234", "1234567890123456", "a@b.example", "13800138000&x=1", "13800138000\n", "１３８００１３８０００"} {
		if err := g.Send(t.Context(), CodeSMS(to, "1234")); !errors.Is(err, core.ErrInvalidPhone) || errors.Is(err, core.ErrDeliveryFailed) {
			t.Errorf("%q: %v", to, err)
		}
	}
	notice := newSMS(t, srv.URL+"/s?to={to}&code={code}")
	if err := notice.Send(t.Context(), Message{Kind: SMS, To: "13800138000", Text: "no code"}); !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("a template for codes, a message without: %v", err)
	}
	if n := len(srv.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestNewSMS(t *testing.T) {
	for url, want := range map[string]string{
		"https://u:hunter2@sms.example/{to}/{code}?hunter2": "https://sms.example",
		"http://sms.example:8080?a={to}{text}":              "http://sms.example:8080",
		`https://[::1]/#post={"{to}":"{text}"}`:             "https://[::1]",
	} {
		if got := newSMS(t, url).String(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	for _, url := range []string{
		"", "sms.ex/{to}/{text}", "ftp://sms.ex/{to}/{text}", "https:///{to}/{text}", "https:sms.ex/{to}{text}",
		"https://sms.ex/", "https://sms.ex/?to={to}", "https://sms.ex/?text={text}", "https://sms.ex/?to={to}&text={txt}",
		"https://sms.ex/?to={to}&text={text}&{}", "https://{to}.ex/?to={to}&text={text}", "https://u:{code}@sms.ex/{to}{text}",
		"https://u:hun#ter2@sms.ex/{to}/{text}", "https://u:hun/ter2@sms.ex/{to}/{text}", "https://u:hun%zzter2@sms.ex/{to}{text}",
		"https://sms.ex/{to}/{text}#hunter2", "https://sms.ex/{to}/{text}#post", "https://sms.ex/{to}/{text}#post=hunter2",
		"https://sms.ex/{to}/{text}#post=form&post=form", "https://sms.ex/{to}/{text}#ok=a&ok=b", "https://sms.ex/{to}/{text}#ok=",
		"https://sms.ex/{to}/{text}#ok=(hunter2", "https://sms.ex/{to}/{text}#ok=%zzter2", "https://sms.ex/{to}/{text}#header=hunter2",
		"https://sms.ex/{to}/{text}#header=:hunter2", "https://sms.ex/{to}/{text}#header=a b:hunter2",
		"https://sms.ex/{to}/{text}#header=a:hun%0Ater2", "https://sms.ex/{to}/{text}#header=host:hunter2",
		"https://sms.ex/?to={to}&to={text}#post=json", "https://sms.ex/?to={to};x&text={text}#post=form",
		"https://sms.ex/?{to}&text={text}#post=form", "https://sms.ex/?to={to}&{text}=1#post=json",
		`https://sms.ex/?to={to}#post={"text":"{txt}"}`, `https://sms.ex/#post={"to":"{to}","text":"hunter2"}`,
		`https://sms.ex/?to={to}#post={"text":"{text}"`, "https://sms.ex/?to={to}&text=%D6%D0{text}#post=json",
	} {
		_, err := NewSMS(url)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		for _, secret := range []string{"hun", "ter2", "sms.ex"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells of it: %v", url, err)
			}
		}
	}
}

// FuzzSMSTemplate: what is accepted makes a request for the server that the operator named, and never one without the number.
func FuzzSMSTemplate(f *testing.F) {
	f.Add("https://u:p@sms.example/{to}?text={text}#post=form&header=A:b&ok=^0$")
	f.Add(`http://sms.example:80/?k=1#post={"to":["{to}"],"n":1.50,"t":"{code}"}`)
	f.Add("https://sms.example?to={to}&c=【x】 {code}#post=json")
	f.Add("https://sms.example/%7Bto%7D{to}/{text}")
	f.Fuzz(func(t *testing.T, url string) {
		parsed, err := parseSMS(url)
		if err != nil {
			return
		}
		m := Message{Kind: SMS, To: "+8613800138000", Code: "0427", Text: "{code} 0427@evil.example/#?&"}
		req, err := parsed.request(t.Context(), m)
		if err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		if got := req.URL.Scheme + "://" + req.URL.Host; got != strings.TrimSuffix(parsed.server, ":") {
			t.Errorf("it goes to %s, not to %s", got, parsed.server)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(req.URL.String()+string(body), "8613800138000") {
			t.Errorf("%s has no number", req.URL)
		}
	})
}

func TestCodeSMS(t *testing.T) {
	for _, code := range []string{"0427", "934010"} {
		m := CodeSMS("13800138000", code)
		if firstNumber(m.Text) != code || !strings.Contains(m.Text, " "+code+" ") || strings.Count(m.Text, "0") != strings.Count(code, "0") {
			t.Errorf("the code is not the only number, between spaces: %s", m.Text)
		}
		if n := len(utf16.Encode([]rune(m.Text))); n > 70 {
			t.Errorf("%d characters are more than one message: %s", n, m.Text)
		}
		if m.Kind != SMS || m.To != "13800138000" || m.Code != code {
			t.Errorf("got %+v", m)
		}
	}
}
