package dpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/gateway/dpc"
)

// TestRevocationCutsUploads: what somebody uploads who is shut out, or whose password changes, is not kept; what others
// upload is.
func TestRevocationCutsUploads(t *testing.T) {
	for name, revoke := range map[string]func(w *world){
		"disabled": func(w *world) { w.disable("alice") },
		"new password": func(w *world) {
			w.must(w.accounts.SetPassword(context.Background(), w.accounts.Operator(), core.Origin{Gateway: "test"}, "alice", "a new password"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			w.add("alice", "bob")
			b := noise(1, 1000)
			c := w.uploading("single", len(b), b[:500])
			folder := w.dial("file")
			folder.send(fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"file_name":"one","file_type":1,"file_size":"2","file_dirname":"folder"}`, password))
			folder.raw("ok")
			w.eventually("the folder is there", func() bool { return len(w.names("bob")) == 1 })
			other := w.uploadingAs("bob", "other", len(b), b[:500])
			revoke(w)
			c.broken()
			folder.broken()
			other.raw(string(b[500:]))
			other.ended()
			if names := w.names("bob"); !slices.Equal(names, []string{"folder", "other"}) {
				t.Errorf("%q is listed", names)
			}
			if n := w.uploads(); n != 0 {
				t.Errorf("%v uploads are open", n)
			}
		})
	}
}

// TestRevocationRacesWithTheLastByte: whatever comes first, a client that reads the end of the stream has its file stored.
func TestRevocationRacesWithTheLastByte(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	var conns []*conn
	for i := range 20 {
		conns = append(conns, w.uploading(fmt.Sprintf("%02d", i), 10, []byte("something")))
	}
	revoked := make(chan struct{})
	go func() { defer close(revoked); w.disable("alice") }()
	var stored []string
	for i, c := range conns {
		_, sent := io.WriteString(c.Conn, "!")
		if _, err := c.Receive(); sent == nil && err == io.EOF { //nolint:errorlint // an orderly end
			stored = append(stored, fmt.Sprintf("%02d", i))
		}
	}
	<-revoked
	names := w.names("bob")
	for _, name := range stored {
		if !slices.Contains(names, name) {
			t.Errorf("%s seems to be stored; listed are %q", name, names)
		}
	}
}

// TestRevokedBeforeTheCommit: that all bytes have come is not enough.
func TestRevokedBeforeTheCommit(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	for i := range 20 {
		up := file.Upload{Area: core.Lobby, Name: fmt.Sprint(i), Size: 5}
		writer, err := w.files.Begin(context.Background(), w.actors["alice"], core.Origin{Gateway: "test"}, up)
		w.must(err)
		if err := dpc.ReceiveRevoked(writer, "hello"); err == nil {
			t.Error("it is stored")
		}
	}
	if names := w.listed("alice"); len(names) > 0 {
		t.Errorf("%q", names)
	}
}

// TestRevocationCutsDownloads: what is on its way to somebody who is shut out breaks off.
func TestRevocationCutsDownloads(t *testing.T) {
	w := newWorld(t, options{prepare: smallBuffers})
	w.add("alice", "bob")
	b := noise(1, 2<<20)
	w.must(up(w.user("bob"), "big", b))
	conns := map[string]*conn{}
	for _, name := range []string{"alice", "bob"} {
		c := w.dial("file")
		w.must(c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10))
		c.send(fmt.Sprintf(`{"op":1,"args":{"name":%q,"password":%q},"look":1,"file_name":"big"}`, name, password))
		c.expect(fmt.Sprintf(`{"op":1,"file_name":"big","file_type":0,"file_size":"%d"}`, len(b)))
		conns[name] = c
	}
	w.disable("alice")
	if got, err := io.ReadAll(conns["alice"].Rest()); !errors.Is(err, syscall.ECONNRESET) || len(got) >= len(b) {
		t.Errorf("%d bytes of %d, %v", len(got), len(b), err)
	}
	if got, err := io.ReadAll(conns["bob"].Rest()); err != nil || !bytes.Equal(got, b) {
		t.Errorf("somebody else: %d bytes of %d, %v", len(got), len(b), err)
	}
}
