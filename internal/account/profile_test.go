package account

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"parley/internal/core"
)

func TestAmend(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	e.add("bob")
	ann, bob := e.actor("ann"), e.actor("bob")
	got, err := e.Amend(e.ctx, ann, home(), u.ID, Amendment{Nick: new("Ann A."), Desc: new("two\nlines")})
	e.no(err)
	if got.Nick != "Ann A." || got.Desc != "two\nlines" || got.Sex != 0 || got.Email != "ann@example.com" {
		t.Errorf("%+v", got)
	}
	if got, err = e.Amend(e.ctx, ann, home(), u.ID, Amendment{Sex: new(1)}); err != nil || got.Nick != "Ann A." || got.Sex != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		actor core.Actor
		m     Amendment
		want  error
	}{
		{core.Actor{}, Amendment{Nick: new("x")}, core.ErrLoginRequired},
		{bob, Amendment{Nick: new("x")}, core.ErrForbidden},
		{ann, Amendment{Admin: new(true)}, core.ErrForbidden},
		{ann, Amendment{Email: new("a@example.org")}, core.ErrForbidden},
		{ann, Amendment{Phone: new("10086")}, core.ErrForbidden},
		{ann, Amendment{Password: new("x")}, core.ErrForbidden},
		{ann, Amendment{Nick: new(strings.Repeat("x", maxNick+1))}, core.ErrInvalid},
		{ann, Amendment{Nick: new("a\u202eb")}, core.ErrInvalid},
		{ann, Amendment{Desc: new(strings.Repeat("x", maxDesc+1))}, core.ErrInvalid},
		{ann, Amendment{Sex: new(-1)}, core.ErrInvalid},
		{e.operator(), Amendment{Email: new("bob@example.com")}, core.ErrEmailTaken},
		{e.operator(), Amendment{Email: new("nonsense")}, core.ErrInvalidEmail},
		{e.operator(), Amendment{Phone: new("12")}, core.ErrInvalidPhone},
		{e.operator(), Amendment{Password: new("")}, core.ErrInvalidPassword},
	} {
		_, err := e.Amend(e.ctx, c.actor, home(), u.ID, c.m)
		e.is(err, c.want)
	}
	_, err = e.Amend(e.ctx, e.operator(), home(), 999, Amendment{})
	e.is(err, core.ErrUserNotFound)
	for _, err := range []error{
		outcomeOf(e.Oversee(e.ctx, ann, home(), u.ID, Amendment{Nick: new("x")})), outcomeOf(e.Inspect(e.ctx, ann, u.ID)),
		e.Ban(e.ctx, ann, home(), u.ID, true), e.Remove(e.ctx, ann, home(), u.ID),
	} {
		e.is(err, core.ErrForbidden)
	}
}

func TestAdministratorsAmendEverything(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	got, err := e.Oversee(e.ctx, e.operator(), home(), u.ID, Amendment{
		Email: new("Ann@Example.org"), Phone: new("+8610086"), Admin: new(true), Password: new("other"),
	})
	e.no(err)
	if got.Email != "Ann@Example.org" || !got.EmailVerified || got.Phone != "+8610086" || !got.PhoneVerified || !got.Admin || got.Epoch != u.Epoch+1 {
		t.Errorf("%+v", got)
	}
	e.no(e.login("ann@example.org", "other", home()))
	if detail := e.text(`SELECT detail FROM audit WHERE action = 'account.amend'`); detail != "e-mail, phone, admin, password" {
		t.Errorf("the audit log has %q", detail)
	}
	admin, err := e.Inspect(e.ctx, e.operator(), u.ID)
	e.no(err)
	_, err = e.Add(e.ctx, e.operator(), home(), NewUser{Name: "root", Password: "secret", Admin: true}) // somebody has to
	e.no(err)
	got, err = e.Oversee(e.ctx, core.NewActor(admin), home(), u.ID, Amendment{Email: new(""), Phone: new(""), Admin: new(false)})
	e.no(err)
	if got.Email != "" || got.EmailVerified || got.Phone != "" || got.Admin || got.Epoch != admin.Epoch+1 {
		t.Errorf("%+v", got)
	}
}

// TestBanLooksForAUidOnly: digits can be somebody's name.
func TestBanLooksForAUidOnly(t *testing.T) {
	e := newEnv(t)
	e.add("555555")
	e.is(e.Ban(e.ctx, e.operator(), home(), 555555, true), core.ErrUserNotFound)
	e.no(e.login("555555", "secret", home()))
}

func TestPeople(t *testing.T) {
	e := newEnv(t)
	for _, name := range []string{"ann", "bob", "Annette"} {
		e.add(name)
	}
	e.no(outcomeOf(e.Add(e.ctx, e.operator(), home(), NewUser{Name: "小安", Password: "secret"})))
	names := func(text string, skip, most, want int) string {
		t.Helper()
		list, total, err := e.People(e.ctx, e.operator(), text, skip, most)
		e.no(err)
		if total != want {
			t.Errorf("%q: %d in all, want %d", text, total, want)
		}
		var out []string
		for _, u := range list {
			out = append(out, u.Name)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		text       string
		skip, most int
		total      int
		want       string
	}{
		{"", 0, 10, 4, "ann bob Annette 小安"},
		{"", 1, 2, 4, "bob Annette"},
		{"", 9, 2, 4, ""},
		{"ANN", 0, 10, 2, "ann Annette"},
		{"安", 0, 10, 1, "小安"},
		{"bob@example", 0, 10, 1, "bob"},
		{"1002", 0, 10, 1, "bob"},
		{"%", 0, 10, 0, ""},
		{"nobody", 0, 10, 0, ""},
	} {
		if got := names(c.text, c.skip, c.most, c.total); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
	_, _, err := e.People(e.ctx, e.actor("ann"), "", 0, 10)
	e.is(err, core.ErrForbidden)
}

func TestChangePassword(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	ann := e.actor("ann")
	old := e.device("ann")
	var told core.UserID
	e.OnRevoke(func(user core.UserID, _ int64) { told = user })
	_, _, err := e.ChangePassword(e.ctx, ann, home(), plain("wrong"), plain("other"), "")
	e.is(err, core.ErrWrongPassword)
	_, _, err = e.ChangePassword(e.ctx, ann, home(), plain("secret"), plain(""), "")
	e.is(err, core.ErrInvalidPassword)
	_, _, err = e.ChangePassword(e.ctx, core.Actor{}, home(), plain("secret"), plain("other"), "")
	e.is(err, core.ErrLoginRequired)
	e.no(e.recognized(old.Access))
	got, g, err := e.ChangePassword(e.ctx, ann, home(), plain("secret"), plain("other"), "the same phone")
	e.no(err)
	if got.ID != u.ID || told != u.ID {
		t.Errorf("%+v, told %d", got, told)
	}
	e.no(e.recognized(g.Access))
	e.is(e.recognized(old.Access), core.ErrNoToken)
	e.no(e.login("ann", "other", home()))
	e.is(e.login("ann", "secret", home()), core.ErrBadCredentials)
}

// TestGuessingTheOldPasswordIsThrottled: a stolen token is no way to try passwords.
func TestGuessingTheOldPasswordIsThrottled(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	ann := e.actor("ann")
	for range freeByPair {
		_, _, err := e.ChangePassword(e.ctx, ann, home(), plain("wrong"), plain("other"), "")
		e.is(err, core.ErrWrongPassword)
	}
	e.is(e.Leave(e.ctx, ann, home(), plain("secret")), core.ErrThrottled)
}

func TestVerifyEmail(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "ann", Email: "ann@example.org", Password: plain("secret")})
	e.no(err)
	ann := e.actor("ann")
	e.no(e.SendLongCode(e.ctx, home(), "Ann@example.org"))
	code := e.mail.last().code
	if len(code) != longCode {
		t.Fatalf("the code is %q", code)
	}
	_, err = e.VerifyEmail(e.ctx, ann, home(), "ann@example.org", "123456", plain("secret"))
	e.is(err, core.ErrCodeWrong)
	_, err = e.VerifyEmail(e.ctx, core.Actor{}, home(), "ann@example.org", code, Secret{})
	e.is(err, core.ErrLoginRequired)
	// Whoever has come by a token only must not have a way to another password.
	for _, password := range []Secret{{}, plain("wrong")} {
		_, err = e.VerifyEmail(e.ctx, ann, home(), "ann@example.org", code, password)
		e.is(err, core.ErrWrongPassword)
	}
	u, err := e.VerifyEmail(e.ctx, ann, home(), "ann@example.org", code, plain("secret"))
	e.no(err)
	if !u.EmailVerified || u.Email != "ann@example.org" {
		t.Errorf("%+v", u)
	}
	e.no(e.login("ann@example.org", "secret", home()))
	_, err = e.VerifyEmail(e.ctx, ann, home(), "ann@example.org", code, plain("secret"))
	e.is(err, core.ErrCodeExpired)

	e.no(e.SendLongCode(e.ctx, home(), "thief@example.org"))
	code = e.mail.last().code
	_, err = e.VerifyEmail(e.ctx, ann, home(), "thief@example.org", code, Secret{})
	e.is(err, core.ErrWrongPassword)
	u, err = e.VerifyEmail(e.ctx, ann, home(), "thief@example.org", code, plain("secret"))
	e.no(err)
	if u.Email != "thief@example.org" {
		t.Errorf("%+v", u)
	}
}

func TestAProvedAddressDisplacesAClaimedOne(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "claimer", Email: "ann@example.org", Password: plain("secret")})
	e.no(err)
	e.add("ann")
	e.no(e.SendLongCode(e.ctx, home(), "ann@example.org"))
	_, err = e.VerifyEmail(e.ctx, e.actor("ann"), home(), "ann@example.org", e.mail.last().code, plain("secret"))
	e.no(err)
	if email := e.text(`SELECT email FROM "user" WHERE name = 'claimer'`); email != "" {
		t.Errorf("the claimer keeps %s", email)
	}
	e.no(e.SendLongCode(e.ctx, home(), "ann@example.org"))
	_, err = e.VerifyEmail(e.ctx, e.actor("claimer"), home(), "ann@example.org", e.mail.last().code, plain("secret"))
	e.is(err, core.ErrEmailTaken)
}

// TestAShortCodeTookALongOnesPlace: whoever could have a code of four digits sent had fewer to guess.
func TestAShortCodeTookALongOnesPlace(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	const email = "ann@example.com"
	e.no(e.SendLongCode(e.ctx, home(), email))
	long := e.mail.last().code
	short := e.codeFor(email)
	e.is(e.RecoverPassword(e.ctx, home(), email, short, plain("other")), core.ErrCodeWrong)
	_, err := e.VerifyEmail(e.ctx, e.actor("ann"), home(), email, short, plain("secret"))
	e.is(err, core.ErrCodeWrong)
	_, err = e.Register(e.ctx, home(), Registration{Name: "eve", Email: email, Code: short, LongCode: true, Password: plain("secret")})
	e.is(err, core.ErrCodeWrong)
	_, err = e.ResetPassword(e.ctx, home(), Reset{Email: email, Name: "ann", Code: long, Password: plain("other")})
	e.is(err, core.ErrCodeWrong)
	e.no(e.RecoverPassword(e.ctx, home(), email, long, plain("other")))
	_, err = e.ResetPassword(e.ctx, home(), Reset{Email: email, Name: "ann", Code: short, Password: plain("secret")})
	e.no(err)

	// Nothing of either is left behind.
	e.no(e.SendLongCode(e.ctx, home(), email))
	e.codeFor(email)
	e.no(e.Leave(e.ctx, e.actor("ann"), home(), plain("secret")))
	if n := e.all(`SELECT count(*) FROM code`); n != 0 {
		t.Errorf("%d codes are left", n)
	}
}

// TestTheLengthOfACodeIsThatAskedFor: whoever types it can type all of it.
func TestTheLengthOfACodeIsThatAskedFor(t *testing.T) {
	e := newEnv(t)
	short := e.codeFor("ann@example.org")
	e.no(e.SendLongCode(e.ctx, home(), "ann@example.org"))
	long := e.mail.last().code
	e.no(e.SendLongCode(e.ctx, home(), "ann@example.org"))
	if again := e.mail.last().code; len(short) != 4 || len(long) != 6 || again != long {
		t.Errorf("%s, %s, %s", short, long, again)
	}
}

func TestRecoverPassword(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	g := e.device("ann")
	e.no(e.SendLongCode(e.ctx, home(), "ann@example.com"))
	code := e.mail.last().code
	e.is(e.RecoverPassword(e.ctx, home(), "ann@example.com", "12345", plain("other")), core.ErrCodeWrong)
	e.no(e.RecoverPassword(e.ctx, home(), "ann@example.com", code, plain("other")))
	e.no(e.login("ann", "other", home()))
	e.is(e.recognized(g.Access), core.ErrNoToken)
	e.is(e.RecoverPassword(e.ctx, home(), "ann@example.com", code, plain("third")), core.ErrCodeExpired)

	// A code proves an address and no account: whoever only claims one cannot come in by it.
	_, err := e.Register(e.ctx, home(), Registration{Name: "bob", Email: "bob@example.org", Password: plain("secret")})
	e.no(err)
	e.no(e.SendLongCode(e.ctx, home(), "bob@example.org"))
	e.is(e.RecoverPassword(e.ctx, home(), "bob@example.org", e.mail.last().code, plain("other")), core.ErrEmailMismatch)
}

func TestLeave(t *testing.T) {
	dir := t.TempDir()
	e := newEnv(t, func(c *Config) { c.AvatarDir = dir })
	u := e.add("ann")
	ann := e.actor("ann")
	e.no(outcomeOf(e.SetAvatar(e.ctx, ann, bytes.NewReader(testPNG(t)))))
	var left core.UserID
	e.OnLeave(func(_ context.Context, user core.UserID) error { left = user; return nil })
	e.is(e.Leave(e.ctx, core.Actor{}, home(), plain("secret")), core.ErrLoginRequired)
	e.is(e.Leave(e.ctx, ann, home(), plain("wrong")), core.ErrWrongPassword)
	if left != 0 {
		t.Error("deleted without the password")
	}
	e.no(e.Leave(e.ctx, ann, home(), plain("secret")))
	got, err := e.Inspect(e.ctx, e.operator(), u.ID)
	e.no(err)
	if left != u.ID || got.Name != "deleted-1001" || got.Email != "" || got.EmailVerified || !got.Disabled || got.Nick != "deleted-1001" || got.Avatar != "" {
		t.Errorf("%+v, %d left", got, left)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 0 {
		t.Errorf("pictures are left: %v", files)
	}
	for _, login := range []string{"ann", "ann@example.com", "1001", "deleted-1001"} {
		e.is(e.login(login, "secret", from("198.51.100.7")), core.ErrBadCredentials)
	}
	if again := e.add("ann"); again.ID == u.ID {
		t.Error("the uid is given again")
	}
	e.is(e.Remove(e.ctx, e.operator(), home(), 999), core.ErrUserNotFound)
}

// TestSomebodyHasTheNameOfTheDeleted on purpose; the account goes all the same.
func TestSomebodyHasTheNameOfTheDeleted(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	e.add("deleted-1001")
	e.no(e.Remove(e.ctx, e.operator(), home(), u.ID))
	got, err := e.Inspect(e.ctx, e.operator(), u.ID)
	e.no(err)
	if !strings.HasPrefix(got.Name, "deleted-1001-") || !got.Disabled {
		t.Errorf("%+v", got)
	}
	if _, err := NormalizeName(got.Name); err != nil {
		t.Errorf("an archive cannot bring %s back: %v", got.Name, err)
	}
}

// TestADeletionThatFailsChangesNothing: all of it is one unit of work.
func TestADeletionThatFailsChangesNothing(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	e.OnLeave(func(context.Context, core.UserID) error { return core.ErrBusy })
	e.is(e.Remove(e.ctx, e.operator(), home(), u.ID), core.ErrBusy)
	e.no(e.login("ann", "secret", home()))
}

func testPNG(t testing.TB) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 400, 300))
	for i := range m.Pix {
		m.Pix[i] = 0xff
	}
	m.Set(1, 1, color.Black)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAvatars(t *testing.T) {
	dir := t.TempDir()
	e := newEnv(t, func(c *Config) { c.AvatarDir = filepath.Join(dir, "avatars") })
	u := e.add("ann")
	ann := e.actor("ann")
	_, _, err := e.Avatar(e.ctx, u.ID, "a.jpg")
	e.is(err, core.ErrFileNotFound)
	first, err := e.SetAvatar(e.ctx, ann, bytes.NewReader(testPNG(t)))
	e.no(err)
	f, changed, err := e.Avatar(e.ctx, u.ID, first.Avatar)
	e.no(err)
	b, err := io.ReadAll(f)
	e.no(err)
	e.no(f.Close())
	if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width != avatarSide || c.Height != avatarSide || changed.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	if stored, err := os.ReadFile(filepath.Join(dir, "avatars", "ann", first.Avatar)); err != nil || !bytes.Equal(stored, b) {
		t.Errorf("it is not where the other gateways look: %v", err)
	}
	second, err := e.SetAvatar(e.ctx, ann, bytes.NewReader(testPNG(t)))
	e.no(err)
	if files, err := os.ReadDir(filepath.Join(dir, "avatars", "ann")); err != nil || len(files) != 1 || files[0].Name() != second.Avatar {
		t.Errorf("%v, %v", files, err)
	}
	for _, file := range []string{first.Avatar, "", ".", "..", "../ann/" + second.Avatar, `..\..\parley.db`, "/etc/passwd"} {
		_, _, err := e.Avatar(e.ctx, u.ID, file)
		e.is(err, core.ErrFileNotFound)
	}
	_, _, err = e.Avatar(e.ctx, 999, second.Avatar)
	e.is(err, core.ErrFileNotFound)
	for _, content := range []string{"", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<html>"} {
		e.is(outcomeOf(e.SetAvatar(e.ctx, ann, strings.NewReader(content))), core.ErrNotAPicture)
	}
	e.is(outcomeOf(e.SetAvatar(e.ctx, ann, io.LimitReader(endless{}, MaxAvatar+1))), core.ErrFileTooLarge)
	e.is(outcomeOf(e.SetAvatar(e.ctx, ann, iotest.ErrReader(core.ErrIncomplete))), core.ErrIncomplete)
	e.is(outcomeOf(e.SetAvatar(e.ctx, core.Actor{}, bytes.NewReader(testPNG(t)))), core.ErrLoginRequired)
	e.no(e.SetDisabled(e.ctx, e.operator(), home(), "ann", true))
	e.is(outcomeOf(e.SetAvatar(e.ctx, ann, bytes.NewReader(testPNG(t)))), core.ErrLoginRequired)
	if files, err := os.ReadDir(filepath.Join(dir, "avatars", "ann")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "avatars")); err != nil || len(files) != 1 {
		t.Errorf("uploads are left: %v, %v", files, err)
	}
}

// endless is a file without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestAnAvatarThatIsALinkLeadsNowhere: what is in the folder by other hands is not followed out of it.
func TestAnAvatarThatIsALinkLeadsNowhere(t *testing.T) {
	dir := t.TempDir()
	e := newEnv(t, func(c *Config) { c.AvatarDir = filepath.Join(dir, "avatars") })
	u := e.add("ann")
	e.no(os.WriteFile(filepath.Join(dir, "secret.png"), []byte("secret"), 0o600))
	e.no(os.MkdirAll(filepath.Join(dir, "avatars", "ann"), 0o700))
	if err := os.Symlink(filepath.Join(dir, "secret.png"), filepath.Join(dir, "avatars", "ann", "a.png")); err != nil {
		t.Fatal(err)
	}
	e.exec(`UPDATE "user" SET avatar = 'a.png' WHERE uid = ?`, u.ID)
	_, _, err := e.Avatar(e.ctx, u.ID, "a.png")
	e.is(err, core.ErrFileNotFound)
}
