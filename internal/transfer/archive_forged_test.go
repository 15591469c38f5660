package transfer_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
	"parley/internal/transfer"
)

// write makes an archive of parts.
func write(t testing.TB, parts []part) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Mode: 0o600, Size: int64(len(p.content)), Typeflag: tar.TypeReg, Format: tar.FormatGNU}
		if to, ok := strings.CutPrefix(p.content, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, p.content = tar.TypeSymlink, to, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(p.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "forged.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// forge makes parts that were changed go together again: the counts of the manifest, and all sums.
func forge(t testing.TB, parts []part) []part {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	parts = slices.Clone(parts)
	var m struct {
		Format  string      `json:"format"`
		Version int         `json:"version"`
		Kind    string      `json:"kind"`
		User    core.UserID `json:"user,omitzero"`
		Created string      `json:"created"`
		LastUID core.UserID `json:"last_uid,omitzero"`
		Counts  map[string]int64
	}
	must(json.Unmarshal([]byte(parts[0].content), &m, json.MatchCaseInsensitiveNames(true)))
	for _, p := range parts {
		if name, ok := strings.CutSuffix(p.name, ".jsonl"); ok {
			m.Counts[name] = int64(strings.Count(p.content, "\n"))
		}
	}
	counts, err := json.Marshal(m.Counts)
	must(err)
	head, err := json.Marshal(m)
	must(err)
	before, _, _ := strings.Cut(string(head), `"Counts"`)
	parts[0].content = before + `"counts":` + string(counts) + "}"
	var sums []map[string]any
	for _, p := range parts {
		if strings.HasSuffix(p.name, ".jsonl") || p.name == "manifest.json" {
			sums = append(sums, map[string]any{"name": p.name, "size": len(p.content), "sha256": fmt.Sprintf("%x", sha256.Sum256([]byte(p.content)))})
		}
	}
	last, err := json.Marshal(map[string]any{"parts": sums})
	must(err)
	for i, p := range parts {
		if p.name == "complete.json" {
			parts[i].content = string(last)
		}
	}
	return parts
}

// edit returns a change of one part's text. What is to be replaced must be there.
func edit(t testing.TB, name, old, with string) func([]part) []part {
	return func(parts []part) []part {
		for i, p := range parts {
			if p.name == name {
				if !strings.Contains(p.content, old) {
					t.Fatalf("%s holds no %q: %s", name, old, short(p.content))
				}
				parts[i].content = strings.Replace(p.content, old, with, 1)
			}
		}
		return parts
	}
}

func insert(before string, new ...part) func([]part) []part {
	return func(parts []part) []part {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == before })
		return slices.Insert(parts, i, new...)
	}
}

func remove(name string) func([]part) []part {
	return func(parts []part) []part {
		return slices.DeleteFunc(parts, func(p part) bool { return p.name == name })
	}
}

// TestForgedArchiveIsRefused changes archives so that all sums are right again, and something in them cannot be.
func TestForgedArchiveIsRefused(t *testing.T) {
	h := lived(t)
	everything, anns := partsOf(t, h.export("")), partsOf(t, h.export("Ann"))
	there := newHouse(t)
	if _, err := there.restore(write(t, forge(t, everything)), true); err != nil {
		t.Fatalf("nothing is changed, and it is refused: %v", err)
	}
	line := func(part string, n int) string {
		return strings.Split(content(everything, part), "\n")[n] + "\n"
	}
	for name, c := range map[string]struct {
		of     []part
		change func([]part) []part
		want   string
	}{
		"a user twice":             {everything, edit(t, "users.jsonl", line("users.jsonl", 1), line("users.jsonl", 1)+line("users.jsonl", 1)), "users.jsonl: line 3"},
		"a name twice":             {everything, edit(t, "users.jsonl", `"name":"cyd"`, `"name":"ann"`), "same name as user 1002"},
		"an address twice":         {everything, edit(t, "users.jsonl", `bob@example.com`, `ANN@example.com`), "same e-mail address as user 1002"},
		"no uid":                   {everything, edit(t, "users.jsonl", `"uid":1001`, `"uid":0`), "users.jsonl: line 1"},
		"a uid of text":            {everything, edit(t, "users.jsonl", `"uid":1001`, `"uid":"1001"`), "users.jsonl: line 1"},
		"a field that is unknown":  {everything, edit(t, "users.jsonl", `"nick":`, `"nack":`), "users.jsonl: line 1"},
		"a bad name":               {everything, edit(t, "users.jsonl", `"name":"cyd"`, `"name":"c y d"`), "users.jsonl: line 4"},
		"a bare password":          {everything, edit(t, "users.jsonl", `$argon2id$`, `x`), "users.jsonl: line 1"},
		"a bad date":               {everything, edit(t, "users.jsonl", `"created":"20`, `"created":"x`), "users.jsonl: line 1"},
		"no JSON":                  {everything, edit(t, "users.jsonl", `{`, ``), "users.jsonl: line 1"},
		"an empty line":            {everything, edit(t, "users.jsonl", `{`, "\n{"), "users.jsonl: line 1"},
		"a line without an end":    {everything, edit(t, "audit.jsonl", line("audit.jsonl", 14), strings.TrimSuffix(line("audit.jsonl", 14), "\n")), "has no end"},
		"a giant line":             {everything, edit(t, "messages.jsonl", `Ann says`, strings.Repeat("x", 1<<20)), "longer than"},
		"a friend of nobody":       {everything, edit(t, "friends.jsonl", `"friend":1003`, `"friend":7`), "no user 7"},
		"a status":                 {everything, edit(t, "requests.jsonl", `"accepted"`, `"maybe"`), "requests.jsonl: line 1"},
		"a request twice":          {everything, edit(t, "requests.jsonl", line("requests.jsonl", 0), line("requests.jsonl", 0)+line("requests.jsonl", 0)), "requests.jsonl: line 2"},
		"a block of oneself":       {everything, edit(t, "blocks.jsonl", `"blocked":1002`, `"blocked":1001`), ""},
		"a chat of three":          {everything, edit(t, "conversations.jsonl", `"users":[1002,1003]`, `"users":[1002,1003,1004]`), "conversations.jsonl: line 3"},
		"a chat twice":             {everything, edit(t, "conversations.jsonl", `"users":[1003,1004]`, `"users":[1002,1003]`), "conversations.jsonl: line 4"},
		"a gap":                    {everything, edit(t, "messages.jsonl", line("messages.jsonl", 3), ""), "messages.jsonl: line 4"},
		"a message twice":          {everything, edit(t, "messages.jsonl", line("messages.jsonl", 3), line("messages.jsonl", 3)+line("messages.jsonl", 3)), "messages.jsonl: line 5"},
		"the last one missing":     {everything, edit(t, "messages.jsonl", line("messages.jsonl", 24), ""), "its last number is 1"},
		"one too many":             {everything, edit(t, "conversations.jsonl", `"last_seq":10,`, `"last_seq":9,`), "ends with message 9"},
		"in no conversation":       {everything, edit(t, "messages.jsonl", `"conversation":12`, `"conversation":99`), "no conversation 99"},
		"by a stranger":            {everything, edit(t, "messages.jsonl", `"conversation":11,"seq":1,"sender":1002`, `"conversation":11,"seq":1,"sender":1004`), "cannot have sent it"},
		"by nobody":                {everything, edit(t, "messages.jsonl", `"sender":1001`, `"sender":7`), "no user 7"},
		"no text":                  {everything, edit(t, "messages.jsonl", `"text":"to Bob"`, `"text":""`), ""},
		"an id twice":              {everything, edit(t, "messages.jsonl", `"client_id":"r1"`, `"client_id":"r0"`), ""},
		"joined in the future":     {everything, edit(t, "members.jsonl", `"joined_seq":0`, `"joined_seq":99`), "has no message 99"},
		"a third in a chat":        {everything, edit(t, "members.jsonl", `{"user":1003,"conversation":11,`, `{"user":1003,"conversation":10,`), ""},
		"a cursor ahead":           {everything, edit(t, "cursors.jsonl", `"seq":7`, `"seq":11`), "has no message 11"},
		"a cursor twice":           {everything, edit(t, "cursors.jsonl", line("cursors.jsonl", 0), line("cursors.jsonl", 0)+line("cursors.jsonl", 0)), "cursors.jsonl: line 2"},
		"a climbing name":          {everything, edit(t, "files.jsonl", `"name":"notes.txt"`, `"name":"../notes.txt"`), ""},
		"a file of nobody":         {everything, edit(t, "files.jsonl", `"owner":1003`, `"owner":7`), "no user 7"},
		"a folder in itself":       {everything, edit(t, "files.jsonl", `"parent":2`, `"parent":3`), "folder 3 does not come before"},
		"a folder elsewhere":       {everything, edit(t, "files.jsonl", `"id":2,"conversation":1`, `"id":2,"conversation":10`), "folder 2 does not come before"},
		"other bytes":              {everything, edit(t, "files/1", "some", "same"), "files.jsonl: line 1"},
		"bytes of another":         {everything, edit(t, "files.jsonl", `{"id":1,`, `{"id":0,`), "files.jsonl: line 1"},
		"bytes missing":            {everything, remove("files/1"), "bytes of file 1 are missing"},
		"bytes of no file":         {everything, insert("files.jsonl", part{"files/99", "x"}), "files/99 is in no list"},
		"a climbing file":          {everything, insert("files.jsonl", part{"files/../x", "x"}), "files/../x"},
		"another number":           {everything, insert("files.jsonl", part{"files/+99", "x"}), "files/+99"},
		"a climbing picture":       {everything, insert("avatars.jsonl", part{"avatars/../parley.db", "x"}), "avatars/../parley.db"},
		"a deep picture":           {everything, insert("avatars.jsonl", part{"avatars/a/b/c", "x"}), "avatars/a/b/c"},
		"an absolute picture":      {everything, insert("avatars.jsonl", part{"avatars//etc/passwd", "x"}), "avatars//etc/passwd"},
		"a picture in no list":     {everything, insert("avatars.jsonl", part{"avatars/cyd/x.png", "x"}), "cyd/x.png is in no list"},
		"a picture of nobody":      {everything, insert("avatars.jsonl", part{"avatars/zzz/x.png", "x"}), "of nobody"},
		"a picture of another":     {anns, insert("avatars.jsonl", part{"avatars/cyd/x.png", "x"}), "of nobody"},
		"a picture that is none":   {everything, insert("avatars.jsonl", part{"avatars/cyd/x.html", "x"}), "not the name of a picture"},
		"a room without room":      {everything, edit(t, "conversations.jsonl", `{"id":12,`, `{"id":9223372036854775807,`), "conversations.jsonl: line 4"},
		"bytes without room":       {everything, insert("files.jsonl", part{"files/9223372036854775807", "x"}), "not the name of a file's bytes"},
		"a folder without room":    {everything, edit(t, "files.jsonl", `{"id":9,`, `{"id":9223372036854775807,`), "it can be no file"},
		"an epoch without room":    {everything, edit(t, "users.jsonl", `"epoch":2`, `"epoch":9223372036854775807`), "users.jsonl: line 2"},
		"a uid without room":       {everything, edit(t, "manifest.json", `"last_uid":1234`, `"last_uid":1000000001`), "is no uid"},
		"the year 10000":           {everything, edit(t, "users.jsonl", `"created":"`, `"created":"9999-12-31T23:59:59.999-14:00","created":"`), "users.jsonl: line 1"},
		"a chat of two others":     {anns, edit(t, "conversations.jsonl", `"users":[1002,1003]`, `"users":[1003,1004]`), "none of user 1002's"},
		"another picture":          {everything, edit(t, "avatars/Ann/me.png", "a picture", "no picture"), "avatars.jsonl: line 1"},
		"a link":                   {everything, insert("users.jsonl", part{"users.jsonl", "-> /etc/passwd"}), "is no file"},
		"a part that is unknown":   {everything, insert("users.jsonl", part{"passwords.json", "x"}), "passwords.json"},
		"a part missing":           {everything, remove("blocks.jsonl"), "stands where blocks.jsonl should"},
		"no end":                   {everything, remove("complete.json"), "ends too early"},
		"something after the end":  {everything, func(p []part) []part { return append(p, part{"more", "x"}) }, "after its end"},
		"another version":          {everything, edit(t, "manifest.json", `"version":1`, `"version":2`), "version 2"},
		"another program's":        {everything, edit(t, "manifest.json", `"parley archive"`, `"something"`), "no archive of Parley"},
		"another kind":             {everything, edit(t, "manifest.json", `"everything"`, `"nothing"`), "neither"},
		"of a person of no uid":    {everything, edit(t, "manifest.json", `"everything"`, `"person"`), "neither"},
		"a person with a password": {anns, edit(t, "users.jsonl", `"nick":`, `"password":"$plain$x","nick":`), "without a password"},
		"a person with rights":     {anns, edit(t, "users.jsonl", `"nick":`, `"admin":true,"nick":`), "without a password or rights"},
		"another person":           {anns, edit(t, "manifest.json", `"user":1002`, `"user":1003`), "only that person"},
		"another's file":           {anns, edit(t, "files.jsonl", `"owner":1002`, `"owner":1003`), "it can be no file"},
		"another's words":          {anns, edit(t, "messages.jsonl", `"conversation":1,"seq":1,"sender":1002`, `"conversation":1,"seq":1,"sender":1003`), "cannot have sent it"},
		"another's deeds":          {anns, edit(t, "audit.jsonl", `"actor":1002`, `"actor":1003`), "not of user 1002"},
	} {
		path := write(t, forge(t, c.change(slices.Clone(c.of))))
		_, err := there.restore(path, false)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.want == "" && !strings.Contains(err.Error(), ".jsonl: line") && !strings.Contains(err.Error(), "files/") {
			t.Errorf("%s: %v", name, err)
		}
		if there.count(`SELECT (SELECT count(*) FROM "user") + (SELECT count(*) FROM message) + (SELECT count(*) FROM file) + (SELECT count(*) FROM audit)`) != 0 {
			t.Fatalf("%s: something was imported", name)
		}
	}
}

// TestDamagedArchiveIsRefused cuts an archive at many places, and turns bytes of it round.
func TestDamagedArchiveIsRefused(t *testing.T) {
	h, there := lived(t), newHouse(t)
	h.exec(`DELETE FROM file WHERE size > 1000`)
	whole, err := os.ReadFile(h.export(""))
	h.must(err)
	path := filepath.Join(t.TempDir(), "damaged.tar")
	try := func(name string, b []byte) {
		h.must(os.WriteFile(path, b, 0o600))
		if _, err := there.restore(path, true); err == nil {
			t.Errorf("%s: it is taken for whole", name)
		}
	}
	// The last block of its last part may be padding, and two more blocks are the mark of the end.
	for n := 0; n < len(whole)-3*512; n += 1021 {
		try(fmt.Sprint("cut at ", n), whole[:n])
	}
	try("cut before the last part", whole[:len(whole)-4*512])
	for n := 600; n < len(whole)-2*512; n += 1021 {
		b := slices.Clone(whole)
		b[n] ^= 1
		if b[n]^1 == 0 { // between the parts, where nobody looks
			continue
		}
		try(fmt.Sprintf("byte %d of %d", n, len(whole)), b)
	}
	try("garbage", []byte(strings.Repeat("garbage ", 500)))
	try("a part of other content under its old sum", func() []byte {
		b, err := os.ReadFile(write(t, edit(t, "users.jsonl", "cyd", "dyc")(partsOf(t, h.export("")))))
		h.must(err)
		return b
	}())
	if _, err := there.restore(t.TempDir(), true); err == nil {
		t.Error("a folder is taken for an archive")
	}
	if _, err := there.archives.Restore(t.Context(), operator, home, transfer.Restore{File: "/nowhere"}, noAdvance); err == nil {
		t.Error("nothing is taken for an archive")
	}
	h.must(os.WriteFile(path, whole, 0o600))
	if _, err := there.restore(path, false); err != nil {
		t.Fatal(err)
	}
}
