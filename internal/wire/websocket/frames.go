package websocket

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// deflateFrom is the size from which it is worth the work to compress a message.
const deflateFrom = 160

// Text returns the frame of a text.
func Text(payload []byte) []byte { return ws.MustCompileFrame(ws.NewTextFrame(payload)) }

// Deflated returns the frame of a text for a client that takes compressed ones. Each is compressed by itself, so that many
// clients can be sent the same bytes; one that would gain nothing stays as it is.
func Deflated(payload []byte) []byte {
	if len(payload) < deflateFrom {
		return Text(payload)
	}
	var out bytes.Buffer
	z := deflaters.Get().(*wsflate.Writer)
	defer deflaters.Put(z)
	z.Reset(&out)
	_, err := z.Write(payload)
	if err == nil {
		err = z.Flush()
	}
	if err != nil || out.Len() >= len(payload) {
		return Text(payload)
	}
	f := ws.NewTextFrame(out.Bytes())
	f.Header.Rsv = ws.Rsv(true, false, false)
	return ws.MustCompileFrame(f)
}

// Pong returns the answer to a ping.
func Pong(payload []byte) []byte { return ws.MustCompileFrame(ws.NewPongFrame(payload)) }

// Ping returns a question whether somebody is there.
func Ping() []byte { return ws.MustCompileFrame(ws.NewPingFrame(nil)) }

// Close returns the frame that ends a connection. Its reason is a word or two.
func Close(code ws.StatusCode, reason string) []byte {
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
}

// Agreement is what a server offers those who want compression: nothing is remembered from message to message, on either side.
var Agreement = wsflate.DefaultParameters

// inflate returns what a compressed payload stands for, if that has at most limit bytes.
func inflate(payload []byte, limit int) ([]byte, error) {
	z := inflaters.Get().(*wsflate.Reader)
	defer inflaters.Put(z)
	z.Reset(bytes.NewReader(payload))
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(z, int64(limit)+1))
	switch {
	case n > int64(limit):
		return nil, &Broken{ws.StatusMessageTooBig, "the message is too long inflated"}
	case err != nil:
		return nil, &Broken{ws.StatusInvalidFramePayloadData, "the compressed message is broken"}
	}
	return out.Bytes(), nil
}

// deflaters and inflaters are expensive to make, and belong to no connection.
var (
	deflaters = sync.Pool{New: func() any {
		return wsflate.NewWriter(io.Discard, func(w io.Writer) wsflate.Compressor {
			z, _ := flate.NewWriter(w, flate.BestSpeed) // fails only for a level that there is not
			return z
		})
	}}
	inflaters = sync.Pool{New: func() any {
		return wsflate.NewReader(bytes.NewReader(nil), func(r io.Reader) wsflate.Decompressor { return inflater{flate.NewReader(r)} })
	}}
)

// inflater is an inflater that wsflate can use again.
type inflater struct{ io.ReadCloser }

func (z inflater) Reset(r io.Reader) {
	_ = z.ReadCloser.(flate.Resetter).Reset(r, nil) // never fails
}
