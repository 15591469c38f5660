package crash

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/internal/blob"
	"parley/test/client"
	"parley/test/program"
)

const (
	uploaders = 50
	// Sizes from a few bytes to what takes a moment.
	smallest, largest = 10, 1 << 20
)

// shelf is what the uploaders know to be stored: names of files whose upload the server has ended in good order.
type shelf struct {
	mu     sync.Mutex // guards stored
	stored []string
}

// content returns what a file holds: its name says it.
func content(name string) []byte {
	var seed [32]byte
	copy(seed[:], name)
	r := rand.New(rand.NewChaCha8(seed))
	b := make([]byte, smallest+r.IntN(largest-smallest))
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

func dpc(s *program.Server, name string) client.DPC {
	return client.DPC{Auth: s.DPC.Auth, Chat: s.DPC.Chat, Files: s.DPC.Files, Name: name, Password: "secret"}
}

// TestKilledUploads kills the server in the middle of fifty uploads: no half file is listed, no complete one is lost,
// nothing is left of half ones, and no more than those fifty can be whole without being listed. They are swept after a day.
func TestKilledUploads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := program.Start(t, t.TempDir(), nil)
	for i := range 5 {
		s.AddUser(fmt.Sprint("user", i))
	}
	var all shelf
	for round := range rounds(t) {
		var wg sync.WaitGroup
		for i := range uploaders {
			wg.Go(func() { all.fill(dpc(s, fmt.Sprint("user", i%5)), fmt.Sprintf("%d-%d", round, i)) })
		}
		time.Sleep(700*time.Millisecond + time.Duration(rnd.IntN(1500))*time.Millisecond) // the moment is what is random
		s.Kill()
		wg.Wait()
		s.Run()
		all.verify(t, s, round)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("the last stop: %v\n%s", err, s.Output())
	}
}

// fill uploads one file after the other until the server dies. Every third is in a folder.
func (l *shelf) fill(d client.DPC, prefix string) {
	for n := 0; ; n++ {
		f := client.DPCFile{Name: fmt.Sprintf("%s-%d.bin", prefix, n)}
		name := f.Name
		if n%3 == 2 {
			f.Folder, f.Name = prefix, fmt.Sprintf(`deep\%d.bin`, n)
			name = f.Folder + "/" + f.Name
		}
		b := content(name)
		f.Size = int64(len(b))
		open := func(client.DPCFile) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		if d.Upload([]client.DPCFile{f}, open) != nil {
			return
		}
		l.mu.Lock()
		l.stored = append(l.stored, name)
		l.mu.Unlock()
	}
}

// verify downloads everything that is listed.
func (l *shelf) verify(t *testing.T, s *program.Server, round int) {
	t.Helper()
	d := dpc(s, "user0")
	entries, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]bool{}
	for _, e := range entries {
		err := d.Download(e[0], func(f client.DPCFile, r io.Reader) error {
			name := f.Name
			if f.Folder != "" {
				name = f.Folder + "/" + f.Name
			}
			got, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(got, content(name)) {
				err = fmt.Errorf("%s has %d bytes that are not what was sent", name, len(got))
			}
			whole[name] = true
			return err
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	for _, name := range l.stored {
		if !whole[name] {
			t.Errorf("round %d: %s was stored and is gone", round, name)
		}
	}
	if len(l.stored) == 0 {
		t.Fatal("nothing was stored at all")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until the sweep at the start is through
		half, kept := bytesOf(t, s.Dir)
		if half == 0 {
			if extra := kept - len(whole); extra < 0 || extra > (round+1)*uploaders {
				t.Errorf("round %d: %d files are listed and the bytes of %d are kept", round, len(whole), kept)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("round %d: %d half files are left", round, half)
		}
	}
	t.Logf("round %d: %d files are whole, %d of them known to be stored", round, len(whole), len(l.stored))
}

// bytesOf counts the files below the folder of the bytes: those of unfinished uploads, and the whole ones.
func bytesOf(t *testing.T, dir string) (half, whole int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "files"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
		case filepath.Base(filepath.Dir(path)) == blob.Unfinished:
			half++
		default:
			whole++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return half, whole
}
