package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/internal/account"
	"parley/internal/audit"
	"parley/internal/blob"
	"parley/internal/chat"
	"parley/internal/cluster"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/legacy"
	"parley/internal/obs"
	"parley/internal/store"
	"parley/test/fresh"
	"parley/test/mariadb"
)

// newHome is a server to import into.
type newHome struct {
	testing.TB
	*Importer
	operator core.Actor
}

// nothing carries no codes: nobody in these tests asks for one.
type nothing struct{}

func (nothing) SendCode(context.Context, string, string) error { return nil }
func (nothing) TextCode(context.Context, string, string) error { return nil }

func openHome(t testing.TB) *newHome {
	t.Helper()
	dir, log, metrics := t.TempDir(), slog.New(slog.DiscardHandler), obs.NewMetrics()
	db, err := store.Open(context.Background(), store.Config{Path: fresh.Database(t, filepath.Join(dir, "parley.db")), Log: log, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	goroutines, trail := obs.NewGoroutines(log), audit.New(db)
	contacts := contact.New(db, account.NameKey, func(core.Event) {}, contact.Config{})
	rooms := chat.New(chat.Config{DB: db, Audit: audit.New(db), Contacts: contacts, Publish: func(core.Event) {}, Log: log, Metrics: metrics, Goroutines: goroutines})
	t.Cleanup(func() {
		rooms.Drain(context.Background())
		rooms.Close()
		if err := errors.Join(goroutines.Wait(context.Background()), db.Close()); err != nil {
			t.Error(err)
		}
	})
	accounts := account.New(db, cluster.NewLocal(), nothing{}, nothing{}, trail, rooms, account.Config{Log: log, Metrics: metrics})
	disk, err := blob.OpenDisk(filepath.Join(dir, "files"), goroutines)
	if err != nil {
		t.Fatal(err)
	}
	files, err := file.New(t.Context(), file.Config{DB: db, Blobs: disk, Rooms: rooms, Audit: trail, Log: log, Metrics: metrics, Goroutines: goroutines})
	if err != nil {
		t.Fatal(err)
	}
	return &newHome{t, &Importer{DB: db, Accounts: accounts, Contacts: contacts, Files: files, Audit: trail, AvatarDir: filepath.Join(dir, "avatars")}, accounts.Operator()}
}

func (h *newHome) add(name, email string) core.UserID {
	h.Helper()
	u, err := h.Accounts.Add(h.Context(), h.operator, core.Origin{}, account.NewUser{Name: name, Email: email, Password: "secret"})
	if err != nil {
		h.Fatal(err)
	}
	return u.ID
}

// do imports, first without and then with writing, and compares what the two report.
func (h *newHome) do(job Job) Report {
	h.Helper()
	before := h.rows()
	job.DryRun = true
	plan := h.run(job)
	if diff := cmp.Diff(before, h.rows()); diff != "" {
		h.Errorf("the dry run wrote: %s", diff)
	}
	job.DryRun = false
	done := h.run(job)
	if diff := cmp.Diff(plan, done); diff != "" {
		h.Errorf("the import did not do what the dry run said: %s", diff)
	}
	after := h.rows()
	again := h.run(job)
	if diff := cmp.Diff(after, h.rows()); diff != "" {
		h.Errorf("the second import wrote: %s", diff)
	}
	for _, c := range again.Counts {
		if strings.HasPrefix(c.What, "new") && c.N != 0 || strings.HasSuffix(c.What, "brought along") {
			h.Errorf("the second import found %d %s", c.N, c.What)
		}
	}
	return done
}

func (h *newHome) run(job Job) Report {
	h.Helper()
	r, err := h.Import(h.Context(), h.operator, core.Origin{Gateway: "operator"}, job, func(string, int64, int64) {})
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// rows is everything that an import could change.
func (h *newHome) rows() (all []string) {
	h.Helper()
	for _, q := range []string{
		`SELECT uid || '|' || name || '|' || email || '|' || ifnull(email_key, '-') || '|' || phone || '|' || ifnull(phone_key, '-') || '|' || password || '|' || password_as_sent
			|| '|' || nick || '|' || "desc" || '|' || icon || '|' || avatar || '|' || sex || '|' || admin || '|' || disabled || '|' || epoch FROM "user" ORDER BY uid`,
		`SELECT self_id || '>' || friend_id || '|' || back FROM friend ORDER BY self_id, friend_id`,
		`SELECT from_uid || '?' || to_uid || '|' || status FROM friend_apply ORDER BY from_uid, to_uid`,
		`SELECT user_id || '@' || conversation_id FROM member ORDER BY user_id`,
		`SELECT source || '|' || noun || '|' || foreign_id || '|' || local_id FROM imported ORDER BY source, noun, foreign_id`,
		`SELECT owner_id || '|' || kind || '|' || name || '|' || sent || '|' || size || '|' || created_at || '|' || parent_id FROM file ORDER BY id`,
		`SELECT action || '|' || target || '|' || detail FROM audit ORDER BY id`,
		`SELECT 'last uid ' || id FROM user_id`,
	} {
		rows, err := h.DB.Q(h.Context()).QueryContext(h.Context(), q)
		if err != nil {
			h.Fatal(err)
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				h.Fatal(err)
			}
			all = append(all, s)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			h.Fatal(err)
		}
	}
	return all
}

func (h *newHome) count(r Report, what string, want int64) {
	h.Helper()
	for _, c := range r.Counts {
		if c.What == what {
			if c.N != want {
				h.Errorf("%s: %d, want %d", what, c.N, want)
			}
			return
		}
	}
	if want != 0 {
		h.Errorf("%s is not reported, want %d; there is %v", what, want, r.Counts)
	}
}

func (h *newHome) noted(r Report, kind, foreign string, parts ...string) {
	h.Helper()
	for _, n := range r.Notes {
		ok := n.Kind == kind && n.Foreign == foreign
		for _, p := range parts {
			ok = ok && strings.Contains(n.Text, p)
		}
		if ok {
			return
		}
	}
	h.Errorf("no note %s of %s with %q in %+v", kind, foreign, parts, r.Notes)
}

// login logs in, and looks whether the password is stored as it would be today afterwards.
func (h *newHome) login(login, password string, mayXOR bool) core.User {
	h.Helper()
	from := core.Origin{Gateway: "test", IP: netip.MustParseAddr("192.0.2.1")}
	u, _, err := h.Accounts.Login(h.Context(), from, login, account.Secret{Text: password, MaybeXORed: mayXOR})
	if err != nil {
		h.Errorf("login of %s: %v", login, err)
		return u
	}
	var hash string
	if err := h.DB.QueryRow(h.Context(), `SELECT password FROM "user" WHERE uid = ?`, []any{int64(u.ID)}, &hash); err != nil || !strings.HasPrefix(hash, "$argon2id$") {
		h.Errorf("after the login of %s the password is stored as %.12s… (%v)", login, hash, err)
	}
	return u
}

const llfcSchema = "CREATE TABLE `user` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY, `uid` int NOT NULL UNIQUE DEFAULT 0, `name` varchar(255) NOT NULL DEFAULT ''," +
	" `email` varchar(255) NOT NULL UNIQUE, `pwd` varchar(255) NOT NULL DEFAULT '', `nick` varchar(255) NOT NULL DEFAULT '', `desc` varchar(255) NOT NULL DEFAULT ''," +
	" `sex` int NOT NULL DEFAULT 0, `icon` varchar(255) NOT NULL DEFAULT '', KEY (`name`));" +
	"CREATE TABLE `friend` (`id` int unsigned AUTO_INCREMENT PRIMARY KEY, `self_id` int, `friend_id` int, `back` varchar(255) DEFAULT '', UNIQUE (`self_id`,`friend_id`));" +
	"CREATE TABLE `friend_apply` (`id` bigint AUTO_INCREMENT PRIMARY KEY, `from_uid` int, `to_uid` int, `status` smallint DEFAULT 0, UNIQUE (`from_uid`,`to_uid`));" +
	"CREATE TABLE `user_id` (`id` int PRIMARY KEY);"

func fillLLFC(s *mariadb.Server) {
	s.Exec("CREATE DATABASE llfc CHARACTER SET utf8mb4; USE llfc; " + llfcSchema +
		"INSERT INTO `user` (uid, name, email, pwd, nick, `desc`, sex, icon) VALUES" +
		" (1001, 'ann', 'Ann@example.org', '745230', 'Annie😀', 'hi', 1, ':/res/head_3.jpg')," + // 123456, XORed by the client
		" (1010, '张三', 'zhang@example.org', '123456', '', '', 0, '')," +
		" (1011, 'a/b c', 'ab@example.org', 'pw', '', '', 0, '')," +
		" (1012, 'ＡＮＮ', 'ann2@example.org', '745230', '', '', 0, '')," +
		" (1013, '', 'none', '', '', '', 0, '')," +
		" (1014, '1010', 'digits@example.org', 'pw', '', '', 0, '')," +
		" (2000000000, 'far', 'taken@example.org', 'pw', '', '', 0, '');" +
		"INSERT INTO friend (self_id, friend_id, back) VALUES (1010, 1011, '" + strings.Repeat("备", 200) + "'), (1011, 1010, NULL), (1010, 77, ''), (1012, 1012, '');" +
		"INSERT INTO friend_apply (from_uid, to_uid, status) VALUES (1010, 1011, 1), (1012, 1010, 0), (88, 1010, 0);" +
		"INSERT INTO user_id VALUES (1020)")
}

func TestImportFromLLFC(t *testing.T) {
	s := mariadb.Start(t)
	fillLLFC(s)
	var all [][]string
	for _, source := range []string{s.URL("llfc"), s.DSN("llfc"), s.Dump("llfc")} {
		h := openHome(t)
		if id := h.add("ann", "taken@example.org"); id != 1001 {
			t.Fatalf("the first uid is %d", id)
		}
		own := h.rows()
		r := h.do(Job{Kind: legacy.LLFC, Source: source})
		rows := h.rows()
		if rows[0] != own[0] {
			t.Errorf("the account that was here is changed: %s, was %s", rows[0], own[0])
		}
		all = append(all, rows[1:]) // the first has a salt
		for what, n := range map[string]int64{
			"users found": 7, "new": 7, "already here": 0, "renamed": 5, "with another uid": 2, "without a password": 1, "e-mail addresses left out": 2,
			"entries in friend lists found": 4, "new entries in friend lists": 2, "entries in friend lists with unknown users": 2,
			"friend requests found": 3, "new friend requests": 2, "friend requests with unknown users": 1,
		} {
			h.count(r, what, n)
		}
		h.noted(r, NoteRenamed, "1001", `"ann" is called "ann_2" now (uid 1015)`, "e-mail address Ann@example.org")
		h.noted(r, NoteRenumbered, "1001", "uid 1015")
		h.noted(r, NoteRenamed, "1011", `"a_b_c"`)
		h.noted(r, NoteRenamed, "1012", `"ＡＮＮ_3"`)
		h.noted(r, NoteRenamed, "1013", `"user1013"`)
		h.noted(r, NotePassword, "1013", "parley user passwd 1013")
		h.noted(r, NoteEmail, "1013", `"none"`)
		h.noted(r, NoteRenamed, "1014", `"1010_2"`)
		h.noted(r, NoteEmail, "2000000000", "belongs to ann (uid 1001)")
		h.noted(r, NoteRenumbered, "2000000000", "uid 1016")
		for _, secret := range []string{"745230", "123456"} { // the Qt client's, and any other's
			if u := h.login("ann@example.org", secret, true); u.ID != 1015 || u.Nick != "Annie😀" || u.Sex != 1 {
				t.Errorf("logged in as %+v", u)
			}
		}
		h.login("ann_2", "123456", false)
		h.login("1010", "123456", true)
		h.login("ann", "secret", false)
		friends, err := h.Contacts.Friends(t.Context(), core.NewActor(core.User{ID: 1010, Name: "张三"}))
		if err != nil || len(friends) != 1 || friends[0].User.ID != 1011 || friends[0].Remark != strings.Repeat("备", 85) {
			t.Errorf("friends %+v, %v", friends, err)
		}
		afterwards(t, h, Job{Kind: legacy.LLFC, Source: source})
	}
	for i, rows := range all[1:] {
		if diff := cmp.Diff(all[0], rows); diff != "" {
			t.Errorf("source %d gives something else: %s", i+1, diff)
		}
	}
}

// afterwards repeats an import after people have begun to use what came.
func afterwards(t *testing.T, h *newHome, job Job) {
	t.Helper()
	if err := h.Accounts.SetPassword(t.Context(), h.operator, core.Origin{}, "1011", "changed"); err != nil {
		t.Fatal(err)
	}
	before := h.rows()
	h.count(h.run(job), "already here", 7)
	if diff := cmp.Diff(before, h.rows()); diff != "" {
		t.Errorf("repeated: %s", diff)
	}
	h.login("ab@example.org", "changed", false)
	job.As = "other"
	r := h.run(job)
	h.count(r, "new", 7)
	h.count(r, "renamed", 7)
}

func TestImportFromDPC(t *testing.T) {
	s := mariadb.Start(t)
	s.Exec("CREATE DATABASE dpc CHARACTER SET utf8mb4; USE dpc; CREATE TABLE `user` (uid int AUTO_INCREMENT PRIMARY KEY, username varchar(32) UNIQUE," +
		" password char(32), phone char(11), email char(32)) AUTO_INCREMENT=1001; CREATE TABLE `file` (name varchar(255), owner varchar(32), `time` datetime, `type` varchar(9));" +
		"INSERT INTO `user` (username, password, phone, email) VALUES ('王五', MD5('secret-123456'), '13800138000', 'w@example.org')," +
		" ('li', UPPER(MD5('另一个密码')), '13800138001', 'w@example.org'), ('yu', MD5('x'), '138001380', ''), ('13800138000', MD5('y'), '12', 'bad');" +
		"INSERT INTO `file` VALUES ('报告.doc', '王五', '2024-05-06 07:08:09', '文件'), ('pics', 'li', '2024-05-06 07:08:10', '文件夹')," +
		" ('gone.txt', 'li', '2024-05-06 07:08:11', '文件'), ('x.txt', 'nobody', '2024-05-06 07:08:12', '文件'), ('../up.txt', 'li', '2024-05-06 07:08:12', '文件')")
	dir := t.TempDir()
	for name, content := range map[string]string{"报告.doc": "a report", "pics/a.jpg": "a picture", "pics/sub/b.jpg": "another", "unlisted": "x"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h := openHome(t)
	r := h.do(Job{Kind: legacy.DPC, Source: s.URL("dpc")})
	h.count(r, "files and folders left behind", 5)
	h.count(r, "phone numbers left out", 1)
	h.count(r, "e-mail addresses left out", 1)
	h.noted(r, NoteRenamed, "1004", `"13800138000_2"`)
	if u := h.login("13800138000", "secret-123456", false); u.ID != 1001 || !u.PhoneVerified || u.EmailVerified || u.Email != "w@example.org" {
		t.Errorf("logged in as %+v", u)
	}
	h.login("li", "另一个密码", false)
	r = h.do(Job{Kind: legacy.DPC, Source: s.Dump("dpc"), Files: dir})
	h.count(r, "already here", 4)
	h.count(r, "files and folders brought along", 5)
	h.count(r, "files and folders left behind", 2)
	h.count(r, "files and folders of unknown users", 1)
	top, err := h.Files.List(t.Context(), h.operator, core.Lobby, 0)
	if err != nil || len(top) != 2 || top[0].Name != "报告.doc" || top[0].Owner.ID != 1001 || top[0].At.Format("2006-01-02 15:04:05") != "2024-05-06 07:08:09" {
		t.Fatalf("%+v %v", top, err)
	}
	below, err := h.Files.Tree(t.Context(), h.operator, top[1].ID)
	if err != nil || len(below) != 2 || below[0].Sent != "a.jpg" || below[1].Sent != "sub/b.jpg" || below[1].Owner.ID != 1002 {
		t.Errorf("%+v %v", below, err)
	}
	_, content, err := h.Files.Open(t.Context(), h.operator, top[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	b := make([]byte, 100)
	if n, _ := content.Read(b); string(b[:n]) != "a report" {
		t.Errorf("the bytes are %q", b[:n])
	}
	// What was brought along and not remembered, because the server was killed in between, is recognised.
	err = h.DB.Update(t.Context(), func(ctx context.Context) error {
		_, err := h.DB.Exec(ctx, `DELETE FROM imported WHERE noun = 'file'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r = h.run(Job{Kind: legacy.DPC, Source: s.URL("dpc"), Files: dir})
	h.count(r, "files and folders already here", 5)
	h.count(r, "files and folders brought along", 0)
}

// usrDB makes a database of a CS3 server.
func usrDB(t testing.TB, users [][3]string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "usr.db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`CREATE TABLE users (name TEXT PRIMARY KEY, passwd TEXT, avatar TEXT)`); err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		if _, err := tx.Exec(`INSERT OR IGNORE INTO users VALUES (?, ?, ?)`, u[0], u[1], u[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestImportFromCS3(t *testing.T) {
	old := usrDB(t, [][3]string{
		{"zoe", "p4ss", "me.png"}, {"ann", "pw", "default_avatar.png"}, {"Zoe", "other", "me.png"}, {"bad?name", "x", "gone.jpg"}, {"eve", "x", "../../passwd"}, {"long", strings.Repeat("x", 300), ""},
	})
	pictures := t.TempDir()
	for _, user := range []string{"zoe", "Zoe"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(pictures, user), 0o700), os.WriteFile(filepath.Join(pictures, user, "me.png"), []byte("picture of "+user), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h := openHome(t)
	h.add("ann", "")
	r := h.do(Job{Kind: legacy.CS3, Source: old})
	h.count(r, "new", 6)
	h.count(r, "renamed", 2)
	h.count(r, "with another uid", 0)
	h.count(r, "without a password", 1)
	h.count(r, "pictures left out", 4)
	h.noted(r, NoteRenamed, "ann", `"ann_2"`)
	h.noted(r, NoteRenamed, "Zoe", `"Zoe_2"`)
	h.noted(r, NotePassword, "long", "longer than 256")
	h.noted(r, NotePicture, "eve", "passwd")
	h.login("zoe", "p4ss", false)
	h.login("Zoe_2", "other", true)
	r = h.do(Job{Kind: legacy.CS3, Source: old, Avatars: pictures})
	h.count(r, "pictures brought along", 2)
	h.noted(r, NotePicture, "bad?name", "gone.jpg")
	for user, was := range map[string]string{"zoe": "zoe", "Zoe_2": "Zoe"} {
		if b, err := os.ReadFile(filepath.Join(h.AvatarDir, user, "me.png")); err != nil || string(b) != "picture of "+was {
			t.Errorf("%s: %q %v", user, b, err)
		}
	}
}

func TestImportIsTheOperators(t *testing.T) {
	h := openHome(t)
	for _, actor := range []core.Actor{{}, core.NewActor(core.User{ID: 1, Name: "root", Admin: true})} {
		_, err := h.Import(t.Context(), actor, core.Origin{}, Job{Kind: legacy.CS3, Source: usrDB(t, nil)}, func(string, int64, int64) {})
		if !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%v", err)
		}
	}
	for _, job := range []Job{{Kind: "irc", Source: "x"}, {Kind: legacy.CS3, Source: "/none"}, {Kind: legacy.CS3, Source: usrDB(t, nil), As: "A b"}, {Kind: legacy.CS3, Source: usrDB(t, nil), Avatars: "/none"}} {
		if _, err := h.Import(t.Context(), h.operator, core.Origin{}, job, func(string, int64, int64) {}); err == nil {
			t.Errorf("%+v was imported", job)
		}
	}
	if n := len(h.rows()); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// many is a database of a CS3 server with many users, whose names clash now and then.
func many(t testing.TB, n int) string {
	list := make([][3]string, n)
	for i := range list {
		list[i] = [3]string{fmt.Sprint("user", i), "pw", ""}
		if i%50 == 1 {
			list[i][0] = fmt.Sprint("User", i-1)
		}
	}
	return usrDB(t, list)
}

// TestImportGoesOnAfterAnInterruption stops imports in the middle; in the end everybody is there once.
func TestImportGoesOnAfterAnInterruption(t *testing.T) {
	old := many(t, 1000)
	h := openHome(t)
	for round := 1; round <= 3; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := h.Import(ctx, h.operator, core.Origin{}, Job{Kind: legacy.CS3, Source: old}, func(what string, done, total int64) {
			if what == "users" && done >= int64(round)*200 {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("not interrupted: %v", err)
		}
	}
	r := h.do(Job{Kind: legacy.CS3, Source: old})
	h.count(r, "users found", 1000)
	h.count(r, "already here", 600)
	users, err := h.Accounts.List(t.Context(), h.operator)
	if err != nil || len(users) != 1000 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

// TestSomebodyRegistersMeanwhile takes a name and a uid away while an import runs.
func TestSomebodyRegistersMeanwhile(t *testing.T) {
	h := openHome(t)
	old := many(t, 500)
	var taken core.UserID
	steps := 0
	r, err := h.Import(t.Context(), h.operator, core.Origin{}, Job{Kind: legacy.CS3, Source: old}, func(what string, done, total int64) {
		if steps++; done == 200 {
			taken = h.add("USER333", "")
		}
		if what != "users" || total != 500 || done > total {
			t.Errorf("progress %s %d of %d", what, done, total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	h.count(r, "new", 500)
	h.count(r, "renamed", 11)
	h.noted(r, NoteRenamed, "user333", `"user333_2"`)
	if taken != 1201 || steps != 5 {
		t.Errorf("the newcomer has the uid %d, and there were %d steps", taken, steps)
	}
}

// TestAnyUsersCanBeImported holds what is decided beforehand against what the service takes, for odd data of all kinds.
func TestAnyUsersCanBeImported(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "ann", "Ann", "ann_2", "1001", "1002", "13800138000", "a@example.org", "A@EXAMPLE.org", "ﬀ", "e\u0301", "\u0301x", "..", "／", "a b", "\u202eabc", "\u200d",
		strings.Repeat("长", 40), strings.Repeat("x", 31) + "e\u0301\u0301", "\ufe0f", "Ω", "ΑΝΝ", "\x00", "İ",
	}))
	rapid.Check(t, func(rt *rapid.T) {
		h := openHome(t)
		h.add("ann", "a@example.org")
		r := &run{Importer: h.Importer, actor: h.operator, source: "test", local: map[string]core.UserID{}, owners: map[string]core.UserID{}, reserved: map[core.UserID]struct{}{}}
		n := rapid.IntRange(1, 12).Draw(rt, "n")
		var list []legacy.User
		for i := range n {
			u := legacy.User{
				ID: fmt.Sprint(i), UID: rapid.OneOf(rapid.Int64Range(-1, 1015), rapid.Int64()).Draw(rt, "uid"), Name: text.Draw(rt, "name"), Email: text.Draw(rt, "email"),
				EmailVerified: rapid.Bool().Draw(rt, "v"), Phone: text.Draw(rt, "phone"), PhoneVerified: rapid.Bool().Draw(rt, "p"), Nick: text.Draw(rt, "nick"),
				Desc: text.Draw(rt, "desc"), Icon: text.Draw(rt, "icon"), Avatar: text.Draw(rt, "avatar"), Password: "$plain$x",
			}
			u.EmailVerified, u.PhoneVerified = u.EmailVerified && u.Email != "", u.PhoneVerified && u.Phone != ""
			if u.UID >= 1 && u.UID <= maxUID {
				r.reserved[core.UserID(u.UID)] = struct{}{}
			}
			list = append(list, u)
		}
		var err error
		if r.people, err = h.census(t.Context(), h.operator, r.reserved); err != nil {
			rt.Fatal(err)
		}
		err = h.DB.Update(t.Context(), func(ctx context.Context) error {
			for _, u := range list {
				if err := r.user(ctx, u); err != nil {
					return fmt.Errorf("%+v: %w", u, err)
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		if r.tally.fresh != int64(n) || r.tally.skipped != 0 {
			rt.Errorf("%+v %+v", r.tally, r.notes)
		}
	})
}
