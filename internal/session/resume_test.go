package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/session"
	"parley/test/line"
)

// loudly is a codec that tells how many messages an event has, and has a form of its own for pages.
type loudly struct{ line.Codec }

func (loudly) Encode(ev core.Event) []session.Frame {
	if p, ok := ev.(core.MessagesPosted); ok {
		return []session.Frame{{Bytes: fmt.Appendf(nil, "LOUD %d\n", len(p.Messages))}}
	}
	return nil
}

func (loudly) EncodePage(page []core.MessagesPosted) []session.Frame {
	text := "PAGE"
	for _, ev := range page {
		for _, m := range ev.Messages {
			text += fmt.Sprintf(" %d", m.Seq)
		}
	}
	return []session.Frame{{Bytes: []byte(text + "\n")}}
}

// resumes is a bench whose clients know themselves what they have got.
func resumes(t *testing.T, p session.Profile) *bench {
	t.Helper()
	p.Gateway, p.AllRooms = "line", true
	return newBench(t, &line.Gateway{Rivalry: session.Share, Profile: &p})
}

// resume logs somebody in who has got what the positions say.
func (b *bench) resume(uid core.UserID, positions string) *line.Client {
	b.Helper()
	c := b.dial()
	c.Must(b, fmt.Sprintf("resume %d %s", uid, positions))
	c.Expect(b, fmt.Sprintf("welcome %d", uid))
	return c
}

func (b *bench) direct(from, to core.UserID, text string) core.ConversationID {
	b.Helper()
	done := make(chan error, 1)
	b.Check(b.Chat.Post(context.Background(), as(from), chat.Post{
		To: chat.Target{User: to}, Origin: "test", Retry: chat.RetryRecent, Drafts: []chat.Draft{{Text: text}},
	}, func(_ []core.Message, err error) { done <- err }))
	b.Check(<-done)
	return core.ConversationID(b.Int(`SELECT max(id) FROM conversation WHERE kind = 1`))
}

func TestWhoResumesGetsWhatFollows(t *testing.T) {
	b := resumes(t, session.Profile{})
	for i := range 300 { // more than a page
		b.post(bob, roomA, fmt.Sprint(i))
	}
	b.post(bob, roomB, "x", "y")
	chat := b.direct(bob, ann, "hello")
	c := b.resume(ann, fmt.Sprintf("10:5 %d:0", chat))
	seen := map[core.ConversationID]core.Seq{roomA: 5, chat: 0}
	for range 296 {
		m := hearMessage(t, c)
		if last, ok := seen[m.Conversation]; !ok || m.Seq != last+1 {
			t.Fatalf("heard %d of %d after %d", m.Seq, m.Conversation, last)
		}
		seen[m.Conversation]++
	}
	// Where nothing was said of a conversation, it goes on from the present.
	b.post(cyd, roomB, "z")
	hears(t, c, roomB, 3, 1)
	b.post(cyd, roomA, "live")
	hears(t, c, roomA, 301, 1)
}

func TestWhatComesWhileSomebodyResumesIsHeardOnce(t *testing.T) {
	b := resumes(t, session.Profile{})
	b.post(bob, roomA, "1", "2", "3")
	b.gw.AfterRegister = func() { b.post(bob, roomA, "4"); b.post(bob, roomB, "1") }
	c := b.resume(ann, "10:1")
	b.post(bob, roomA, "5")
	b.post(bob, roomB, "2")
	seen := map[core.ConversationID]core.Seq{roomA: 1, roomB: 0}
	for range 6 {
		m := hearMessage(t, c)
		if m.Seq != seen[m.Conversation]+1 {
			t.Fatalf("heard %d of %d after %d", m.Seq, m.Conversation, seen[m.Conversation])
		}
		seen[m.Conversation]++
	}
	c.Must(t, "ping x")
	c.Expect(t, "pong x")
}

func TestNobodyResumesWhatIsNotTheirs(t *testing.T) {
	b := resumes(t, session.Profile{})
	den := b.den() // ann's
	b.post(ann, den, "inside")
	private := b.direct(ann, bob, "between us")
	c := b.resume(cyd, fmt.Sprintf("%d:0 %d:0 999:0 %d:-5", den, private, roomA))
	b.post(ann, den, "still inside")
	b.direct(bob, ann, "still between us")
	b.post(ann, roomA, "for everybody")
	hears(t, c, roomA, 1, 1)
	// Who comes later gets what is said from then on.
	b.joins(cyd, den)
	c.Expect(t, fmt.Sprintf("joined %d 1003", den))
	b.post(ann, den, "welcome")
	hears(t, c, den, 3, 1)
}

// interrupted is a source that does something once, after it has read a page and before it hands it on.
type interrupted struct {
	session.Source
	do func()
}

func (b *interrupted) Page(ctx context.Context, viewer core.UserID, id core.ConversationID, after core.Seq, whole bool) (session.Page, error) {
	page, err := b.Source.Page(ctx, viewer, id, after, whole)
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return page, err
}

// TestWhatWasSaidWhileAnEmptyPageWasReadWasLost for a client that was thought to be up to date then.
func TestWhatWasSaidWhileAnEmptyPageWasReadWasLost(t *testing.T) {
	source := &interrupted{}
	b := newBenchWith(t, &line.Gateway{Rivalry: session.Share, Profile: &session.Profile{Gateway: "line", AllRooms: true}}, line.Options{
		Source: func(s session.Source) session.Source { source.Source = s; return source },
	})
	den := b.den()
	b.post(ann, den, "before cyd came")
	b.joins(cyd, den)
	source.do = func() { b.post(ann, den, "meanwhile") }
	c := b.resume(cyd, fmt.Sprintf("%d:0", den))
	hears(t, c, den, 2, 1)
}

// TestAPositionBeyondTheEndMadeAClientDeaf until the conversation was there.
func TestAPositionBeyondTheEndMadeAClientDeaf(t *testing.T) {
	b := resumes(t, session.Profile{})
	b.post(bob, roomA, "1")
	c := b.resume(ann, "10:1000000")
	b.post(bob, roomA, "2")
	hears(t, c, roomA, 2, 1)
}

func TestAPageOfItsOwnForm(t *testing.T) {
	b := resumes(t, session.Profile{Codec: loudly{line.Codec{SkipOwn: true}}})
	b.post(bob, roomA, "1")
	b.post(cyd, roomA, "2")
	b.post(bob, roomA, "3", "4")
	chat := b.direct(bob, ann, "hello")
	b.direct(ann, bob, "is not shown to ann")
	b.direct(bob, ann, "again")
	c := b.resume(ann, "10:1")
	c.Expect(t, "PAGE 2 3 4")
	b.post(bob, roomA, "5", "6")
	c.Expect(t, "LOUD 2")
	b.resume(ann, fmt.Sprintf("%d:0", chat)).Expect(t, "PAGE 1 3")
}

// hooked is a codec of pages that does something between a page's reading and its sending.
type hooked struct {
	line.Codec
	before func()
}

func (h *hooked) EncodePage(page []core.MessagesPosted) (frames []session.Frame) {
	h.before()
	for _, ev := range page {
		frames = append(frames, h.Encode(ev)...)
	}
	return frames
}

// TestAChangeOvertookTheMessage when that came from the store as it was before: who leaves changes of what they have not got aside
// kept the old text for ever.
func TestAChangeOvertookTheMessage(t *testing.T) {
	codec := &hooked{}
	b := resumes(t, session.Profile{Codec: codec})
	b.post(bob, roomA, "old")
	b.post(bob, roomB, "other")
	codec.before = func() {
		codec.before = func() {}
		b.Hub.Publish(core.MessageChanged{Conversation: core.Conversation{ID: roomB, Kind: core.Room}, Message: core.Message{Seq: 1, Text: "elsewhere"}})
		b.Hub.Publish(core.MessageChanged{Conversation: core.Conversation{ID: roomA, Kind: core.Room}, Message: core.Message{Seq: 1, Text: "new"}})
	}
	c := b.resume(ann, "10:0")
	c.Expect(t, "changed 11 1 elsewhere")
	hears(t, c, roomA, 1, 1)
	c.Expect(t, "changed 10 1 new")
	b.post(bob, roomA, "live")
	hears(t, c, roomA, 2, 1)
}

// TestChangesThatWaitAreNotWithoutEnd: a connection ends before it holds more than any queue may.
func TestChangesThatWaitAreNotWithoutEnd(t *testing.T) {
	codec := &hooked{}
	b := resumes(t, session.Profile{Codec: codec, QueueBytes: 4 << 10})
	b.post(bob, roomA, "old")
	codec.before = func() {
		for range 20 {
			b.Hub.Publish(core.MessageChanged{
				Conversation: core.Conversation{ID: roomA, Kind: core.Room}, Message: core.Message{Seq: 1, Text: strings.Repeat("x", 1000)},
			})
		}
	}
	c := b.resume(ann, "10:0")
	c.ExpectEnd(t)
	until(t, "the connection is counted", func() bool { return b.Metric(`parley_session_closed_total{gateway="line",reason="overflow"}`) == 1 })
}
