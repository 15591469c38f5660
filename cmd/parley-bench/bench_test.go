package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryMeasurementOnTheRealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real servers")
	}
	dir := t.TempDir()
	parley := filepath.Join(dir, "parley")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", parley, "parley/cmd/parley").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := &options{
		Parley: parley, Dir: dir, IDs: "ordered", Size: 64,
		Warmup: 100 * time.Millisecond, Duration: time.Second, Heartbeat: 300 * time.Millisecond,
	}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	rep := newReport(t.Context(), o)
	for _, m := range []interface {
		Run(context.Context, *options, *report) error
	}{
		&idleCmd{Sessions: 21, Settle: time.Second},
		&directCmd{Pairs: 3, Window: []int{1, 16}},
		&directCmd{Pairs: 2, Rate: 200},
		&roomCmd{Members: 5, Senders: 2, Window: []int{4}},
		&roomCmd{Members: 5, Senders: 2, Rate: 100},
		&loginCmd{Connectors: 4, Users: 12},
		&wsCmd{Sessions: 21, Settle: time.Second, Members: 5, Senders: 3, Rate: 100},
		&restCmd{Messages: 500, Clients: 3, Page: 20},
	} {
		if err := m.Run(t.Context(), o, rep); err != nil {
			t.Error(err)
		}
	}
	if len(rep.Results) != 12 {
		t.Fatalf("%d results", len(rep.Results))
	}
	for _, r := range rep.Results {
		if r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 || r.RSSAfter <= 0 || r.Rate <= 0 && r.Unit != "B/session" {
			t.Errorf("%+v", r)
		}
	}
	if r := rep.Results[5]; r.Rate < 300 || r.Rate > 500 { // 100 messages a second to four others each
		t.Errorf("offered 400 deliveries a second, measured %.0f", r.Rate)
	}
	left, err := filepath.Glob(filepath.Join(dir, "parley-bench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// duo is a sender and a listener whose ends of the connections go nowhere.
func duo(t *testing.T) (sender, listener *party) {
	t.Helper()
	tr := &traffic{o: &options{Size: 64, IDs: "ordered"}, rate: 1, until: 1 << 62}
	for i := range 2 {
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		tr.parties = append(tr.parties, &party{t: tr, client: &client{conn: near, account: account{uid: int64(1001 + i)}}})
	}
	sender, listener = tr.parties[0], tr.parties[1]
	sender.sendsTo(1002)
	listener.hears(sender)
	return sender, listener
}

// put lets the party take frames that came in one piece.
func (p *party) put(frames ...[]byte) error {
	p.buf, p.from = bytes.Join(frames, nil), 0
	p.to = len(p.buf)
	return p.take(1 << 40)
}

// as returns a text frame as an answer or a push.
func as(id uint16, frame []byte) []byte {
	body := `{"error":0,` + string(frame[headerSize+1:])
	return appendFrame(nil, id, body)
}

func TestWhatIsLostDoubledOrSwappedFailsTheRun(t *testing.T) {
	sender, _ := duo(t)
	var m [3][]byte
	for i := range m {
		m[i] = sender.message.appendTo(nil, uint32(i), 1<<40-1e6)
	}
	both := appendFrame(nil, textPush, `{"text_array":[`+textOf(m[0])+`, `+textOf(m[1])+`]}`)
	for name, c := range map[string]struct {
		id     uint16
		frames [][]byte
		fault  string
	}{
		"in order":         {textPush, [][]byte{as(textPush, m[0]), as(textPush, m[1]), as(textPush, m[2])}, ""},
		"two in one frame": {textPush, [][]byte{both, as(textPush, m[2])}, ""},
		"lost":             {textPush, [][]byte{as(textPush, m[0]), as(textPush, m[2])}, "message 2 of sender 0 comes, message 1 should"},
		"doubled":          {textPush, [][]byte{as(textPush, m[0]), as(textPush, m[0])}, "message 0 of sender 0 comes, message 1 should"},
		"acks in order":    {textRsp, [][]byte{as(textRsp, m[0]), as(textRsp, m[1])}, ""},
		"ack lost":         {textRsp, [][]byte{as(textRsp, m[1])}, "message 1 is acknowledged, message 0 should be"},
		"refused":          {textRsp, [][]byte{appendFrame(nil, textRsp, `{"error":1002}`)}, "1002"},
		"kicked":           {textPush, [][]byte{appendFrame(nil, 1021, `{"error":0}`)}, "unexpected frame 1021"},
		"changed":          {textPush, [][]byte{as(textPush, bytes.Replace(m[0], []byte(mark), []byte(mark+"x"), 1))}, errStamp.Error()},
	} {
		sender, listener := duo(t)
		p := listener
		if c.id == textRsp {
			p = sender
		}
		switch err := p.put(c.frames...); {
		case c.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %s", name, err, c.fault)
		}
	}
}

// textOf returns the element of text_array in a text frame.
func textOf(frame []byte) string {
	_, rest, _ := strings.Cut(string(frame), "[")
	text, _, _ := strings.Cut(rest, "]")
	return text
}

func TestMissingMessagesAreNamed(t *testing.T) {
	sender, listener := duo(t)
	if err := sender.send(2, 1); err != nil {
		t.Fatal(err)
	}
	m := [2][]byte{sender.message.appendTo(nil, 0, 1), sender.message.appendTo(nil, 1, 1)}
	steps := []struct {
		p    *party
		id   uint16
		m    int
		left string
	}{
		{sender, textRsp, 0, "sent 2 messages, 1 are acknowledged"},
		{sender, textRsp, 1, "should have heard 2 messages, and heard 0"},
		{listener, textPush, 0, "should have heard 2 messages, and heard 1"},
		{listener, textPush, 1, ""},
	}
	for i, s := range steps {
		if err := s.p.put(as(s.id, m[s.m])); err != nil {
			t.Fatal(err)
		}
		err := sender.t.missing()
		if s.left == "" && err != nil || s.left != "" && (err == nil || !strings.Contains(err.Error(), s.left)) {
			t.Errorf("step %d: %v, want %q", i, err, s.left)
		}
	}
}

func TestMessagesAreValidAndTheirIdsUnique(t *testing.T) {
	for _, ids := range []string{"ordered", "random"} {
		m := newMessage(1001, 1002, 7, &options{Size: 100, IDs: ids})
		seen, last := map[string]bool{}, ""
		for i := range uint32(5000) {
			f := m.appendTo(nil, i, int64(i)*3e5)
			var body struct {
				FromUID   int64 `json:"fromuid"`
				ToUID     int64 `json:"touid"`
				TextArray []struct {
					MsgID   string `json:"msgid"`
					Content string `json:"content"`
				} `json:"text_array"`
			}
			if err := json.Unmarshal(f[headerSize:], &body); err != nil {
				t.Fatalf("%v in %s", err, f)
			}
			text := body.TextArray[0]
			s, _, err := nextStamp([]byte(text.Content))
			if err != nil || s != (stamp{sender: 7, seq: i, at: int64(i) * 3e5}) || len(text.Content) != 100 {
				t.Fatalf("%+v, %v from %s", s, err, f)
			}
			if seen[text.MsgID] || len(text.MsgID) != idSize || ids == "ordered" && text.MsgID <= last {
				t.Fatalf("id %s after %s", text.MsgID, last)
			}
			seen[text.MsgID], last = true, text.MsgID
		}
	}
}

func TestQuantiles(t *testing.T) {
	var l, other latencies
	for i := range 1000 {
		d := time.Duration(i+1) * time.Millisecond
		if i%2 == 0 {
			l.add(int64(d))
		} else {
			other.add(int64(d))
		}
	}
	l.merge(&other)
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := l.quantile(q); got < want*97/100 || got > want*104/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := l.quantile(1); got != time.Second {
		t.Errorf("the maximum is %v", got)
	}
}

func TestAmounts(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 3.14159: "3.14", 12: "12", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234", -12.5: "-12.50"} {
		if got := amount(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

func TestFramesInPieces(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	c := &client{conn: near, buf: make([]byte, 8)}
	long := strings.Repeat("x", largestBody)
	go func() {
		defer far.Close()
		all := appendFrame(appendFrame(appendFrame(nil, 1, "ab"), 2, ""), 3, long)
		for n := 1; len(all) > 0; n = min(2*n, 5000) {
			n = min(n, len(all))
			if _, err := far.Write(all[:n]); err != nil {
				return
			}
			all = all[n:]
		}
	}()
	for i, want := range []string{"ab", "", long} {
		id, body, ok := c.next()
		for !ok {
			if err := c.fill(); err != nil {
				t.Fatal(err)
			}
			id, body, ok = c.next()
		}
		if int(id) != i+1 || string(body) != want {
			t.Errorf("frame %d has %d bytes, want frame %d with %d", id, len(body), i+1, len(want))
		}
	}
}
