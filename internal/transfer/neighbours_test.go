package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"parley/internal/account"
	"parley/internal/core"
	"parley/internal/legacy"
)

func dumpOf(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.sql")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const smallLLFC = "CREATE TABLE user (uid int, name text, email text, pwd text);INSERT INTO user VALUES (2001,'ann','ann@example.org','a'),(2002,'bob','bob@example.org','b');" +
	"CREATE TABLE friend (self_id int, friend_id int, back text);INSERT INTO friend VALUES (2001,2002,''),(2002,2001,'');" +
	"CREATE TABLE friend_apply (from_uid int, to_uid int, status int);INSERT INTO friend_apply VALUES (2001,2002,1);"

// TestImportRespectsBlocks: who has blocked somebody since the first import does not get them back with the second.
func TestImportRespectsBlocks(t *testing.T) {
	h := openHome(t)
	job := Job{Kind: legacy.LLFC, Source: dumpOf(t, smallLLFC)}
	h.do(job)
	ann := core.NewActor(core.User{ID: 2001, Name: "ann"})
	if err := h.Contacts.Block(t.Context(), ann, 2002); err != nil {
		t.Fatal(err)
	}
	r := h.do(job)
	h.count(r, "new entries in friend lists", 0)
	h.count(r, "entries in friend lists between users of whom one has blocked the other", 2)
	if list, err := h.Contacts.Friends(t.Context(), ann); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// TestImportTakesClaims: an address that was only claimed goes to who has proved it, and the report says so.
func TestImportTakesClaims(t *testing.T) {
	h := openHome(t)
	if _, err := h.Accounts.Adopt(t.Context(), h.operator, account.Record{User: core.User{Name: "liar", Email: "Bob@example.org"}}, true); err != nil {
		t.Fatal(err)
	}
	r := h.do(Job{Kind: legacy.LLFC, Source: dumpOf(t, smallLLFC)})
	h.noted(r, NoteClaim, "2002", "liar (uid 1001)", "bob@example.org", "without proof")
	h.login("bob@example.org", "b", true)
}

// TestImportedFileStepsAside: what is in the lobby keeps its name.
func TestImportedFileStepsAside(t *testing.T) {
	h := openHome(t)
	ann := h.add("ann", "")
	if _, err := h.Files.AdoptFile(t.Context(), h.operator, core.File{Area: core.Lobby, Owner: core.Author{ID: ann}, Kind: core.PlainFile, Name: "a.txt", Size: -1}, bytes.NewReader([]byte("mine"))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := h.do(Job{Kind: legacy.DPC, Files: dir, Source: dumpOf(t, "CREATE TABLE user (uid int, username text, password text);INSERT INTO user VALUES (1001,'li','x');"+
		"CREATE TABLE file (id int, name text, owner text, time datetime, kind text);INSERT INTO file VALUES (1,'a.txt','li','2024-01-02 03:04:05','文件');")})
	h.noted(r, NoteFile, "a.txt", "number")
	list, err := h.Files.List(t.Context(), h.operator, core.Lobby, 0)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	for _, f := range list {
		if want := map[string]core.UserID{"a.txt": ann, "a (2).txt": 1002}[f.Name]; want == 0 || f.Owner.ID != want {
			t.Errorf("%s is of %d", f.Name, f.Owner.ID)
		}
	}
}
