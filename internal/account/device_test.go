package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/core"
)

// device opens a device for somebody with the password "secret".
func (e *env) device(login string) Grant {
	e.t.Helper()
	g, err := e.OpenDevice(e.ctx, e.actor(login), home(), "a phone")
	e.no(err)
	return g
}

func (e *env) recognized(token string) error {
	_, _, err := e.AuthenticateDevice(e.ctx, token)
	return err
}

func TestAccessTokens(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		u := e.add("ann")
		g := e.device("ann")
		actor, device, err := e.AuthenticateDevice(e.ctx, g.Access)
		e.no(err)
		if actor.User() != u.ID || actor.Name() != "ann" || actor.Epoch() != 1 || device != g.Device || g.Life != 24*time.Hour {
			t.Errorf("%+v on device %d: %+v", actor, device, g)
		}
		time.Sleep(24*time.Hour - time.Second)
		e.no(e.recognized(g.Access))
		time.Sleep(2 * time.Second)
		e.is(e.recognized(g.Access), core.ErrTokenExpired)
	})
}

// TestTheClaimsOfAccessTokens are those of the document, and two that are looked up.
func TestTheClaimsOfAccessTokens(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	g := e.device("ann")
	parts := strings.Split(g.Access, ".")
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	e.no(err)
	if string(head) != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("%s", head)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	e.no(err)
	var c map[string]any
	e.no(json.Unmarshal(body, &c))
	iat := int64(c["iat"].(float64))
	want := fmt.Sprintf(`{"email":"ann@example.com","epoch":1,"exp":%d,"iat":%d,"iss":"meeting-system","jti":%q,"nbf":%[2]d,"sid":%[4]d,"sub":"%[5]d","user_id":%[5]d,"username":"ann"}`,
		iat+86400, iat, c["jti"], g.Device, u.ID)
	if jti, _ := c["jti"].(string); len(jti) != 22 {
		t.Errorf("the token is bound to %q", jti)
	}
	if got, err := json.Marshal(c); err != nil || !sameJSON(string(got), want) || len(parts) != 3 {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestAnOldTokenWasSomebodyElsesAfterARestore: what the server counts begins again where the backup ended.
func TestAnOldTokenWasSomebodyElsesAfterARestore(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	old := e.device("ann")
	e.no(e.CloseDevice(e.ctx, e.actor("ann"), old.Device))
	again := e.device("ann")
	e.exec(`UPDATE device SET id = ? WHERE id = ?`, old.Device, again.Device)
	e.is(e.recognized(old.Access), core.ErrNoToken)
	_, g, err := e.Refresh(e.ctx, home(), again.Refresh)
	e.no(err)
	actor, device, err := e.AuthenticateDevice(e.ctx, g.Access)
	e.no(err)
	if actor.User() != u.ID || device != old.Device {
		t.Errorf("%d on device %d", actor.User(), device)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// forge signs a token as somebody else would.
func forge(head string, c map[string]any, key []byte) string {
	body, _ := json.Marshal(c)
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}

func TestForgedTokens(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	g := e.device("ann")
	key, err := e.signing(e.ctx)
	e.no(err)
	var family []byte
	e.scan(`SELECT family FROM device`, &family)
	good := func(edit func(map[string]any)) map[string]any {
		now := time.Now().Unix()
		c := map[string]any{
			"user_id": u.ID, "sid": g.Device, "epoch": 1, "iss": "meeting-system", "sub": fmt.Sprint(u.ID), "jti": bound(family),
			"iat": now, "nbf": now, "exp": now + 3600,
		}
		if edit != nil {
			edit(c)
		}
		return c
	}
	const hs256 = `{"alg":"HS256","typ":"JWT"}`
	e.no(e.recognized(forge(hs256, good(nil), key)))
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims(good(nil))).SignedString(jwt.UnsafeAllowNoneSignatureType)
	e.no(err)
	stronger, err := jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims(good(nil))).SignedString(key)
	e.no(err)
	for name, token := range map[string]string{
		"nothing":              "",
		"words":                "let me in",
		"dots":                 "..",
		"alg none":             unsigned,
		"alg none in capitals": forge(`{"alg":"NONE","typ":"JWT"}`, good(nil), key),
		"another algorithm":    stronger,
		"no algorithm":         forge(`{"typ":"JWT"}`, good(nil), key),
		"another key":          forge(hs256, good(nil), make([]byte, 32)),
		"no key":               forge(hs256, good(nil), nil),
		"the signature cut":    g.Access[:len(g.Access)-5],
		"something behind":     g.Access + "x",
		"another issuer":       forge(hs256, good(func(c map[string]any) { c["iss"] = "elsewhere" }), key),
		"no issuer":            forge(hs256, good(func(c map[string]any) { delete(c, "iss") }), key),
		"no end":               forge(hs256, good(func(c map[string]any) { delete(c, "exp") }), key),
		"no beginning":         forge(hs256, good(func(c map[string]any) { delete(c, "nbf") }), key),
		"not yet":              forge(hs256, good(func(c map[string]any) { c["nbf"] = time.Now().Unix() + 60 }), key),
		"from the future":      forge(hs256, good(func(c map[string]any) { c["iat"] = time.Now().Unix() + 60 }), key),
		"another user":         forge(hs256, good(func(c map[string]any) { c["user_id"] = u.ID + 1 }), key),
		"another device":       forge(hs256, good(func(c map[string]any) { c["sid"] = g.Device + 1 }), key),
		"another epoch":        forge(hs256, good(func(c map[string]any) { c["epoch"] = 2 }), key),
		"another login":        forge(hs256, good(func(c map[string]any) { c["jti"] = "AAAAAAAAAAAAAAAAAAAAAA" }), key),
		"no login":             forge(hs256, good(func(c map[string]any) { delete(c, "jti") }), key),
		"a text as user":       forge(hs256, good(func(c map[string]any) { c["user_id"] = "1" }), key),
		"endless":              g.Access + strings.Repeat("A", 10_000),
		"a refresh token":      g.Refresh,
	} {
		if err := e.recognized(token); core.KindOf(err) != core.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.is(e.recognized(forge(hs256, good(func(c map[string]any) { c["exp"] = time.Now().Unix() - 1 }), key)), core.ErrTokenExpired)
	e.is(e.recognized(forge(hs256, good(func(c map[string]any) { c["exp"] = time.Now().Unix() - 1 }), nil)), core.ErrNoToken)
}

func FuzzAccessToken(f *testing.F) {
	e := newEnv(f)
	e.add("ann")
	g := e.device("ann")
	f.Add(g.Access)
	f.Add(g.Refresh)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		actor, _, err := e.AuthenticateDevice(context.Background(), token)
		if token != g.Access && (core.KindOf(err) != core.Unauthenticated || actor.Known()) {
			t.Errorf("%q: %v", token, err)
		}
		if _, _, err := e.Refresh(context.Background(), home(), token); token != g.Refresh && core.KindOf(err) != core.Unauthenticated {
			t.Errorf("%q: %v", token, err)
		}
	})
}

func TestRefreshTokensRotate(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		u := e.add("ann")
		first := e.device("ann")
		for range 3 {
			time.Sleep(25 * 24 * time.Hour)
			got, next, err := e.Refresh(e.ctx, from("192.0.2.7"), first.Refresh)
			e.no(err)
			if got.ID != u.ID || next.Device != first.Device || next.Refresh == first.Refresh || next.Access == first.Access {
				t.Errorf("%+v after %+v", next, first)
			}
			e.no(e.recognized(next.Access))
			first = next
		}
		time.Sleep(31 * 24 * time.Hour)
		_, _, err := e.Refresh(e.ctx, home(), first.Refresh)
		e.is(err, core.ErrTokenExpired)
	})
}

// TestALostAnswerIsGivenAgain: within ten seconds the same token brings the same next one.
func TestALostAnswerIsGivenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		g := e.device("ann")
		_, next, err := e.Refresh(e.ctx, home(), g.Refresh)
		e.no(err)
		time.Sleep(refreshGrace - time.Millisecond)
		_, again, err := e.Refresh(e.ctx, home(), g.Refresh)
		e.no(err)
		if again.Refresh != next.Refresh {
			t.Error("another token follows")
		}
		_, _, err = e.Refresh(e.ctx, home(), next.Refresh)
		e.no(err)
		e.no(e.recognized(again.Access))
	})
}

// TestACopiedRefreshTokenEndsTheFamily: whoever comes second, thief or owner, both are out.
func TestACopiedRefreshTokenEndsTheFamily(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		g, other := e.device("ann"), e.device("ann")
		_, next, err := e.Refresh(e.ctx, home(), g.Refresh)
		e.no(err)
		time.Sleep(refreshGrace)
		_, _, err = e.Refresh(e.ctx, from("203.0.113.9"), g.Refresh)
		e.is(err, core.ErrNoToken)
		for _, token := range []string{g.Refresh, next.Refresh} {
			_, _, err = e.Refresh(e.ctx, home(), token)
			e.is(err, core.ErrNoToken)
		}
		e.is(e.recognized(next.Access), core.ErrNoToken)
		e.no(e.recognized(other.Access))
		if n := e.all(`SELECT count(*) FROM device`); n != 1 {
			t.Errorf("%d devices are left", n)
		}
		if last := e.text(`SELECT action FROM audit ORDER BY id DESC LIMIT 1`); last != "account.token_reused" {
			t.Errorf("the audit log ends with %s", last)
		}
	})
}

// TestATokenBeforeTheLastIsNoLostAnswer, even within the ten seconds.
func TestATokenBeforeTheLastIsNoLostAnswer(t *testing.T) {
	inBubble(t, func(_ *testing.T, e *env) {
		e.add("ann")
		g := e.device("ann")
		_, second, err := e.Refresh(e.ctx, home(), g.Refresh)
		e.no(err)
		_, _, err = e.Refresh(e.ctx, home(), second.Refresh)
		e.no(err)
		_, _, err = e.Refresh(e.ctx, home(), g.Refresh)
		e.is(err, core.ErrNoToken)
		e.is(e.recognized(second.Access), core.ErrNoToken)
	})
}

func TestWhatEndsADevice(t *testing.T) {
	for name, end := range map[string]func(e *env, g Grant){
		"closed": func(e *env, g Grant) { e.no(e.CloseDevice(e.ctx, e.actor("ann"), g.Device)) },
		"a new password": func(e *env, _ Grant) {
			e.no(e.SetPassword(e.ctx, e.operator(), home(), "ann", "other"))
		},
		"banned":  func(e *env, _ Grant) { e.no(e.SetDisabled(e.ctx, e.operator(), home(), "ann", true)) },
		"deleted": func(e *env, _ Grant) { e.no(e.Leave(e.ctx, e.actor("ann"), home(), plain("secret"))) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.add("ann")
			e.add("bob")
			g, bobs := e.device("ann"), e.device("bob")
			end(e, g)
			e.is(e.recognized(g.Access), core.ErrNoToken)
			_, _, err := e.Refresh(e.ctx, home(), g.Refresh)
			e.is(err, core.ErrNoToken)
			e.no(e.recognized(bobs.Access))
		})
	}
}

// TestAnUnbannedAccountDoesNotGetItsOldTokensBack.
func TestAnUnbannedAccountDoesNotGetItsOldTokensBack(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	g := e.device("ann")
	e.no(e.SetDisabled(e.ctx, e.operator(), home(), "ann", true))
	e.no(e.SetDisabled(e.ctx, e.operator(), home(), "ann", false))
	e.is(e.recognized(g.Access), core.ErrNoToken)
}

func TestDevices(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		e.add("bob")
		ann, bob := e.actor("ann"), e.actor("bob")
		first := e.device("ann")
		time.Sleep(time.Minute)
		second, err := e.OpenDevice(e.ctx, ann, from("2001:db8::1"), "Ann's "+strings.Repeat("名", 60))
		e.no(err)
		list, err := e.Devices(e.ctx, ann)
		e.no(err)
		if len(list) != 2 || list[0].ID != second.Device || list[1].ID != first.Device || list[0].IP != "2001:db8::1" ||
			list[1].Name != "a phone" || len(list[0].Name) != 126 || !list[0].UsedAt.Equal(list[0].CreatedAt) {
			t.Errorf("%+v", list)
		}
		time.Sleep(time.Hour)
		e.no(e.recognized(first.Access))
		if list, err := e.Devices(e.ctx, ann); err != nil || list[0].ID != first.Device || list[0].UsedAt.Sub(list[0].CreatedAt) != 61*time.Minute {
			t.Errorf("%+v, %v", list, err)
		}
		e.is(e.CloseDevice(e.ctx, bob, first.Device), core.ErrDeviceNotFound)
		e.is(e.CloseDevice(e.ctx, core.Actor{}, first.Device), core.ErrLoginRequired)
		e.no(e.CloseDevice(e.ctx, ann, first.Device))
		e.is(e.CloseDevice(e.ctx, ann, first.Device), core.ErrDeviceNotFound)
		if list, err := e.Devices(e.ctx, bob); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
		for _, err := range []error{outcomeOf(e.Devices(e.ctx, core.Actor{})), outcomeOf(e.OpenDevice(e.ctx, core.Actor{}, home(), ""))} {
			e.is(err, core.ErrLoginRequired)
		}
	})
}

func outcomeOf[T any](_ T, err error) error { return err }

// TestAnOldActorOpensNoDevice: what was proved before a new password says nothing any more.
func TestAnOldActorOpensNoDevice(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	ann := e.actor("ann")
	e.no(e.SetPassword(e.ctx, e.operator(), home(), "ann", "other"))
	_, err := e.OpenDevice(e.ctx, ann, home(), "")
	e.is(err, core.ErrLoginRequired)
}

func TestTheDeviceUnusedForLongestMakesRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		ann := e.actor("ann")
		first := e.device("ann")
		var last Grant
		for range devicesMost {
			time.Sleep(time.Second)
			var err error
			last, err = e.OpenDevice(e.ctx, ann, home(), "")
			e.no(err)
		}
		e.is(e.recognized(first.Access), core.ErrNoToken)
		e.no(e.recognized(last.Access))
		if n := e.all(`SELECT count(*) FROM device`); n != devicesMost {
			t.Errorf("%d devices", n)
		}
	})
}

func TestDevicesThatRanOutAreSwept(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		e.device("ann")
		time.Sleep(deviceLife - time.Minute)
		e.no(e.Sweep(e.ctx))
		if n := e.all(`SELECT count(*) FROM device`); n != 1 {
			t.Error("swept too early")
		}
		time.Sleep(time.Minute)
		e.no(e.Sweep(e.ctx))
		if n := e.all(`SELECT count(*) FROM device`); n != 0 {
			t.Error("not swept")
		}
	})
}

// TestTheStoreHasNoTokens: who reads the database cannot be anybody by what is there of a device.
// TestTheEndOfADeviceIsTold to those who keep what was proved on it.
func TestTheEndOfADeviceIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		var mu sync.Mutex
		var ended []DeviceID
		e.OnDeviceClosed(func(user core.UserID, device int64) {
			mu.Lock()
			defer mu.Unlock()
			if user != 1001 {
				t.Errorf("a device of %d", user)
			}
			ended = append(ended, DeviceID(device))
		})
		told := func(what string, want ...DeviceID) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(ended, want) {
				t.Errorf("%s: told of %v, want %v", what, ended, want)
			}
			ended = nil
		}
		e.add("ann")
		e.add("bob")
		closed, copied := e.device("ann"), e.device("ann")
		e.is(e.CloseDevice(e.ctx, e.actor("bob"), closed.Device), core.ErrDeviceNotFound)
		told("somebody else's wish")
		e.no(e.CloseDevice(e.ctx, e.actor("ann"), closed.Device))
		told("logged out", closed.Device)
		_, _, err := e.Refresh(e.ctx, home(), copied.Refresh)
		e.no(err)
		told("a refresh")
		time.Sleep(refreshGrace)
		_, _, err = e.Refresh(e.ctx, home(), copied.Refresh)
		e.is(err, core.ErrNoToken)
		told("a copied token", copied.Device)
		oldest := e.device("ann")
		for range devicesMost - 1 {
			e.device("ann")
		}
		told("room for as many as there may be")
		e.device("ann")
		told("one too many", oldest.Device)
		e.exec(`DELETE FROM device WHERE id <> (SELECT max(id) FROM device)`)
		last := DeviceID(e.all(`SELECT id FROM device`))
		time.Sleep(deviceLife)
		e.no(e.Sweep(e.ctx))
		told("one that ran out", last)
	})
}

// TestAnActorOfAClosedDeviceChangesNothing, although the account is as it was.
func TestAnActorOfAClosedDeviceChangesNothing(t *testing.T) {
	e := newEnv(t)
	u := e.add("ann")
	g, other := e.device("ann"), e.device("ann")
	actor, _, err := e.AuthenticateDevice(e.ctx, g.Access)
	e.no(err)
	e.no(e.CloseDevice(e.ctx, actor, g.Device))
	e.is(e.CloseDevice(e.ctx, actor, other.Device), core.ErrLoginRequired)
	_, err = e.IssueToken(e.ctx, actor, session)
	e.is(err, core.ErrLoginRequired)
	_, err = e.Amend(e.ctx, actor, home(), u.ID, Amendment{Nick: new("still here")})
	e.is(err, core.ErrLoginRequired)
	_, _, err = e.ChangePassword(e.ctx, actor, home(), plain("secret"), plain("other"), "")
	e.is(err, core.ErrLoginRequired)
	e.no(e.recognized(other.Access))
}

func TestTheStoreHasNoTokens(t *testing.T) {
	e := newEnv(t)
	e.add("ann")
	g := e.device("ann")
	raw, err := base64.RawURLEncoding.DecodeString(g.Refresh)
	e.no(err)
	for _, part := range [][]byte{raw[:familyLength], raw[familyLength:]} {
		var n int
		e.no(e.db.QueryRow(e.ctx, `SELECT count(*) FROM device WHERE family = ?1 OR secret = ?1`, []any{part}, &n))
		if n != 0 {
			t.Error("a part of a token is stored as it is")
		}
	}
}

// TestManyFirstTokensHaveOneKey: the key is made once, whoever needs it first.
func TestManyFirstTokensHaveOneKey(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		ann := e.actor("ann")
		grants := make(chan Grant, 20)
		for range cap(grants) {
			go func() {
				g, err := e.OpenDevice(e.ctx, ann, home(), "")
				if err != nil {
					t.Error(err)
				}
				grants <- g
			}()
		}
		synctest.Wait()
		for range cap(grants) {
			e.no(e.recognized((<-grants).Access))
		}
		if n := e.all(`SELECT count(*) FROM setting WHERE name = '` + keySetting + `'`); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

func TestPace(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		e.add("ann")
		ann := e.actor("ann")
		for range 5 {
			e.no(e.Pace(e.ctx, ann, home()))
			e.no(e.Pace(e.ctx, core.Actor{}, home()))
		}
		err := e.Pace(e.ctx, ann, from("198.51.100.1"))
		e.is(err, core.ErrThrottled)
		if wait := core.RetryAfter(err); wait <= 0 || wait > time.Minute {
			t.Errorf("wait %v", wait)
		}
		e.is(e.Pace(e.ctx, core.Actor{}, home()), core.ErrThrottled)
		e.no(e.Pace(e.ctx, core.Actor{}, from("198.51.100.1")))
		time.Sleep(time.Minute)
		e.no(e.Pace(e.ctx, ann, home()))
	}, func(c *Config) { c.Requests = 5 })
}
