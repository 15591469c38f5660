package session

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/core"
	"parley/internal/obs"
)

// feedModel drives one user's sessions step by step, as their source, their codec and, in the place of the writer
// goroutine, their writer.
type feedModel struct {
	*rapid.T
	hub     *Hub
	profile *Profile
	skipOwn bool
	stored  map[core.ConversationID][]core.UserID // the author of each message
	lag     []core.MessagesPosted                 // committed, not published
	hurried bool                                  // the first of them comes late
	cursor  map[core.ConversationID]core.Seq

	s     *Session
	start map[core.ConversationID]core.Seq // the cursor at the session's start; absent: wherever its first message is
	heard map[core.ConversationID]core.Seq // by the session's client

	resumes bool                             // the client says itself what it has
	kept    map[core.ConversationID]core.Seq // what it heard in earlier sessions
}

const (
	modelViewer core.UserID = 1
	modelOther  core.UserID = 2
)

func (m *feedModel) Encode(ev core.Event) (frames []Frame) {
	p := ev.(core.MessagesPosted)
	for _, msg := range p.Messages {
		frames = append(frames, Frame{Bytes: fmt.Appendf(nil, "%d %d %100s\n", p.Conversation.ID, msg.Seq, "")})
	}
	return frames
}

func (m *feedModel) Skips(ev core.Event, viewer core.UserID) bool {
	return m.skipOwn && ev.(core.MessagesPosted).Messages[0].Author.ID == viewer
}

func (m *feedModel) Behind(context.Context, core.UserID, core.Gateway) (behind []core.Position, _ error) {
	for conv, authors := range m.stored {
		at := m.cursor[conv]
		m.start[conv] = at
		if at < core.Seq(len(authors)) {
			behind = append(behind, core.Position{Conversation: conv, Seq: at})
		}
	}
	return behind, nil
}

func (m *feedModel) Heads(context.Context, core.UserID) (heads []core.Position, _ error) {
	for conv, authors := range m.stored {
		heads = append(heads, core.Position{Conversation: conv, Seq: core.Seq(len(authors))})
	}
	return heads, nil
}

func (m *feedModel) Page(_ context.Context, _ core.UserID, conv core.ConversationID, after core.Seq, _ bool) (Page, error) {
	page := Page{End: after}
	for _, author := range m.stored[conv][after:] {
		if page.End-after == 5 {
			page.More = true
			break
		}
		page.End++
		page.Events = append(page.Events, posted(conv, page.End, author, 1))
	}
	for range rapid.IntRange(0, 3).Draw(m.T, "while the page is read") {
		if rapid.Bool().Draw(m.T, "commit") {
			m.commit()
		}
		m.publish()
	}
	return page, nil
}

func (m *feedModel) Confirm(_ core.UserID, _ core.Gateway, got []core.Position) {
	for _, p := range got {
		if heard := m.skipTo(p.Conversation, m.heard[p.Conversation]); p.Seq > heard {
			m.Fatalf("%d of conversation %d is confirmed, the client has %d", p.Seq, p.Conversation, heard)
		}
		m.cursor[p.Conversation] = max(m.cursor[p.Conversation], p.Seq)
	}
}

// skipTo returns the last message that the client cannot tell from having heard nothing after seq.
func (m *feedModel) skipTo(conv core.ConversationID, seq core.Seq) core.Seq {
	for authors := m.stored[conv]; m.skipOwn && seq < core.Seq(len(authors)) && authors[seq] == modelViewer; {
		seq++
	}
	return seq
}

func posted(conv core.ConversationID, first core.Seq, author core.UserID, n int) core.MessagesPosted {
	ev := core.MessagesPosted{Conversation: core.Conversation{ID: conv, Kind: core.Room}}
	for i := range n {
		ev.Messages = append(ev.Messages, core.Message{Seq: first + core.Seq(i), Author: core.Author{ID: author}})
	}
	return ev
}

func (m *feedModel) commit() {
	conv := core.ConversationID(rapid.IntRange(1, 3).Draw(m.T, "conversation"))
	author := rapid.SampledFrom([]core.UserID{modelViewer, modelOther, modelOther}).Draw(m.T, "author")
	n := rapid.IntRange(1, 3).Draw(m.T, "messages")
	m.lag = append(m.lag, posted(conv, core.Seq(len(m.stored[conv])+1), author, n))
	for range n {
		m.stored[conv] = append(m.stored[conv], author)
	}
}

func (m *feedModel) publish() {
	if len(m.lag) == 0 {
		return
	}
	ev := m.lag[0]
	m.lag = m.lag[1:]
	m.hurried = false
	if m.s != nil && m.s.phase != anonymous {
		m.s.deliver(ev, m.Encode(ev), m.Skips(ev, modelViewer))
	}
}

// hurry publishes the second event that waits before the first, as if another node had been quicker. A session notices
// that only in a conversation that it knows already.
func (m *feedModel) hurry() {
	if len(m.lag) < 2 || !slices.ContainsFunc(m.s.feed.places, func(p place) bool {
		return p.conversation == m.lag[1].Conversation.ID
	}) {
		return
	}
	m.lag[0], m.lag[1] = m.lag[1], m.lag[0]
	m.publish()
	m.hurried = true
}

// connect begins another session in the place of the one before, which is heard of no more.
func (m *feedModel) connect() {
	if m.hurried && !m.profile.CatchUp { // such a session starts wherever its first event is
		m.publish()
	}
	here, there := net.Pipe()
	_, _ = here.Close(), there.Close()
	m.s = &Session{profile: m.profile, conn: there, reading: true, writing: true, phase: anonymous}
	maps.Copy(m.kept, m.heard)
	m.start, m.heard = map[core.ConversationID]core.Seq{}, map[core.ConversationID]core.Seq{}
	m.s.actor, m.s.phase = core.NewActor(core.User{ID: modelViewer}), starting
}

func (m *feedModel) login() {
	if m.s.phase != starting {
		return
	}
	if err := m.begin(); err != nil {
		m.Fatal(err)
	}
	for conv, at := range m.start {
		m.heard[conv] = at
	}
}

// begin starts the session, at what the client has kept, or at less of it, if it says that.
func (m *feedModel) begin() error {
	if !m.resumes {
		return m.s.Start(context.Background())
	}
	got := []core.Position{{Conversation: 9, Seq: 0}} // which there is not
	for _, conv := range slices.Sorted(maps.Keys(m.kept)) {
		at := core.Seq(rapid.IntRange(0, int(m.kept[conv])).Draw(m.T, "kept"))
		m.start[conv] = at
		got = append(got, core.Position{Conversation: conv, Seq: at})
	}
	return m.s.StartAt(context.Background(), got)
}

// write does what the writer does in one turn.
func (m *feedModel) write() (idle bool) {
	s := m.s
	if len(s.out) == 0 {
		conv, after, ok := s.feed.nextBehind()
		if !ok || s.phase != online {
			return true
		}
		s.pull(conv, after)
		return false
	}
	n := rapid.IntRange(1, len(s.out)).Draw(m.T, "frames written")
	for _, f := range s.out[:n] {
		m.hear(f)
		s.outBytes -= len(f.Bytes)
		s.written += uint64(len(f.Bytes))
	}
	s.out = s.out[n:]
	return false
}

func (m *feedModel) hear(f Frame) {
	var conv core.ConversationID
	var seq core.Seq
	if _, err := fmt.Sscan(string(f.Bytes), &conv, &seq); err != nil {
		m.Fatal(err)
	}
	last, begun := m.heard[conv]
	if !begun && !m.profile.CatchUp {
		last = seq - 1
	}
	if m.skipTo(conv, last)+1 != seq && last+1 != seq {
		m.Fatalf("conversation %d: %d came after %d", conv, seq, last)
	}
	m.heard[conv] = seq
}

// settle publishes and writes everything; then the client must have everything.
func (m *feedModel) settle() {
	m.login()
	for len(m.lag) > 0 {
		m.publish()
	}
	for !m.write() {
		continue
	}
	for conv, authors := range m.stored {
		last, begun := m.heard[conv]
		if (begun || m.profile.CatchUp) && m.skipTo(conv, last) != core.Seq(len(authors)) {
			m.Fatalf("conversation %d ends at %d, the client has %d", conv, len(authors), last)
		}
	}
	if m.s.feed.behind != 0 || m.s.outBytes != 0 {
		m.Fatalf("%d behind, %d bytes queued, nothing to do", m.s.feed.behind, m.s.outBytes)
	}
}

// Whatever happens in whatever order: each session hears a conversation from its cursor on, in order, without a gap.
func TestFeedPositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := slog.New(slog.DiscardHandler)
		m := &feedModel{
			T: t, stored: map[core.ConversationID][]core.UserID{}, cursor: map[core.ConversationID]core.Seq{},
			hub: NewHub(log, obs.NewMetrics(), obs.NewGoroutines(log)), skipOwn: rapid.Bool().Draw(t, "skip own"),
		}
		m.hub.source, m.kept = m, map[core.ConversationID]core.Seq{}
		m.profile = &Profile{
			Gateway: "model", Codec: m, CatchUp: rapid.Bool().Draw(t, "catch up"),
			QueueBytes: rapid.SampledFrom([]int{1, 300, 1 << 20}).Draw(t, "queue"),
			Silence:    time.Minute, LoginWithin: time.Minute,
		}
		m.resumes = !m.profile.CatchUp && rapid.Bool().Draw(t, "resumes")
		m.hub.Use(m.profile)
		m.connect()
		t.Repeat(map[string]func(*rapid.T){
			"commit":  func(t *rapid.T) { m.T = t; m.commit() },
			"publish": func(t *rapid.T) { m.T = t; m.publish() },
			"hurry":   func(t *rapid.T) { m.T = t; m.hurry() },
			"write":   func(t *rapid.T) { m.T = t; m.write() },
			"frame":   func(t *rapid.T) { m.T = t; m.s.Heard() },
			"login":   func(t *rapid.T) { m.T = t; m.login() },
			"connect": func(t *rapid.T) { m.T = t; m.connect() },
			"settle":  func(t *rapid.T) { m.T = t; m.settle() },
		})
		m.T = t
		m.settle()
	})
}
