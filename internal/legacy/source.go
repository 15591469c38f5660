package legacy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// The original servers.
const (
	LLFC = "llfc"
	CS3  = "cs3"
	DPC  = "dpc"
)

// User is an account of an original server.
type User struct {
	ID       string // what the original called the account: its uid, or its name where it had no uids
	UID      int64  // 0 where it had none
	Name     string
	Email    string
	Phone    string
	Password string // in a form that Parley can check, "" if there is none
	AsSent   bool   // the password is what the client sent, which may have been XORed
	Nick     string
	Desc     string
	Icon     string
	Avatar   string // a picture's file name
	Sex      int64

	EmailVerified bool
	PhoneVerified bool
}

// Friendship is an entry of a friend list.
type Friendship struct {
	Self, Friend int64
	Remark       string
}

// Application is a friend request.
type Application struct {
	From, To int64
	Accepted bool
}

// File is an entry of the shared files.
type File struct {
	Name   string
	Owner  string // the owner's name
	At     time.Time
	Folder bool
}

// ErrDamaged says that a source cannot be what a server wrote.
var ErrDamaged = errors.New("the source is damaged")

// Place is where an original's data are.
type Place struct {
	Kind     string // LLFC, CS3 or DPC
	Source   string // a file, or the address of a MySQL server; see IsDSN
	Password string // of the MySQL user, where Source has none
}

// Source is a private copy of the tables that Parley reads, as they were at one moment. The original can go on meanwhile.
type Source struct {
	kind string
	copy *spool
}

// Open copies what Parley reads. loaded is called now and then with the number of rows copied so far.
func Open(ctx context.Context, p Place, loaded func(rows int64)) (_ *Source, err error) {
	tables, ok := originals[p.Kind]
	if !ok {
		return nil, fmt.Errorf("there is no kind of server called %q", p.Kind)
	}
	c, err := newSpool(ctx, tables, loaded)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Kind == CS3:
		err = copySQLite(ctx, c, p.Source)
	case IsDSN(p.Source):
		err = copyMySQL(ctx, c, p.Source, p.Password)
	default:
		err = copyDump(ctx, c, p.Source)
	}
	if err == nil {
		err = c.finish(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &Source{kind: p.Kind, copy: c}, nil
}

// Close drops the copy.
func (s *Source) Close() error { return s.copy.close() }

// Counts is how much there is to bring along.
type Counts struct{ Users, Friendships, Applications, Files int64 }

// Counts counts the rows of each table.
func (s *Source) Counts() Counts {
	n := s.copy.rows
	return Counts{Users: n["user"], Friendships: n["friend"], Applications: n["friend_apply"], Files: n["file"]}
}

// Users yields the accounts by uid, or in the order of their registration where there are no uids.
func (s *Source) Users(ctx context.Context, yield func(User) error) error {
	read := map[string]func(row) User{LLFC: userOfLLFC, CS3: userOfCS3, DPC: userOfDPC}[s.kind]
	return s.copy.each(ctx, "user", func(r row) error { return yield(read(r)) })
}

// Friendships yields the entries of all friend lists.
func (s *Source) Friendships(ctx context.Context, yield func(Friendship) error) error {
	return s.copy.each(ctx, "friend", func(r row) error {
		return yield(Friendship{r.number("self_id"), r.number("friend_id"), r.text("back")})
	})
}

// Applications yields the friend requests.
func (s *Source) Applications(ctx context.Context, yield func(Application) error) error {
	return s.copy.each(ctx, "friend_apply", func(r row) error {
		return yield(Application{r.number("from_uid"), r.number("to_uid"), r.number("status") != 0})
	})
}

// Files yields the entries of the shared files by their names.
func (s *Source) Files(ctx context.Context, yield func(File) error) error {
	return s.copy.each(ctx, "file", func(r row) error {
		at, err := time.ParseInLocation(time.DateTime, cutTo(r.text("time"), len(time.DateTime)), time.Local)
		if err != nil {
			at = time.Time{} // it says nothing of when
		}
		return yield(File{Name: r.text("name"), Owner: r.text("owner"), At: at, Folder: r.text("type") == "文件夹"})
	})
}

func cutTo(s string, n int) string { return s[:min(n, len(s))] }

// originals are the tables of each original that Parley reads, as Parley names them.
var originals = map[string][]table{
	LLFC: {
		{name: "user", order: "uid, rowid", columns: []column{
			{name: "uid", number: true},
			{name: "name"},
			{name: "email", optional: true},
			{name: "pwd"},
			{name: "nick", optional: true},
			{name: "desc", optional: true},
			{name: "icon", optional: true},
			{name: "sex", number: true, optional: true},
		}},
		{name: "friend", optional: true, order: "self_id, friend_id", columns: []column{
			{name: "self_id", number: true}, {name: "friend_id", number: true}, {name: "back", optional: true},
		}},
		{name: "friend_apply", optional: true, order: "from_uid, to_uid", columns: []column{
			{name: "from_uid", number: true}, {name: "to_uid", number: true}, {name: "status", number: true, optional: true},
		}},
	},
	CS3: {
		{name: "user", foreign: "users", order: "rowid", columns: []column{{name: "name"}, {name: "passwd"}, {name: "avatar", optional: true}}},
	},
	DPC: {
		{name: "user", order: "uid, rowid", columns: []column{
			{name: "uid", also: []string{"id", "user_id"}, number: true},
			{name: "username", also: []string{"user_name", "name"}},
			{name: "password", also: []string{"user_pwd", "pwd", "passwd"}},
			{name: "phone", also: []string{"user_phone"}, optional: true},
			{name: "email", also: []string{"user_email"}, optional: true},
		}},
		{name: "file", optional: true, byPlace: true, order: "name, rowid", columns: []column{
			{name: "name", also: []string{"file_name", "filename"}},
			{name: "owner", also: []string{"username", "user_name", "user"}},
			{name: "time", also: []string{"file_time", "date"}, optional: true},
			{name: "type", also: []string{"file_type", "kind"}, optional: true},
		}},
	},
}

// The stored forms of passwords that older servers kept.
const (
	formPlain = "$plain$"
	formMD5   = "$md5$"
)

func plain(password string) string {
	if password == "" {
		return ""
	}
	return formPlain + password
}

func userOfLLFC(r row) User {
	email := r.text("email")
	return User{
		ID: r.text("uid"), UID: r.number("uid"), Name: r.text("name"), Email: email, EmailVerified: email != "",
		Password: plain(r.text("pwd")), AsSent: true,
		Nick: r.text("nick"), Desc: r.text("desc"), Icon: r.text("icon"), Sex: r.number("sex"),
	}
}

// defaultPicture is what the original's table has for those without a picture of their own.
const defaultPicture = "default_avatar.png"

func userOfCS3(r row) User {
	u := User{ID: r.text("name"), Name: r.text("name"), Password: plain(r.text("passwd")), Avatar: r.text("avatar")}
	if u.Avatar == defaultPicture {
		u.Avatar = ""
	}
	return u
}

func userOfDPC(r row) User {
	u := User{
		ID: r.text("uid"), UID: r.number("uid"), Name: r.text("username"), Email: strings.TrimSpace(r.text("email")),
		Phone: strings.TrimSpace(r.text("phone")), Password: plain(r.text("password")),
	}
	u.PhoneVerified = u.Phone != ""
	if sum, err := hex.DecodeString(r.text("password")); err == nil && len(sum) == 16 {
		u.Password = formMD5 + strings.ToLower(r.text("password"))
	}
	return u
}

// likeAddress is what looks like an address of a server, or was meant to be one. There may be a password in it, so that
// it must not be taken for a file, whose name would be shown.
var likeAddress = regexp.MustCompile(`(?i)^(mysql|mariadb):|://|@(tcp|unix)\(|^[^:/\\]+:.*@.`)

// IsDSN tells the address of a MySQL server from the name of a file. What is there as a file is one.
func IsDSN(source string) bool {
	if _, err := os.Stat(source); err == nil {
		return false
	}
	if likeAddress.MatchString(strings.TrimSpace(source)) {
		return true
	}
	_, err := parseDSN(source, "")
	return err == nil && strings.Contains(source, ")/")
}

// row is a row of the copy.
type row struct {
	columns map[string]int
	values  []any
}

func (r row) text(column string) string {
	switch v := r.values[r.columns[column]].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

func (r row) number(column string) int64 {
	n, _ := r.values[r.columns[column]].(int64) // NULL is 0, as it was for the originals
	return n
}
