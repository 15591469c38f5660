package outbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"parley/internal/core"
)

// readMail parses the one .eml file of dir.
func readMail(t *testing.T, dir string) (*netmail.Message, string, []byte) {
	t.Helper()
	names := list(t, dir)
	if len(names) != 1 || filepath.Ext(names[0]) != ".eml" {
		t.Fatalf("files: %q, want one .eml", names)
	}
	raw, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	msg, body := parse(t, raw)
	return msg, body, raw
}

func parse(t *testing.T, raw []byte) (*netmail.Message, string) {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	body, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	return msg, string(body)
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFolderWritesAReadableMail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "outbox")
	m := CodeMail("mei@example.org", "0427")
	if err := NewFolder(dir).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	msg, body, raw := readMail(t, dir)
	if got := strings.ReplaceAll(body, "\r\n", "\n"); got != m.Text {
		t.Errorf("the text is not readable as it is:\n%s\nwant:\n%s", got, m.Text)
	}
	if firstNumber(body) != "0427" {
		t.Errorf("first number %q", firstNumber(body))
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("subject %q, %v; want %q", subject, err, m.Subject)
	}
	for header, want := range map[string]string{
		"To": "<mei@example.org>", "From": `"Parley" <parley@localhost>`, "Mime-Version": "1.0",
		"Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit", "Auto-Submitted": "auto-generated",
	} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if _, err := msg.Header.Date(); err != nil {
		t.Errorf("Date: %v", err)
	}
	if msg.Header.Get("Message-Id") == "" {
		t.Error("no Message-ID")
	}
	if bare := bytes.ReplaceAll(raw, []byte("\r\n"), nil); bytes.ContainsAny(bare, "\r\n") {
		t.Error("a line that does not end with CRLF")
	}
}

func TestFolderKeepsASCIIAsItIs(t *testing.T) {
	for name, text := range map[string]string{
		"equals signs": "a=b and 100% = all\n",
		"dots":         ".\n..\nend\n",
		"long line":    strings.Repeat("x", maxLine) + "\n",
		"From line":    "From here on\n",
		"line ends":    "one\r\ntwo\rthree\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := NewFolder(dir).Send(t.Context(), Message{To: "a@b.example", Subject: "s", Text: text}); err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
			if _, body, _ := readMail(t, dir); strings.ReplaceAll(body, "\r\n", "\n") != want {
				t.Errorf("got %q, want %q", body, want)
			}
		})
	}
}

func TestFolderEncodesLinesThatAreTooLong(t *testing.T) {
	dir := t.TempDir()
	if err := NewFolder(dir).Send(t.Context(), Message{To: "a@b.example", Text: strings.Repeat("x", maxLine+1)}); err != nil {
		t.Fatal(err)
	}
	_, _, raw := readMail(t, dir)
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestFolderPutsThePlainTextFirst(t *testing.T) {
	dir := t.TempDir()
	m := Message{To: "a@b.example", Subject: "s", Text: "plain 1234\n", HTML: "<p>rich 5678</p>"}
	if err := NewFolder(dir).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	msg, body, _ := readMail(t, dir)
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type %q, %v", kind, err)
	}
	parts := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for _, want := range []string{"text/plain; charset=UTF-8 plain 1234", "text/html; charset=UTF-8 <p>rich 5678</p>"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Header.Get("Content-Type") + " " + strings.TrimSpace(string(content)); got != want {
			t.Errorf("part %q, want %q", got, want)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the parts: %v", err)
	}
}

func TestFolderWritesSMS(t *testing.T) {
	dir := t.TempDir()
	if err := NewFolder(dir).Send(t.Context(), Message{Kind: SMS, To: "+8613800138000", Text: "验证码 4711\n"}); err != nil {
		t.Fatal(err)
	}
	names := list(t, dir)
	if len(names) != 1 || filepath.Ext(names[0]) != ".sms" {
		t.Fatalf("files: %q", names)
	}
	raw, err := os.ReadFile(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if want := "验证码 4711\n\nTo: +8613800138000\n"; string(raw) != want {
		t.Errorf("got %q, want %q", raw, want)
	}
}

// hostile are messages that no Sender may take.
var hostile = map[string]struct {
	m    Message
	want error
}{
	"no recipient":           {Message{To: ""}, core.ErrInvalidEmail},
	"header in recipient":    {Message{To: "a@b.example\r\nBcc: c@d.example"}, core.ErrInvalidEmail},
	"line feed in recipient": {Message{To: "a@b.example\nX: y"}, core.ErrInvalidEmail},
	"folded recipient":       {Message{To: "a@b.example\r\n c"}, core.ErrInvalidEmail},
	"quoted line end":        {Message{To: "\"a\r\nX: y\"@b.example"}, core.ErrInvalidEmail},
	"NUL in recipient":       {Message{To: "a\x00@b.example"}, core.ErrInvalidEmail},
	"display name":           {Message{To: "Mei <a@b.example>"}, core.ErrInvalidEmail},
	"angle brackets":         {Message{To: "<a@b.example>"}, core.ErrInvalidEmail},
	"comment":                {Message{To: "a@b.example (c)"}, core.ErrInvalidEmail},
	"list of recipients":     {Message{To: "a@b.example, c@d.example"}, core.ErrInvalidEmail},
	"SMTP command":           {Message{To: "a@b.example> RCPT TO:<c@d.example"}, core.ErrInvalidEmail},
	"path":                   {Message{To: "../../etc/passwd"}, core.ErrInvalidEmail},
	"header in subject":      {Message{To: "a@b.example", Subject: "s\r\nBcc: c@d.example"}, core.ErrInvalid},
	"line feed in subject":   {Message{To: "a@b.example", Subject: "s\nX: y"}, core.ErrInvalid},
}

func TestFolderRefuses(t *testing.T) {
	for name, phone := range map[string]string{
		"path": "../../8613800138000", "letters": "138abc00000", "line": "13800138000\nTo: 1", "short": "1234", "long": "1234567890123456", "empty": "",
	} {
		t.Run("sms/"+name, func(t *testing.T) {
			refused(t, Message{Kind: SMS, To: phone, Text: "t"}, core.ErrInvalidPhone)
		})
	}
	for name, c := range hostile {
		t.Run("mail/"+name, func(t *testing.T) { refused(t, c.m, c.want) })
	}
}

func refused(t *testing.T, m Message, want error) {
	t.Helper()
	dir := t.TempDir()
	if err := NewFolder(filepath.Join(dir, "outbox")).Send(t.Context(), m); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("files: %q", names)
	}
}

func TestFolderStaysInsideForOddRecipients(t *testing.T) {
	for _, to := range []string{"../x@b.example", "/etc/passwd@b.example", `"a/b"@b.example`, "用户@例子.example"} {
		dir := t.TempDir()
		outbox := filepath.Join(dir, "deep", "outbox")
		if err := NewFolder(outbox).Send(t.Context(), Message{To: to, Text: "t"}); err != nil {
			if !errors.Is(err, core.ErrInvalidEmail) {
				t.Errorf("%s: %v", to, err)
			}
			continue
		}
		msg, _, _ := readMail(t, outbox)
		if a, err := netmail.ParseAddress(msg.Header.Get("To")); err != nil || a.Address != to {
			t.Errorf("%s came back as %v, %v", to, a, err)
		}
		if names := slices.Concat(list(t, dir), list(t, filepath.Join(dir, "deep"))); len(names) != 2 {
			t.Errorf("%s: outside the folder: %q", to, names)
		}
	}
}

func TestFolderOf50Senders(t *testing.T) {
	const senders, each = 50, 4
	dir := t.TempDir()
	f := NewFolder(dir)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := range each {
				if err := f.Send(t.Context(), Message{To: "a@b.example", Text: fmt.Sprintf("sender %d mail %d\n", s, n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	names := list(t, dir)
	if len(names) != senders*each {
		t.Fatalf("%d files, want %d", len(names), senders*each)
	}
	seen := map[string]bool{}
	next := map[int]int{}
	for _, name := range names { // in the order of their names
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, body := parse(t, raw)
		var s, n int
		if _, err := fmt.Sscanf(body, "sender %d mail %d", &s, &n); err != nil || seen[body] {
			t.Fatalf("%s: %q, %v", name, body, err)
		}
		seen[body] = true
		if n != next[s] {
			t.Errorf("sender %d: mail %d stands where %d belongs", s, n, next[s])
		}
		next[s] = n + 1
	}
}

func TestFolderNamesRiseWhileTheClockStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFolder("unused")
		last := f.stamp()
		for range 3 {
			next := f.stamp()
			if next <= last {
				t.Errorf("%s does not follow %s", next, last)
			}
			last = next
		}
	})
}

func TestTwoFoldersInOneMoment(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for range 2 {
			if err := NewFolder(dir).Send(t.Context(), CodeMail("a@b.example", "1234")); err != nil {
				t.Fatal(err)
			}
		}
	})
	if names := list(t, dir); len(names) != 2 {
		t.Errorf("files: %q, want 2", names)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := NewFolder(path).Send(t.Context(), CodeMail("a@b.example", "1234"))
	if !errors.Is(err, core.ErrDeliveryFailed) {
		t.Errorf("got %v, want ErrDeliveryFailed", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewFolder(t.TempDir()).Send(ctx, CodeMail("a@b.example", "1234")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// writerDir, set in the environment, makes the test binary a process that writes there until it is killed.
const writerDir = "OUTBOX_WRITER_DIR"

func writeUntilKilled(dir string) {
	f := NewFolder(dir)
	for {
		if err := f.Send(context.Background(), CodeMail("a@b.example", "1234")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("sent")
	}
}

func TestKilledWriterLeavesOnlyWholeMails(t *testing.T) {
	for _, after := range []int{1, 7, 40} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if acknowledged++; acknowledged == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || acknowledged < after {
			t.Fatalf("the writer ended by itself after %d mails: %v", acknowledged, err)
		}
		whole := 0
		for _, name := range list(t, dir) {
			if filepath.Ext(name) != ".eml" {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			_, body := parse(t, raw)
			if want := lines(CodeMail("", "1234").Text); body != want {
				t.Errorf("%s is not whole:\n%s", name, raw)
			}
			whole++
		}
		if whole < acknowledged {
			t.Errorf("%d mails acknowledged, %d on disk", acknowledged, whole)
		}
	}
}
