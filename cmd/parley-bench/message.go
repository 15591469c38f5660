package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
)

const (
	// mark begins the stamp in a text. It stands as it is in JSON and occurs nowhere else in a frame.
	mark        = "~pb~"
	senderWidth = 4
	seqWidth    = 8
	timeWidth   = 12
	stampSize   = len(mark) + senderWidth + seqWidth + timeWidth
	maxSize     = 32 << 10
	idSize      = 36
)

// stamp is what a text carries: who sent it, the how manyth it is from them, and when it left.
type stamp struct {
	sender int
	seq    uint32
	at     int64
}

// message is a sender's text frame, made once; each sending fills in its id and stamp.
type message struct {
	frame         []byte
	id            []byte // inside frame, like the stamps
	stamps        [][]byte
	sender        int
	random        bool
	wallAtStartMS int64
}

func newMessage(from, to int64, sender int, o *options) *message {
	m := &message{sender: sender, random: o.IDs == "random", wallAtStartMS: began.UnixMilli()}
	head := `{"fromuid":` + strconv.FormatInt(from, 10) + `,"touid":` + strconv.FormatInt(to, 10) + `,"text_array":[{"msgid":"`
	const between = `","content":"`
	body := head + strings.Repeat("0", idSize) + between + mark + strings.Repeat(".", o.Size-len(mark)) + `"}]}`
	m.frame = appendFrame(nil, textReq, body)
	at := headerSize + len(head)
	m.id = m.frame[at : at+idSize]
	at += idSize + len(between) + len(mark)
	m.stamps = [][]byte{m.frame[at : at+stampSize-len(mark)]}
	return m
}

// newCommand returns the message of a sender over a WebSocket: its answer has the stamp in the ref.
func newCommand(conversation int64, sender int, o *options) *message {
	m := &message{sender: sender, random: o.IDs == "random", wallAtStartMS: began.UnixMilli()}
	stamp := strings.Repeat(".", stampSize-len(mark))
	body := `{"type":"send","conversation_id":` + strconv.FormatInt(conversation, 10) + `,"client_id":"` + strings.Repeat("0", idSize) +
		`","ref":"` + mark + stamp + `","text":"` + mark + strings.Repeat(".", o.Size-len(mark)) + `"}`
	m.frame = appendCommand(nil, body)
	at := bytes.Index(m.frame, []byte("000000"))
	m.id = m.frame[at : at+idSize]
	for range 2 {
		at += bytes.Index(m.frame[at:], []byte(mark)) + len(mark)
		m.stamps = append(m.stamps, m.frame[at:at+len(stamp)])
	}
	return m
}

// appendTo appends the frame of the sender's seq-th message, sent at the given time.
func (m *message) appendTo(dst []byte, seq uint32, at int64) []byte {
	for _, s := range m.stamps {
		putHex(s[:senderWidth], uint64(m.sender))
		putHex(s[senderWidth:senderWidth+seqWidth], uint64(seq))
		putHex(s[senderWidth+seqWidth:], uint64(at))
	}
	if m.random {
		m.putID(rand.Uint64()&^0xf000|0x4000, rand.Uint64()>>2|1<<63)
	} else {
		ms := uint64(m.wallAtStartMS + at/1e6)
		m.putID(ms<<16|0x7000, 1<<63|uint64(m.sender)<<32|uint64(seq))
	}
	return append(dst, m.frame...)
}

// putID writes a UUID.
func (m *message) putID(high, low uint64) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	at := 0
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			m.id[at] = '-'
			at++
		}
		m.id[at], m.id[at+1] = digits[c>>4], digits[c&15]
		at += 2
	}
}

const digits = "0123456789abcdef"

func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&15]
		v >>= 4
	}
}

// notHex marks bytes that are no digits in values.
const notHex = 1 << 63

var values = func() (t [256]uint64) {
	for i := range t {
		t[i] = notHex
	}
	for i, c := range []byte(digits) {
		t[c] = uint64(i)
	}
	return t
}()

func getHex(b []byte) (v, fault uint64) {
	for _, c := range b {
		d := values[c]
		fault |= d
		v = v<<4 | d&15
	}
	return v, fault & notHex
}

var errStamp = errors.New("a text came back changed")

// nextStamp reads the first stamp of a body and returns what follows it; nil if there is none.
func nextStamp(body []byte) (s stamp, rest []byte, err error) {
	i := bytes.Index(body, []byte(mark))
	if i < 0 {
		return s, nil, nil
	}
	if len(body) < i+stampSize {
		return s, nil, errStamp
	}
	b := body[i+len(mark) : i+stampSize]
	sender, f1 := getHex(b[:senderWidth])
	seq, f2 := getHex(b[senderWidth : senderWidth+seqWidth])
	at, f3 := getHex(b[senderWidth+seqWidth:])
	if f1|f2|f3 != 0 {
		return s, nil, errStamp
	}
	return stamp{sender: int(sender), seq: uint32(seq), at: int64(at)}, body[i+stampSize:], nil
}
