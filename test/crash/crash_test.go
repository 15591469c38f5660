// Package crash kills the real server under load and looks at what is left.
package crash

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"parley/test/client"
	"parley/test/program"
)

const (
	users  = 12 // in pairs: 0 writes to 1, 2 to 3 …
	window = 8
	lobby  = 1_500_000_001
)

func TestMain(m *testing.M) { program.Main(m) }

// rounds is how often the server is killed: 3 times, or as often as SOAK says.
func rounds(t *testing.T) int {
	if s := os.Getenv("SOAK"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return max(n, 20)
	}
	return 3
}

// ledger is what the clients know to be stored.
type ledger struct {
	mu     sync.Mutex          // guards acked
	acked  map[string][]string // by sender and target: message ids in the order of their acknowledgements
	nextID int
}

func (l *ledger) ack(key, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key] = append(l.acked[key], id)
}

func (l *ledger) id() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextID++
	return fmt.Sprintf("m%07d", l.nextID)
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := program.Start(t, t.TempDir(), nil)
	uids := make([]int64, users)
	for i := range uids {
		uids[i] = s.AddUser(fmt.Sprint("user", i))
	}
	for i := 0; i < users; i += 2 {
		befriend(t, s, i)
	}
	l := &ledger{acked: map[string][]string{}}
	for round := range rounds(t) {
		var wg sync.WaitGroup
		for i := range users {
			to := int64(lobby)
			if i%2 == 0 {
				to = uids[i+1]
			}
			wg.Go(func() { talk(s, l, fmt.Sprint("user", i), to) })
		}
		time.Sleep(time.Second + time.Duration(rnd.IntN(1500))*time.Millisecond) // the moment is what is random
		s.Kill()
		wg.Wait()
		verify(t, s.Dir, l, round)
		s.Run()
	}
	if err := s.Stop(); err != nil {
		t.Errorf("the last stop: %v\n%s", err, s.Output())
	}
}

func befriend(t *testing.T, s *program.Server, i int) {
	t.Helper()
	a, _, err := client.Login(s.HTTP, fmt.Sprint("user", i), "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Conn.Close()
	b, _, err := client.Login(s.HTTP, fmt.Sprint("user", i+1), "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Conn.Close()
	if err := client.Befriend(a, b); err != nil {
		t.Fatal(err)
	}
}

// talk sends with several messages outstanding until the server dies, and keeps what was acknowledged.
func talk(s *program.Server, l *ledger, name string, to int64) {
	c, _, err := client.Login(s.HTTP, name, "secret")
	if err != nil {
		return
	}
	defer c.Conn.Close()
	key := fmt.Sprintf("%d>%d", c.UID, to)
	for range window {
		if c.Say(to, l.id(), "hello") != nil {
			return
		}
	}
	for {
		f, err := c.Wait(1018)
		if err != nil {
			return
		}
		a, err := f.Texts()
		if err != nil || a.Error != 0 {
			return
		}
		l.ack(key, a.Texts[0].ID)
		if c.Say(to, l.id(), "hello") != nil {
			return
		}
	}
}

// verify opens the database that the killed server left and checks every acknowledged message.
func verify(t *testing.T, dir string, l *ledger, round int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "parley.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkNumbers(t, db)
	total := 0
	for key, ids := range l.acked {
		stored := storedIDs(t, db, key)
		at := -1
		for _, id := range ids {
			places := stored[id]
			if len(places) != 1 {
				t.Fatalf("round %d, %s: message %s was acknowledged and is stored %d times", round, key, id, len(places))
			}
			if places[0] <= at {
				t.Fatalf("round %d, %s: message %s stands before an earlier one", round, key, id)
			}
			at = places[0]
		}
		total += len(ids)
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged at all")
	}
	t.Logf("round %d: %d acknowledged messages are there", round, total)
}

// checkNumbers checks that every conversation is numbered 1, 2, 3 … up to its last number.
func checkNumbers(t *testing.T, db *sql.DB) {
	t.Helper()
	rows, err := db.Query(`SELECT c.id, c.last_seq, COUNT(m.seq), COALESCE(MIN(m.seq), 1), COALESCE(MAX(m.seq), 0)
		FROM conversation c LEFT JOIN message m ON m.conversation_id = c.id GROUP BY c.id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, last, count, first, highest int64
		if err := rows.Scan(&id, &last, &count, &first, &highest); err != nil {
			t.Fatal(err)
		}
		if count != last || highest != last || first != 1 {
			t.Errorf("conversation %d says %d messages, has %d from %d to %d", id, last, count, first, highest)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// storedIDs returns where the messages of "sender>target" stand, by their client ids.
func storedIDs(t *testing.T, db *sql.DB, key string) map[string][]int {
	t.Helper()
	var from, to int64
	if _, err := fmt.Sscanf(key, "%d>%d", &from, &to); err != nil {
		t.Fatal(err)
	}
	where := fmt.Sprintf("c.direct_key = '%d:%d'", min(from, to), max(from, to))
	if to == lobby {
		where = "c.id = 1"
	}
	rows, err := db.Query(`SELECT m.client_id, m.seq FROM message m JOIN conversation c ON c.id = m.conversation_id
		WHERE m.sender_id = ? AND `+where+` ORDER BY m.seq`, from)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string][]int{}
	for rows.Next() {
		var id string
		var seq int
		if err := rows.Scan(&id, &seq); err != nil {
			t.Fatal(err)
		}
		stored[id] = append(stored[id], seq)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stored
}

var (
	traced = regexp.MustCompile(`^(\d+) +([\d.]+) (<\.\.\. )?(\w+)`)
	result = regexp.MustCompile(`= (-?\d+)`)
)

// TestCommitReachesTheDisk watches the system calls of the server: between the arrival of a message and the departure of
// its acknowledgement, the write-ahead log is synced.
func TestCommitReachesTheDisk(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("strace is missing")
		}
		t.Skip("strace is missing")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	s := program.Start(t, t.TempDir(), []string{
		strace, "-f", "-ttt", "-y", "-s", "200", "-e", "trace=fsync,fdatasync,write,read", "-o", trace,
	})
	s.AddUser("ann")
	c, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Conn.Close()
	if err := c.Say(lobby, "first", "does this reach the disk?"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(1018); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !acknowledgedAfterSync(t, trace) {
		if ctx.Err() != nil {
			t.Fatal("no sync of the log is seen before the acknowledgement")
		}
		time.Sleep(50 * time.Millisecond) // the tracer writes its file in blocks
	}
}

// acknowledgedAfterSync reads a trace: the frame 1017 comes in, a sync of the log succeeds, the frame 1018 goes out.
func acknowledgedAfterSync(t *testing.T, trace string) bool {
	t.Helper()
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	asked, synced := false, false
	pending := map[string]bool{} // threads that are inside a sync of the log
	for line := range strings.Lines(string(b)) {
		m := traced.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, call := m[1], m[4]
		switch {
		case strings.Contains(line, `does this reach`) && call == "read":
			asked, synced = true, false
		case strings.Contains(call, "sync") && asked:
			if strings.Contains(line, "parley.db-wal") {
				pending[thread] = true
			}
			if r := result.FindStringSubmatch(line); pending[thread] && r != nil {
				synced = synced || r[1] == "0"
				delete(pending, thread)
			}
		case call == "write" && strings.Contains(line, `\3\372`):
			if asked && !synced {
				t.Fatalf("the acknowledgement left before the log was synced: %s", line)
			}
			return asked && synced
		}
	}
	return false
}
