package account

import (
	"fmt"
	"sync"
	"testing"

	"parley/internal/audit"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/obs"
)

// host gives the env rooms, makes an account with a room in it, and returns a way to make links into the room.
func (e *env) host() (room core.Conversation, link func(uses int) string) {
	e.t.Helper()
	publish := func(core.Event) {}
	goroutines := obs.NewGoroutines(e.cfg.Log) // its own, for they run until it is closed
	rooms := chat.New(chat.Config{
		DB: e.db, Audit: audit.New(e.db), Contacts: contact.New(e.db, NameKey, publish, contact.Config{}), Publish: publish,
		Log: e.cfg.Log, Metrics: e.cfg.Metrics, Goroutines: goroutines,
	})
	e.t.Cleanup(func() {
		rooms.Drain(e.ctx)
		rooms.Close()
		e.no(goroutines.Wait(e.ctx))
	})
	e.tx.Rooms = rooms
	e.add("host")
	host := e.actor("host")
	room, err := rooms.CreateRoom(e.ctx, host, chat.RoomForm{Name: "den"})
	e.no(err)
	return room, func(uses int) string {
		e.t.Helper()
		_, token, err := rooms.CreateLink(e.ctx, host, room.ID, chat.LinkForm{MaxUses: uses})
		e.no(err)
		return token
	}
}

func (e *env) members(room core.Conversation) int {
	e.t.Helper()
	return e.all(fmt.Sprintf(`SELECT count(*) FROM member WHERE conversation_id = %d`, room.ID))
}

func TestAnInvitationRegistersUnderEveryPolicyButClosed(t *testing.T) {
	for policyName, want := range map[string]error{Open: nil, Code: nil, Invite: nil, Closed: core.ErrRegistrationClosed, "nonsense": core.ErrRegistrationClosed} {
		t.Run(policyName, func(t *testing.T) {
			e := newEnv(t, policy(policyName))
			room, link := e.host()
			token := link(0)
			u, err := e.Register(e.ctx, home(), Registration{Name: "bob", Email: bob, Password: plain("secret"), Invite: token})
			e.is(err, want)
			if want != nil {
				if e.members(room) != 1 || e.all(`SELECT count(*) FROM "user"`) != 1 {
					t.Error("somebody came in")
				}
				return
			}
			if u.EmailVerified || e.members(room) != 2 || e.all(`SELECT uses FROM room_link`) != 1 {
				t.Errorf("%+v, %d members", u, e.members(room))
			}
			if e.all(`SELECT count(*) FROM audit WHERE action = 'account.register' AND detail LIKE 'name bob, invited to conversation %'`) != 1 {
				t.Error("not in the audit log")
			}
			e.no(e.login("bob", "secret", home()))
		})
	}
}

func TestNobodyRegistersOnAServerByInvitationWithoutOne(t *testing.T) {
	e := newEnv(t, policy(Invite))
	e.host()
	_, err := e.Register(e.ctx, home(), Registration{Name: "bob", Email: bob, Code: "1234", Password: plain("secret")})
	e.is(err, core.ErrRegistrationClosed)
}

func TestACodeThatComesWithAnInvitationMustBeRight(t *testing.T) {
	e := newEnv(t, policy(Code))
	_, link := e.host()
	token, code := link(0), e.codeFor(bob)
	r := Registration{Name: "bob", Email: bob, Code: wrong(code), Password: plain("secret"), Invite: token}
	_, err := e.Register(e.ctx, home(), r)
	e.is(err, core.ErrCodeWrong)
	r.Code = code
	u, err := e.Register(e.ctx, home(), r)
	e.no(err)
	if !u.EmailVerified {
		t.Errorf("%+v", u)
	}
}

func TestALinkThatDoesNotWorkMakesNoAccount(t *testing.T) {
	e := newEnv(t, policy(Invite))
	room, link := e.host()
	token := link(1)
	register := func(name, token string) error {
		_, err := e.Register(e.ctx, home(), Registration{Name: name, Password: plain("secret"), Invite: token})
		return err
	}
	e.is(register("bob", "no such link"), core.ErrLinkNotFound)
	e.no(register("bob", token))
	e.is(register("eve", token), core.ErrLinkNotFound)
	// What fails later uses nothing up.
	again := link(1)
	e.is(register("bob", again), core.ErrNameTaken)
	e.tx.failing = core.ErrBusy
	e.is(register("cyd", again), core.ErrBusy)
	e.tx.failing = nil
	e.no(register("cyd", again))
	if n := e.members(room); n != 3 {
		t.Errorf("%d members", n)
	}
}

func TestOneUseIsOneAccount(t *testing.T) {
	e := newEnv(t, policy(Invite))
	room, link := e.host()
	token := link(1)
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			_, results[i] = e.Register(e.ctx, home(), Registration{Name: fmt.Sprint("bob", i), Password: plain("secret"), Invite: token})
		})
	}
	wg.Wait()
	made := 0
	for _, err := range results {
		if err == nil {
			made++
			continue
		}
		e.is(err, core.ErrLinkNotFound)
	}
	if made != 1 || e.members(room) != 2 || e.all(`SELECT count(*) FROM "user"`) != 2 {
		t.Errorf("%d accounts were made, the room has %d members", made, e.members(room))
	}
}

func TestGuessingLinksIsThrottled(t *testing.T) {
	e := newEnv(t)
	_, link := e.host()
	r := Registration{Name: "bob", Password: plain("secret"), Invite: "no such link"}
	for range invitesByIP {
		_, err := e.Register(e.ctx, home(), r)
		e.is(err, core.ErrLinkNotFound)
	}
	r.Invite = link(0)
	_, err := e.Register(e.ctx, home(), r)
	e.is(err, core.ErrThrottled)
	if wait := core.RetryAfter(err); wait <= 0 || wait > ipWindow {
		t.Errorf("wait %v", wait)
	}
	_, err = e.Register(e.ctx, from("192.0.2.77"), r)
	e.no(err)
}

func TestWhatChangesWhileTheServerRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, e *env) {
		register := func(name string) error {
			_, err := e.Register(e.ctx, home(), Registration{Name: name, Password: plain("secret")})
			return err
		}
		e.no(register("a"))
		e.SetRegistration(Closed)
		e.is(register("b"), core.ErrRegistrationClosed)
		e.SetRegistration(Open)
		e.SetLimits(1, 1)
		e.no(register("b"))
		e.is(register("c"), core.ErrThrottled)
		e.no(e.Pace(e.ctx, core.Actor{}, home()))
		e.is(e.Pace(e.ctx, core.Actor{}, home()), core.ErrThrottled)
		e.SetLimits(0, 0)
		e.no(register("c"))
		e.no(e.Pace(e.ctx, core.Actor{}, home()))
	})
}

// A link into the lobby invites to the server as such.
func TestAnInvitationToTheServer(t *testing.T) {
	e := newEnv(t, policy(Invite))
	e.host()
	_, err := e.Oversee(e.ctx, e.operator(), home(), 1001, Amendment{Admin: new(true)})
	e.no(err)
	_, token, err := e.tx.Rooms.(*chat.Service).CreateLink(e.ctx, e.actor("host"), core.Lobby, chat.LinkForm{MaxUses: 1})
	e.no(err)
	_, err = e.Register(e.ctx, home(), Registration{Name: "bob", Password: plain("secret"), Invite: token})
	e.no(err)
	_, err = e.Register(e.ctx, home(), Registration{Name: "eve", Password: plain("secret"), Invite: token})
	e.is(err, core.ErrLinkNotFound)
}
