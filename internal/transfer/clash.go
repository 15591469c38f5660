package transfer

import (
	"context"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"parley/internal/account"
	"parley/internal/core"
)

const (
	maxUID   = 999_000_000 // the highest that comes along; the last million is for those who register later
	maxName  = 32          // characters
	maxNick  = 64          // characters
	maxDesc  = 4096        // bytes
	maxIcon  = 255         // bytes
	maxNote  = 255         // bytes of a remark
	maxPlain = 256         // bytes of a password that a login can send
	maxShown = 80          // characters of a foreign name in a note
)

// people is who is there already, and who has come since: what a newcomer must not clash with.
type people struct {
	users    map[core.UserID]resident
	names    map[string]core.UserID // by account.NameKey
	emails   map[string]core.UserID // proved ones, in lower case
	phones   map[string]core.UserID // proved ones
	claims   map[string][]core.UserID
	reserved map[core.UserID]struct{} // uids that newcomers bring along
	next     core.UserID              // where to look for a new uid
	wrapped  bool
	suffixes map[string]int // by account.NameKey, how far the numbers behind a name are taken
}

// resident is what is needed to know of an account.
type resident struct{ name, avatar string }

// census counts the people.
func (im *Importer) census(ctx context.Context, actor core.Actor, reserved map[core.UserID]struct{}) (*people, error) {
	p := &people{
		users: map[core.UserID]resident{}, names: map[string]core.UserID{}, emails: map[string]core.UserID{},
		phones: map[string]core.UserID{}, claims: map[string][]core.UserID{}, reserved: reserved, suffixes: map[string]int{},
	}
	err := im.Accounts.Records(ctx, actor, 0, func(r account.Record) error {
		p.add(r.User)
		return nil
	})
	if err != nil {
		return nil, err
	}
	last, err := im.Accounts.LastID(ctx, actor)
	if err != nil {
		return nil, err
	}
	p.next = last + 1
	for id := range reserved {
		p.next = max(p.next, id+1)
	}
	return p, nil
}

func (p *people) add(u core.User) {
	p.users[u.ID] = resident{u.Name, u.Avatar}
	p.names[account.NameKey(u.Name)] = u.ID
	for _, c := range []struct {
		key    string
		proved bool
		all    map[string]core.UserID
	}{{strings.ToLower(u.Email), u.EmailVerified, p.emails}, {u.Phone, u.PhoneVerified, p.phones}} {
		switch {
		case c.key == "":
		case c.proved:
			c.all[c.key] = u.ID
			delete(p.claims, c.key)
		default:
			p.claims[c.key] = append(p.claims[c.key], u.ID)
		}
	}
}

// freeID reports whether a uid can be given: digits mean a uid first, so nobody's name or phone number may be the same.
func (p *people) freeID(id core.UserID) bool {
	digits := strconv.FormatInt(int64(id), 10)
	_, taken := p.users[id]
	_, named := p.names[digits]
	_, phone := p.phones[digits]
	return id >= 1 && id <= maxUID && !taken && !named && !phone
}

// newID returns a uid that is nobody's and that no newcomer brings along, 0 if there is none.
func (p *people) newID() core.UserID {
	for {
		if p.next > maxUID || p.next < 1 {
			if p.wrapped {
				return 0
			}
			p.next, p.wrapped = 1, true
		}
		id := p.next
		p.next++
		if _, reserved := p.reserved[id]; !reserved && p.freeID(id) {
			return id
		}
	}
}

// freeName reports whether a name with this key is nobody's way to log in, but for the newcomer's own uid.
func (p *people) freeName(key string, own core.UserID) bool {
	_, name := p.names[key]
	_, email := p.emails[key]
	_, phone := p.phones[key]
	if name || email || phone {
		return false
	}
	n, err := strconv.ParseInt(key, 10, 64)
	id := core.UserID(n)
	if err != nil || strconv.FormatInt(n, 10) != key || id == own {
		return true
	}
	_, taken := p.users[id]
	_, reserved := p.reserved[id]
	return !taken && !reserved
}

// nameFor returns the name that a newcomer gets: their own, repaired and numbered if that is needed.
func (p *people) nameFor(name, foreign string, own core.UserID) string {
	name = repair(name, foreign)
	if p.freeName(account.NameKey(name), own) {
		return name
	}
	for key := account.NameKey(name); ; {
		n := max(p.suffixes[key]+1, 2)
		p.suffixes[key] = n
		suffix := "_" + strconv.Itoa(n)
		numbered, err := account.NormalizeName(cut(name, maxName-len(suffix)) + suffix)
		if err != nil { // what was cut off held it together
			numbered = "user" + suffix
		}
		if p.freeName(account.NameKey(numbered), own) {
			return numbered
		}
	}
}

// repair makes a name one that Parley allows.
func repair(name, foreign string) string {
	if good, err := account.NormalizeName(name); err == nil && !strings.ContainsRune(good, utf8.RuneError) {
		return good
	}
	name = norm.NFC.String(strings.Map(func(r rune) rune {
		if _, err := account.NormalizeName("x" + string(r) + "x"); err != nil || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name))
	for _, candidate := range []string{cut(name, maxName), cut("_"+name, maxName), cut("user"+foreign, maxName)} {
		if candidate == "_" || candidate == "user" && foreign != "" {
			continue
		}
		if good, err := account.NormalizeName(candidate); err == nil {
			return good
		}
	}
	return "user"
}

// cut returns the first characters of s.
func cut(s string, characters int) string {
	for i := range s {
		if characters == 0 {
			return s[:i]
		}
		characters--
	}
	return s
}

// cutBytes returns the beginning of s, in whole characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// line drops what a line of text that people see must not have.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func isEmail(s string) bool {
	return account.Record{User: core.User{Name: "x", Email: s}}.Check() == nil
}

func isPhone(s string) bool {
	return account.Record{User: core.User{Name: "x", Phone: s}}.Check() == nil
}

// who names an account that is there.
func (p *people) who(id core.UserID) string { return person(p.users[id].name, id) }

func quoteName(s string) string {
	if short := cut(s, maxShown); short != s {
		s = short + "…"
	}
	return strconv.Quote(s)
}
