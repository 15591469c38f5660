package chat

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/core"
	"parley/internal/store"
)

const (
	maxName  = 64    // characters of a room's name
	maxTopic = 1_000 // characters of a room's topic
	// maxOwned is how many rooms a user may own.
	maxOwned = 100
	// maxRooms is how many rooms a user may be in.
	maxRooms = 1_000
	// maxMembers is how many people a room holds; the lobby holds everybody.
	maxMembers = 10_000
	// maxListed is how many entries a list returns at once.
	maxListed = 200
)

// RoomForm is what the maker of a room says of it.
type RoomForm struct {
	Name    string
	Topic   string
	Public  bool
	Members []core.UserID // whom the maker brings into it at once
}

// CreateRoom makes a room that the actor owns. If one of those who shall be in it may not be brought, there is none.
func (s *Service) CreateRoom(ctx context.Context, actor core.Actor, form RoomForm) (room core.Conversation, err error) {
	if !actor.Known() {
		return room, core.ErrLoginRequired
	}
	if err := form.check(); err != nil {
		return room, fmt.Errorf("make a room: %w", err)
	}
	if len(form.Members) > maxListed {
		return room, fmt.Errorf("make a room: %w", core.ErrTooMany)
	}
	room = core.Conversation{Kind: core.Room, Name: form.Name, Topic: form.Topic, Public: form.Public}
	err = s.db.Update(ctx, func(ctx context.Context) error {
		var owned int
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM member WHERE user_id = ? AND role = 3`, []any{int64(actor.User())}, &owned); err != nil {
			return err
		}
		if owned >= maxOwned {
			return core.ErrTooMany
		}
		if err := s.db.QueryRow(ctx, `INSERT INTO conversation (kind, name, topic, public, created_at) VALUES (2, ?, ?, ?, ?) RETURNING id`,
			[]any{room.Name, room.Topic, room.Public, time.Now().UnixMilli()}, &room.ID); err != nil {
			return err
		}
		if err := s.enter(ctx, room, actor.User(), core.Owner, actor.User()); err != nil {
			return err
		}
		for _, user := range form.Members {
			if user == actor.User() {
				continue
			}
			if err := s.Bring(ctx, actor, room.ID, user); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return core.Conversation{}, fmt.Errorf("make a room: %w", err)
	}
	return room, nil
}

// check tidies the name and the topic, and checks them.
func (f *RoomForm) check() error {
	f.Name = strings.Join(strings.Fields(f.Name), " ")
	f.Topic = strings.TrimSpace(f.Topic)
	switch {
	case f.Name == "", !utf8.ValidString(f.Name), utf8.RuneCountInString(f.Name) > maxName, strings.ContainsFunc(f.Name, unprintable):
		return core.ErrInvalidName
	case !utf8.ValidString(f.Topic), utf8.RuneCountInString(f.Topic) > maxTopic,
		strings.ContainsFunc(f.Topic, func(r rune) bool { return unprintable(r) && r != '\n' }):
		return core.ErrInvalidTopic
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// RoomEdit is what shall be otherwise about a room; nil leaves it as it is.
type RoomEdit struct {
	Name   *string
	Topic  *string
	Public *bool
}

// EditRoom changes a room's name, its topic, or who may find it.
func (s *Service) EditRoom(ctx context.Context, actor core.Actor, id core.ConversationID, edit RoomEdit) (room core.Conversation, err error) {
	err = s.db.Update(ctx, func(ctx context.Context) error {
		st, err := s.standing(ctx, actor, id)
		if err != nil {
			return err
		}
		if err := st.may(toName); err != nil {
			return err
		}
		form := RoomForm{Name: st.room.Name, Topic: st.room.Topic, Public: st.room.Public}
		if edit.Public != nil && *edit.Public != form.Public {
			do := toClose
			if *edit.Public {
				do = toOpen
			}
			if err := st.may(do); err != nil {
				return err
			}
			form.Public = *edit.Public
		}
		if edit.Name != nil {
			form.Name = *edit.Name
		}
		if edit.Topic != nil {
			form.Topic = *edit.Topic
		}
		if err := form.check(); err != nil {
			return err
		}
		was := st.room
		room = st.room
		if form.Public != was.Public {
			s.standings.move(ctx) // what of it people can read
		}
		room.Name, room.Topic, room.Public = form.Name, form.Topic, form.Public
		if room == was {
			return nil
		}
		_, err = s.db.Exec(ctx, `UPDATE conversation SET name = ?1, topic = ?2, public = ?3,
			open_seq = CASE WHEN ?3 > public THEN last_seq ELSE open_seq END,
			opened_at = CASE WHEN ?3 > public THEN ?5 ELSE opened_at END WHERE id = ?4`,
			room.Name, room.Topic, room.Public, int64(id), time.Now().UnixMilli())
		s.publishAfter(ctx, core.RoomChanged{Room: room, By: authorOf(actor)})
		return err
	})
	if err != nil {
		return core.Conversation{}, fmt.Errorf("edit room %d: %w", id, err)
	}
	return room, nil
}

// PublicRooms returns rooms that everybody may join, by their ids after one; at most limit of them.
func (s *Service) PublicRooms(ctx context.Context, actor core.Actor, after core.ConversationID, limit int) ([]core.Conversation, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	return s.listRooms(ctx, `SELECT id, name, topic, public, last_seq FROM conversation
		WHERE public = 1 AND kind = 2 AND id > ? ORDER BY id LIMIT ?`, int64(after), bounded(limit))
}

// bounded is a limit that somebody asked for, within what a list may return.
func bounded(limit int) int {
	if limit <= 0 || limit > maxListed {
		return maxListed
	}
	return limit
}

// Rooms returns the rooms that the actor is a member of.
func (s *Service) Rooms(ctx context.Context, actor core.Actor) ([]core.Conversation, error) {
	if !actor.Known() {
		return nil, core.ErrLoginRequired
	}
	return s.listRooms(ctx, `SELECT c.id, c.name, c.topic, c.public, c.last_seq FROM member m
		JOIN conversation c ON c.id = m.conversation_id
		WHERE m.user_id = ? AND c.kind = 2 ORDER BY c.id`, int64(actor.User()))
}

// Room returns a room that the actor is a member of, else core.ErrConversationNotFound.
func (s *Service) Room(ctx context.Context, actor core.Actor, id core.ConversationID) (core.Conversation, error) {
	if !actor.Known() {
		return core.Conversation{}, core.ErrLoginRequired
	}
	st, err := s.standing(ctx, actor, id)
	if err == nil {
		err = st.may(toRead)
	}
	return st.room, err
}

func (s *Service) listRooms(ctx context.Context, query string, args ...any) ([]core.Conversation, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var rooms []core.Conversation
	for rows.Next() {
		c := core.Conversation{Kind: core.Room}
		if err := rows.Scan(&c.ID, &c.Name, &c.Topic, &c.Public, &c.LastSeq); err != nil {
			return nil, err
		}
		rooms = append(rooms, c)
	}
	return rooms, rows.Err()
}

// publishAfter publishes an event once the unit of work is committed.
func (s *Service) publishAfter(ctx context.Context, ev core.Event) {
	store.AfterCommit(ctx, func() { s.cfg.Publish(ev) })
}

func authorOf(a core.Actor) core.Author {
	return core.Author{ID: a.User(), Name: a.Name(), Avatar: a.Avatar()}
}
