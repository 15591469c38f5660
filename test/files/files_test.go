// Package files carries big files through the real server.
package files

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"parley/test/client"
	"parley/test/program"
)

const (
	// big is more than 32 bits can count.
	big = 4<<30 + 12_345
	// mostMemory is what the server may need beyond what it has when it is idle.
	mostMemory = 48 << 20
)

func TestMain(m *testing.M) { program.Main(m) }

// TestFourGigabytes carries a sparse file up and down. What comes back is the same, and the server's memory stays flat.
func TestFourGigabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes gigabytes and half a minute")
	}
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	d := client.DPC{Auth: s.DPC.Auth, Chat: s.DPC.Chat, Files: s.DPC.Files, Name: "ann", Password: "secret"}
	if test, err := d.Login(); test != 0 || err != nil {
		t.Fatal(test, err)
	}
	source := sparse(t)
	before := peak(t, s)
	sent := sha256.New()
	err := d.Upload([]client.DPCFile{{Name: "big.img", Size: big}}, func(client.DPCFile) (io.ReadCloser, error) {
		f, err := os.Open(source)
		return struct {
			io.Reader
			io.Closer
		}{bufio.NewReaderSize(io.TeeReader(f, sent), 1<<20), f}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	err = d.Download("big.img", func(f client.DPCFile, r io.Reader) error {
		if f.Size != big {
			t.Errorf("it is announced with %d bytes", f.Size)
		}
		_, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{r}, make([]byte, 1<<20))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := sent.Sum(nil); string(got.Sum(nil)) != string(want) {
		t.Error("what came back is not what was sent")
	}
	if grown := peak(t, s) - before; grown > mostMemory {
		t.Errorf("the server needed %d MiB more", grown>>20)
	} else {
		t.Logf("the server needed %.1f MiB more", float64(grown)/(1<<20))
	}
}

// sparse makes a file that is mostly holes, with words at its ends and on both sides of what 32 bits can count.
func sparse(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, 1<<31 - 4, 1<<32 - 4, big - 12} {
		if _, err := f.WriteAt(fmt.Appendf(nil, "%12d", at), at); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// peak returns the most memory that the server has had so far.
func peak(t *testing.T, s *program.Server) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if os.IsNotExist(err) {
		t.Skip("this system does not tell a process's memory")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
