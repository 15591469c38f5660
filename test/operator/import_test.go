package operator

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	_ "modernc.org/sqlite" // the old server kept its users in it

	"parley/test/client"
	"parley/test/mariadb"
	"parley/test/program"
)

// importReport is what the import command prints with --json.
type importReport struct {
	DryRun bool `json:"dry_run"`
	Counts []struct {
		What string `json:"what"`
		N    int64  `json:"n"`
	} `json:"counts"`
	Notes []struct {
		Kind string `json:"kind"`
		Text string `json:"text"`
	} `json:"notes"`
}

func (r importReport) count(what string) int64 {
	for _, c := range r.Counts {
		if c.What == what {
			return c.N
		}
	}
	return 0
}

// importing runs the import command and returns what it wrote to standard output and to standard error.
func importing(t *testing.T, dir, stdin string, args ...string) (string, string, error) {
	t.Helper()
	cmd := exec.Command(program.Binary(t), append(append([]string{"import"}, args...), "--set", "data_dir="+dir)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, progress strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &progress
	err := cmd.Run()
	return out.String(), progress.String(), err
}

func oldLLFC(t *testing.T) *mariadb.Server {
	t.Helper()
	old := mariadb.Start(t)
	old.Exec("CREATE DATABASE llfc CHARACTER SET utf8mb4; USE llfc;" +
		"CREATE TABLE `user` (id int AUTO_INCREMENT PRIMARY KEY, uid int UNIQUE, name varchar(255), email varchar(255) UNIQUE, pwd varchar(255), nick varchar(255), `desc` varchar(255), icon varchar(255), sex int);" +
		"CREATE TABLE friend (id int AUTO_INCREMENT PRIMARY KEY, self_id int, friend_id int, back varchar(255), UNIQUE (self_id, friend_id));" +
		"CREATE TABLE friend_apply (id bigint AUTO_INCREMENT PRIMARY KEY, from_uid int, to_uid int, status smallint, UNIQUE (from_uid, to_uid)); CREATE TABLE user_id (id int);" +
		"INSERT INTO `user` (uid, name, email, pwd, nick, `desc`, icon, sex) VALUES (2001, 'ann', 'ann@old.example', '745230', '安', '', '', 0), (2002, 'bob', 'bob@old.example', 'secret', '', '', '', 1);" +
		"INSERT INTO friend (self_id, friend_id, back) VALUES (2001, 2002, 'Bobby'), (2002, 2001, '')")
	return old
}

// TestImportWhileTheServerRuns: who comes can log in at once, and write to friends.
func TestImportWhileTheServerRuns(t *testing.T) {
	old := oldLLFC(t)
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	out, _, err := importing(t, s.Dir, "", "llfc", old.URL("llfc"), "--dry-run")
	if err != nil || !strings.Contains(out, "What the import from llfc will do") || !strings.Contains(out, `"ann" is called "ann_2"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, _, err := client.Login(s.HTTP, "bob@old.example", "secret"); err == nil {
		t.Fatal("the dry run imported")
	}
	out, _, err = importing(t, s.Dir, mariadb.Password+"\n", "llfc", "mysql://reader@"+old.Addr+"/llfc", "--password-stdin")
	if err != nil || !strings.Contains(out, "       2  new\n") || !strings.Contains(out, "is done, as reported above") {
		t.Fatalf("%v\n%s", err, out)
	}
	ann, _, err := client.Login(s.HTTP, "ann@old.example", "123456")
	if err != nil {
		t.Fatal(err)
	}
	bob, answer, err := client.Login(s.HTTP, "bob@old.example", "secret")
	if err != nil || bob.UID != 2002 {
		t.Fatalf("%v: %v", err, answer)
	}
	if friends := fmt.Sprint(answer["friend_list"]); !strings.Contains(friends, "ann_2") {
		t.Errorf("bob's friends: %s", friends)
	}
	if err := ann.Say(bob.UID, "m1", "hello from the old days"); err != nil {
		t.Fatal(err)
	}
	if f, err := bob.Wait(1019); err != nil || !strings.Contains(string(f.Body), "hello from the old days") {
		t.Errorf("%s %v", f.Body, err)
	}
	out, _, err = importing(t, s.Dir, "", "llfc", old.Dump("llfc"), "--json")
	var r importReport
	if err = errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil || r.DryRun || r.count("already here") != 2 || r.count("new") != 0 || len(r.Notes) != 0 {
		t.Errorf("again: %v\n%s", err, out)
	}
	if strings.Contains(s.Output(), mariadb.Password) {
		t.Error("the password is in the log")
	}
}

// TestImportWithoutAServer brings users along into a folder that nobody has used yet, and then starts the server.
func TestImportWithoutAServer(t *testing.T) {
	usr, pictures, dir := filepath.Join(t.TempDir(), "usr.db"), t.TempDir(), t.TempDir()
	db, err := sql.Open("sqlite", usr)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE users (name TEXT PRIMARY KEY, passwd TEXT, avatar TEXT);
		INSERT INTO users VALUES ('zoe', 'p4ss', 'me.png'), ('李', 'pw', 'default_avatar.png');
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO users SELECT 'user' || i, 'pw', '' FROM n`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(pictures, "zoe"), 0o700), os.WriteFile(filepath.Join(pictures, "zoe", "me.png"), []byte("a picture"), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, progress, err := importing(t, dir, "", "cs3", usr, "--avatars", pictures, "--json", "--yes")
	var r importReport
	if err := errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, progress)
	}
	if r.count("new") != 5002 || r.count("pictures brought along") != 1 || !strings.Contains(progress, "users: ") {
		t.Errorf("%s\n%s", out, progress)
	}
	s := program.Start(t, dir, nil)
	if _, err := client.LoginCS3(s.CS3, "zoe", "p4ss", false); err != nil {
		t.Error(err)
	}
	if picture, err := program.Get("http://" + s.CS3HTTP + "/avatar/zoe/me.png"); err != nil || picture != "a picture" {
		t.Errorf("%q %v", picture, err)
	}
}

// TestKilledImportIsRepeated kills the command while it writes, and gives it again.
func TestKilledImportIsRepeated(t *testing.T) {
	usr, dir := filepath.Join(t.TempDir(), "usr.db"), t.TempDir()
	db, err := sql.Open("sqlite", usr)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE users (name TEXT PRIMARY KEY, passwd TEXT, avatar TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO users SELECT 'user' || i, 'pw', '' FROM n`); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program.Binary(t), "import", "cs3", usr, "--set", "data_dir="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // does nothing once it has ended
	into, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "parley.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	for end, n := time.Now().Add(time.Minute), 0; n < 500; time.Sleep(2 * time.Millisecond) {
		if err := into.QueryRow(`SELECT count(*) FROM "user"`).Scan(&n); time.Now().After(end) {
			t.Fatalf("%d users, %v", n, err) // the database is not there at first
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Fatal("the import was not killed")
	}
	out, _, err := importing(t, dir, "", "cs3", usr, "--json")
	var r importReport
	if err = errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil {
		t.Fatal(err)
	}
	here := r.count("already here")
	if here == 0 || here == 20000 || here+r.count("new") != 20000 {
		t.Errorf("the import was killed at a bad moment: %+v", r.Counts)
	}
	s := program.Start(t, dir, nil)
	for _, user := range []string{"user1", "user20000"} {
		if _, err := client.LoginCS3(s.CS3, user, "pw", false); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if list, err := s.Command("", "user", "list"); err != nil || strings.Count(list, "\n") != 20001 {
		t.Errorf("%d lines, %v", strings.Count(list, "\n"), err)
	}
}

func TestImportSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "x.sql")
	if err := os.WriteFile(file, []byte("CREATE TABLE wp_users (id int);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"found: wp_users":            {"llfc", file},
		"no such file":               {"llfc", file + "x"},
		"damaged":                    {"cs3", file},
		"MySQL at 127.0.0.1:1":       {"dpc", "mysql://u:hidden-pw@127.0.0.1:1/x"},
		"the name of a server is of": {"llfc", file, "--as", "A B"},
	} {
		out, errs, err := importing(t, dir, "", args...)
		if err == nil || !strings.Contains(errs, want) || strings.Contains(out+errs, "hidden-pw") {
			t.Errorf("%v: %v\n%s%s", args, err, out, errs)
		}
	}
}
