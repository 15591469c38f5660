package account

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	heads   = 5 // pictures that every client brings along
	maxNick = 64
	maxFile = 255 // bytes
)

// Registration is what somebody who wants an account says.
type Registration struct {
	Name        string
	Email       string // "" if the gateway's clients know none
	Phone       string // "" if the gateway's clients know none
	Claim       string // an e-mail address that nobody has proved: kept if it is valid and nobody's, otherwise left out
	Code        string // proves the phone number if there is one, otherwise the e-mail address
	LongCode    bool   // the gateway's clients have theirs from SendLongCode
	RequireCode bool   // the gateway's document asks for a code, whatever the policy
	Invite      string // the token of a link into a room, which the new account is in then; "" for none
	Password    Secret
	Nick        string // "" for the name
	Icon        string // "" for one of the clients' own pictures
	Avatar      string
}

// newcomer is an account that does not exist yet.
type newcomer struct {
	user                        core.User
	nameKey, emailKey, phoneKey string
	hash                        string
	asSent                      bool
}

// closed reports whether nobody may register who was not invited.
func (s *Service) closed() bool { p := s.Registration(); return p != Open && p != Code }

// Register makes an account. A code that is needed, or given, must be right; it is used up only if the account is made. So is
// an invitation, which opens a server whose policy is Invite and stands for the code where one is needed; one that
// does not work is core.ErrLinkNotFound.
func (s *Service) Register(ctx context.Context, from core.Origin, r Registration) (core.User, error) {
	u, err := s.register(ctx, from, r)
	if err != nil {
		return core.User{}, fmt.Errorf("register: %w", err)
	}
	return u, nil
}

// RegisterActor is Register for clients that are logged in at once.
func (s *Service) RegisterActor(ctx context.Context, from core.Origin, r Registration) (core.User, core.Actor, error) {
	u, err := s.Register(ctx, from, r)
	if err != nil {
		return core.User{}, core.Actor{}, err
	}
	return u, core.NewActor(u), nil
}

func (s *Service) register(ctx context.Context, from core.Origin, r Registration) (core.User, error) {
	byCode, err := s.byCode(r)
	if err != nil {
		return core.User{}, err
	}
	n, err := parseRegistration(r, byCode)
	if err != nil {
		return core.User{}, err
	}
	if r.Invite != "" {
		if err := s.checkInvite(ctx, from, r.Invite); err != nil {
			return core.User{}, err
		}
	}
	if byCode {
		if err := s.checkCode(ctx, from, n.recipient(r), r.Code); err != nil {
			return core.User{}, err
		}
	}
	if err := s.checkFree(ctx, n); err != nil {
		return core.User{}, err
	}
	if err := s.throttle.registering(ctx, network(from.IP), s.perHour()); err != nil {
		return core.User{}, err
	}
	if n.hash, err = s.hash(ctx, r.Password); err != nil {
		return core.User{}, err
	}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		if byCode {
			if err := s.consumeCode(ctx, n.recipient(r), r.Code); err != nil {
				return err
			}
		}
		if err := s.claim(ctx, &n, r.Claim); err != nil {
			return err
		}
		if err := s.create(ctx, &n); err != nil {
			return err
		}
		detail := "name " + n.user.Name
		if r.Invite != "" {
			room, err := s.rooms.Admit(ctx, n.user.ID, r.Invite)
			if err != nil {
				return err
			}
			detail += fmt.Sprintf(", invited to conversation %d", room.ID)
		}
		return s.audit.Record(ctx, core.NewActor(n.user), "account.register", target(n.user.ID), detail, from)
	})
	if err != nil {
		return core.User{}, err
	}
	s.welcome(ctx, n.user.ID, from)
	return n.user, nil
}

// byCode reports whether a registration has to prove an e-mail address or a phone number, or core.ErrRegistrationClosed.
func (s *Service) byCode(r Registration) (bool, error) {
	policy, invited := s.Registration(), r.Invite != ""
	given := r.RequireCode || r.Code != ""
	switch {
	case policy == Open, invited && (policy == Invite || policy == Code):
		return given, nil
	// A gateway whose clients know neither e-mail address nor phone number cannot register anybody by code.
	case policy == Code && (r.Email != "" || r.Phone != "" || r.RequireCode):
		return true, nil
	}
	return false, core.ErrRegistrationClosed
}

// checkInvite looks whether an invitation works, before anything is done that costs more. Guessing is throttled.
func (s *Service) checkInvite(ctx context.Context, from core.Origin, token string) error {
	if err := s.throttle.inviting(ctx, network(from.IP)); err != nil {
		return err
	}
	_, err := s.rooms.LinkedRoom(ctx, token)
	return err
}

// recipient is who gets the codes of a newcomer.
func (n newcomer) recipient(r Registration) string {
	switch {
	case n.phoneKey != "":
		return n.phoneKey
	case r.LongCode:
		return codeKey(n.emailKey, longCode)
	}
	return codeKey(n.emailKey, shortCode)
}

// claim gives the newcomer an e-mail address that nobody has proved, unless it is no address or somebody's.
func (s *Service) claim(ctx context.Context, n *newcomer, email string) error {
	key, err := parseEmail(email)
	if n.emailKey != "" || err != nil {
		return nil //nolint:nilerr // it is left out
	}
	taken, err := s.exists(ctx, `SELECT count(*) FROM "user" WHERE email_key = ? OR name_key = ?`, key, key)
	if err == nil && !taken {
		n.user.Email, n.emailKey = email, key
	}
	return err
}

func parseRegistration(r Registration, byCode bool) (n newcomer, err error) {
	if n.user.Name, err = NormalizeName(r.Name); err != nil {
		return n, err
	}
	n.nameKey = NameKey(n.user.Name)
	if r.Phone != "" {
		if err := checkPhone(r.Phone); err != nil {
			return n, err
		}
		n.phoneKey, n.user.Phone, n.user.PhoneVerified = r.Phone, r.Phone, byCode
	}
	if r.Email != "" || byCode && r.Phone == "" {
		if n.emailKey, err = parseEmail(r.Email); err != nil {
			return n, err
		}
		n.user.Email, n.user.EmailVerified = r.Email, byCode && r.Phone == ""
	}
	if err := checkPassword(r.Password); err != nil {
		return n, err
	}
	n.asSent = r.Password.MaybeXORed
	if err := checkNick(r.Nick); err != nil {
		return n, err
	}
	if len(r.Icon) > maxFile || !isText(r.Icon) {
		return n, core.ErrInvalid
	}
	if len(r.Avatar) > maxFile || !isText(r.Avatar) || strings.ContainsAny(r.Avatar, `/\`) || r.Avatar == "." || r.Avatar == ".." {
		return n, core.ErrInvalidAvatar
	}
	n.user.Nick, n.user.Icon, n.user.Avatar = r.Nick, r.Icon, r.Avatar
	return n, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, notInText) }

// create stores the newcomer in the context's unit of work and completes their user.
func (s *Service) create(ctx context.Context, n *newcomer) error {
	if err := s.checkFree(ctx, *n); err != nil {
		return err
	}
	id, err := s.nextID(ctx)
	if err != nil {
		return err
	}
	u := &n.user
	u.ID, u.Epoch, u.CreatedAt = id, 1, time.UnixMilli(time.Now().UnixMilli())
	if u.Nick == "" {
		u.Nick = u.Name
	}
	if u.Icon == "" {
		u.Icon = fmt.Sprintf(":/res/head_%d.jpg", 1+id%heads)
	}
	if err := s.dropUnverified(ctx, *n); err != nil {
		return err
	}
	if err := s.insert(ctx, *n); err != nil {
		if store.IsUnique(err) { // another node was quicker
			err = core.ErrNameTaken
		}
		return err
	}
	return s.rooms.JoinLobby(ctx, id)
}
