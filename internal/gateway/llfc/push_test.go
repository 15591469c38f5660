package llfc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/internal/core"
	"parley/internal/session"
)

func posted(kind core.ConversationKind, ids, texts []string) core.MessagesPosted {
	ev := core.MessagesPosted{Conversation: core.Conversation{ID: 7, Kind: kind}}
	if kind == core.Direct {
		ev.Members = []core.UserID{sqy, ocz}
	}
	for i, text := range texts {
		ev.Messages = append(ev.Messages, core.Message{
			Seq: core.Seq(i + 1), Author: core.Author{ID: sqy, Name: "sqy"}, ClientID: ids[i], Text: text, Origin: Name,
		})
	}
	return ev
}

type push struct {
	Error     int
	FromUID   core.UserID
	ToUID     *core.UserID
	TextArray []struct{ MsgID, Content string } `json:"text_array"`
}

// unpack checks frames of 1019 and returns the items of all of them: for each id what its pieces say together.
func unpack(t *testing.T, frames []session.Frame) (ids []string, said map[string]string) {
	t.Helper()
	said = map[string]string{}
	for _, f := range frames {
		b := f.Bytes
		if binary.BigEndian.Uint16(b) != 1019 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-4 {
			t.Fatalf("header % x of %d bytes", b[:4], len(b))
		}
		if f.ViewerAt > 0 {
			b = bytes.Clone(b)
			copy(b[f.ViewerAt:f.ViewerAt+session.ViewerWidth], "      1055")
		}
		var p push
		if err := json.Unmarshal(b[4:], &p); err != nil {
			t.Fatalf("%v in %.200s", err, b)
		}
		if p.Error != 0 || p.ToUID == nil || *p.ToUID != ocz || len(p.TextArray) == 0 {
			t.Fatalf("%.200s", b)
		}
		for _, it := range p.TextArray {
			if _, ok := said[it.MsgID]; !ok {
				ids = append(ids, it.MsgID)
			}
			said[it.MsgID] += it.Content
		}
	}
	return ids, said
}

// Texts share frames while they fit; one that is too long for any comes in pieces, cut between characters.
func TestPushesFitFrames(t *testing.T) {
	long := strings.Repeat("长\x01", 15_000)
	ids, texts := []string{"a", "b", "c", "", "d"}, []string{"short", long, strings.Repeat("x", 40_000), "", "end"}
	for kind, prefix := range map[core.ConversationKind]string{core.Direct: "", core.Room: "sqy: "} {
		frames := encodePosted(posted(kind, ids, texts), nil)
		got, said := unpack(t, frames)
		if fmt.Sprint(got) != "[a b c 7-4 d]" {
			t.Errorf("ids %v", got)
		}
		for i, id := range got {
			if said[id] != prefix+texts[i] {
				t.Errorf("%s says %.50q", id, said[id])
			}
		}
		if len(frames) != 6 {
			t.Errorf("%d frames", len(frames))
		}
	}
}

func TestWhoIsSkipped(t *testing.T) {
	elsewhere := posted(core.Room, []string{""}, []string{"x"})
	elsewhere.Messages[0].Origin = "cs3"
	for _, c := range []struct {
		name    string
		ev      core.Event
		viewer  core.UserID
		skipped bool
	}{
		{"own words in a direct chat", posted(core.Direct, []string{""}, []string{"x"}), sqy, true},
		{"another's words in a direct chat", posted(core.Direct, []string{""}, []string{"x"}), ocz, false},
		{"own words in a room", posted(core.Room, []string{""}, []string{"x"}), sqy, true},
		{"own words in a room from elsewhere", elsewhere, sqy, false},
		{"another's words in a room", posted(core.Room, []string{""}, []string{"x"}), ocz, false},
		{"a request", core.FriendRequested{}, sqy, false},
		{"an acceptance", core.FriendAccepted{}, sqy, false},
	} {
		if got := (codec{rooms: true}).Skips(c.ev, c.viewer); got != c.skipped {
			t.Errorf("%s: skipped %v", c.name, got)
		}
	}
}

// Whatever stands in a profile, its frames hold it.
func TestProfilesFitFrames(t *testing.T) {
	for _, s := range []string{strings.Repeat("\x01", 70_000), strings.Repeat("长", 70_000), strings.Repeat("\xff", 70_000), strings.Repeat("\x80", 70_000)} {
		u := core.User{ID: 1<<63 - 1, Name: s, Email: s, Nick: s, Desc: s, Icon: s, Sex: 1 << 40}
		r := core.FriendRequest{From: u, Text: s}
		f := core.Friend{User: u, Remark: s}
		frames := append(loginAnswer(u, []core.FriendRequest{r, r}, []core.Friend{f, f}),
			success(msgSearchAnswer, found(u)), success(msgAcceptAnswer, newFriend(u)),
			appendAcceptedPush(nil, core.FriendAccepted{By: u, To: u.ID}))
		for _, b := range frames {
			for len(b) > 0 {
				n := 4 + int(binary.BigEndian.Uint16(b[2:]))
				if !json.Valid(b[4:n]) {
					t.Fatalf("no JSON: %.100q", b[:n])
				}
				b = b[n:]
			}
		}
	}
}

func FuzzEncodePosted(f *testing.F) {
	f.Add("local-uuid-1", "你好", "local-uuid-2", "在吗？", uint16(1))
	f.Add("", "\x00\x01\"\\\u2028", "2", "\xff\x80\xf0\x9f", uint16(9000))
	f.Fuzz(func(t *testing.T, id1, text1, id2, text2 string, times uint16) {
		text2 = strings.Repeat(text2, min(1+int(times), 60_000/max(1, len(text2)))+1)
		for _, kind := range []core.ConversationKind{core.Direct, core.Room} {
			ids, said := unpack(t, encodePosted(posted(kind, []string{id1, id2}, []string{text1, text2}), nil))
			if len(ids) > 2 {
				t.Fatalf("%d messages came of 2", len(ids))
			}
			if whole := said[ids[len(ids)-1]]; len(ids) == 2 && !strings.HasSuffix(whole, strings.ToValidUTF8(text2, "")) &&
				strings.ToValidUTF8(text2, "") == text2 {
				t.Fatal("a text was changed")
			}
		}
	})
}

func BenchmarkEncodePush(b *testing.B) {
	ev := posted(core.Direct, []string{"0191f3a2-7c1e-7c33-b5b0-3d6c1f1a2b3c"}, []string{strings.Repeat("hello 你好 ", 16)})
	k := codec{rooms: true}
	b.ReportAllocs()
	for b.Loop() {
		if len(k.Encode(ev)) != 1 {
			b.Fatal("not one frame")
		}
	}
}

func BenchmarkDecodeText(b *testing.B) {
	body := []byte(text(sqy, ocz, "0191f3a2-7c1e-7c33-b5b0-3d6c1f1a2b3c", strings.Repeat("hello 你好 ", 16)))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var in textRequest
		if err := decode(body, &in); err != nil {
			b.Fatal(err)
		}
		if items, err := in.items(); err != nil || len(items) != 1 {
			b.Fatal(err)
		}
	}
}

func BenchmarkAcknowledge(b *testing.B) {
	var in textRequest
	if err := decode([]byte(text(sqy, ocz, "0191f3a2-7c1e-7c33-b5b0-3d6c1f1a2b3c", strings.Repeat("hello 你好 ", 16))), &in); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		in.acknowledgement(0)
	}
}
