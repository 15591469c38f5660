package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/internal/core"
)

// plainQuote is how many characters of another message are shown where there is only text.
const plainQuote = 60

// Plain returns a message as one text, for clients that know nothing else: what it answers comes before its own text, and
// what is attached after it, as a link.
func Plain(m core.Message, link func(core.File) string) string {
	if m.Quote == nil && m.File == nil && !m.FileGone {
		return m.Text
	}
	var lines []string
	if m.Quote != nil {
		lines = append(lines, "> "+m.Quote.Author.Name+": "+beginning(m.Quote.Text, nil))
	}
	if m.Text != "" {
		lines = append(lines, m.Text)
	}
	switch {
	case m.FileGone:
		lines = append(lines, clip+" a file that was deleted")
	case m.File != nil:
		line := fmt.Sprintf("%s %s (%s) %s", clip, m.File.Name, sizeOf(m.File.Size), link(*m.File))
		lines = append(lines, strings.TrimSuffix(line, " ")) // there may be no address to link to
	}
	return strings.Join(lines, "\n")
}

// PlainChange returns what was done to a message as one text, as whoever did it would say it; "" if it is not worth one.
func PlainChange(ev core.MessageChanged) string {
	switch {
	case ev.Kind == core.Edited:
		return "✎ " + ev.Message.Text
	case ev.Kind == core.Deleted && ev.By.ID == ev.Message.Author.ID:
		return "✗ took a message back"
	case ev.Kind == core.Deleted:
		return "✗ deleted a message of " + ev.Message.Author.Name
	case ev.Kind == core.Reacted && ev.Emoji != "":
		return ev.Emoji + " > " + beginning(ev.Message.Text, ev.Message.File)
	}
	return ""
}

// clip stands for what is attached.
const clip = "📎"

// beginning returns the beginning of a message in one line.
func beginning(text string, file *core.File) string {
	line := strings.Join(strings.Fields(text), " ")
	switch {
	case line == "" && file != nil:
		line = clip + " " + file.Name
	case line == "":
		return clip
	}
	if utf8.RuneCountInString(line) <= plainQuote {
		return line
	}
	return strings.TrimSpace(string([]rune(line)[:plainQuote])) + "…"
}

// sizeOf returns a size for people.
func sizeOf(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	size, unit := float64(bytes)/1000, 0
	for ; size >= 999.95 && unit < 3; unit++ {
		size /= 1000
	}
	return fmt.Sprintf("%.1f %s", size, []string{"kB", "MB", "GB", "TB"}[unit])
}
