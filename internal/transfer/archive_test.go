package transfer_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
	"parley/internal/transfer"
)

// TestEverythingComesBackIdentically exports a server, imports that into an empty one, and exports the new one.
func TestEverythingComesBackIdentically(t *testing.T) {
	here, there := lived(t), newHouse(t)
	_, err := there.accounts.SetupToken(t.Context(), operator)
	there.must(err)
	first := here.export("")
	plan, err := there.restore(first, true)
	there.must(err)
	if plan.Kind != transfer.Everything || plan.Counts.Users != 5 || plan.Counts.Messages != 25 || plan.Counts.Files != 11 ||
		plan.Counts.Avatars != 3 || len(plan.Clashes) != 0 || len(plan.Notes) != 0 {
		t.Errorf("%+v", plan)
	}
	if there.count(`SELECT count(*) FROM "user"`) != 0 {
		t.Fatal("a dry run has written something")
	}
	_, err = there.restore(first, false)
	there.must(err)
	same(t, first, there.export(""))
	// The new server is the old one: passwords work, uids and numbers go on, what is sent again is recognised.
	ann, actor, err := there.accounts.Login(t.Context(), home, "ann@example.com", account.Secret{Text: "another"})
	there.must(err)
	if ann.ID != 1002 || ann.Epoch != 2 {
		t.Errorf("%+v", ann)
	}
	if u := there.add(account.NewUser{Name: "next"}); u.User() != 1235 {
		t.Errorf("the next uid is %d", u.User())
	}
	there.say(actor, lobby(), chat.RetryForever, "a4", "Ann says <&> \"4\" \u2028\U0001F600")
	there.say(actor, lobby(), chat.RetryForever, "a5", "new")
	if there.count(`SELECT last_seq FROM conversation WHERE id = 1`) != 11 {
		t.Error("numbers do not go on where they were")
	}
	there.share(actor, "", "more.txt", "more")
	if there.count(`SELECT count(*) FROM setting WHERE name LIKE 'account.%'`) != 0 {
		t.Error("the set-up link still works")
	}
}

// TestOnePersonComesBackIdentically does the same with what is one person's.
func TestOnePersonComesBackIdentically(t *testing.T) {
	here := lived(t)
	for _, who := range []string{"Ann", "小包", "cyd", "1005", "root"} {
		there := newHouse(t)
		first := here.export(who)
		plan, err := there.restore(first, true)
		there.must(err)
		if plan.Kind != transfer.Person || plan.User == "" || plan.Counts.Users != 1 || len(plan.Clashes) != 0 || len(plan.Notes) == 0 {
			t.Errorf("%+v", plan)
		}
		_, err = there.restore(first, false)
		there.must(err)
		same(t, first, there.export(who))
	}
}

// TestArchiveOfOnePersonHoldsOnlyTheirs looks for what is others'.
func TestArchiveOfOnePersonHoldsOnlyTheirs(t *testing.T) {
	here := lived(t)
	parts := partsOf(t, here.export("ann@example.com"))
	all := ""
	for _, p := range parts {
		all += p.name + "\n" + p.content
	}
	for _, secret := range []string{
		"argon2id", "password", "bob@example.com", "root says", "den, Bob", "of which Ann knows nothing", "remark of Bob's",
		"Bob's", "0123456789abcdef", "deep", "work", "脸", "from root", `"epoch"`, `"admin"`,
	} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in it", secret)
		}
	}
	for _, own := range []string{
		"Ann says", "den, Ann", "to Bob", "remark of Ann's", "some text", "the sea", "a picture of Ann", "ann@example.com",
		"+8613800138000", `"name":"小包"`, "please",
	} {
		if !strings.Contains(all, own) {
			t.Errorf("%q is not in it", own)
		}
	}
	if blocks := content(parts, "blocks.jsonl"); strings.Count(blocks, "\n") != 1 || !strings.HasPrefix(blocks, `{"user":1002,`) {
		t.Errorf("blocks: %s", blocks)
	}
	if others := content(parts, "others.jsonl"); strings.Contains(others, "root") || strings.Count(others, "\n") != 3 {
		t.Errorf("others: %s", others)
	}
	// In a room their messages are numbered without gaps, and positions are moved along: of seven messages three were Ann's.
	if !strings.Contains(content(parts, "messages.jsonl"), `{"conversation":1,"seq":5,"sender":1002,`) ||
		!strings.Contains(content(parts, "cursors.jsonl"), `{"user":1002,"gateway":"one","conversation":1,"seq":3}`) {
		t.Errorf("%s\n%s", short(content(parts, "messages.jsonl")), content(parts, "cursors.jsonl"))
	}
}

// TestPersonMovesToAServerWithOthers imports one person where people talk already.
func TestPersonMovesToAServerWithOthers(t *testing.T) {
	here, there := lived(t), newHouse(t)
	there.exec(`UPDATE user_id SET id = 5000`)
	zoe := there.add(account.NewUser{Name: "zoe"})
	yan := there.add(account.NewUser{Name: "yan"})
	there.say(zoe, lobby(), chat.RetryForever, "", "we talk here")
	there.befriend(zoe, yan, "")
	there.say(zoe, user(yan), chat.RetryForever, "", "and here") // which takes the number of a conversation
	there.share(zoe, "", "notes.txt", "Zoe's")
	archive := here.export("Ann")
	done, err := there.restore(archive, false)
	there.must(err)
	notes := strings.Join(done.Notes, "\n")
	if !strings.Contains(notes, "stays out") || !strings.Contains(notes, `"notes (2).txt"`) {
		t.Errorf("notes: %s", notes)
	}
	if there.count(`SELECT count(*) FROM message WHERE conversation_id = 1`) != 1 ||
		there.count(`SELECT count(*) FROM member WHERE conversation_id = 1`) != 6 ||
		there.count(`SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE c.direct_key = '1002:1003'`) != 2 {
		t.Error("messages or members are not where they should be")
	}
	list, err := there.files.List(t.Context(), operator, core.Lobby, 0)
	there.must(err)
	if len(list) != 3 {
		t.Errorf("files: %+v", list)
	}
	if _, _, err := there.accounts.Login(t.Context(), home, "Ann", account.Secret{Text: "another"}); !errors.Is(err, core.ErrBadCredentials) {
		t.Errorf("login without a password: %v", err)
	}
	there.must(there.accounts.SetPassword(t.Context(), operator, home, "Ann", "new"))
	_, _, err = there.accounts.Login(t.Context(), home, "Ann", account.Secret{Text: "new"})
	there.must(err)
	if there.count(`SELECT count(*) FROM audit WHERE action = 'account.import' AND target = 'user 1002'`) != 1 {
		t.Error("the import is not in the audit log")
	}
}

func TestArchiveThatClashesIsRefused(t *testing.T) {
	here := lived(t)
	everything, anns := here.export(""), here.export("Ann")
	used := newHouse(t)
	used.add(account.NewUser{Name: "somebody"})
	sameName, sameMail, samePhone, sameUID := newHouse(t), newHouse(t), newHouse(t), newHouse(t)
	for _, h := range []*house{sameName, sameMail, samePhone} {
		h.exec(`UPDATE user_id SET id = 5000`)
	}
	sameName.add(account.NewUser{Name: "ANN"})
	sameMail.add(account.NewUser{Name: "x", Email: "Ann@example.com"})
	samePhone.add(account.NewUser{Name: "x", Phone: "+8613800138000"})
	sameUID.add(account.NewUser{Name: "x"})
	sameUID.add(account.NewUser{Name: "y"})
	for name, c := range map[string]struct {
		h       *house
		archive string
		want    string
	}{
		"everything where somebody is": {used, everything, "somebody (uid 1001)"},
		"everything twice":             {here, everything, "小包 (uid 1003)"},
		"a person twice":               {here, anns, "Ann (uid 1002) in the archive has the same uid as Ann (uid 1002) here"},
		"the name":                     {sameName, anns, "Ann (uid 1002) in the archive has the same name as ANN (uid 5001) here"},
		"the e-mail address":           {sameMail, anns, "same e-mail as x (uid 5001)"},
		"the phone number":             {samePhone, anns, "same phone as x (uid 5001)"},
		"the uid":                      {sameUID, anns, "same uid as y (uid 1002)"},
	} {
		before := c.h.count(`SELECT count(*) FROM "user"`)
		plan, err := c.h.restore(c.archive, true)
		c.h.must(err)
		if !strings.Contains(strings.Join(plan.Clashes, "\n"), c.want) {
			t.Errorf("%s: %q", name, plan.Clashes)
		}
		if _, err := c.h.restore(c.archive, false); !errors.Is(err, transfer.ErrClashes) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if c.h.count(`SELECT count(*) FROM "user"`) != before {
			t.Errorf("%s: something was imported", name)
		}
	}
}

func TestArchivesAreTheOperators(t *testing.T) {
	h := lived(t)
	archive := h.export("")
	to := filepath.Join(t.TempDir(), "stolen.tar")
	ann, err := h.accounts.Find(t.Context(), operator, "Ann")
	h.must(err)
	root, err := h.accounts.Find(t.Context(), operator, "root")
	h.must(err)
	for _, actor := range []core.Actor{{}, core.NewActor(ann), core.NewActor(root)} {
		for _, who := range []string{"", "Ann"} {
			_, err := h.archives.Export(t.Context(), actor, home, transfer.Export{File: to, User: who}, noAdvance)
			if !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%q exports %q: %v", actor.Name(), who, err)
			}
		}
		if _, err := h.archives.Restore(t.Context(), actor, home, transfer.Restore{File: archive, DryRun: true}, noAdvance); !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%q imports: %v", actor.Name(), err)
		}
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Error("there is an archive")
	}
}

func TestExportNeverLeavesHalfAFile(t *testing.T) {
	h := lived(t)
	dir := t.TempDir()
	to := filepath.Join(dir, "archive.tar")
	export := func(in transfer.Export) error {
		_, err := h.archives.Export(t.Context(), operator, home, in, noAdvance)
		return err
	}
	if err := export(transfer.Export{File: "archive.tar"}); err == nil {
		t.Error("a relative path is taken")
	}
	if err := export(transfer.Export{File: filepath.Join(dir, "nowhere", "archive.tar")}); err == nil {
		t.Error("a folder that is not there is written to")
	}
	if err := export(transfer.Export{File: to, User: "nobody"}); !errors.Is(err, core.ErrUserNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	h.must(os.WriteFile(to, []byte("precious"), 0o600))
	if err := export(transfer.Export{File: to}); err == nil {
		t.Error("a file is replaced")
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "precious" {
		t.Errorf("%v %q", err, b)
	}
	h.must(export(transfer.Export{File: to, Force: true}))
	if parts := partsOf(t, to); parts[len(parts)-1].name != "complete.json" {
		t.Error("the new archive is not whole")
	}
	entries, err := os.ReadDir(dir)
	h.must(err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if h.count(`SELECT count(*) FROM audit WHERE action = 'server.export' AND target = 'everything'`) != 1 {
		t.Error("the export is not in the audit log")
	}
}

// TestExportWithoutBytes takes files away in the middle of an export, and damages one.
func TestExportWithoutBytes(t *testing.T) {
	h, there := lived(t), newHouse(t)
	var blobs []string
	rows, err := h.db.Query(t.Context(), `SELECT blob FROM file WHERE blob IS NOT NULL ORDER BY id`)
	h.must(err)
	for rows.Next() {
		var key string
		h.must(rows.Scan(&key))
		blobs = append(blobs, h.path("files/"+key[:2]+"/"+key))
	}
	h.must(rows.Close())
	h.must(os.Remove(blobs[0]))
	h.must(os.WriteFile(blobs[2], []byte("damaged and longer"), 0o600))
	path := filepath.Join(t.TempDir(), "archive.tar")
	out, err := h.archives.Export(t.Context(), operator, home, transfer.Export{File: path}, noAdvance)
	h.must(err)
	if len(out.LeftOut) != 2 || !strings.Contains(out.LeftOut[0], "deleted or replaced") || !strings.Contains(out.LeftOut[1], "damaged") {
		t.Errorf("%q", out.LeftOut)
	}
	done, err := there.restore(path, false)
	there.must(err)
	if done.Counts.Files != 9 {
		t.Errorf("%+v", done.Counts)
	}
	same(t, path, there.export(""))
}

// TestExportIsOfOneMoment posts, uploads and registers while an archive is being written.
func TestExportIsOfOneMoment(t *testing.T) {
	h, there := lived(t), newHouse(t)
	before := h.export("")
	path := filepath.Join(t.TempDir(), "archive.tar")
	zoe := h.add(account.NewUser{Name: "zoe"})
	h.exec(`DELETE FROM audit WHERE action = 'server.export'`)
	first := true
	_, err := h.archives.Export(t.Context(), operator, home, transfer.Export{File: path}, func(part string, _, _ int64) {
		if part != "users.jsonl" || !first {
			return
		}
		first = false
		h.add(account.NewUser{Name: "late"})
		h.say(zoe, lobby(), chat.RetryForever, "late", "too late")
		h.share(zoe, "", "late.txt", "late")
		h.must(h.accounts.SetDisabled(t.Context(), operator, home, "Ann", true))
	})
	h.must(err)
	was, is := partsOf(t, before), partsOf(t, path)
	if first || strings.Contains(content(is, "users.jsonl"), "late") || content(was, "messages.jsonl") != content(is, "messages.jsonl") ||
		content(was, "conversations.jsonl") != content(is, "conversations.jsonl") || content(was, "files.jsonl") != content(is, "files.jsonl") {
		t.Error("something of later is in it")
	}
	_, err = there.restore(path, false)
	there.must(err)
	same(t, path, there.export(""))
}

// TestExportAndImportEndWithWhoeverAsked cancels both at every tenth sign of life.
func TestExportAndImportEndWithWhoeverAsked(t *testing.T) {
	h, there := lived(t), newHouse(t)
	archive := h.export("")
	for n := 1; n < 200; n += 10 {
		to := filepath.Join(t.TempDir(), "archive.tar")
		ctx, tick := cancelAfter(t, n)
		_, err := h.archives.Export(ctx, operator, home, transfer.Export{File: to}, tick)
		if _, serr := os.Stat(to); (err == nil) != (serr == nil) {
			t.Fatalf("after %d: %v, and %v", n, err, serr)
		}
		ctx, tick = cancelAfter(t, n)
		_, err = there.archives.Restore(ctx, operator, home, transfer.Restore{File: archive}, tick)
		if err == nil {
			break
		}
		if there.count(`SELECT (SELECT count(*) FROM "user") + (SELECT count(*) FROM message) + (SELECT count(*) FROM file)`) != 0 {
			t.Fatalf("after %d something is imported: %v", n, err)
		}
	}
	same(t, archive, there.export(""))
}

func TestPartsAreInTheDocumentedOrder(t *testing.T) {
	h := lived(t)
	page, err := os.ReadFile("../../docs/operate/exporting.md")
	h.must(err)
	at := 0
	for _, archive := range []string{h.export(""), h.export("Ann")} {
		for _, p := range partsOf(t, archive) {
			name := p.name
			if strings.HasPrefix(name, "files/") || strings.HasPrefix(name, "avatars/") {
				name, _, _ = strings.Cut(name, "/")
				name += "/"
			}
			if !strings.Contains(string(page), "`"+name) {
				t.Errorf("%s is not on the page", name)
			}
			at++
		}
	}
	if at < 30 || !slices.ContainsFunc(partsOf(t, h.export("Ann")), func(p part) bool { return p.name == "others.jsonl" }) {
		t.Error("too few parts")
	}
}
