package audit_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/audit"
	"parley/internal/core"
)

func log(t *testing.T, l *audit.Log, actor core.Actor, only core.UserID) (out []audit.Entry, err error) {
	t.Helper()
	err = l.Entries(t.Context(), actor, only, func(e audit.Entry) error { out = append(out, e); return nil })
	return out, err
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	_, here := open(t)
	_, there := open(t)
	operator, ann := core.NewOperator(), core.NewActor(core.User{ID: 1001, Name: "小安"})
	from := core.Origin{Gateway: "test", IP: netip.MustParseAddr("192.0.2.7")}
	for _, actor := range []core.Actor{operator, ann, {}} {
		if err := here.Record(t.Context(), actor, "test", "user 7", "a detail", from); err != nil {
			t.Fatal(err)
		}
	}
	want, err := log(t, here, operator, 0)
	if err != nil || len(want) != 3 {
		t.Fatal(err, want)
	}
	for _, e := range want {
		if err := there.Adopt(t.Context(), operator, e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := log(t, there, operator, 0)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	got, err = log(t, there, operator, 1001)
	if d := cmp.Diff(want[1:2], got); err != nil || d != "" {
		t.Error(err, d)
	}
	for name, e := range map[string]audit.Entry{
		"no action": {}, "negative": {Action: "x", Actor: -1}, "broken": {Action: "\xff"}, "endless": {Action: "x", Detail: strings.Repeat("x", 4097)},
	} {
		if err := there.Adopt(t.Context(), operator, e); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, actor := range []core.Actor{{}, ann} {
		if got, err := log(t, there, actor, 0); !errors.Is(err, core.ErrForbidden) || got != nil {
			t.Errorf("%q reads %v %v", actor.Name(), got, err)
		}
		if err := there.Adopt(t.Context(), actor, want[0]); !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%q adopts: %v", actor.Name(), err)
		}
	}
	if got, err := log(t, there, operator, 0); err != nil || len(got) != 3 {
		t.Error(err, got)
	}
	boom := errors.New("boom")
	if err := there.Entries(t.Context(), operator, 0, func(audit.Entry) error { return boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
}
