package transfer

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/core"
	"parley/internal/legacy"
)

// TestSimultaneousImportsMakeNoDoubles: of three imports of one source at a time, two had brought everybody once more.
func TestSimultaneousImportsMakeNoDoubles(t *testing.T) {
	h := openHome(t)
	job := Job{Kind: legacy.CS3, Source: many(t, 500)}
	var all sync.WaitGroup
	var mu sync.Mutex // guards refused
	refused, first := 0, make(chan struct{})
	var once sync.Once
	for i := range 3 {
		all.Go(func() {
			if i > 0 {
				<-first
			}
			_, err := h.Import(t.Context(), h.operator, core.Origin{}, job, func(string, int64, int64) { once.Do(func() { close(first) }) })
			if errors.Is(err, ErrRunning) {
				mu.Lock()
				refused++
				mu.Unlock()
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := h.number(`SELECT count(*) FROM "user"`); n != 500 {
		t.Errorf("%d accounts, %d imports refused", n, refused)
	}
	h.run(job)
}

func (h *newHome) number(query string) (n int64) {
	h.Helper()
	if err := h.DB.QueryRow(h.Context(), query, nil, &n); err != nil {
		h.Fatal(err)
	}
	return n
}

// TestImportLeavesUIDsForOthers: a user with the highest uid had left none for those who register later.
func TestImportLeavesUIDsForOthers(t *testing.T) {
	h := openHome(t)
	r := h.do(Job{Kind: legacy.LLFC, Source: dumpOf(t, "CREATE TABLE user (uid int, name text, email text, pwd text);INSERT INTO user VALUES (1000000000,'far','','p'),(999000000,'near','','p'),(0,'none','','p');")})
	h.noted(r, NoteRenumbered, "1000000000", "uid")
	h.noted(r, NoteRenumbered, "0", "uid 0")
	if n := h.number(`SELECT max(uid) FROM "user"`); n != 999_000_000 {
		t.Errorf("the highest uid is %d", n)
	}
	if id := h.add("later", ""); id != 999_000_001 {
		t.Errorf("the next uid is %d", id)
	}
}

// TestUnreadableFilesAreLeftBehind: one link that leads nowhere had stopped the whole import.
func TestUnreadableFilesAreLeftBehind(t *testing.T) {
	h, dir := openHome(t), t.TempDir()
	link := func(to, name string) error { return os.Symlink(to, filepath.Join(dir, name)) }
	err := errors.Join(
		link("/etc/passwd", "out.txt"), link("loop.txt", "loop.txt"), link("nowhere", "dead.txt"), os.Mkdir(filepath.Join(dir, "pics"), 0o700), link("/etc", "pics/etc"),
		os.WriteFile(filepath.Join(dir, "pics", "a.txt"), []byte("a"), 0o600), os.WriteFile(filepath.Join(dir, "good.txt"), []byte("good"), 0o600),
		os.Chtimes(filepath.Join(dir, "good.txt"), time.Time{}, time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)),
	)
	if err != nil {
		t.Fatal(err)
	}
	r := h.do(Job{Kind: legacy.DPC, Files: dir, Source: dumpOf(t, "CREATE TABLE user (uid int, username text, password text);INSERT INTO user VALUES (1001,'li','x');"+
		"CREATE TABLE file (name text, owner text);INSERT INTO file VALUES ('out.txt','li'),('loop.txt','li'),('dead.txt','li'),('pics','LI'),('good.txt','li'),('good.txt','li');")})
	for _, name := range []string{"out.txt", "loop.txt", "dead.txt", "pics"} {
		h.noted(r, NoteFile, name, "left behind")
	}
	h.noted(r, NoteFile, "good.txt", "once more")
	h.count(r, "files and folders brought along", 3)
	h.count(r, "files and folders left behind", 5)
	if n := h.number(`SELECT min(created_at) FROM file`); n < 0 {
		t.Errorf("a file is of %d", n)
	}
}

// TestFilesThatBreakWhileTheyAreReadAreLeftBehind: an error of the old disk is not one of the new.
func TestFilesThatBreakWhileTheyAreReadAreLeftBehind(t *testing.T) {
	h := openHome(t)
	ann := h.add("ann", "")
	var bad *sourceError
	_, err := h.Files.AdoptFile(t.Context(), h.operator, core.File{Area: core.Lobby, Owner: core.Author{ID: ann}, Kind: core.PlainFile, Name: "x", Size: -1}, source{broken{}})
	if !errors.As(err, &bad) || !errors.Is(bad.err, os.ErrPermission) {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, os.ErrPermission }

// TestNULInANameIsImported: the dry run was fine, and then the import failed at the audit log.
func TestNULInANameIsImported(t *testing.T) {
	h := openHome(t)
	r := h.do(Job{Kind: legacy.CS3, Source: usrDB(t, [][3]string{{"a\x00b", "p\x00q", ""}})})
	h.count(r, "new", 1)
	h.count(r, "renamed", 1)
	h.login("a_b", "p\x00q", false)
	if h.number(`SELECT count(*) FROM audit WHERE detail LIKE '%a`+"\uFFFD"+`b'`) != 1 || h.number(`SELECT count(*) FROM audit WHERE instr(detail, char(0)) > 0`) != 0 {
		t.Error("the audit log does not name the account")
	}
}

// TestNobodyIsLostWithoutANote: of those without a name, and with the same uid, all but one were counted as here already.
func TestNobodyIsLostWithoutANote(t *testing.T) {
	old := usrDB(t, nil)
	db, err := sql.Open("sqlite", old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO users VALUES (NULL, 'a', NULL), (NULL, 'b', NULL), ('ann', 'c', NULL)`); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	r := openHome(t).do(Job{Kind: legacy.CS3, Source: old})
	for _, c := range r.Counts {
		if want := map[string]int64{"users found": 3, "new": 2, "users left out": 1, "already here": 0}[c.What]; c.N != want && c.What != "renamed" && c.What != "without a password" {
			t.Errorf("%s: %d", c.What, c.N)
		}
	}
	h := openHome(t)
	r = h.do(Job{Kind: legacy.LLFC, Source: dumpOf(t, "CREATE TABLE user (uid int, name text, email text, pwd text);INSERT INTO user VALUES (5,'ann','','p'),(5,'bob','','p'),(NULL,'cyd','','p'),(NULL,'dan','','p');")})
	h.count(r, "new", 2)
	h.count(r, "already here", 0)
	h.count(r, "users left out", 2)
	h.noted(r, NoteSkipped, "5", `"bob"`)
	h.noted(r, NoteSkipped, "", `"dan"`)
}

// TestTextThatIsNotUTF8IsMended: one such password in usr.db had kept everybody out.
func TestTextThatIsNotUTF8IsMended(t *testing.T) {
	h, old := openHome(t), usrDB(t, [][3]string{{"b\xffd", "pw", ""}, {"ann", "\xff\x41", ""}, {"zoe", "pw", "\xff.png"}})
	r := h.do(Job{Kind: legacy.CS3, Source: old})
	h.count(r, "new", 3)
	h.noted(r, NoteRenamed, "b\uFFFDd", `"b_d"`)
	h.noted(r, NotePassword, "ann", "not in UTF-8")
	h.login("b_d", "pw", false)
	h.login("zoe", "pw", false)
}

// TestLongReportsAreCutShort: a report of every user could not be sent, and so nobody could be imported.
func TestLongReportsAreCutShort(t *testing.T) {
	var b notebook
	for i := range maxNotes + 7 {
		b.add([]Note{{Kind: NoteRenamed, Foreign: strings.Repeat("x", 1<<10), Text: fmt.Sprint(i, strings.Repeat("y", 1<<12))}, {Kind: NotePhone}})
		if i == 3 {
			b.add([]Note{{Kind: NoteEmail}})
		}
	}
	list := b.all()
	last := list[len(list)-2:]
	if len(list) != 2*maxNotes+1+2 || last[0] != (Note{Kind: NotePhone, Text: "and 7 more"}) || last[1] != (Note{Kind: NoteRenamed, Text: "and 7 more"}) {
		t.Errorf("%d notes, at the end %+v", len(list), last)
	}
	if n := list[0]; len(n.Foreign) != maxForeign || len(n.Text) != maxText+len("…") {
		t.Errorf("a note of %d and %d bytes", len(n.Foreign), len(n.Text))
	}
	if s := quoteName(strings.Repeat("名", 1000)); len(s) > 4*maxShown {
		t.Errorf("a name of %d bytes", len(s))
	}
}

// TestManyUsersOfOneNameAreNumberedAtOnce: the number of looks for a free name grew with the square of their number.
func TestManyUsersOfOneNameAreNumberedAtOnce(t *testing.T) {
	p := &people{users: map[core.UserID]resident{}, names: map[string]core.UserID{}, emails: map[string]core.UserID{}, phones: map[string]core.UserID{}, suffixes: map[string]int{}}
	const users = 20_000
	for i := range users {
		name := p.nameFor("ann", "", core.UserID(i+1))
		if want := fmt.Sprint("ann_", i+1); i > 0 && name != want {
			t.Fatalf("%s, want %s", name, want)
		}
		p.add(core.User{ID: core.UserID(i + 1), Name: name})
	}
	if n := p.suffixes["ann"]; n != users { // one look for each
		t.Errorf("the last number tried is %d", n)
	}
}
