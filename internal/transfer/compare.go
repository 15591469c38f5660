package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/core"
)

// compare finds what stands in the way of an archive, and what will be otherwise than it was.
func (r *restore) compare(ctx context.Context) error {
	r.clashes, r.notes, r.hidden, r.leftOut = nil, nil, 0, map[core.ConversationID]bool{}
	var err error
	if r.in.m.Kind == Everything {
		err = r.mustBeEmpty(ctx)
	} else {
		err = r.mustNotKnow(ctx)
		if err == nil {
			err = r.placeRooms(ctx)
		}
		r.note("%s gets no password: set one with `parley user passwd`", r.userName)
		if n := r.in.m.Counts.Others; n > 0 {
			r.note("%d others get accounts that stand for them: disabled, and without a password", n)
		}
	}
	if r.hidden > 0 {
		r.clashes = append(r.clashes, fmt.Sprintf("and %d more", r.hidden))
	}
	return err
}

func (r *restore) note(form string, args ...any) {
	if len(r.notes) >= maxNotes {
		r.unnamed++
		return
	}
	r.notes = append(r.notes, fmt.Sprintf(form, args...))
}

// allNotes returns the notes, and at their end how many more there were.
func (r *restore) allNotes() []string {
	if r.unnamed == 0 {
		return r.notes
	}
	return append(slices.Clip(r.notes), fmt.Sprintf("and %d more", r.unnamed))
}

func (r *restore) clash(form string, args ...any) {
	if len(r.clashes) >= maxClashes {
		r.hidden++
		return
	}
	r.clashes = append(r.clashes, fmt.Sprintf(form, args...))
}

// mustBeEmpty finds accounts and messages, which an archive of everything does not go together with.
func (r *restore) mustBeEmpty(ctx context.Context) error {
	err := r.Accounts.Records(ctx, r.actor, 0, func(rec account.Record) error {
		r.clash("there is an account %s here; an archive of everything needs a server without accounts", person(rec.User.Name, rec.User.ID))
		return nil
	})
	if err != nil {
		return err
	}
	err = r.Chat.Conversations(ctx, r.actor, 0, func(c chat.ConversationRecord) error {
		if c.ID != core.Lobby || c.LastSeq > 0 {
			r.clash("there is a conversation %d with %d messages here", c.ID, c.LastSeq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var imported int
	if err := r.DB.QueryRow(ctx, `SELECT count(*) FROM imported`, nil, &imported); err != nil {
		return err
	}
	if imported > 0 {
		r.clash("%d things have been imported here from other servers", imported)
	}
	return nil
}

// mustNotKnow finds accounts that have a uid, a name or an address of somebody in the archive.
func (r *restore) mustNotKnow(ctx context.Context) error {
	keys := map[string]core.User{}
	for _, p := range r.people {
		for _, k := range keysOf(p.User) {
			keys[k] = p.User
		}
	}
	return r.Accounts.Records(ctx, r.actor, 0, func(rec account.Record) error {
		for _, k := range keysOf(rec.User) {
			if p, ok := keys[k]; ok {
				what, _, _ := strings.Cut(k, " ")
				r.clash("%s in the archive has the same %s as %s here", person(p.Name, p.ID), what, person(rec.User.Name, rec.User.ID))
				break
			}
		}
		return nil
	})
}

// keysOf are what only one account can have. A name that is written like a uid counts as that as well.
func keysOf(u core.User) []string {
	keys := []string{fmt.Sprint("uid ", u.ID), "name " + account.NameKey(u.Name), fmt.Sprint("name ", u.ID)}
	if u.EmailVerified {
		keys = append(keys, "e-mail "+strings.ToLower(u.Email))
	}
	if u.PhoneVerified {
		keys = append(keys, "phone "+u.Phone)
	}
	return keys
}

// placeRooms decides what becomes of what a person has said in rooms. Where others talk, it would come to them as news.
func (r *restore) placeRooms(ctx context.Context) error {
	r.here = map[core.ConversationID]bool{}
	return r.Chat.Conversations(ctx, r.actor, 0, func(c chat.ConversationRecord) error {
		if c.ID != core.Lobby {
			r.here[c.ID] = true
			return nil
		}
		r.lobbyName = c.Name
		if c.LastSeq > 0 {
			r.leftOut[c.ID] = true
			r.note("what %s has said in %s stays out, because people talk there on this server", r.userName, c.Name)
		}
		return nil
	})
}
