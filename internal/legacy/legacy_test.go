package legacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"parley/test/clean"
	"parley/test/mariadb"
)

func TestMain(m *testing.M) { clean.Main(m) }

// content is everything that a source yields.
type content struct {
	Users        []User
	Friendships  []Friendship
	Applications []Application
	Files        []File
	Counts       Counts
}

func read(t testing.TB, p Place) (content, error) {
	t.Helper()
	s, err := Open(t.Context(), p, func(int64) {})
	if err != nil {
		return content{}, err
	}
	defer s.Close()
	c := content{Counts: s.Counts()}
	ctx := context.Background()
	err = errors.Join(
		s.Users(ctx, func(u User) error { c.Users = append(c.Users, u); return nil }),
		s.Friendships(ctx, func(f Friendship) error { c.Friendships = append(c.Friendships, f); return nil }),
		s.Applications(ctx, func(a Application) error { c.Applications = append(c.Applications, a); return nil }),
		s.Files(ctx, func(f File) error { c.Files = append(c.Files, f); return nil }),
	)
	return c, err
}

func mustRead(t testing.TB, p Place) content {
	t.Helper()
	c, err := read(t, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const llfcSchema = "CREATE TABLE `user` (`id` int NOT NULL AUTO_INCREMENT, `uid` int NOT NULL DEFAULT 0, `name` varchar(255) NOT NULL DEFAULT ''," +
	" `email` varchar(255) NOT NULL DEFAULT '', `pwd` varchar(255) NOT NULL DEFAULT '', `nick` varchar(255) NOT NULL DEFAULT ''," +
	" `desc` varchar(255) NOT NULL DEFAULT '', `sex` int NOT NULL DEFAULT 0, `icon` varchar(255) NOT NULL DEFAULT ''," +
	" PRIMARY KEY (`id`), UNIQUE KEY `uid` (`uid`), UNIQUE KEY `email` (`email`), KEY `name` (`name`)) DEFAULT CHARSET=utf8mb4;" +
	"CREATE TABLE `friend` (`id` int unsigned NOT NULL AUTO_INCREMENT, `self_id` int NOT NULL, `friend_id` int NOT NULL," +
	" `back` varchar(255) DEFAULT '', PRIMARY KEY (`id`), UNIQUE KEY `self_friend` (`self_id`,`friend_id`)) DEFAULT CHARSET=utf8mb4;" +
	"CREATE TABLE `friend_apply` (`id` bigint NOT NULL AUTO_INCREMENT, `from_uid` int NOT NULL, `to_uid` int NOT NULL," +
	" `status` smallint NOT NULL DEFAULT 0, PRIMARY KEY (`id`), UNIQUE KEY `from_to_uid` (`from_uid`,`to_uid`)) DEFAULT CHARSET=utf8mb4;" +
	"CREATE TABLE `user_id` (`id` int NOT NULL, PRIMARY KEY (`id`));"

func fillLLFC(s *mariadb.Server, db string) {
	s.Exec("CREATE DATABASE `" + db + "` CHARACTER SET utf8mb4; USE `" + db + "`; " + llfcSchema)
	for i, u := range [][]any{
		{1002, "alice", "alice@example.org", "745230", "Alice", "hello; -- world /* x */", 1, ":/res/head_1.jpg"},
		{1003, "张三", "zhang@example.org", "plain'\"\\\x01\x1a\r\n%_", "昵称😀", "", 0, ""},
		{1019, "bob;`'\"", "", "", "DELIMITER ;;", "*/ /*! x", 0, ":/res/head_2.jpg"},
	} {
		s.Exec("INSERT INTO `"+db+"`.user (id, uid, name, email, pwd, nick, `desc`, sex, icon) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", append([]any{10 - i}, u...)...)
	}
	s.Exec("USE `" + db + "`; INSERT INTO friend (self_id, friend_id, back) VALUES (1002, 1003, '老张'), (1003, 1002, NULL), (7, 1002, '');" +
		"INSERT INTO friend_apply (from_uid, to_uid, status) VALUES (1003, 1002, 1), (1019, 1002, 0); INSERT INTO user_id VALUES (1019);" +
		"CREATE TABLE noise (a longblob, b text CHARACTER SET gbk, j json, p point);" +
		"INSERT INTO noise VALUES (x'270a3b5c22', '文件\\\\', '{\"a\": 1}', NULL);" +
		"CREATE TRIGGER tr BEFORE INSERT ON friend FOR EACH ROW BEGIN SET @a = ';'; INSERT INTO noise VALUES ('INSERT INTO user VALUES (1)', '', '1', NULL); END;" +
		"CREATE VIEW v AS SELECT uid AS v FROM `user`;")
}

var wantLLFC = content{
	Users: []User{
		{
			ID: "1002", UID: 1002, Name: "alice", Email: "alice@example.org", EmailVerified: true, Password: "$plain$745230", AsSent: true,
			Nick: "Alice", Desc: "hello; -- world /* x */", Sex: 1, Icon: ":/res/head_1.jpg",
		},
		{ID: "1003", UID: 1003, Name: "张三", Email: "zhang@example.org", EmailVerified: true, Password: "$plain$plain'\"\\\x01\x1a\r\n%_", AsSent: true, Nick: "昵称😀"},
		{ID: "1019", UID: 1019, Name: "bob;`'\"", AsSent: true, Nick: "DELIMITER ;;", Desc: "*/ /*! x", Icon: ":/res/head_2.jpg"},
	},
	Friendships:  []Friendship{{7, 1002, ""}, {1002, 1003, "老张"}, {1003, 1002, ""}},
	Applications: []Application{{1003, 1002, true}, {1019, 1002, false}},
	Counts:       Counts{Users: 3, Friendships: 3, Applications: 2},
}

// TestRealServer reads a live server, and dumps that its own tool made in every way that people make them.
func TestRealServer(t *testing.T) {
	s := mariadb.Start(t)
	fillLLFC(s, "llfc")
	check := func(name, source, password string) {
		t.Helper()
		if diff := cmp.Diff(wantLLFC, mustRead(t, Place{LLFC, source, password})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	check("URL", s.URL("llfc"), "")
	check("DSN", s.DSN("llfc"), "")
	check("password apart", "mysql://reader@"+s.Addr+"/llfc", mariadb.Password)
	for _, flags := range [][]string{
		nil,
		{"--complete-insert"},
		{"--skip-extended-insert"},
		{"--compact"},
		{"--hex-blob"},
		{"--routines", "--triggers", "--events"},
		{"--no-create-info", "--complete-insert"},
		{"--default-character-set=gbk", "--ignore-table=llfc.noise"},
		{"--databases"},
		{"--skip-opt"},
		{"--replace"},
		{"--insert-ignore"},
		{"--tz-utc", "--add-drop-database", "--databases"},
		{"--order-by-primary", "--skip-comments"},
	} {
		if slicesHas(flags, "--default-character-set=gbk") { // GBK has no emoji
			s.Exec("UPDATE llfc.user SET nick = '昵称' WHERE uid = 1003")
			got := mustRead(t, Place{Kind: LLFC, Source: s.Dump("llfc", flags...)})
			if got.Users[1].Name != "张三" || got.Users[1].Nick != "昵称" || got.Friendships[1].Remark != "老张" {
				t.Errorf("gbk: %+v", got)
			}
			s.Exec("UPDATE llfc.user SET nick = '昵称😀' WHERE uid = 1003")
			continue
		}
		check(fmt.Sprint("dump ", flags), s.Dump("llfc", flags...), "")
	}
	all := filepath.Join(t.TempDir(), "all.sql")
	b, err := os.ReadFile(s.Dump("mysql", "--databases", "llfc", "--skip-lock-tables", "--ignore-table=mysql.innodb_index_stats"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(all, b, 0o600); err != nil {
		t.Fatal(err)
	}
	check("with the server's own database", all, "")
	again := s.Dump("llfc")
	s.Load("copy", again)
	check("loaded again", s.URL("copy"), "")
	fromServer(t, s)
}

func slicesHas(list []string, s string) bool { return strings.Contains(strings.Join(list, " "), s) }

// fromServer looks at what goes wrong with a server, and that no error shows the password.
func fromServer(t *testing.T, s *mariadb.Server) {
	s.Exec("CREATE DATABASE empty; CREATE DATABASE odd; CREATE TABLE odd.user (uid int, title text); CREATE TABLE odd.stuff (a int)")
	for source, want := range map[string]string{
		s.URL("empty"):   "no table user; found: nothing",
		s.URL("odd"):     "no column name, pwd",
		s.URL("missing"): "missing",
		strings.Replace(s.URL("llfc"), "s3cret", "wr0ng", 1): "Access denied",
		"mysql://reader:s3cret@127.0.0.1:1/llfc":             "refused",
		"mysql://reader:s3cret@127.0.0.1:port/llfc":          "not of the form",
		"mysql://reader:s3cret%@127.0.0.1/llfc":              "not of the form",
		strings.TrimSuffix(s.URL(""), "/"):                   "names no database",
		"mysql://" + s.Addr + "/llfc":                        "not of the form",
	} {
		_, err := read(t, Place{Kind: LLFC, Source: source})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestRealServerOfDPC(t *testing.T) {
	s := mariadb.Start(t)
	s.Exec("CREATE DATABASE dpc CHARACTER SET utf8mb4; USE dpc; CREATE TABLE `user` (uid int PRIMARY KEY AUTO_INCREMENT, username varchar(32) UNIQUE," +
		" password char(32), phone char(11), email char(32)) AUTO_INCREMENT=1001;" +
		"CREATE TABLE `file` (name varchar(255), owner varchar(32), `time` datetime, `type` enum('文件','文件夹'));" +
		"INSERT INTO `user` (username, password, phone, email) VALUES ('王五', MD5('secret-123456'), '13800138000', 'w@example.org'), ('li', 'notahash', NULL, '');" +
		"INSERT INTO `file` VALUES ('报告.doc', '王五', '2024-05-06 07:08:09', '文件'), ('pics', 'li', '2024-05-06 07:08:10', '文件夹')")
	want := mustRead(t, Place{Kind: DPC, Source: s.URL("dpc")})
	if diff := cmp.Diff([]User{
		{ID: "1001", UID: 1001, Name: "王五", Email: "w@example.org", Phone: "13800138000", PhoneVerified: true, Password: "$md5$59e1b4d3b5f2c7e5b0ab0ed3d3d8f5ae"},
		{ID: "1002", UID: 1002, Name: "li", Password: "$plain$notahash"},
	}, want.Users, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Password" }, cmp.Comparer(func(a, b string) bool {
		return len(a) == len(b) && a[:5] == b[:5]
	}))); diff != "" {
		t.Error(diff)
	}
	if len(want.Files) != 2 || want.Files[0].Name != "pics" || !want.Files[0].Folder || want.Files[1].Owner != "王五" || want.Files[1].Folder ||
		want.Files[1].At.Format("2006-01-02 15:04:05") != "2024-05-06 07:08:09" {
		t.Errorf("files: %+v", want.Files)
	}
	if diff := cmp.Diff(want, mustRead(t, Place{Kind: DPC, Source: s.Dump("dpc")})); diff != "" {
		t.Error(diff)
	}
	s.Exec("ALTER TABLE dpc.file CHANGE `type` 类型 varchar(9), CHANGE name 文件名 varchar(255), CHANGE owner 上传者 varchar(32), CHANGE `time` 时间 datetime")
	if diff := cmp.Diff(want, mustRead(t, Place{Kind: DPC, Source: s.DSN("dpc")})); diff != "" {
		t.Errorf("columns by their order: %s", diff)
	}
}

func dumpFile(t testing.TB, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.sql")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const table1 = "CREATE TABLE `user` (`uid` int, `name` varchar(9), `pwd` text, KEY `x` (`uid`), CHECK (uid > 0)) COLLATE=utf8mb4_uca1400_ai_ci;\n"

func TestDumpsOfOtherTools(t *testing.T) {
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("SET NAMES gbk;\n" + table1 + "INSERT INTO user VALUES (5,'張三絕','p');\nSET NAMES utf8;")
	if err != nil {
		t.Fatal(err)
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(table1 + "INSERT INTO user VALUES (5,'張三絕','p');\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, dump := range map[string]string{
		"Navicat":     "/*\n Navicat Premium Data Transfer\n*/\nSET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS = 0;\nDROP TABLE IF EXISTS `user`;\n" + table1 + "BEGIN;\nINSERT INTO `user` VALUES ('5', '張三絕', 'p');\nCOMMIT;\nSET FOREIGN_KEY_CHECKS = 1;",
		"phpMyAdmin":  "-- phpMyAdmin SQL Dump\nSET SQL_MODE = \"NO_AUTO_VALUE_ON_ZERO\";\n/*!40101 SET NAMES utf8mb4 */;\n" + table1 + "INSERT INTO `user` (`name`, `uid`, `pwd`) VALUES\n('張三絕', 5, 'p');\nALTER TABLE `user`\n  ADD PRIMARY KEY (`uid`);\nALTER TABLE `user`\n  MODIFY `uid` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=6;",
		"transaction": "SET AUTOCOMMIT = 0;\nSTART TRANSACTION;\n" + table1 + "INSERT INTO `user` VALUES (5, '張三絕', 'p');\nCOMMIT;\n/*!40101 SET CHARACTER_SET_CLIENT=@OLD */;",
		"BOM, CRLF":   "\xef\xbb\xbf" + strings.ReplaceAll(table1+"-- x\nINSERT INTO user\nVALUES\n(5,'張三絕','p');\n", "\n", "\r\n"),
		"gbk":         gbk,
		"UTF-16":      utf16,
		"literals":    table1 + "INSERT INTO db.user VALUES (0+1,'x','y');\nUSE other;\n" + "INSERT user VALUE (5, _utf8mb4 '張' '三絕', x'70');",
		"conditional": "/*M!999999\\- enable the sandbox mode */ \n/*!40000 ALTER TABLE `user` DISABLE KEYS */;" + table1 +
			"/*!40000 INSERT INTO user VALUES (5,'張三絕',0x70) */;",
		"delimiter": "DELIMITER $$\nCREATE PROCEDURE p() BEGIN INSERT INTO user VALUES (1); END$$\ndelimiter ;\n" + table1 + "INSERT INTO user VALUES (5,'張三絕','p');",
		"quotes":    "SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES';CREATE TABLE \"user\" (\"uid\" int, \"name\" text, \"pwd\" text, \"\\\" int);INSERT INTO \"user\" VALUES (5,'張三絕','p',';\\');",
		"twice":     table1 + "INSERT INTO user VALUES (1,'old','p');DROP TABLE user;" + table1 + "INSERT INTO user VALUES (5,'張三絕','p');",
		"duplicate": table1 + "INSERT INTO user VALUES (5,'張三絕','p') ON DUPLICATE KEY UPDATE name=VALUES(name);",
		"unwanted":  "CREATE TABLE user (uid int, name text, pwd text, since datetime);INSERT INTO user VALUES (5,'張三絕','p',DATE_ADD(now(), INTERVAL 1 DAY)),\n-- x\n(6,'b',NULL,1.5e+3);DELETE FROM other;",
	} {
		if name == "literals" {
			dump = strings.Replace(dump, "INSERT INTO db.user VALUES (0+1,'x','y');\n", "", 1)
			dump = strings.Replace(dump, "USE other;\n", "", 1)
		}
		c, err := read(t, Place{Kind: LLFC, Source: dumpFile(t, dump)})
		if err != nil || len(c.Users) < 1 || c.Users[0].UID != 5 || c.Users[0].Name != "張三絕" || c.Users[0].Password != "$plain$p" {
			t.Errorf("%s: %v %+v", name, err, c.Users)
		}
	}
}

func TestBadDumps(t *testing.T) {
	row := "INSERT INTO user VALUES (5,'a','p');"
	for name, c := range map[string]struct{ dump, want string }{
		"empty":                {"", "no table user; found: nothing"},
		"other tables":         {"CREATE TABLE wp_posts (id int); INSERT INTO wp_users VALUES (1);", "found: wp_posts, wp_users"},
		"other columns":        {"CREATE TABLE user (Host text, User text);", "no column uid, name, pwd; it has: Host, User"},
		"cut in a text":        {table1 + "INSERT INTO user VALUES (5,'a", "in the middle of a text (which begins in line 2)"},
		"cut after a row":      {table1 + "INSERT INTO user VALUES (5,'a','p')", "in the middle of a statement"},
		"cut in a comment":     {table1 + "/* x", "in the middle of a comment"},
		"cut between":          {"-- MySQL dump 10.13  Distrib 8.0\n" + table1, "cut short"},
		"few values":           {table1 + "INSERT INTO user VALUES (5,'a');", "2 values for 3 columns"},
		"many values":          {table1 + "INSERT INTO user VALUES (5,'a','p',7);", "4 values for 3 columns"},
		"no columns":           {row, "names no columns"},
		"not a number":         {table1 + "INSERT INTO user VALUES ('x','a','p');", "not a number"},
		"update":               {table1 + row + "UPDATE user SET name = 'b';", "changed by UPDATE"},
		"alter":                {table1 + row + "ALTER TABLE `user` ADD COLUMN x int FIRST;", "changed by ALTER"},
		"computed":             {table1 + "INSERT INTO user VALUES (5,CONCAT('a','b'),'p');", "to compute"},
		"select":               {table1 + "INSERT INTO user SELECT * FROM x;", "other than values"},
		"encoding":             {"SET NAMES koi8r;" + table1, "koi8r"},
		"not UTF-8":            {table1 + "INSERT INTO user VALUES (5,'\xd5\xc5','p');", "SET NAMES gbk"},
		"a database":           {"SQLite format 3\x00\x10\x00\x01", "damaged"},
		"binary":               {"\x7fELF\x02\x01", "no SQL dump"},
		"two databases":        {"USE a;" + table1 + "USE b;" + table1, "both have a table user"},
		"friends elsewhere":    {"USE a;" + table1 + "CREATE TABLE b.friend (self_id int, friend_id int);", "dump of one database"},
		"cut in a transaction": {"-- phpMyAdmin SQL Dump\nSTART TRANSACTION;\n" + table1 + row + "\n", "cut short"},
		"cut after BEGIN":      {table1 + "BEGIN;\n" + row, "cut short"},
		"no columns at all":    {"CREATE TABLE user ();", "no column uid"},
		"garbage in rows":      {table1 + "INSERT INTO user VALUES (5,'a','p') (6,'b','p');", "between two rows"},
	} {
		_, err := read(t, Place{Kind: LLFC, Source: dumpFile(t, c.dump)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(t, Place{Kind: LLFC, Source: filepath.Join(t.TempDir(), "none.sql")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := read(t, Place{Kind: LLFC, Source: t.TempDir()}); err == nil {
		t.Error("a folder was read")
	}
	if _, err := read(t, Place{Kind: "irc", Source: "x"}); err == nil {
		t.Error("an unknown kind was read")
	}
}

func TestWhatIsADSN(t *testing.T) {
	file := dumpFile(t, "")
	for source, want := range map[string]bool{
		"mysql://a:b@h/db": true, "a:b@tcp(h:3306)/db": true, "a@unix(/run/x.sock)/db": true, file: false, "dump.sql": false, "/x/y.sql": false, "dir/x": false,
		"MariaDB://a:b@h/db": true, "\tmysql://a@h/db": true, "mysql:/a:b@h/db": true, "a:b@h:3306/db": true, "a:b/c@h": true, "a:b@tcp(h:1)": true,
	} {
		if IsDSN(source) != want {
			t.Errorf("%s: %v", source, !want)
		}
	}
}

func cs3File(t testing.TB) (string, *sql.DB) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "usr 100%?.db")
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", " ", "%20").Replace(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE users (name TEXT PRIMARY KEY, passwd TEXT, avatar TEXT);
		INSERT INTO users VALUES ('zoe', 'pw', 'me.png'), ('ann', '', 'default_avatar.png'), ('李', '密码', NULL), ('num', 12345, '')`); err != nil {
		t.Fatal(err)
	}
	return file, db
}

func TestCS3(t *testing.T) {
	file, db := cs3File(t)
	want := []User{
		{ID: "zoe", Name: "zoe", Password: "$plain$pw", Avatar: "me.png"},
		{ID: "ann", Name: "ann"},
		{ID: "李", Name: "李", Password: "$plain$密码"},
		{ID: "num", Name: "num", Password: "$plain$12345"},
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, mustRead(t, Place{Kind: CS3, Source: file}).Users); diff != "" {
		t.Error(diff)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the original was changed: %v", err)
	}
	if _, err := db.Exec("PRAGMA journal_mode = WAL; INSERT INTO users VALUES ('late', 'x', '')"); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, Place{Kind: CS3, Source: file}).Users; len(got) != 5 {
		t.Errorf("what is in the WAL only: %d users", len(got))
	}
}

func TestCS3IsLockedOrDamaged(t *testing.T) {
	file, db := cs3File(t)
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, Place{Kind: CS3, Source: file}); err == nil || !strings.Contains(err.Error(), "locked by the old server") {
		t.Errorf("locked: %v", err)
	}
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if _, err := db.Exec("INSERT INTO users VALUES (?, 'some password', '')", fmt.Sprint("u", i)); err != nil {
			t.Fatal(err)
		}
	}
	_ = db.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	garbled := []byte(string(whole))
	for i := 4096; i < len(garbled); i += 7 {
		garbled[i] ^= 0x5a
	}
	for name, b := range map[string][]byte{"cut": whole[:len(whole)/2], "garbled": garbled, "text": []byte(strings.Repeat("not a database ", 400))} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, Place{Kind: CS3, Source: file}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, Place{Kind: CS3, Source: file}); err == nil || !strings.Contains(err.Error(), "no table users") {
		t.Errorf("empty: %v", err)
	}
}

func TestHugeInsertIsReadInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	file := filepath.Join(t.TempDir(), "dump.sql")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "CREATE TABLE noise (a longtext);INSERT INTO noise VALUES ('"+strings.Repeat("x;'' ", 5<<20)+"');", table1, "INSERT INTO user VALUES ")
	const users = 200_000
	for i := range users {
		fmt.Fprintf(f, "(%d,'user%d','%s'),", i+1, i+1, strings.Repeat("p", 100))
	}
	fmt.Fprint(f, "(1000000,'last','p');")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	calls := 0
	s, err := Open(t.Context(), Place{Kind: LLFC, Source: file}, func(int64) { calls++ })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Counts().Users != users+1 || calls != users/loadedEvery {
		t.Errorf("%d users, %d calls", s.Counts().Users, calls)
	}
}

func FuzzDump(f *testing.F) {
	f.Add(table1 + "INSERT INTO `user` (`uid`,`name`,`pwd`) VALUES (1,'a''b\\n',NULL),(-2,_binary 'x',0x41);")
	f.Add("DELIMITER ;;\n/*!50003 CREATE TRIGGER x BEGIN; END */;;\nDELIMITER ;\nSET NAMES gbk;SET sql_mode='ANSI_QUOTES';")
	f.Add("USE a;DROP TABLE IF EXISTS user;CREATE TABLE a.user LIKE b;ALTER TABLE user ADD KEY (x);-- y\n#z\n/*M!999999\\- */")
	f.Add("\xff\xfeS\x00E\x00T\x00 \x00")
	f.Add("START TRANSACTION;CREATE TABLE `file` ();COMMIT;")
	f.Add("CREATE TABLE file (PRIMARY KEY (x));")
	f.Add("INSERT INTO file () VALUES ();")
	f.Fuzz(func(t *testing.T, dump string) {
		for _, kind := range []string{LLFC, DPC} {
			c, err := newSpool(t.Context(), originals[kind], func(int64) {})
			if err != nil {
				t.Fatal(err)
			}
			d := newDump(c)
			d.lex = newLexer(strings.NewReader(dump), d.comment)
			_ = d.run(t.Context())
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzText writes texts as a dump does; whatever they are, they come back.
func FuzzText(f *testing.F) {
	f.Add("a'b\\c\x00\x1a\n;--/*", "中文")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?")
		esc := strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n", "\x00", "\\0", "\x1a", "\\Z", "\"", "\\\"", "\r", "\\r")
		c, err := newSpool(t.Context(), originals[LLFC], func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		d := newDump(c)
		d.lex = newLexer(strings.NewReader(table1+"INSERT INTO user VALUES (1,'"+esc.Replace(a)+"','"+strings.ReplaceAll(strings.ReplaceAll(b, "\\", "\\\\"), "'", "''")+"');"), d.comment)
		if err := errors.Join(d.run(t.Context()), c.finish(t.Context())); err != nil {
			t.Fatal(err)
		}
		var got User
		if err := c.each(t.Context(), "user", func(r row) error { got = userOfLLFC(r); return nil }); err != nil {
			t.Fatal(err)
		}
		if got.Name != a || got.Password != plain(b) {
			t.Errorf("%q %q came back as %q %q", a, b, got.Name, got.Password)
		}
	})
}
