package chat

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"parley/internal/core"
)

const (
	// maxMentions is how many names of one message are looked up.
	maxMentions = 20
	// longestName is how many characters after an @ may be a name.
	longestName = 32
)

// mentionsOf returns, for each draft, the members of the conversation that it names: nil if no draft names anybody.
func (s *Service) mentionsOf(ctx context.Context, id core.ConversationID, drafts []Draft) ([][]core.UserID, error) {
	var all [][]core.UserID
	for i, d := range drafts {
		names := namesIn(d.Text)
		if len(names) == 0 {
			continue
		}
		users, err := s.named(ctx, id, names)
		if err != nil {
			return nil, err
		}
		if len(users) > 0 && all == nil {
			all = make([][]core.UserID, len(drafts))
		}
		if len(users) > 0 {
			all[i] = users
		}
	}
	return all, nil
}

// namesIn returns what stands behind each @ of a text up to the next space, which begins with a name if it is a mention.
// Behind a letter or digit of ASCII an @ belongs to an address.
func namesIn(text string) (names []string) {
	for at := strings.IndexByte(text, '@'); at >= 0 && len(names) < maxMentions; {
		before := byte(' ')
		if at > 0 {
			before = text[at-1]
		}
		text = text[at+1:]
		if !isAlphanumeric(before) {
			end, n := len(text), 0
			for i, r := range text {
				if n == longestName || r == '@' || unicode.IsSpace(r) {
					end = i
					break
				}
				n++
			}
			if end > 0 {
				names = append(names, text[:end])
			}
		}
		at = strings.IndexByte(text, '@')
	}
	return names
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// named returns the members of a conversation that are named, by their uids. Of several names that one of the texts begins
// with, the longest counts: in languages without spaces other words follow at once.
func (s *Service) named(ctx context.Context, id core.ConversationID, texts []string) ([]core.UserID, error) {
	var keys []string
	for _, t := range texts {
		for i, r := range t {
			keys = append(keys, s.cfg.NameKey(t[:i+utf8.RuneLen(r)]))
		}
	}
	var found []struct {
		UID     core.UserID `bun:"uid"`
		NameKey string      `bun:"name_key"`
	}
	err := s.db.Q(ctx).NewSelect().TableExpr(`"user" AS u`).Join("JOIN member AS m ON m.user_id = u.uid").
		Column("u.uid", "u.name_key").Where("m.conversation_id = ?", id).Where("u.name_key IN (?)", bun.List(keys)).Scan(ctx, &found)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	byKey := map[string]core.UserID{}
	for _, f := range found {
		byKey[f.NameKey] = f.UID
	}
	var users []core.UserID
	for _, t := range texts {
		var longest core.UserID
		for i, r := range t {
			if u, ok := byKey[s.cfg.NameKey(t[:i+utf8.RuneLen(r)])]; ok {
				longest = u
			}
		}
		if longest != 0 {
			users = append(users, longest)
		}
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}

func (s *Service) insertMentions(ctx context.Context, id core.ConversationID, seq core.Seq, users []core.UserID) error {
	for _, u := range users {
		if _, err := s.db.Exec(ctx, `INSERT INTO mention (conversation_id, seq, user_id) VALUES (?, ?, ?)`, int64(id), int64(seq), int64(u)); err != nil {
			return err
		}
	}
	return nil
}
