package transfer

import (
	"context"
	"maps"
	"slices"
	"sort"

	"parley/internal/account"
	"parley/internal/chat"
	"parley/internal/contact"
	"parley/internal/core"
)

// survey finds out, for the archive of one person, whom they know and what they have said in rooms.
func (e *export) survey(ctx context.Context) error {
	me := e.person.ID
	if me == 0 {
		return nil
	}
	err := e.Contacts.Friendships(ctx, e.actor, me, func(f contact.Friendship) error { e.know(f.Self, f.Friend); return nil })
	if err != nil {
		return err
	}
	err = e.Contacts.Applications(ctx, e.actor, me, func(a contact.Application) error {
		if e.shows(a) {
			e.know(a.From, a.To)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = e.Contacts.Blocks(ctx, e.actor, me, func(b contact.Block) error {
		if b.User == me {
			e.know(b.Blocked)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.Chat.Conversations(ctx, e.actor, me, func(c chat.ConversationRecord) error {
		if c.Kind == core.Direct {
			e.direct[c.ID] = true
			e.know(c.Users[:]...)
			return nil
		}
		e.own[c.ID] = []core.Seq{}
		return e.Chat.Messages(ctx, e.actor, c.ID, me, func(m chat.MessageRecord) error {
			e.own[c.ID] = append(e.own[c.ID], m.Seq)
			return nil
		})
	})
}

func (e *export) know(users ...core.UserID) {
	for _, u := range users {
		if u != e.person.ID {
			e.others[u] = true
		}
	}
}

// seq returns the number that a place in a conversation has in the archive. In the archive of one person a room has only
// that person's messages, and they are numbered without gaps: it is how many of them there are up to that place.
func (e *export) seq(id core.ConversationID, seq core.Seq) core.Seq {
	own, ok := e.own[id]
	if !ok {
		return seq
	}
	return core.Seq(sort.Search(len(own), func(i int) bool { return own[i] > seq }))
}

// strangers writes what everybody may see of those whom the person knows.
func (e *export) strangers(ctx context.Context, put func(any) error) error {
	for _, uid := range slices.Sorted(maps.Keys(e.others)) {
		err := e.Accounts.Records(ctx, e.actor, uid, func(r account.Record) error {
			return put(otherLine{r.User.ID, r.User.Name, r.User.Nick})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forPerson is a message as it stands in the archive: in that of one person under its number there, and without those whom the
// person does not know.
func (e *export) forPerson(id core.ConversationID, m chat.MessageRecord) chat.MessageRecord {
	if e.person.ID == 0 {
		return m
	}
	strange := func(u core.UserID) bool { return u != e.person.ID && !e.others[u] }
	m.Mentions = slices.DeleteFunc(m.Mentions, strange)
	m.Reactions = slices.DeleteFunc(m.Reactions, func(r chat.ReactionRecord) bool { return strange(r.User) })
	if m.File > 0 && m.FileOwner != e.person.ID {
		m.File = chat.GoneFile // it is not in the archive
	}
	if own, ok := e.own[id]; ok {
		if _, found := slices.BinarySearch(own, m.ReplyTo); !found {
			m.ReplyTo = 0 // what it answers is somebody else's
		}
		m.Seq, m.ReplyTo = e.seq(id, m.Seq), e.seq(id, m.ReplyTo)
	}
	return m
}

// readSeq is what a member has read as it stands in the archive: in that of one person nobody is told what others have.
func (e *export) readSeq(m chat.Membership) core.Seq {
	if e.person.ID != 0 && m.User != e.person.ID {
		return 0
	}
	return e.seq(m.Conversation, m.ReadSeq)
}
