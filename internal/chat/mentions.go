package chat

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

const (
	// maxMentions is how many names of one message are looked up, maxMentionsOfPost how many of all messages of a post.
	maxMentions       = 20
	maxMentionsOfPost = 64
	// longestName is how many characters after an @ may be a name.
	longestName = 32
)

// mentionsOf returns, for each draft, the members of the conversation that it names: nil if no draft names anybody.
func (s *Service) mentionsOf(ctx context.Context, id core.ConversationID, drafts []Draft) ([][]core.UserID, error) {
	var keys []string // of all names
	names := make([][]called, len(drafts))
	left := maxMentionsOfPost
	for i, d := range drafts {
		for _, name := range namesIn(d.Text, min(maxMentions, left)) {
			left--
			c := s.called(name)
			names[i] = append(names[i], c)
			keys = append(keys, c.keys...)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	slices.Sort(keys)
	users, err := s.named(ctx, id, slices.Compact(keys))
	if err != nil || len(users) == 0 {
		return nil, err
	}
	all := make([][]core.UserID, len(drafts))
	for i := range drafts {
		all[i] = whoIsNamed(names[i], users)
	}
	return all, nil
}

// namesIn returns what stands behind each @ of a text up to the next space, which begins with a name if it is a mention, or as much of it
// as a name may have and one character more. At most so many; behind a letter or digit of ASCII an @ belongs to an address.
func namesIn(text string, atMost int) (names []string) {
	for at := strings.IndexByte(text, '@'); at >= 0 && len(names) < atMost; {
		before := byte(' ')
		if at > 0 {
			before = text[at-1]
		}
		text = text[at+1:]
		if !isAlphanumeric(before) {
			end, n := len(text), 0
			for i, r := range text {
				if n > longestName || r == '@' || unicode.IsSpace(r) {
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

// called is what stands behind an @.
type called struct {
	keys []string // of all that it begins with, which may be a name: the longest is the last
	ends []bool   // whether a name can end there
}

// called returns what a text behind an @ may begin with.
func (s *Service) called(text string) (c called) {
	for i, r := range text {
		if len(c.keys) == longestName {
			break
		}
		end := i + utf8.RuneLen(r)
		next, _ := utf8.DecodeRuneInString(text[end:])
		c.keys, c.ends = append(c.keys, s.cfg.NameKey(text[:end])), append(c.ends, end == len(text) || !goesOn(next))
	}
	return c
}

// goesOn reports whether a character after a name makes it another one. In scripts without spaces the next word follows at once.
func goesOn(r rune) bool {
	return r == '_' || unicode.IsDigit(r) || unicode.IsLetter(r) && unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) ||
		unicode.IsMark(r) && unicode.Is(unicode.Inherited, r)
}

// namedQuery goes from the names to the members. Left to itself SQLite would sometimes go through all members instead.
const namedQuery = `SELECT u.uid, u.name_key FROM "user" u CROSS JOIN member m ON m.user_id = u.uid AND m.conversation_id = ?
	WHERE u.name_key IN (SELECT value FROM json_each(?))`

// named returns the members of a conversation that have one of the keys, by their keys.
func (s *Service) named(ctx context.Context, id core.ConversationID, keys []string) (map[string]core.UserID, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	users := map[string]core.UserID{}
	return users, s.each(ctx, func(scan func(...any) error) error {
		var u core.UserID
		var key string
		err := scan(&u, &key)
		users[key] = u
		return err
	}, namedQuery, int64(id), string(list))
}

// whoIsNamed returns users by their uids. Of several names that a text begins with, the longest counts, and it is none if a longer one could
// be meant that nobody has.
func whoIsNamed(names []called, users map[string]core.UserID) (found []core.UserID) {
	for _, c := range names {
		for i, key := range slices.Backward(c.keys) {
			if u, ok := users[key]; ok {
				if c.ends[i] {
					found = append(found, u)
				}
				break
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (s *Service) insertMentions(ctx context.Context, id core.ConversationID, seq core.Seq, users []core.UserID) error {
	for _, u := range users {
		if _, err := s.db.Exec(ctx, `INSERT INTO mention (conversation_id, seq, user_id) VALUES (?, ?, ?)`, int64(id), int64(seq), int64(u)); err != nil {
			return err
		}
	}
	return nil
}
