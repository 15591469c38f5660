package llfc

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/chat"
	"parley/internal/core"
)

const beat = `1024 {"error":0}`

func text(from, to core.UserID, id, content string) string {
	return fmt.Sprintf(`{"fromuid":%d,"touid":%d,"text_array":[{"msgid":%q,"content":%q}]}`, from, to, id, content)
}

// acked is the acknowledgement of what text sends.
func acked(code int, request string) string {
	return fmt.Sprintf(`1018 {"error":%d,%s`, code, request[1:])
}

// pushed is how what text sends arrives.
func pushed(request string) string { return `1019 {"error":0,` + request[1:] }

func TestFramesByteByByte(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	reader := w.online(ocz)
	c := w.dial()
	said := text(sqy, ocz, "1", "slowly")
	b := append(encode(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, w.token(sqy))), encode(1017, said)...)
	for i := range b {
		c.write(b[i : i+1])
	}
	if got := c.read(); !strings.HasPrefix(got, `1006 {"error":0`) {
		t.Fatal(got)
	}
	c.expect(acked(0, said))
	reader.expect(pushed(said))
}

func TestTenFramesInOneSegment(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	reader := w.online(ocz)
	c := w.dial()
	b := encode(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, w.token(sqy)))
	for i := range 8 {
		b = append(b, encode(1017, text(sqy, ocz, fmt.Sprint(i), "quickly"))...)
	}
	c.write(append(b, encode(4242, "?")...))
	if got := c.read(); !strings.HasPrefix(got, `1006 {"error":0`) {
		t.Fatal(got)
	}
	for i := range 8 {
		said := text(sqy, ocz, fmt.Sprint(i), "quickly")
		c.expect(acked(0, said))
		reader.expect(pushed(said))
	}
	c.quiet()
}

// A refusal is known at once, the acknowledgement of what was sent before only after the commit: the order stays.
func TestAnswersToTextsKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	c := w.online(sqy)
	var b []byte
	var want []string
	for i := range 600 {
		said, code := text(sqy, ocz, fmt.Sprint(i), "x"), 0
		if i%3 == 2 {
			said, code = text(sqy, userA, fmt.Sprint(i), "x"), 1011
		}
		b = append(b, encode(1017, said)...)
		want = append(want, acked(code, said))
	}
	c.write(b)
	for _, ack := range want {
		c.expect(ack)
	}
}

func TestLargestFrames(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	c, reader := w.online(sqy), w.online(ocz)
	pad := func(body string) string { return body + strings.Repeat(" ", 65535-len(body)) }

	c.send(1007, pad(`{"uid":"ocz"}`))
	c.expect(`1008 {"error":0,"uid":1055,"name":"ocz","nick":"ocz","email":"","desc":"","sex":0,"icon":":/res/head_3.jpg"}`)
	c.send(65000, pad(`{}`))
	c.send(1023, pad(`{}`))
	c.expect(beat)

	// The longest text.
	longest := strings.Repeat("长", chat.MaxText/len("长"))
	c.send(1017, pad(text(sqy, ocz, "1", longest)))
	c.expect(acked(0, text(sqy, ocz, "1", longest)))
	reader.expect(pushed(text(sqy, ocz, "1", longest)))
	c.send(1017, text(sqy, ocz, "2", longest+"长"))
	c.expect(acked(1001, text(sqy, ocz, "2", longest+"长")))

	// A request may be so long that there is no room to repeat all of it, nor to push it as one frame.
	first := text(sqy, ocz, "3", strings.Repeat("y", 32_000))
	request := strings.TrimSuffix(first, `]}`) + `,{"msgid":4,"content":"` + strings.Repeat("z", 65535-len(first)-25) + `"}]}`
	if len(request) != 65535 {
		t.Fatal(len(request))
	}
	c.send(1017, request)
	c.expect(`1018 {"error":0,"fromuid":1054,"touid":1055,"text_array":[{"msgid":"3"},{"msgid":4}]}`)
	reader.expect(pushed(first))
	reader.expect(pushed(text(sqy, ocz, "4", strings.Repeat("z", 65535-len(first)-25))))
	items := strings.Repeat(`{},`, 21_829) + `{}`
	c.send(1017, pad(`{"text_array":[`+items+`],"fromuid":1054,"touid":1055}`))
	c.expect(`1018 {"error":1001,"fromuid":1054,"touid":1055,"text_array":[]}`)
	c.quiet()
}

func TestNewerLoginWins(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	first := w.online(sqy)
	second := w.online(sqy)
	first.expect(`1021 {"error":0,"uid":1054}`)
	first.expect("closed")
	said := text(ocz, sqy, "1", "still there?")
	other := w.online(ocz)
	other.send(1017, said)
	other.expect(acked(0, said))
	second.expect(pushed(said))
	second.confirm()
	third := w.online(sqy)
	second.expect(`1021 {"error":0,"uid":1054}`)
	second.expect("closed")
	third.quiet()
}

func TestSilenceEndsAConnection(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Silence = time.Second })
	w.addDocumented()
	stranger, half, c := w.dial(), w.dial(), w.online(sqy)
	half.write(encode(1023, `{}`)[:5]) // a frame that never becomes complete says nothing
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _, _ = stranger.next()
	}()
	for talking := true; talking; {
		c.quiet()
		select {
		case <-gone:
			talking = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	half.expect("closed")
	c.quiet()
	c.expect("closed")
}

func TestConnectionWithoutLoginEnds(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.LoginWithin = time.Second })
	w.addDocumented()
	c, in := w.dial(), w.online(sqy)
	for {
		c.send(1023, `{}`)
		id, _, err := c.next()
		if err != nil {
			break
		}
		if id != 1024 {
			t.Fatal("got", id)
		}
		in.quiet()
		<-time.After(50 * time.Millisecond)
	}
	in.quiet()
}

// A client that asks and does not read is held back, not cut, and gets every answer when it reads at last.
func TestClientThatReadsLate(t *testing.T) {
	const requests = 800
	w := newWorld(t)
	w.add(core.User{ID: sqy, Name: "sqy", Desc: strings.Repeat("\x01", 2000)}) // 12,000 bytes on the wire
	c := w.online(sqy)
	c.write(bytes.Repeat(encode(1007, `{"uid":1054}`), requests))
	w.until("the server reads no further", func() bool {
		before := w.framesRead()
		<-time.After(100 * time.Millisecond)
		return before > 0 && w.framesRead() == before
	})
	if w.framesRead() >= requests {
		t.Error("all requests were read before an answer was")
	}
	for range requests {
		if got := c.read(); len(got) < 12_000 {
			t.Fatal(got)
		}
	}
	c.quiet()
}

// A client that has only finished sending still gets what it asked for.
func TestHalfClosedClientGetsItsAcknowledgement(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	c := w.online(sqy)
	said := text(sqy, ocz, "1", "last words")
	c.send(1017, said)
	_ = c.conn.CloseWrite()
	c.expect(acked(0, said))
	c.expect("closed")
}

func TestStopAnswersAndTells(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	w.befriend(sqy, ocz)
	c, reader, stranger := w.online(sqy), w.online(ocz), w.dial()
	stranger.quiet()
	said := text(sqy, ocz, "1", "before the end")
	c.send(1017, said)
	c.expect(acked(0, said))
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	c.expect(`1021 {"error":0,"uid":1054}`)
	c.expect("closed")
	reader.expect(pushed(said))
	reader.expect(`1021 {"error":0,"uid":1055}`)
	reader.expect("closed")
	stranger.expect("closed")
	<-stopped
	if _, err := net.Dial("tcp", w.addr); err == nil {
		t.Error("a stopped server accepts")
	}
}

func TestDisabledAccountIsToldAndStaysOut(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	token := w.token(sqy)
	c := w.dial()
	c.send(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, token))
	_ = c.read()
	w.must(w.accounts.SetDisabled(context.Background(), w.accounts.Operator(), core.Origin{}, "sqy", true))
	c.expect(`1021 {"error":0,"uid":1054}`)
	c.expect("closed")
	c = w.dial()
	c.send(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, token))
	c.expect(`1006 {"error":1011}`)
}

// A login that fails after the session is the user's cannot be tried again on that connection.
func TestLoginThatFailsInsideEndsTheConnection(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	token := w.token(sqy)
	w.update(func(_ context.Context, exec func(string, ...any)) { exec(`ALTER TABLE friend RENAME TO gone`) })
	c := w.dial()
	c.send(1005, fmt.Sprintf(`{"uid":1054,"token":"%s"}`, token))
	c.expect(`1006 {"error":1002}`)
	c.expect("closed")
	w.update(func(_ context.Context, exec func(string, ...any)) { exec(`ALTER TABLE gone RENAME TO friend`) })
	if c := w.online(sqy); w.hub.Find(sqy, &w.gw.profile) == nil {
		t.Error(c, "is not online")
	}
}

func TestRoomsCanBeHidden(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.Rooms = false })
	w.addDocumented()
	c, answer := w.login(sqy)
	if !strings.HasSuffix(answer, `"friend_list":[]}`) {
		t.Error(answer)
	}
	w.say(ocz, chat.Target{Room: core.Lobby}, "anybody?")
	c.send(1007, `{"uid":1500000001}`)
	c.expect(`1008 {"error":1011}`)
	said := text(sqy, 1500000001, "1", "hello")
	c.send(1017, said)
	c.expect(acked(1011, said))
	c.finish()
	w.online(sqy).quiet()
}

func TestStrangersMayWriteWhereTheyMay(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.strangers = true })
	w.addDocumented()
	c, reader := w.online(sqy), w.online(ocz)
	said := text(sqy, ocz, "1", "hello stranger")
	c.send(1017, said)
	c.expect(acked(0, said))
	reader.expect(pushed(said))
}

// A client that sends large texts without reading is held back, and gets every acknowledgement once it reads. The
// answers that repeat what was on the way to the disk once overflowed its queue.
func TestPipelinedLargeTextsAreNotCutOff(t *testing.T) {
	const texts = 300
	w := newWorld(t)
	w.addDocumented()
	c := w.online(sqy)
	large := strings.Repeat("x", 59_000)
	go func() {
		for i := range texts {
			c.send(1017, text(sqy, roomUID(core.Lobby), strconv.Itoa(i), large))
		}
	}()
	w.until("the server reads no further", func() bool {
		before := w.framesRead()
		<-time.After(200 * time.Millisecond)
		return before > 0 && w.framesRead() == before
	})
	for i := range texts {
		c.expect(acked(0, text(sqy, roomUID(core.Lobby), strconv.Itoa(i), large)))
	}
}

// An acknowledgement repeats what was sent, but for bytes that are no UTF-8.
func TestAcknowledgementIsUTF8(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	c := w.online(sqy)
	said := text(sqy, roomUID(core.Lobby), "1", "half CUT")
	c.send(1017, strings.Replace(said, "CUT", "\xf0\x9f", 1))
	c.expect(acked(0, strings.Replace(said, "CUT", "\uFFFD", 1)))
}

func TestFieldThatStandsTwice(t *testing.T) {
	w := newWorld(t)
	w.addDocumented()
	c := w.online(sqy)
	c.send(1007, `{"uid":5,"a":1,"a":2,"uid":1055}`)
	if got := c.read(); !strings.HasPrefix(got, `1008 {"error":0,"uid":1055`) {
		t.Error(got)
	}
}

// A room that a user comes into while online is a contact at once; nobody else is told.
func TestRoomJoinedWhileOnlineBecomesAContact(t *testing.T) {
	for _, shown := range []bool{true, false} {
		w := newWorld(t, func(s *settings) { s.Rooms = shown })
		w.addDocumented()
		c, other := w.online(sqy), w.online(ocz)
		room, err := w.chat.CreateRoom(context.Background(), w.actor(ocz), chat.RoomForm{Name: "the den", Public: true})
		w.must(err)
		if shown {
			other.expect(fmt.Sprintf(`1015 {"error":0,"fromuid":%d,"touid":      1055,"name":"the den","nick":"the den","icon":"","sex":0}`, roomUID(room.ID)))
		}
		_, err = w.chat.Join(context.Background(), w.actor(sqy), room.ID)
		w.must(err)
		if shown {
			c.expect(fmt.Sprintf(`1015 {"error":0,"fromuid":%d,"touid":      1054,"name":"the den","nick":"the den","icon":"","sex":0}`, roomUID(room.ID)))
		}
		w.say(ocz, chat.Target{Room: room.ID}, "welcome")
		if shown {
			c.expect(fmt.Sprintf(`1019 {"error":0,"fromuid":%d,"touid":      1054,"text_array":[{"msgid":"%d-1","content":"ocz: welcome"}]}`, roomUID(room.ID), room.ID))
		}
		w.must(w.chat.Leave(context.Background(), w.actor(sqy), room.ID))
		w.say(ocz, chat.Target{Room: room.ID}, "gone")
		c.quiet()
		said := text(sqy, roomUID(room.ID), "1", "still?")
		c.send(1017, said)
		c.expect(acked(1011, said))
	}
}
