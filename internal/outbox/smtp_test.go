package outbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/core"
)

const user = "parley:p%40ss%2Fword%3F@"

// secretCode cannot stand in a port or in a message id by chance.
const secretCode = "900189"

func newSMTP(t *testing.T, url string) *SMTP {
	t.Helper()
	s, err := NewSMTP(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decoded returns the text of a mail of one part.
func decoded(t *testing.T, raw []byte) string {
	t.Helper()
	msg, body := parse(t, raw)
	if got := msg.Header.Get("Content-Transfer-Encoding"); got != "quoted-printable" {
		t.Fatalf("encoding %q", got)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestSMTPDelivers(t *testing.T) {
	serverTLS, roots := certificate(t)
	offerTLS := func(s *server) { s.TLSConfig = serverTLS }
	fromStart := func(s *server) { s.TLSConfig, s.Network = serverTLS, "tls" }
	for name, c := range map[string]struct {
		adjust    func(*server)
		before    string // of the host in the URL
		after     string // of the port
		encrypted bool
		user      string
	}{
		"plain":                          {nil, "smtp://", "?from=parley@example.org", false, ""},
		"opportunistic, offered":         {offerTLS, "smtp://", "?from=parley@example.org", true, ""},
		"opportunistic, not offered":     {nil, "smtp://", "?from=parley@example.org&tls=opportunistic", false, ""},
		"required":                       {offerTLS, "smtp://", "?from=parley@example.org&tls=required", true, ""},
		"none, though offered":           {offerTLS, "smtp://", "?from=parley@example.org&tls=none", false, ""},
		"smtps":                          {fromStart, "smtps://", "?from=parley@example.org", true, ""},
		"user over STARTTLS":             {offerTLS, "smtp://" + user, "?from=parley@example.org", true, "parley"},
		"user over smtps":                {fromStart, "smtps://" + user, "?from=parley@example.org", true, "parley"},
		"user in the clear on this host": {nil, "smtp://" + user, "?from=parley@example.org&tls=none", false, "parley"},
		"sender with a name":             {nil, "smtp://", "/?from=Parley+%3Cparley@example.org%3E&helo=me.example&timeout=9s", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := startServer(t, "127.0.0.1:0", c.adjust)
			s := newSMTP(t, c.before+srv.addr+c.after)
			s.tls.RootCAs = roots
			m := CodeMail("mei@example.org", "0427")
			if err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			got := srv.mails()
			if len(got) != 1 {
				t.Fatalf("%d mails", len(got))
			}
			d := got[0]
			if d.from != "parley@example.org" || d.to != "mei@example.org" || d.encrypted != c.encrypted || d.user != c.user {
				t.Errorf("from %s, to %s, encrypted %v, user %q", d.from, d.to, d.encrypted, d.user)
			}
			if text := decoded(t, d.content); text != m.Text {
				t.Errorf("text %q", text)
			}
		})
	}
}

func TestSMTPFails(t *testing.T) {
	serverTLS, _ := certificate(t)
	refuse := func(command string) func(*server) { return func(s *server) { s.refuse = command } }
	for name, c := range map[string]struct {
		adjust      func(*server)
		before      string
		after       string
		listen, why string
	}{
		"sender refused":      {refuse("mail"), "smtp://", "", "", "550"},
		"recipient refused":   {refuse("rcpt"), "smtp://", "", "", "550"},
		"content refused":     {refuse("data"), "smtp://", "", "", "550"},
		"wrong password":      {nil, "smtp://parley:other@", "&tls=none", "", "535"},
		"no STARTTLS":         {nil, "smtp://", "&tls=required", "", "STARTTLS"},
		"user, no STARTTLS":   {nil, "smtp://" + user, "", "", "STARTTLS"},
		"untrusted, STARTTLS": {func(s *server) { s.TLSConfig = serverTLS }, "smtp://", "&tls=required", "", "certificate"},
		"untrusted, smtps":    {func(s *server) { s.TLSConfig, s.Network = serverTLS, "tls" }, "smtps://", "", "", "certificate"},
		"password in the clear to another host": {
			nil, "smtp://" + user, "&tls=opportunistic", "127.0.0.2:0", "unencrypted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			listen := c.listen
			if listen == "" {
				listen = "127.0.0.1:0"
			}
			srv := startServer(t, listen, c.adjust)
			s := newSMTP(t, c.before+srv.addr+"?from=parley@example.org"+c.after)
			err := s.Send(t.Context(), CodeMail("mei@example.org", secretCode))
			if !errors.Is(err, core.ErrDeliveryFailed) || !strings.Contains(fmt.Sprint(err), c.why) {
				t.Errorf("got %v, want ErrDeliveryFailed with %q", err, c.why)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "p@ss") || strings.Contains(text, secretCode) {
				t.Errorf("a secret in %q", text)
			}
			if got := srv.mails(); len(got) != 0 {
				t.Errorf("%d mails", len(got))
			}
		})
	}
}

func TestSMTPRefusesHostileMessages(t *testing.T) {
	srv := startServer(t, "127.0.0.1:0", nil)
	s := newSMTP(t, "smtp://"+srv.addr+"?from=parley@example.org")
	for name, c := range hostile {
		if err := s.Send(t.Context(), c.m); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if err := s.Send(t.Context(), Message{Kind: SMS, To: "13800138000", Text: "t"}); !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("sms: %v", err)
	}
	if srv.sessions != 0 {
		t.Errorf("%d sessions", srv.sessions)
	}
}

func TestSMTPTextCannotEndTheMail(t *testing.T) {
	srv := startServer(t, "127.0.0.1:0", nil)
	s := newSMTP(t, "smtp://"+srv.addr+"?from=parley@example.org")
	for _, end := range []string{"\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\n..\n"} {
		text := "one" + end + "MAIL FROM:<x@y.example>" + end + "two\n"
		if err := s.Send(t.Context(), Message{To: "a@b.example", Text: text}); err != nil {
			t.Fatal(err)
		}
		got := srv.mails()
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		if text := decoded(t, got[len(got)-1].content); text != want {
			t.Errorf("%q came as %q", want, text)
		}
	}
	if got := srv.mails(); len(got) != 6 {
		t.Errorf("%d mails, want 6", len(got))
	}
}

// script is a server that speaks its lines, each after a line of the client's except the first, and then hangs.
// It returns a URL and a channel that is closed when the client has left.
func script(t *testing.T, lines ...string) (url string, left <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewScanner(conn)
		for i, line := range lines {
			if i > 0 && !in.Scan() {
				return
			}
			for line == "250 taken" && in.Text() != "." {
				if !in.Scan() {
					return
				}
			}
			io.WriteString(conn, line+"\r\n")
		}
		for in.Scan() { // hangs until the client leaves
		}
	}()
	return "smtp://" + l.Addr().String() + "?from=parley@example.org&timeout=150ms", gone
}

func TestSMTPHangingServer(t *testing.T) {
	whole := []string{"220 hello", "250 mx.example", "250 sender", "250 recipient", "354 go on", "250 taken"}
	for said := range whole {
		t.Run(fmt.Sprintf("after %d answers", said), func(t *testing.T) {
			url, left := script(t, whole[:said]...)
			start := time.Now()
			err := newSMTP(t, url).Send(t.Context(), CodeMail("a@b.example", "1234"))
			if !errors.Is(err, core.ErrDeliveryFailed) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want ErrDeliveryFailed and DeadlineExceeded", err)
			}
			if took := time.Since(start); took < 150*time.Millisecond || took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			<-left
		})
	}
	t.Run("after it took the mail", func(t *testing.T) {
		url, left := script(t, whole...)
		if err := newSMTP(t, url).Send(t.Context(), CodeMail("a@b.example", "1234")); err != nil {
			t.Errorf("the mail was taken, but: %v", err)
		}
		<-left
	})
}

func TestSMTPServerThatTurnsAway(t *testing.T) {
	for name, lines := range map[string][]string{
		"busy":        {"421 too busy"},
		"no protocol": {"HTTP/1.1 400 Bad Request"},
		"no STARTTLS": {"220 hello", "250 mx.example"},
	} {
		t.Run(name, func(t *testing.T) {
			url, left := script(t, lines...)
			err := newSMTP(t, url+"&tls=required").Send(t.Context(), CodeMail("a@b.example", "1234"))
			if !errors.Is(err, core.ErrDeliveryFailed) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			select {
			case <-left:
			case <-time.After(5 * time.Second):
				t.Fatal("the connection is still open")
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := newSMTP(t, "smtp://"+l.Addr().String()+"?from=parley@example.org")
	if err := s.Send(t.Context(), CodeMail("a@b.example", "1234")); !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestSMTPStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	release := make(chan struct{})
	defer close(release)
	srv := startServer(t, "127.0.0.1:0", func(s *server) {
		s.before = func(*delivery) bool { cancel(); <-release; return false }
	})
	err := newSMTP(t, "smtp://"+srv.addr+"?from=parley@example.org").Send(ctx, CodeMail("a@b.example", "1234"))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestSMTPBoundsItsConnections(t *testing.T) {
	var now, most atomic.Int64
	var once sync.Once
	full := make(chan struct{})
	srv := startServer(t, "127.0.0.1:0", func(s *server) {
		s.before = func(*delivery) bool {
			n := now.Add(1)
			defer now.Add(-1)
			if n == maxConnections {
				once.Do(func() { close(full) })
			}
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-full // the first ones wait until the bound is reached
			return true
		}
	})
	s := newSMTP(t, "smtp://"+srv.addr+"?from=parley@example.org")
	var wg sync.WaitGroup
	const senders = 3 * maxConnections
	for n := range senders {
		wg.Go(func() {
			if err := s.Send(t.Context(), CodeMail(fmt.Sprintf("a%d@b.example", n), "1234")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(srv.mails()); got != senders || most.Load() != maxConnections {
		t.Errorf("%d mails, %d at once; want %d and %d", got, most.Load(), senders, maxConnections)
	}
}

func TestSMTPWaitsForAConnectionNoLongerThanItMay(t *testing.T) {
	srv := startServer(t, "127.0.0.1:0", nil)
	s := newSMTP(t, "smtp://"+srv.addr+"?from=parley@example.org&timeout=50ms")
	for range maxConnections {
		s.slots <- struct{}{}
	}
	err := s.Send(t.Context(), CodeMail("a@b.example", "1234"))
	if !errors.Is(err, core.ErrDeliveryFailed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := srv.mails(); len(got) != 0 {
		t.Errorf("%d mails", len(got))
	}
}

func TestNewSMTP(t *testing.T) {
	for url, want := range map[string]string{
		"smtp://mx.example?from=a@b.example":             "smtp://mx.example:587",
		"smtps://mx.example?from=a@b.example":            "smtps://mx.example:465",
		"smtp://mx.example:25/?from=a@b.example":         "smtp://mx.example:25",
		"smtp://a%40b.example:x@mx.example":              "smtp://mx.example:587",
		"smtp://[::1]:2525?from=A+%3Ca@b.example%3E":     "smtp://[::1]:2525",
		"smtps://u:p@mx.example?from=a@b.example&helo=h": "smtps://mx.example:465",
	} {
		if got := newSMTP(t, url).String(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	for _, url := range []string{
		"", "mx.example", "mx.example:25", "http://mx.example?from=a@b.example", "smtp://?from=a@b.example", "smtp:mx.example",
		"smtp://mx.example", "smtp://u:hunter2@mx.example", "smtp://u@mx.example?from=a@b.example",
		"smtp://:hunter2@mx.example?from=a@b.example", "smtp://u:hun#ter2@mx.example?from=a@b.example",
		"smtp://u:hun/ter2@mx.example?from=a@b.example", "smtp://u:hun?ter2@mx.example", "smtp://u:hun%zzter2@mx.example",
		"smtp://mx.example:0?from=a@b.example", "smtp://mx.example:70000?from=a@b.example",
		"smtp://mx.example?from=a@b.example&from=c@d.example", "smtp://mx.example?from=nobody",
		"smtp://mx.example?from=a@b.example&tls=maybe", "smtps://mx.example?from=a@b.example&tls=none",
		"smtp://mx.example?from=a@b.example&timeout=5", "smtp://mx.example?from=a@b.example&timeout=-5s",
		"smtp://mx.example?from=a@b.example&helo=", "smtp://mx.example?from=a@b.example&hunter2=1",
		"smtp://mx.example/path?from=a@b.example", "smtp://mx.example?from=a@b.example%zz",
		"smtp://mx.example?from=a@b.example%0d%0aBcc:+c@d.example",
	} {
		_, err := NewSMTP(url)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		if slices.ContainsFunc([]string{"hun", "ter2", "mx."}, func(s string) bool { return strings.Contains(err.Error(), s) }) {
			t.Errorf("%s: the error tells of it: %v", url, err)
		}
	}
}
