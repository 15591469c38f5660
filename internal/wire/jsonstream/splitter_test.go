package jsonstream

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// documentStream is what a client of the original document sends in one session.
var documentStream = []string{
	`{"type":"register","username":"alice","password":"secret","avatar":"alice.png"}`,
	`{ "type": "login", "username": "alice", "password": "secret" }`,
	`{"type":"chat","token":"0f8c2b7e6a9d4c51b3e07f6d2a184c90","message":"你好 👋 \"}{\" \\ \u4f60\ud83d\udc4b"}`,
	`{}`,
	`{"type":"heartbeat","token":null,"n":[-0.5e+10,0,12E3,[true,false,{}],[]],"o":{"a":{"b":[]}}}`,
}

// split feeds segments and returns the objects, with each error in its place.
func split(segments ...[]byte) (out []string) {
	var s Splitter
	for _, seg := range segments {
		s.Feed(seg)
		for {
			object, ok, err := s.Next()
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			if !ok {
				break
			}
			out = append(out, string(object))
		}
	}
	return out
}

func TestEveryCutGivesTheSameObjects(t *testing.T) {
	stream := []byte(" " + strings.Join(documentStream, "") + "\r\n\t" + strings.Join(documentStream, "\n"))
	want := append(slices.Clone(documentStream), documentStream...)
	for at := range stream {
		if got := split(stream[:at], stream[at:]); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q", at, got)
		}
	}
	var single [][]byte
	for i := range stream {
		single = append(single, stream[i:i+1])
	}
	if got := split(single...); !slices.Equal(got, want) {
		t.Fatalf("byte by byte: %q", got)
	}
}

func TestTheFirstImpossibleByteDecides(t *testing.T) {
	deep := strings.Repeat(`{"a":`, MaxDepth)
	for _, text := range []string{
		"h", "}", "{]", "5", `"`, "[", ",", "{,", `{"a"1`, `{"a",`, `{"a":}`, `{"a":]`, `{"a":1]`, `{"a":[1}`, `{"a":[,`, `{"a":[1,]`,
		`{"a":1,}`, `{"a":01`, `{"a":-a`, `{"a":1.e`, `{"a":1.2.`, `{"a":1ee`, `{"a":1e+-`, `{"a":1e1.`, `{"a":tx`, `{"a":trux`, `{"a":nulL`,
		`{"a":truee`, `{"a":fa1`, "{\"a\":\"\n", "{\"\x00", `{"a":"\x`, `{"\u00g`, `{"a":"\u00e}`, `{a`, `{'`, "\xef", "{\xff", `{"a":.`,
		`{"a":+`, `{"a":N`, `{"a":1 2`, `{"a":"b" "`, `{"a":1/`, "\x00", deep + "{", strings.Repeat("[", 1), deep + "[",
	} {
		var s Splitter
		s.Feed([]byte(text[:len(text)-1]))
		if object, ok, err := s.Next(); ok || err != nil {
			t.Errorf("%q before its last byte: %q, %v", text, object, err)
			continue
		}
		s.Feed([]byte(text[len(text)-1:] + ` {"dropped":1}`))
		if object, ok, err := s.Next(); ok || !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %q, %v", text, object, err)
		}
		s.Feed([]byte(`{"next":1}`))
		if object, ok, err := s.Next(); string(object) != `{"next":1}` || !ok || err != nil {
			t.Errorf("after %q: %q, %v", text, object, err)
		}
	}
}

func TestObjectsBeforeAFaultCount(t *testing.T) {
	got := split([]byte(`{"a":1}{"b":2}x{"c":3}`), []byte(`{"d":4}`))
	if want := []string{`{"a":1}`, `{"b":2}`, ErrMalformed.Error(), `{"d":4}`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestLengthLimit(t *testing.T) {
	object := func(n int) []byte { return []byte(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	for _, cut := range []int{0, 1, 4096, MaxObject - 1, MaxObject} {
		fits, tooLong := object(MaxObject), object(MaxObject+1)
		if got := split(fits[:cut], fits[cut:]); len(got) != 1 || got[0] != string(fits) {
			t.Errorf("cut at %d: an object of MaxObject bytes is %.40q", cut, got)
		}
		got := split(tooLong[:cut], tooLong[cut:], []byte(`{"next":1}`))
		want := []string{ErrTooLong.Error(), `{"next":1}`}
		if cut == MaxObject { // the rest comes as a segment of its own
			want = []string{ErrTooLong.Error(), ErrMalformed.Error(), `{"next":1}`}
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: one byte more is %.120q", cut, got)
		}
	}
}

func TestDepthLimit(t *testing.T) {
	text := strings.Repeat(`{"a":[`, MaxDepth/2) + strings.Repeat(`]}`, MaxDepth/2)
	if got := split([]byte(text)); len(got) != 1 || got[0] != text {
		t.Errorf("%q", got)
	}
}

func TestInvalidUTF8PassesInStringsOnly(t *testing.T) {
	text := "{\"a\xe4\":\"\xff\xc3\"}"
	if got := split([]byte(text)); len(got) != 1 || got[0] != text {
		t.Errorf("%q", got)
	}
}

func TestIdleSplitterHoldsNothing(t *testing.T) {
	var s Splitter
	if !s.Idle() {
		t.Error("a new splitter is not idle")
	}
	drain := func() {
		for {
			if _, ok, err := s.Next(); !ok && err == nil {
				return
			}
		}
	}
	for _, segment := range []string{`{"a"`, `:1}`, " ", `{"b":2}{"c":3} `, `{"d":`, "!"} {
		s.Feed([]byte(segment))
		drain()
	}
	if !s.Idle() || s.in != nil || s.partial != nil {
		t.Errorf("idle: %+v", s)
	}
	s.Feed([]byte(`{`))
	drain()
	if s.Idle() {
		t.Error("idle inside an object")
	}
}

func TestFeedBeforeNextIsDone(t *testing.T) {
	var s Splitter
	first := []byte(`{"a":1}{"b"`)
	s.Feed(first[:len(first):len(first)])
	s.Feed([]byte(`:2}`))
	for _, want := range []string{`{"a":1}`, `{"b":2}`} {
		if object, ok, err := s.Next(); string(object) != want || !ok || err != nil {
			t.Errorf("%q, %v, %v", object, ok, err)
		}
	}
}

// A stream of single bytes must not be copied or looked at again and again.
func TestSplitterAllocatesLittle(t *testing.T) {
	object := []byte(`{"a":"` + strings.Repeat("x", 32<<10) + `"}`)
	n := testing.AllocsPerRun(5, func() {
		var s Splitter
		for i := range object {
			s.Feed(object[i : i+1])
			if _, ok, err := s.Next(); err != nil || ok != (i == len(object)-1) {
				t.Fatal(i, ok, err)
			}
		}
	})
	if n > 20 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSplitter(b *testing.B) {
	segment := []byte(strings.Join(documentStream, ""))
	b.SetBytes(int64(len(segment)))
	b.ReportAllocs()
	var s Splitter
	for b.Loop() {
		s.Feed(segment)
		for {
			if _, ok, err := s.Next(); err != nil {
				b.Fatal(err)
			} else if !ok {
				break
			}
		}
	}
}

// FuzzCuts: any cut of a stream gives the same; what comes out is an object to another parser; memory stays bounded.
func FuzzCuts(f *testing.F) {
	f.Add([]byte(strings.Join(documentStream, "")), 7, 40)
	f.Add([]byte("{\"a\":\"\xe4\xbd\xa0\"} {\"b\":[1,2,{}]}"), 7, 9)
	f.Add([]byte(`{"a":1}hello{"b":1}`), 8, 9)
	f.Fuzz(func(t *testing.T, stream []byte, a, b int) {
		whole := split(stream)
		if n := len(whole); n > 0 && (whole[n-1] == ErrMalformed.Error() || whole[n-1] == ErrTooLong.Error()) {
			whole = whole[:n-1] // what follows a fault depends on the cut
		}
		cut := func(i int) int { return int(uint(i) % uint(len(stream)+1)) }
		lo, hi := min(cut(a), cut(b)), max(cut(a), cut(b))
		got := split(stream[:lo], stream[lo:hi], stream[hi:])
		if len(got) < len(whole) || !slices.Equal(got[:len(whole)], whole) {
			t.Fatalf("whole %q, cut at %d and %d %q", whole, lo, hi, got)
		}
		for _, object := range whole {
			v := jsontext.Value(object)
			if !v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) || v.Kind() != '{' {
				t.Fatalf("%q is not an object", object)
			}
		}
		var s Splitter
		for i := range stream {
			s.Feed(stream[i : i+1])
			if _, _, err := s.Next(); err != nil {
				break
			}
			if cap(s.partial) > MaxObject {
				t.Fatalf("the splitter holds %d bytes", cap(s.partial))
			}
		}
	})
}

// FuzzObject: what another parser takes for an object is one.
func FuzzObject(f *testing.F) {
	for _, object := range documentStream {
		f.Add([]byte(object))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v := jsontext.Value(text)
		if !v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) || v.Kind() != '{' || len(text) >= MaxObject || depth(v) > MaxDepth {
			return
		}
		if got := split(text); len(got) != 1 || got[0] != string(bytes.Trim(text, " \t\r\n")) {
			t.Fatalf("%q: %q", text, got)
		}
	})
}

func depth(v jsontext.Value) (deepest int) {
	d := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	for {
		if _, err := d.ReadToken(); err != nil {
			return deepest
		}
		deepest = max(deepest, d.StackDepth())
	}
}

// FuzzDecision: text that was not refused can still become an object.
func FuzzDecision(f *testing.F) {
	for _, object := range documentStream {
		f.Add([]byte(object))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Splitter
		s.Feed(text)
		for {
			_, ok, err := s.Next()
			if err != nil {
				return
			}
			if !ok {
				break
			}
		}
		if s.Idle() || len(s.partial) > MaxObject-1024 {
			return
		}
		rest := completion(s.scanner)
		s.Feed([]byte(rest))
		object, ok, err := s.Next()
		if !ok || err != nil {
			t.Fatalf("%q does not complete %q: %v", rest, text, err)
		}
		if !jsontext.Value(object).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%q is not JSON", object)
		}
	})
}

// completion returns text that ends an object.
func completion(s scanner) string {
	key := s.at&inKeyBit != 0
	afterText := map[bool]string{true: `":0`, false: `"`}[key]
	var rest string
	switch s.state {
	case wantFirstKey, wantFirstValue, afterValue, afterZero, inInteger, inFraction, inExponent:
	case wantKey:
		rest = `"":0`
	case inKey:
		rest = `":0`
	case wantColon:
		rest = `:0`
	case wantValue, afterMinus, afterPoint, afterE, afterSign:
		rest = `0`
	case inString:
		rest = `"`
	case inEscape:
		rest = `n` + afterText
	case inHex:
		rest = strings.Repeat("0", int(s.at&^inKeyBit)) + afterText
	case inLiteral:
		rest = literals[s.literal][s.at:]
	default:
		panic(fmt.Sprint("state ", s.state))
	}
	var ends strings.Builder
	for ; s.depth > 0; s.depth-- {
		if s.inArray() {
			ends.WriteByte(']')
		} else {
			ends.WriteByte('}')
		}
	}
	return rest + ends.String()
}
