package transfer

import (
	"fmt"
	"maps"
	"slices"

	"parley/internal/core"
)

// Report is what an import has done, or would do.
type Report struct {
	Counts []Count
	Notes  []Note // everything that somebody should know, in the order in which it was met
}

// Count is how many things of a kind there are.
type Count struct {
	What string
	N    int64
}

// Note is something about one thing that was imported.
type Note struct {
	Kind    string      // one of the constants below
	Foreign string      // what the thing was called on the other server
	User    core.UserID // whose account it is here, 0 if it is about something else
	Text    string      // in words
}

// The kinds of note.
const (
	NoteRenamed    = "renamed"
	NoteRenumbered = "renumbered"
	NotePassword   = "password"
	NoteEmail      = "email"
	NotePhone      = "phone"
	NotePicture    = "picture"
	NoteClaim      = "claim"
	NoteSkipped    = "skipped"
	NoteFile       = "file"
)

// maxNotes is how many notes of a kind a report has; the others are counted.
const maxNotes = 10_000

// notebook gathers the notes of a report.
type notebook struct {
	list []Note
	n    map[string]int
}

func (b *notebook) add(list []Note) {
	if b.n == nil {
		b.n = map[string]int{}
	}
	for _, n := range list {
		if b.n[n.Kind]++; b.n[n.Kind] <= maxNotes {
			n.Foreign = cutBytes(n.Foreign, maxForeign)
			if text := cutBytes(n.Text, maxText); text != n.Text {
				n.Text = text + "…"
			}
			b.list = append(b.list, n)
		}
	}
}

// all returns the notes, and at their end how many of each kind are not among them.
func (b *notebook) all() []Note {
	list := b.list
	for _, kind := range slices.Sorted(maps.Keys(b.n)) {
		if more := b.n[kind] - maxNotes; more > 0 {
			list = append(list, Note{Kind: kind, Text: fmt.Sprintf("and %d more", more)})
		}
	}
	return list
}

// A note is bounded so that a whole report fits into one answer.
const (
	maxForeign = 255 // bytes
	maxText    = 400 // bytes
)

// keepNotes takes what was noted into the report: it will not be taken back.
func (r *run) keepNotes() {
	r.report.add(r.notes)
	r.notes = r.notes[:0]
}

// tally counts while an import runs.
type tally struct {
	users, fresh, here, renamed, renumbered, noPassword, noEmail, noPhone, skipped int64
	pictures, noPicture                                                            int64
	friends                                                                        links
	requests                                                                       links
	files, filesHere, filesLeft, filesOrphaned                                     int64
}

// links counts connections between two users.
type links struct{ found, fresh, here, orphans, blocked int64 }

// counts are the lines of the report. Those that are 0 are left out, but for the first three.
func (t tally) counts() []Count {
	all := make([]Count, 0, 25)
	all = append(all, []Count{
		{"users found", t.users},
		{"new", t.fresh},
		{"already here", t.here},
		{"renamed", t.renamed},
		{"with another uid", t.renumbered},
		{"without a password", t.noPassword},
		{"e-mail addresses left out", t.noEmail},
		{"phone numbers left out", t.noPhone},
		{"users left out", t.skipped},
		{"pictures brought along", t.pictures},
		{"pictures left out", t.noPicture},
	}...)
	for _, l := range []struct {
		what string
		n    links
	}{{"entries in friend lists", t.friends}, {"friend requests", t.requests}} {
		all = append(all,
			Count{l.what + " found", l.n.found},
			Count{"new " + l.what, l.n.fresh},
			Count{l.what + " already here", l.n.here},
			Count{l.what + " with unknown users", l.n.orphans},
			Count{l.what + " between users of whom one has blocked the other", l.n.blocked},
		)
	}
	all = append(all,
		Count{"files and folders brought along", t.files},
		Count{"files and folders already here", t.filesHere},
		Count{"files and folders left behind", t.filesLeft},
		Count{"files and folders of unknown users", t.filesOrphaned},
	)
	var out []Count
	for i, c := range all {
		if i < 3 || c.N > 0 {
			out = append(out, c)
		}
	}
	return out
}

// person names an account in a note.
func person(name string, id core.UserID) string { return fmt.Sprintf("%s (uid %d)", name, id) }
