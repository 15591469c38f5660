package dpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/gateway/dpc"
	"parley/test/client"
)

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// content gives each file of an upload its bytes.
func content(files map[string][]byte) func(client.DPCFile) (io.ReadCloser, error) {
	return func(f client.DPCFile) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files[f.Name])), nil
	}
}

func up(d client.DPC, name string, b []byte) error {
	return d.Upload([]client.DPCFile{{Name: name, Size: int64(len(b))}}, content(map[string][]byte{name: b}))
}

func upFolder(d client.DPC, folder string, files map[string][]byte) error {
	var list []client.DPCFile
	for name, b := range files {
		list = append(list, client.DPCFile{Folder: folder, Name: name, Size: int64(len(b))})
	}
	return d.Upload(list, content(files))
}

// down returns what is downloaded under a name, by folder and name.
func down(d client.DPC, name string) (map[string][]byte, error) {
	got := map[string][]byte{}
	err := d.Download(name, func(f client.DPCFile, r io.Reader) (err error) {
		got[f.Folder+":"+f.Name], err = io.ReadAll(r)
		return err
	})
	return got, err
}

func TestFilesOfAllSizes(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	for i, size := range []int{0, 1, 15, 4095, 4096, 4097, 1 << 16, 3_333_333} {
		name, b := fmt.Sprintf("文件 %d.bin", size), noise(uint64(i), size)
		w.must(up(w.user("alice"), name, b))
		got, err := down(w.user("bob"), name)
		if err != nil || len(got) != 1 || !bytes.Equal(got[":"+name], b) {
			t.Errorf("%d bytes: %d files, %v", size, len(got), err)
		}
	}
}

func TestFoldersUpAndDown(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	files := map[string][]byte{
		"README": []byte("read me"), "empty": {}, "src/main.c": noise(1, 100_000), `src\lib\a.h`: noise(2, 5), `一\二/三`: noise(3, 70_000),
	}
	w.must(upFolder(w.user("alice"), "project", files))
	got, err := down(w.user("bob"), "project")
	w.must(err)
	if len(got) != len(files) {
		t.Errorf("%d files came back of %d", len(got), len(files))
	}
	for name, b := range files {
		if !bytes.Equal(got["project:"+name], b) {
			t.Errorf("%s came back with %d bytes of %d", name, len(got["project:"+name]), len(b))
		}
	}
	// Somebody else's folder of the same name is another one.
	w.must(upFolder(w.user("bob"), "project", map[string][]byte{"mine": []byte("mine")}))
	if names := w.names("bob"); !slices.Equal(names, []string{"project", "project (2)"}) {
		t.Errorf("%q", names)
	}
}

// TestHeaderAndJSONInOneSegment: the original clients read the JSON with one recv.
func TestHeaderAndJSONInOneSegment(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	w.must(up(w.user("alice"), "note.txt", []byte("hello")))
	for look, want := range map[string]string{
		`"look":0`: `{"op":1,"exist_file":[["note.txt"`, `"look":1,"file_name":"x"`: `{"op":1,"file_name":400}`,
		`"look":1,"file_name":"note.txt"`: `{"op":1,"file_name":"note.txt","file_type":0,"file_size":"5"}`,
	} {
		c := w.dial("file")
		c.send(`{"op":1,"args":{"name":"alice","password":"a good password"},` + look + `}`)
		b := make([]byte, 1000)
		w.must(c.Conn.SetReadDeadline(time.Now().Add(patience)))
		n, err := c.Conn.Read(b)
		if err != nil || n < 15 || !strings.HasPrefix(string(b[15:n]), want) {
			t.Errorf("%s: %q, %v", look, b[:n], err)
		}
	}
}

// TestPathsThatClimb: whatever a name is, the answer is a refusal, and nothing is listed.
func TestPathsThatClimb(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	d := w.user("alice")
	bad := []string{
		`..\..\x`, "../x", "/etc/x", `\x`, `C:\x`, "C:/x", "a/../../x", `a\..\..\x`, "..", ".", "", "a//b", "a/", "a\x00b", "a\nb", "a\u202eb",
		strings.Repeat("x", 256), strings.Repeat("a/", 40) + "x",
	}
	for _, name := range append(bad, "a/b", `a\b`) {
		if err := up(d, name, []byte("bad")); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("file %q: %v", name, err)
		}
	}
	for _, name := range bad {
		if err := upFolder(d, "folder", map[string][]byte{name: []byte("bad")}); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("%q in a folder: %v", name, err)
		}
		if name == "" {
			continue // a folder without a name is a file
		}
		if err := upFolder(d, name, map[string][]byte{"x": []byte("bad")}); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("folder %q: %v", name, err)
		}
		if _, err := down(d, name); !errors.Is(err, client.ErrDPCMissing) {
			t.Errorf("download of %q: %v", name, err)
		}
	}
	if names := w.names("alice"); len(names) > 0 {
		t.Errorf("listed: %q", names)
	}
}

// TestFromTheWrongSide: without a good password nothing is kept, listed or sent.
func TestFromTheWrongSide(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice", "bob")
	w.must(up(w.user("alice"), "secret.txt", []byte("secret")))
	wrong, nobody, disabled := w.user("alice"), w.user("zed"), w.user("bob")
	wrong.Password = "guess"
	w.disable("bob")
	for _, d := range []client.DPC{wrong, nobody, disabled, {Files: w.ports["file"]}} {
		if err := up(d, "x", []byte("x")); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("%s uploads: %v", d.Name, err)
		}
		if err := upFolder(d, "x", map[string][]byte{"x": []byte("x")}); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("%s uploads a folder: %v", d.Name, err)
		}
		if entries, err := d.List(); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("%s lists %v: %v", d.Name, entries, err)
		}
		if got, err := down(d, "secret.txt"); !errors.Is(err, client.ErrDPCRefused) {
			t.Errorf("%s downloads %v: %v", d.Name, got, err)
		}
	}
	if names := w.names("alice"); !slices.Equal(names, []string{"secret.txt"}) {
		t.Errorf("listed: %q", names)
	}
}

// A refused upload of many bytes: the client can read why, although it had not sent everything.
func TestRefusalIsReadable(t *testing.T) {
	w := newWorld(t, options{maxFile: 1 << 20, quota: 3<<20 + 4<<10}) // an empty file counts for 4 KiB
	w.add("alice")
	big := noise(1, 8<<20)
	if err := up(w.user("alice"), "big", big); !errors.Is(err, client.ErrDPCRefused) {
		t.Errorf("a file that is too large: %v", err)
	}
	for i := range 3 {
		w.must(up(w.user("alice"), fmt.Sprint(i), big[:1<<20]))
	}
	if err := up(w.user("alice"), "one more", big[:1<<20]); !errors.Is(err, client.ErrDPCRefused) {
		t.Errorf("more than the quota: %v", err)
	}
	w.must(up(w.user("alice"), "empty", nil))
}

// uploading has sent the request and a part of a file; when it returns, the server is in the middle of it.
func (w *world) uploading(name string, size int, part []byte) *conn {
	w.t.Helper()
	return w.uploadingAs("alice", name, size, part)
}

func (w *world) uploadingAs(user, name string, size int, part []byte) *conn {
	w.t.Helper()
	before := w.uploads()
	c := w.dial("file")
	c.send(fmt.Sprintf(`{"op":0,"args":{"name":%q,"password":%q},"file_name":%q,"file_type":0,"file_size":"%d"}`, user, password, name, size))
	c.raw(string(part))
	w.eventually("the upload has begun", func() bool { return w.uploads() == before+1 })
	return c
}

// uploads returns how many uploads the server knows of.
func (w *world) uploads() float64 { return w.metric("parley_file_uploads") }

func TestUploadThatDiesInTheMiddle(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	for name, die := range map[string]func(c *conn){
		"the connection breaks": func(c *conn) { c.Conn.(*net.TCPConn).SetLinger(0); c.Close() },
		"the client hangs up":   func(c *conn) { c.Close() },
		"the client ends its side": func(c *conn) {
			c.half()
			c.expect(refused)
			c.ended()
		},
	} {
		c := w.uploading("half", 1<<20, noise(1, 1<<19))
		die(c)
		w.eventually(name+": the server has given up", func() bool { return w.uploads() == 0 })
		if names := w.names("alice"); len(names) > 0 {
			t.Errorf("%s: %q is listed", name, names)
		}
	}
}

// TestTwoUploadsOfOneName: the one that is complete last counts, and nothing is mixed.
func TestTwoUploadsOfOneName(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	a, b := noise(1, 1<<20), noise(2, 1<<20)
	first := w.uploading("same", len(a), a[:1<<19])
	second := w.uploading("same", len(b), b[:1<<18])
	if got, err := down(w.user("alice"), "same"); !errors.Is(err, client.ErrDPCMissing) {
		t.Fatalf("%d files, %v", len(got), err)
	}
	second.raw(string(b[1<<18:]))
	second.ended()
	if got, err := down(w.user("alice"), "same"); err != nil || !bytes.Equal(got[":same"], b) {
		t.Fatal("the first one to be complete is not there: ", err)
	}
	first.raw(string(a[1<<19:]))
	first.ended()
	if got, err := down(w.user("alice"), "same"); err != nil || !bytes.Equal(got[":same"], a) {
		t.Fatal("the last one to be complete is not there: ", err)
	}
	var wg sync.WaitGroup
	sums := map[[32]byte]bool{}
	for i := range 8 {
		content := noise(uint64(10+i), 300_000)
		sums[sha256.Sum256(content)] = true
		wg.Go(func() { w.check(up(w.user("alice"), "same", content)) })
	}
	wg.Wait()
	got, err := down(w.user("alice"), "same")
	if err != nil || !sums[sha256.Sum256(got[":same"])] {
		t.Errorf("%d bytes that nobody sent, %v", len(got[":same"]), err)
	}
	if names := w.names("alice"); !slices.Equal(names, []string{"same"}) {
		t.Errorf("%q", names)
	}
}

// TestReplacedWhileDownloaded: who has begun to download gets the old content whole.
func TestReplacedWhileDownloaded(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	old := noise(1, 16<<20)
	w.must(up(w.user("alice"), "same", old))
	var got []byte
	w.must(w.user("alice").Download("same", func(f client.DPCFile, r io.Reader) error {
		first, err := io.ReadAll(io.LimitReader(r, 1000))
		w.must(err)
		w.must(up(w.user("alice"), "same", []byte("new")))
		rest, err := io.ReadAll(r)
		got = append(first, rest...)
		return err
	}))
	if !bytes.Equal(got, old) {
		t.Errorf("%d bytes that are not the old ones", len(got))
	}
}

// TestSlowIsNotStalled: a transfer that moves goes on, however slowly; one that stands still is cut.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	const stall = 500 * time.Millisecond
	w := newWorld(t, options{stall: stall, prepare: smallBuffers})
	w.add("alice")
	b := noise(1, 4<<20)
	w.must(up(w.user("alice"), "big", b))

	start := time.Now()
	stalled := w.uploading("stalled", 100, []byte("something"))
	stalled.broken()
	if after := time.Since(start); after < stall {
		t.Errorf("cut after %v", after)
	}
	slow := w.uploading("slow", 10, nil)
	for i := range 10 {
		time.Sleep(stall / 4) // this is the slow client
		slow.raw(fmt.Sprint(i))
	}
	slow.ended()

	reader := w.dial("file")
	w.must(reader.Conn.(*net.TCPConn).SetReadBuffer(64 << 10))
	reader.send(`{"op":1,"args":{"name":"alice","password":"a good password"},"look":1,"file_name":"big"}`)
	reader.expect(fmt.Sprintf(`{"op":1,"file_name":"big","file_type":0,"file_size":"%d"}`, len(b)))
	got := make([]byte, 0, len(b))
	for start := time.Now(); time.Since(start) < 3*stall; {
		time.Sleep(stall / 8)
		part := make([]byte, 64<<10)
		n, err := io.ReadAtLeast(reader.Rest(), part, 1)
		w.must(err)
		got = append(got, part[:n]...)
	}
	rest, err := io.ReadAll(reader.Rest())
	if got = append(got, rest...); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes of %d, %v", len(got), len(b), err)
	}

	dead := w.dial("file")
	w.must(dead.Conn.(*net.TCPConn).SetReadBuffer(4096))
	dead.send(`{"op":1,"args":{"name":"alice","password":"a good password"},"look":1,"file_name":"big"}`)
	w.eventually("the one who does not read is cut", func() bool {
		return w.metric(`parley_session_connections{gateway="dpc",state="open"}`) == 0
	})
	if _, err := io.ReadAll(dead.Conn); err == nil {
		t.Error("what is cut looks like what is complete")
	}
}

// smallBuffers makes the kernel hold little of what a peer does not read.
func smallBuffers(ln net.Listener) net.Listener { return smallListener{ln} }

type smallListener struct{ net.Listener }

func (l smallListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

// TestStopLetsTransfersEnd: a stop waits for what has begun, breaks off what waits, and takes nothing new.
func TestStopLetsTransfersEnd(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	b := noise(1, 1<<20)
	idle, c := w.dial("file"), w.uploading("late", len(b), b[:1000])
	folder := w.dial("file")
	record := func(name string) string {
		return fmt.Sprintf(`{"op":0,"args":{"name":"alice","password":%q},"file_name":%q,"file_type":1,"file_size":"2","file_dirname":"folder"}`, password, name)
	}
	folder.send(record("one"))
	folder.raw("ok")
	w.eventually("the folder is there", func() bool { return len(w.names("alice")) == 1 })
	stopped := make(chan struct{})
	go func() { w.gw.Stop(context.Background()); close(stopped) }()
	idle.broken()
	folder.send(record("two"))
	folder.raw("ok")
	folder.half()
	folder.ended()
	folder.Close()
	c.raw(string(b[1000:]))
	c.ended()
	c.Close()
	<-stopped
	if files := w.listed("alice"); !slices.Equal(files, []string{"folder", "late"}) {
		t.Errorf("%q", files)
	}
	w.turnedAway()
}

// turnedAway checks that the file port resets a new connection.
func (w *world) turnedAway() {
	w.t.Helper()
	c, err := client.DialDPC(w.ports["file"])
	if err == nil {
		defer c.Close()
		_, err = c.Receive()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		w.t.Error(err)
	}
}

// listed asks the service, since the port takes no more.
func (w *world) listed(user string) (names []string) {
	w.t.Helper()
	files, err := w.files.List(context.Background(), w.actors[user], core.Lobby, 0)
	w.must(err)
	for _, f := range files {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// TestStopCutsWhatDoesNotEnd: when the time is over, an upload breaks off, and nothing of it is kept.
func TestStopCutsWhatDoesNotEnd(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	c := w.uploading("half", 1000, []byte("something"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.gw.Stop(ctx)
	c.broken()
	if files := w.listed("alice"); len(files) > 0 {
		t.Errorf("%q", files)
	}
	if n := w.uploads(); n != 0 {
		t.Errorf("%v uploads are open", n)
	}
}

// TestConnectionsFromOneAddress: what is more than the bound is reset, and there is room again when others go.
func TestConnectionsFromOneAddress(t *testing.T) {
	w := newWorld(t, options{})
	w.add("alice")
	conns := make([]*conn, dpc.MaxTransfersIP)
	for i := range conns {
		conns[i] = w.dial("file")
	}
	list := `{"op":1,"args":{"name":"alice","password":"a good password"},"look":0}`
	conns[len(conns)-1].send(list)
	conns[len(conns)-1].expect(`{"op":1,"exist_file":0}`)
	w.turnedAway()
	if err := up(w.user("alice"), "x", []byte("x")); err == nil || errors.Is(err, client.ErrDPCRefused) {
		t.Errorf("an upload for which there is no room: %v", err)
	}
	conns[0].Close()
	w.eventually("there is room", func() bool {
		c := w.dial("file")
		defer c.Close()
		if err := c.Send(map[string]any{"op": 1, "look": 1}); err != nil {
			return false
		}
		_, err := c.Receive()
		return err == nil
	})
}
