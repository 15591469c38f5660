package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/chat"
	"parley/internal/core"
)

func TestAMessageAsOneText(t *testing.T) {
	link := func(f core.File) string { return fmt.Sprintf("http://h/f/%d", f.ID) }
	by := core.Author{ID: ann, Name: "ann"}
	picture := &core.File{ID: 7, Name: "cat.png", Size: 1_234_567}
	for want, m := range map[string]core.Message{
		"hello":                     {Text: "hello"},
		"> ann: how are you?\nfine": {Text: "fine", Quote: &core.Quote{Author: by, Text: "how\nare  you?"}},
		"> ann: 📎\nnice":            {Text: "nice", Quote: &core.Quote{Author: by}},
		"> ann: " + strings.Repeat("会", 60) + "…\nx": {Text: "x", Quote: &core.Quote{Author: by, Text: strings.Repeat("会", 100)}},
		"look\n📎 cat.png (1.2 MB) http://h/f/7":      {Text: "look", File: picture},
		"📎 cat.png (1.2 MB) http://h/f/7":            {File: picture},
		"look\n📎 a file that was deleted":            {Text: "look", File: &core.File{ID: 7}, FileGone: true},
		"> ann: a\nb\n📎 n (999 B) http://h/f/8":      {Text: "b", Quote: &core.Quote{Author: by, Text: "a"}, File: &core.File{ID: 8, Name: "n", Size: 999}},
		"📎 n (1.0 kB) http://h/f/8":                  {File: &core.File{ID: 8, Name: "n", Size: 1000}},
		"📎 n (1.0 MB) http://h/f/8":                  {File: &core.File{ID: 8, Name: "n", Size: 999_999}},
		"📎 n (5000.0 TB) http://h/f/8":               {File: &core.File{ID: 8, Name: "n", Size: 5_000_000_000_000_000}},
	} {
		if got := chat.Plain(m, link); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAChangeAsOneText(t *testing.T) {
	by, other := core.Author{ID: ann, Name: "ann"}, core.Author{ID: bob, Name: "bob"}
	for want, ev := range map[string]core.MessageChanged{
		"✎ better":                   {Kind: core.Edited, By: by, Message: core.Message{Author: by, Text: "better"}},
		"✗ took a message back":      {Kind: core.Deleted, By: by, Message: core.Message{Author: by, Deleted: true}},
		"✗ deleted a message of bob": {Kind: core.Deleted, By: by, Message: core.Message{Author: other, Deleted: true}},
		"👍 > hello":                  {Kind: core.Reacted, By: by, Emoji: "👍", Message: core.Message{Author: other, Text: "hello"}},
		"👍 > 📎 cat.png":              {Kind: core.Reacted, By: by, Emoji: "👍", Message: core.Message{Author: other, File: &core.File{Name: "cat.png"}}},
		"":                           {Kind: core.Reacted, By: by, Message: core.Message{Author: other, Text: "hello"}},
	} {
		if got := chat.PlainChange(ev); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
