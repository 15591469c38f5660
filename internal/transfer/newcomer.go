package transfer

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/internal/account"
	"parley/internal/core"
	"parley/internal/legacy"
)

// heads is how many pictures every client of one family brings along.
const heads = 5

// decide makes a record of a newcomer that account.Adopt will take, and notes what is not as it was. false: there is no
// place for them.
func (r *run) decide(u legacy.User) (account.Record, bool) {
	old := quoteName(u.Name)
	if r.job.Kind != legacy.CS3 {
		old += fmt.Sprintf(" (uid %d)", u.UID)
	}
	id, kept := core.UserID(u.UID), true
	if !r.people.freeID(id) {
		if id, kept = r.people.newID(), r.job.Kind == legacy.CS3; id == 0 { // which had no uids
			return r.leaveOut(u, old+" is left out: there is no free uid")
		}
	}
	rec := account.Record{Password: u.Password, AsSent: u.AsSent, User: core.User{
		ID: id, Name: r.people.nameFor(u.Name, u.ID, id), Nick: cut(line(u.Nick), maxNick), Avatar: u.Avatar,
		Desc: cutBytes(line(strings.ReplaceAll(u.Desc, "\n", " ")), maxDesc), Icon: u.Icon, Sex: int(u.Sex),
	}}
	notes := len(r.notes)
	if !kept {
		r.note(NoteRenumbered, u, id, fmt.Sprintf("%s has the uid %d now: the old one is not free", old, id))
	}
	r.address(u, &rec.User, old)
	r.phone(u, &rec.User, old)
	r.appearance(u, &rec.User)
	r.password(u, &rec, old)
	if rec.User.Name != u.Name && account.NameKey(rec.User.Name) != account.NameKey(u.Name) {
		r.note(NoteRenamed, u, id, fmt.Sprintf("%s is called %s now (uid %d), and logs in with %s", quoteName(u.Name), quoteName(rec.User.Name), id, waysIn(rec.User)))
	}
	if err := rec.Check(); err != nil {
		r.notes = r.notes[:notes]
		return r.leaveOut(u, fmt.Sprintf("%s is left out: %v", old, err))
	}
	for _, n := range r.notes[notes:] {
		*map[string]*int64{
			NoteRenamed: &r.tally.renamed, NoteRenumbered: &r.tally.renumbered, NotePassword: &r.tally.noPassword,
			NoteEmail: &r.tally.noEmail, NotePhone: &r.tally.noPhone, NotePicture: &r.tally.noPicture, NoteClaim: new(int64),
		}[n.Kind]++
	}
	return rec, true
}

func (r *run) leaveOut(u legacy.User, why string) (account.Record, bool) {
	r.tally.skipped++
	r.note(NoteSkipped, u, 0, why)
	return account.Record{}, false
}

func (r *run) note(kind string, u legacy.User, id core.UserID, text string) {
	r.notes = append(r.notes, Note{Kind: kind, Foreign: u.ID, User: id, Text: text})
}

// waysIn says with what an account logs in.
func waysIn(u core.User) string {
	ways := []string{"this name"}
	if u.EmailVerified {
		ways = append(ways, "the e-mail address "+u.Email)
	}
	if u.PhoneVerified {
		ways = append(ways, "the phone number "+u.Phone)
	}
	return strings.Join(append(ways, "the uid"), " or ")
}

// address decides about the e-mail address. Two people cannot both have proved the same one.
func (r *run) address(u legacy.User, to *core.User, old string) {
	key := strings.ToLower(u.Email)
	other, taken := r.people.emails[key]
	switch {
	case u.Email == "":
	case !isEmail(u.Email):
		r.note(NoteEmail, u, to.ID, fmt.Sprintf("the e-mail address %s of %s is none and is left out; log in with the name or the uid", quoteName(cut(u.Email, 80)), old))
	case taken:
		r.note(NoteEmail, u, to.ID, fmt.Sprintf("the e-mail address %s of %s belongs to %s and is left out; log in with the name or the uid", u.Email, old, r.people.who(other)))
	default:
		to.Email, to.EmailVerified = u.Email, u.EmailVerified
		r.claimed(u, to.ID, key, "e-mail address", u.EmailVerified)
	}
}

func (r *run) phone(u legacy.User, to *core.User, old string) {
	other, taken := r.people.phones[u.Phone]
	named, isName := r.people.names[u.Phone]
	switch {
	case u.Phone == "":
	case !isPhone(u.Phone):
		r.note(NotePhone, u, to.ID, fmt.Sprintf("the phone number %s of %s is none and is left out", quoteName(cut(u.Phone, 40)), old))
	case taken:
		r.note(NotePhone, u, to.ID, fmt.Sprintf("the phone number %s of %s belongs to %s and is left out", u.Phone, old, r.people.who(other)))
	case isName:
		r.note(NotePhone, u, to.ID, fmt.Sprintf("the phone number %s of %s is the name of %s and is left out", u.Phone, old, r.people.who(named)))
	default:
		to.Phone, to.PhoneVerified = u.Phone, u.PhoneVerified
		r.claimed(u, to.ID, u.Phone, "phone number", u.PhoneVerified)
	}
}

// claimed notes that somebody loses what they had only said to be theirs.
func (r *run) claimed(u legacy.User, id core.UserID, key, what string, proved bool) {
	if !proved {
		return
	}
	for _, other := range r.people.claims[key] {
		r.note(NoteClaim, u, id, fmt.Sprintf("%s had given the %s %s without proof; it belongs to the newcomer with the uid %d now", r.people.who(other), what, key, id))
	}
}

// appearance fills in what others see.
func (r *run) appearance(u legacy.User, to *core.User) {
	if to.Nick == "" {
		to.Nick = to.Name
	}
	if to.Icon = line(to.Icon); to.Icon == "" || len(to.Icon) > maxIcon {
		to.Icon = fmt.Sprintf(":/res/head_%d.jpg", 1+to.ID%heads)
	}
	if to.Avatar != "" && !isPictureName(to.Avatar) {
		r.note(NotePicture, u, to.ID, fmt.Sprintf("the picture %s of %s is left out: its name is not one of a .png or .jpg file", quoteName(to.Avatar), quoteName(u.Name)))
		to.Avatar = ""
	}
}

func (r *run) password(u legacy.User, rec *account.Record, old string) {
	const prefix = "$plain$"
	text, plain := strings.CutPrefix(rec.Password, prefix)
	if plain && strings.ContainsRune(text, utf8.RuneError) {
		rec.Password = ""
		r.note(NotePassword, u, rec.User.ID, fmt.Sprintf("the password of %s is not in UTF-8 and is left out; set one with “parley user passwd %d”", old, rec.User.ID))
		return
	}
	if plain && len(text) > maxPlain {
		rec.Password = ""
		r.note(NotePassword, u, rec.User.ID, fmt.Sprintf("the password of %s is longer than %d bytes and is left out; set one with “parley user passwd %d”", old, maxPlain, rec.User.ID))
		return
	}
	if rec.Password == "" {
		r.note(NotePassword, u, rec.User.ID, fmt.Sprintf("%s has no password and cannot log in; set one with “parley user passwd %d”", old, rec.User.ID))
	}
}
