package account

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/core"
)

func (e *env) records(only core.UserID) (out []Record) {
	e.t.Helper()
	e.no(e.Records(e.ctx, e.operator(), only, func(r Record) error { out = append(out, r); return nil }))
	return out
}

func record(id core.UserID, name string) Record {
	return Record{User: core.User{ID: id, Name: name}}
}

// TestRecordsComeBackAsTheyWere moves every kind of account to another server and looks at it there.
func TestRecordsComeBackAsTheyWere(t *testing.T) {
	here, there := newEnv(t), newEnv(t)
	bob := here.add("bob")
	_, err := here.Add(here.ctx, here.operator(), core.Origin{}, NewUser{Name: "Ädmin", Phone: "+8613800138000", Password: "secret", Admin: true})
	here.no(err)
	_, err = here.Register(here.ctx, home(), Registration{Name: "eve", Email: "Eve@example.com", Password: maybeXORed("ucetcr"), Nick: "E", Icon: "x", Avatar: "e.png"})
	here.no(err)
	here.exec(`UPDATE "user" SET "desc" = 'two
lines', sex = 2, epoch = 7 WHERE name = 'eve'`)
	here.no(here.SetDisabled(here.ctx, here.operator(), home(), "bob", true))
	here.exec(`UPDATE user_id SET id = 1010`)
	want := here.records(0)
	if len(want) != 3 || !want[0].User.Disabled || want[2].User.Epoch != 7 || !want[2].AsSent || !strings.HasPrefix(want[2].Password, formArgon2) {
		t.Fatalf("%+v", want)
	}
	if d := cmp.Diff(want[:1], here.records(bob.ID)); d != "" {
		t.Error(d)
	}
	for _, r := range want {
		id, err := there.Adopt(there.ctx, there.operator(), r, false)
		there.no(err)
		if id != r.User.ID {
			t.Errorf("%s became %d", r.User.Name, id)
		}
	}
	if d := cmp.Diff(want, there.records(0)); d != "" {
		t.Error(d)
	}
	there.no(there.login("eve", "secret", home()))
	there.is(there.login("bob", "secret", home()), core.ErrDisabled)
	last, err := here.LastID(here.ctx, here.operator())
	here.no(err)
	there.no(there.PassID(there.ctx, there.operator(), last))
	there.no(there.PassID(there.ctx, there.operator(), 5))
	if u := there.add("next"); u.ID != 1011 {
		t.Errorf("the next uid is %d", u.ID)
	}
	if there.all(`SELECT count(*) FROM member WHERE user_id <> 1011`) != 0 || there.all(`SELECT count(*) FROM audit WHERE target <> 'user 1011'`) != 0 {
		t.Error("memberships or audit entries were made up")
	}
}

func TestAdoptGivesUIDs(t *testing.T) {
	e := newEnv(t)
	token, err := e.SetupToken(e.ctx, e.operator())
	e.no(err)
	for _, c := range []struct {
		r    Record
		want core.UserID
	}{
		{record(0, "first"), 1001},
		{record(2000, "far"), 2000},
		{record(7, "low"), 7},
		{Record{User: core.User{Name: "boss", Admin: true}, Password: "$plain$secret"}, 2001},
	} {
		got, err := e.Adopt(e.ctx, e.operator(), c.r, true)
		e.no(err)
		if got != c.want {
			t.Errorf("%s: uid %d, want %d", c.r.User.Name, got, c.want)
		}
	}
	if e.all(`SELECT count(*) FROM member WHERE conversation_id = 1`) != 4 || e.all(`SELECT min(epoch) FROM "user"`) != 1 ||
		int64(e.all(`SELECT min(created_at) FROM "user"`)) < time.Now().Add(-time.Hour).UnixMilli() {
		t.Error("not in the lobby, or without an epoch or a date")
	}
	e.no(e.login("boss", "secret", home()))
	e.is(e.login("first", "", home()), core.ErrBadCredentials)
	_, err = e.Setup(e.ctx, home(), token, "second", "x")
	e.is(err, core.ErrSetupDone)
}

func TestAdoptRefuses(t *testing.T) {
	e := newEnv(t)
	_, err := e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "bob", Email: "bob@example.com", Phone: "13800138000", Password: "secret"})
	e.no(err)
	e.add("77")
	with := func(edit func(*Record)) Record {
		r := record(0, "new")
		edit(&r)
		return r
	}
	for name, c := range map[string]struct {
		r    Record
		want error
	}{
		"uid taken":          {record(1001, "new"), core.ErrIDTaken},
		"uid is a name":      {record(77, "new"), core.ErrIDTaken},
		"name taken":         {record(0, "BOB"), core.ErrNameTaken},
		"name is a uid":      {record(0, "1001"), core.ErrNameTaken},
		"name is a phone":    {record(0, "13800138000"), core.ErrNameTaken},
		"bad name":           {record(0, "a b"), core.ErrInvalidName},
		"no name":            {record(0, ""), core.ErrInvalidName},
		"e-mail taken":       {with(func(r *Record) { r.User.Email, r.User.EmailVerified = "Bob@Example.com", true }), core.ErrEmailTaken},
		"e-mail claimed":     {with(func(r *Record) { r.User.Email = "bob@example.com" }), core.ErrEmailTaken},
		"bad e-mail":         {with(func(r *Record) { r.User.Email = "nowhere" }), core.ErrInvalidEmail},
		"no e-mail verified": {with(func(r *Record) { r.User.EmailVerified = true }), core.ErrInvalid},
		"phone taken":        {with(func(r *Record) { r.User.Phone, r.User.PhoneVerified = "13800138000", true }), core.ErrPhoneTaken},
		"bad phone":          {with(func(r *Record) { r.User.Phone = "12a45" }), core.ErrInvalidPhone},
		"no phone verified":  {with(func(r *Record) { r.User.PhoneVerified = true }), core.ErrInvalid},
		"bad nick":           {with(func(r *Record) { r.User.Nick = "a\x00b" }), core.ErrInvalid},
		"long nick":          {with(func(r *Record) { r.User.Nick = strings.Repeat("n", 65) }), core.ErrInvalid},
		"long text":          {with(func(r *Record) { r.User.Desc = strings.Repeat("n", maxDesc+1) }), core.ErrInvalid},
		"broken text":        {with(func(r *Record) { r.User.Desc = "\xff" }), core.ErrInvalid},
		"bad icon":           {with(func(r *Record) { r.User.Icon = "\x1b[2J" }), core.ErrInvalid},
		"climbing picture":   {with(func(r *Record) { r.User.Avatar = "../x.png" }), core.ErrInvalidAvatar},
		"negative uid":       {record(-1, "new"), core.ErrInvalid},
		"uid of a room":      {record(1_500_000_001, "new"), core.ErrInvalid},
		"negative epoch":     {with(func(r *Record) { r.User.Epoch = -1 }), core.ErrInvalid},
		"bare password":      {with(func(r *Record) { r.Password = "secret" }), core.ErrInvalidPassword},
		"short md5":          {with(func(r *Record) { r.Password = "$md5$abcd" }), core.ErrInvalidPassword},
		"broken argon2id":    {with(func(r *Record) { r.Password = "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA" }), core.ErrInvalidPassword},
		"endless password":   {with(func(r *Record) { r.Password = "$plain$" + strings.Repeat("x", maxStored) }), core.ErrInvalidPassword},
	} {
		id, err := e.Adopt(e.ctx, e.operator(), c.r, true)
		if !errors.Is(err, c.want) || id != 0 {
			t.Errorf("%s: uid %d, %v, want %v", name, id, err, c.want)
		}
	}
	if n := e.all(`SELECT count(*) FROM "user"`); n != 2 {
		t.Errorf("%d accounts", n)
	}
	e.is(e.PassID(e.ctx, e.operator(), maxID+1), core.ErrInvalid)
}

// TestAdoptTakesPartInAUnit adopts two accounts of which the second is refused.
func TestAdoptTakesPartInAUnit(t *testing.T) {
	e := newEnv(t)
	err := e.db.Update(e.ctx, func(ctx context.Context) error {
		if _, err := e.Adopt(ctx, e.operator(), record(5000, "ann"), true); err != nil {
			return err
		}
		_, err := e.Adopt(ctx, e.operator(), record(5001, "Ann"), true)
		return err
	})
	e.is(err, core.ErrNameTaken)
	if e.all(`SELECT count(*) FROM "user"`) != 0 || e.all(`SELECT id FROM user_id`) != 1000 {
		t.Error("something stayed")
	}
}

func TestAdoptedAddressIsNoLongerClaimed(t *testing.T) {
	e := newEnv(t)
	_, err := e.Register(e.ctx, home(), Registration{Name: "claimer", Email: "ann@example.com", Password: plain("secret")})
	e.no(err)
	_, err = e.Adopt(e.ctx, e.operator(), Record{User: core.User{Name: "ann", Email: "Ann@example.com", EmailVerified: true}}, false)
	e.no(err)
	if e.text(`SELECT email FROM "user" WHERE name = 'claimer'`) != "" {
		t.Error("the claim stands")
	}
}

func TestRecordsFromTheWrongSide(t *testing.T) {
	e := newEnv(t)
	e.add("eve")
	for who, a := range map[string]core.Actor{"nobody": {}, "a user": e.actor("eve")} {
		_, aerr := e.Adopt(e.ctx, a, record(0, "x"), true)
		_, lerr := e.LastID(e.ctx, a)
		_, ferr := e.Find(e.ctx, a, "eve")
		for _, err := range []error{
			aerr, lerr, ferr, e.PassID(e.ctx, a, 9999),
			e.Records(e.ctx, a, 0, func(Record) error { t.Errorf("%s gets a record", who); return nil }),
		} {
			if !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%s: %v", who, err)
			}
		}
	}
	for _, login := range []string{"EVE", "1001", "eve@example.com"} {
		u, err := e.Find(e.ctx, e.operator(), login)
		e.no(err)
		if u.ID != 1001 {
			t.Errorf("%s: %+v", login, u)
		}
	}
	_, err := e.Find(e.ctx, e.operator(), "nobody")
	e.is(err, core.ErrUserNotFound)
	boom := errors.New("boom")
	e.is(e.Records(e.ctx, e.operator(), 0, func(Record) error { return boom }), boom)
}

// TestUIDsEndWhereTheyCanStillBeMoved: a uid above the highest one of a record could be given, but not imported elsewhere.
func TestUIDsEndWhereTheyCanStillBeMoved(t *testing.T) {
	e, there := newEnv(t), newEnv(t)
	e.no(e.PassID(e.ctx, e.operator(), maxID-1))
	last, err := e.Adopt(e.ctx, e.operator(), record(0, "last"), true)
	e.no(err)
	if last != maxID {
		t.Fatalf("uid %d", last)
	}
	for range 2 {
		_, err = e.Adopt(e.ctx, e.operator(), record(0, "one"), true)
		e.is(err, core.ErrRegistrationClosed)
		_, err = e.Add(e.ctx, e.operator(), core.Origin{}, NewUser{Name: "other", Password: "secret"})
		e.is(err, core.ErrRegistrationClosed)
	}
	for _, r := range e.records(0) {
		e.no(r.Check())
		_, err := there.Adopt(there.ctx, there.operator(), r, true)
		e.no(err)
	}
	id, err := e.LastID(e.ctx, e.operator())
	e.no(err)
	e.no(there.PassID(there.ctx, there.operator(), id))
}

// TestOneHighUIDDoesNotUseUpAllOthers: an adopted account with the highest uid had left none for anybody else.
func TestOneHighUIDDoesNotUseUpAllOthers(t *testing.T) {
	e := newEnv(t)
	_, err := e.Adopt(e.ctx, e.operator(), record(maxID, "high"), true)
	e.no(err)
	id, err := e.Adopt(e.ctx, e.operator(), record(0, "next"), true)
	e.no(err)
	if id != maxPassed+1 {
		t.Errorf("the next uid is %d", id)
	}
}
