package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/account"
	"parley/internal/core"
	"parley/internal/gateway/api"
)

// fill makes a path of a template: somebody's uid, or what a test has.
func fill(template string, id core.UserID) string {
	return strings.NewReplacer("{user_id}", fmt.Sprint(id), "{device_id}", "1", "{conversation_id}", "2", "{seq}", "1", "{link_id}", "1",
		"{token}", "mZ0vQe3nTn2mX7f1l9sWzA", "{file_id}", "1",
		"{report_id}", "1", "{connection_id}", "1", "{code_id}", "1").Replace(template)
}

// sign makes an access token by hand, with the server's own key.
func (c *client) sign(method jwt.SigningMethod, key any, edit func(jwt.MapClaims)) string {
	c.t.Helper()
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(c.access, claims)
	c.must(err)
	edit(claims)
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	c.must(err)
	return token
}

func (w *world) key() []byte {
	w.t.Helper()
	var text string
	w.must(w.db.QueryRow(context.Background(), `SELECT value FROM setting WHERE name = 'account.signing_key'`, nil, &text))
	var key []byte
	_, err := fmt.Sscanf(text, "%x", &key)
	w.must(err)
	return key
}

// TestEveryRouteFromTheWrongSide goes through all routes of the OpenAPI document that need a token, so that a new one cannot
// be forgotten.
func TestEveryRouteFromTheWrongSide(t *testing.T) {
	w := newWorld(t)
	ann, bob, cyd, dan := w.join("ann"), w.join("bob"), w.join("cyd"), w.join("dan")
	bob.post("/auth/logout", "").ok(200)
	w.must(w.accounts.SetDisabled(context.Background(), w.accounts.Operator(), core.Origin{}, "cyd", true))
	dan.delete("/users/account").refused(403, 10001)
	dan.do("DELETE", "/users/account", fmt.Sprintf(`{"password":%q}`, password)).ok(200)
	key := w.key()
	past := func(c jwt.MapClaims) { c["exp"] = time.Now().Unix() - 1 }
	wrong := []struct {
		who   string
		token string
		code  int
	}{
		{"nobody", "", 10004},
		{"words", "let me in", 10004},
		{"a refresh token", ann.refresh, 10004},
		{"an expired token", ann.sign(jwt.SigningMethodHS256, key, past), 10005},
		{"no algorithm", ann.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {}), 10004},
		{"another key", ann.sign(jwt.SigningMethodHS256, []byte("guessed"), func(jwt.MapClaims) {}), 10004},
		{"another algorithm", ann.sign(jwt.SigningMethodHS512, key, func(jwt.MapClaims) {}), 10004},
		{"another issuer", ann.sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["iss"] = "elsewhere" }), 10004},
		{"not yet", ann.sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["nbf"] = time.Now().Unix() + 600 }), 10004},
		{"another's uid", ann.sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["user_id"] = bob.id }), 10004},
		{"logged out", bob.access, 10004},
		{"banned", cyd.access, 10004},
		{"deleted", dan.access, 10004},
	}
	secured := w.doc.secured()
	if len(secured) < 25 {
		t.Fatalf("only %d routes need a token: %v", len(secured), secured)
	}
	for _, r := range secured {
		method, template, _ := strings.Cut(r, " ")
		for _, tt := range wrong {
			c := &client{world: w, access: tt.token}
			a := c.do(method, fill(template, ann.id), "").refused(401, tt.code)
			if a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s, %s: it is not told how to prove oneself", r, tt.who)
			}
		}
		if strings.HasPrefix(template, "/admin/") {
			ann.do(method, fill(template, ann.id), `{"username":"new","password":"SecurePass123!"}`).refused(403, 10403)
		}
	}
	ann.get("/users/profile").ok(200)
}

// TestTheTokenComesInOneHeaderOnly: what a browser sends by itself proves nothing.
func TestTheTokenComesInOneHeaderOnly(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	s := w.stranger()
	s.do("GET", "/users/profile", "", "Cookie", "token="+ann.access+"; access_token="+ann.access).refused(401, 10004)
	s.do("GET", "/users/profile?token="+ann.access+"&access_token="+ann.access, "").refused(401, 10004)
	s.do("GET", "/users/profile", "", "Authorization", "Basic "+ann.access).refused(401, 10004)
	s.do("GET", "/users/profile", "", "Authorization", ann.access).refused(401, 10004)
	s.do("GET", "/users/profile", "", "Authorization", "bearer "+ann.access).ok(200)
	if a := ann.get("/users/profile"); a.header.Get("Set-Cookie") != "" {
		t.Error("a cookie is set")
	}
}

// TestNobodyReachesWhatIsAnothers, with a token of their own.
func TestNobodyReachesWhatIsAnothers(t *testing.T) {
	w := newWorld(t)
	ann, bob, cyd := w.join("ann"), w.join("bob"), w.join("cyd")
	bob.delete("/users/devices/"+strconv.Itoa(int(ann.device))).refused(404, 10014)
	ann.post("/contacts/requests", fmt.Sprintf(`{"user_id":%d}`, bob.id)).ok(201)
	cyd.post(fmt.Sprintf("/contacts/requests/%d/accept", ann.id), "").refused(404, 10015)
	cyd.post(fmt.Sprintf("/contacts/requests/%d/refuse", ann.id), "").refused(404, 10015)
	ann.post(fmt.Sprintf("/contacts/requests/%d/accept", bob.id), "").refused(404, 10015)
	cyd.get("/contacts/requests").equal("total", "0")
	ann.get("/users/profile").ok(200).equal("username", "ann")
	if a := bob.get(fmt.Sprintf("/users/%d", ann.id)).ok(200); strings.Contains(a.body, "example.org") {
		t.Errorf("others see the address: %s", a.body)
	}
}

func TestAReusedRefreshTokenLogsTheDeviceOut(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	first := ann.refresh
	phone := w.login("ann")
	refresh := func(token string) answer {
		return w.stranger().post("/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, token))
	}
	second := refresh(first).ok(200).at("refresh_token")
	if again := refresh(first).ok(200).at("refresh_token"); again != second {
		t.Error("a lost answer is not given again")
	}
	refresh(second).ok(200)
	refresh(first).refused(401, 10004)
	refresh(second).refused(401, 10004)
	ann.get("/users/profile").refused(401, 10004)
	phone.get("/users/profile").ok(200)
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.Origins = []string{"https://meeting.example", "http://localhost:5173"} })
	ann := w.join("ann")
	for _, a := range []answer{ann.get("/users/profile"), ann.get("/nothing"), w.stranger().get("/users/profile")} {
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Content-Type": "application/json; charset=utf-8",
			"Access-Control-Allow-Origin": "", "Strict-Transport-Security": "",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", a.what, name, got)
			}
		}
		if len(a.header.Get("X-Request-Id")) < 10 {
			t.Errorf("%s has no id", a.what)
		}
	}
	if a := ann.post("/auth/login", fmt.Sprintf(`{"username":"ann","password":%q}`, password)); a.header.Get("Cache-Control") != "no-store" {
		t.Error("a login may be stored")
	}
}

func TestWhichPagesMayCall(t *testing.T) {
	for name, tt := range map[string]struct {
		origins     []string
		origin      string
		allowed     string
		credentials string
	}{
		"listed":     {[]string{"https://a.example", "https://b.example"}, "https://b.example", "https://b.example", "true"},
		"not listed": {[]string{"https://a.example"}, "https://evil.example", "", ""},
		"alike":      {[]string{"https://a.example"}, "https://a.example.evil.example", "", ""},
		"null":       {[]string{"https://a.example"}, "null", "", ""},
		"none":       {nil, "https://a.example", "", ""},
		"all":        {[]string{"*"}, "https://any.example", "https://any.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) { s.api.Origins = tt.origins })
			ann := w.join("ann")
			a := ann.do("GET", "/users/profile", "", "Origin", tt.origin).ok(200)
			if a.header.Get("Access-Control-Allow-Origin") != tt.allowed || a.header.Get("Access-Control-Allow-Credentials") != tt.credentials {
				t.Errorf("%v", a.header)
			}
			if tt.origins != nil && a.header.Get("Vary") != "Origin" {
				t.Error("a cache would give it to other pages")
			}
			a = w.stranger().do("OPTIONS", "/users/profile", "", "Origin", tt.origin,
				"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization,content-type").ok(204)
			if methods := a.header.Get("Access-Control-Allow-Methods"); (methods == "GET, POST, PUT, DELETE") != (tt.allowed != "") {
				t.Errorf("methods %q", methods)
			}
			if headers := a.header.Get("Access-Control-Allow-Headers"); strings.Contains(headers, "Authorization") != (tt.allowed != "") {
				t.Errorf("headers %q", headers)
			}
		})
	}
}

func TestLongAnswersAreCompressed(t *testing.T) {
	w := newWorld(t)
	root := w.admin("root")
	for i := range 20 {
		_, err := w.accounts.Add(context.Background(), w.accounts.Operator(), core.Origin{}, account.NewUser{Name: fmt.Sprint("user", i), Password: password})
		w.must(err)
	}
	plain := root.do("GET", "/admin/users", "", "Accept-Encoding", "identity").ok(200)
	zipped := root.do("GET", "/admin/users", "", "Accept-Encoding", "gzip, deflate, br").ok(200)
	if zipped.header.Get("Content-Encoding") != "gzip" || plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v, %v", zipped.header, plain.header)
	}
	z, err := gzip.NewReader(strings.NewReader(zipped.body))
	w.must(err)
	b, err := io.ReadAll(z)
	w.must(err)
	a := zipped
	if a.body = string(b); a.at("items") != plain.at("items") || len(zipped.body) > len(plain.body)/3 {
		t.Errorf("%d bytes of %d", len(zipped.body), len(plain.body))
	}
	if a := root.do("GET", "/users/profile", "", "Accept-Encoding", "gzip").ok(200); a.header.Get("Content-Encoding") != "" {
		t.Error("a short answer is compressed")
	}
	a = w.stranger().do("POST", "/auth/login", fmt.Sprintf(`{"username":"root","password":%q}`, password), "Accept-Encoding", "gzip").ok(200)
	if a.header.Get("Content-Encoding") != "" || len(a.body) < 1024 {
		t.Errorf("tokens are compressed, or this tests nothing: %d bytes", len(a.body))
	}
}

func TestWhatIsKnownIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	tag := ann.get("/users/profile").ok(200).header.Get("ETag")
	for _, known := range []string{tag, `"other", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
		if a := ann.do("GET", "/users/profile", "", "If-None-Match", known); a.status != 304 || a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("%s: %d %s", known, a.status, a.body)
		}
	}
	ann.do("GET", "/users/profile", "", "If-None-Match", `"other"`).ok(200)
	ann.put("/users/profile", `{"bio":"new"}`).ok(200)
	a := ann.do("GET", "/users/profile", "", "If-None-Match", tag).ok(200)
	if a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("cached as %q", a.header.Get("Cache-Control"))
	}
}

func TestTooManyRequests(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.account.Requests = 10 })
	ann, bob := w.join("ann"), w.join("bob")
	var last answer
	for range 11 {
		last = ann.get("/users/profile")
	}
	last.refused(429, 10429)
	if wait, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("wait %q", last.header.Get("Retry-After"))
	}
	bob.get("/users/profile").ok(200)
	for range 10 {
		last = w.stranger().get("/nothing")
	}
	last.refused(429, 10429)
	w.stranger().get("/users/profile").refused(429, 10429)
	bob.get("/users/profile").ok(200)
}

func TestGuessingPasswordsIsThrottled(t *testing.T) {
	w := newWorld(t)
	w.join("ann")
	var last answer
	for range 20 {
		if last = w.stranger().post("/auth/login", `{"username":"ann","password":"guessed"}`); last.status == 429 {
			break
		}
		last.refused(401, 10001)
	}
	last.refused(429, 10429)
	if wait, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || wait < 1 {
		t.Errorf("wait %q", last.header.Get("Retry-After"))
	}
}

func TestGuessingCodesIsHopeless(t *testing.T) {
	w := newWorld(t)
	w.stranger().post("/auth/forgot-password", `{"email":"ann@example.org"}`).ok(200)
	reset := func(code string) answer {
		return w.stranger().post("/auth/reset-password", fmt.Sprintf(`{"email":"ann@example.org","code":%q,"new_password":%q}`, code, password))
	}
	for range 5 {
		reset("12345").refused(400, 10008)
	}
	reset(w.mail.code("ann@example.org")).refused(400, 10009)
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	s := w.stranger()
	for name, tt := range map[string]struct {
		body, kind   string
		status, code int
	}{
		"too large":       {`{"username":"` + strings.Repeat("x", 70<<10) + `"}`, "application/json", 413, 10413},
		"no JSON":         {"username=ann&password=x", "application/json", 400, 10400},
		"a form":          {"username=ann&password=x", "application/x-www-form-urlencoded", 415, 10415},
		"a simple text":   {`{"username":"ann"}`, "text/plain", 415, 10415},
		"of no kind":      {`{"username":"ann"}`, "", 415, 10415},
		"half":            {`{"username":"ann"`, "application/json", 400, 10400},
		"two":             {`{"username":"ann"}{}`, "application/json", 400, 10400},
		"twice":           {`{"username":"ann","username":"bob"}`, "application/json", 400, 10400},
		"no UTF-8":        {"{\"username\":\"\xff\"}", "application/json", 400, 10400},
		"a list":          {`["ann"]`, "application/json", 400, 10400},
		"deep":            {strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000), "application/json", 413, 10413},
		"deep and small":  {`{"a":` + strings.Repeat("[", 12_000) + strings.Repeat("]", 12_000) + `}`, "application/json", 400, 10400},
		"null":            {"null", "application/json", 400, 10400},
		"nothing":         {" ", "application/json", 401, 10001},
		"with a charset":  {`{}`, "application/json; charset=utf-8", 401, 10001},
		"more than asked": {`{"username":"ann","password":"x","remember":true}`, "application/json", 401, 10001},
	} {
		t.Run(name, func(*testing.T) {
			s.do("POST", "/auth/login", tt.body, "Content-Type", tt.kind).refused(tt.status, tt.code)
		})
	}
}

// TestAnUploadThatIsNoPicture is refused, whatever it calls itself.
func TestAnUploadThatIsNoPicture(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	for name, content := range map[string]string{
		"me.svg": "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "me.html": "<html><script>alert(1)</script>",
		"../../me.png": "no picture", "me.png": "",
	} {
		ann.upload("avatar", name, []byte(content)).refused(400, 30002)
	}
	ann.upload("avatar", "me.png", bytes.Repeat([]byte{0x89}, account.MaxAvatar+1)).refused(413, 30003)
	ann.upload("avatar", "me.png", bytes.Repeat([]byte{0x89}, account.MaxAvatar+(1<<20))).refused(413, 30003)
	ann.get("/users/profile").equal("avatar_url", "")
}

func TestAnAvatarIsServedAsAPictureAndNothingElse(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.api.PublicURL = "https://parley.example/" })
	ann := w.join("ann")
	url := ann.upload("file", "../../../etc/passwd", picture(t, 50, 70)).ok(200).at("avatar_url")
	path, ok := strings.CutPrefix(url, "https://parley.example"+api.Prefix)
	if !ok {
		t.Fatalf("the address is %s", url)
	}
	a := w.stranger().get(path).ok(200)
	if a.header.Get("Content-Type") != "image/jpeg" || a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%v", a.header)
	}
	if a := w.stranger().do("GET", path, "", "Range", "bytes=0-1"); a.status != 206 || a.body != "\xff\xd8" {
		t.Errorf("%d %q", a.status, a.body)
	}
	for _, p := range []string{"/avatars/1001/..%2f..%2fparley.db", "/avatars/1001/%2e%2e", "/avatars/x/a.png", "/avatars/1002/" + path[strings.LastIndex(path, "/")+1:]} {
		w.stranger().get(p).refused(404, 10404)
	}
}

// TestInternalErrors: whoever asked gets an id, the log the details.
func TestInternalErrors(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	w.exec(`ALTER TABLE block RENAME TO on_fire`)
	a := ann.get("/contacts/blocks").refused(500, 10500)
	id := a.header.Get("X-Request-Id")
	if strings.Contains(a.body, "block") || strings.Contains(a.body, "SQL") || !strings.Contains(a.body, id) {
		t.Errorf("told: %s", a.body)
	}
	if log := w.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "no such table: block") {
		t.Errorf("logged: %s", log)
	}
}

// TestTheLogHasNoSecrets: neither tokens nor passwords nor what stands behind a question mark.
func TestTheLogHasNoSecrets(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	w.exec(`ALTER TABLE device RENAME TO on_fire`)
	ann.get("/contacts/search?q=secretquery").refused(500, 10500)
	ann.post("/auth/login", fmt.Sprintf(`{"username":"ann","password":%q}`, password)).refused(500, 10500)
	ann.post("/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, ann.refresh)).refused(500, 10500)
	log := w.log.String()
	for _, secret := range []string{ann.access, ann.refresh, password, "secretquery"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
	if !strings.Contains(log, "on_fire") && !strings.Contains(log, "device") {
		t.Errorf("this tests nothing: %s", log)
	}
}

// TestABrokenUploadIsTold, if somebody is there to hear it, and not taken for a small one.
func TestABrokenUploadIsTold(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.web.URL, "http://"))
	w.must(err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s/users/upload-avatar HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"+
		"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 60\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n", api.Prefix, ann.access)
	w.must(err)
	w.must(conn.(*net.TCPConn).CloseWrite())
	b, err := io.ReadAll(conn)
	w.must(err)
	// If the server notices first that the stream is over, it takes the client for gone, and cuts the connection.
	if len(b) > 0 && (!strings.HasPrefix(string(b), "HTTP/1.1 400") || !strings.Contains(string(b), `"code":30001`)) {
		t.Errorf("%s", b)
	}
	ann.do("POST", "/users/upload-avatar", "--b--\r\n", "Content-Type", "multipart/form-data; boundary=b").refused(400, 30001)
}

func TestInvitationsAndClosedServersRefuse(t *testing.T) {
	for _, policy := range []string{account.Closed, account.Invite} {
		w := newWorld(t, func(s *settings) { s.account.Registration = policy })
		w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"ann","password":%q}`, password)).refused(403, 10007)
	}
	w := newWorld(t, func(s *settings) { s.account.Registration = account.Code })
	w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"ann","email":"ann@example.org","password":%q}`, password)).refused(400, 10009)
	w.stranger().post("/auth/send-code", `{"email":"ann@example.org"}`).ok(200)
	w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"ann","email":"ann@example.org","code":%q,"password":%q}`, w.mail.code("ann@example.org"), password)).
		ok(200).equal("user/email_verified", "true")
}

func TestTooManyRegistrations(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.account.RegisterPerHour = 1 })
	w.join("ann")
	a := w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"bob","password":%q}`, password)).refused(429, 10429)
	if a.header.Get("Retry-After") == "" {
		t.Error("it is not told when")
	}
}

func FuzzBearer(f *testing.F) {
	w := newWorld(f)
	ann := w.join("ann")
	f.Add("Bearer " + ann.access)
	f.Add("Bearer " + ann.refresh)
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.")
	f.Add("Basic YW5uOnNlY3JldA==")
	f.Fuzz(func(t *testing.T, header string) {
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Skip("no header can be this")
		}
		req, err := http.NewRequest("GET", w.web.URL+api.Prefix+"/users/profile", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := w.web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK != strings.HasSuffix(strings.TrimSpace(header), " "+ann.access) {
			t.Errorf("%q: %d", header, resp.StatusCode)
		}
	})
}

// FuzzBodies sends anything to every route that takes a body: none may fail inside.
func FuzzBodies(f *testing.F) {
	w := newWorld(f)
	ann := w.admin("ann")
	var routes []string
	for path, methods := range w.doc.Paths {
		for method, op := range methods {
			if len(op.RequestBody.Content) > 0 && !strings.Contains(path, "account") {
				routes = append(routes, strings.ToUpper(method)+" "+strings.TrimPrefix(path, api.Prefix))
			}
		}
	}
	ann.post("/rooms", `{"name":"The choir"}`).ok(201) // whose number fill puts into paths
	ann.post("/conversations/2/messages", `{"text":"hello"}`).ok(201)
	web := *w.web.Client()
	web.Timeout = 20 * time.Second // what hangs is a failure too
	f.Add(0, `{"username":"user123","password":"SecurePass123!"}`)
	f.Add(1, `{"refresh_token":"x"}`)
	f.Add(2, `{"user_id":1e400}`)
	f.Add(3, `{"sex":9223372036854775808,"email":null}`)
	f.Add(5, `{"text":"hello","reply_to":-1,"client_id":"\u0000","file_id":9223372036854775807}`)
	f.Add(6, `{"name":"\u202e","member_ids":[0,-1,null],"is_public":1}`)
	f.Add(7, `{"mute_seconds":-9223372036854775808,"role":null}`)
	f.Add(8, `{"expires_in":9223372036854775807,"max_uses":-1,"seq":1e3,"emoji":"\ud83d"}`)
	f.Add(4, "{\"full_name\":\"\\ud800\"}")
	f.Fuzz(func(t *testing.T, which int, body string) {
		method, template, _ := strings.Cut(routes[uint(which)%uint(len(routes))], " ")
		req, err := http.NewRequest(method, w.web.URL+api.Prefix+fill(template, 999), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+ann.access)
		req.Header.Set("Content-Type", "application/json")
		resp, err := web.Do(req)
		if err != nil {
			t.Fatalf("%s %s %q: %v", method, template, body, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 500 {
			b, _ := io.ReadAll(resp.Body)
			t.Errorf("%s %s %q: %d %s", method, template, body, resp.StatusCode, b)
		}
	})
}
