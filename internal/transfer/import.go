package transfer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"parley/internal/account"
	"parley/internal/contact"
	"parley/internal/core"
	"parley/internal/file"
	"parley/internal/legacy"
	"parley/internal/store"
)

// batch is how many things are imported in one unit of work, so that a server's other writers need not wait for long.
const batch = 100

// Auditor keeps what was done by whom, in the unit of work of the context.
type Auditor interface {
	Record(ctx context.Context, actor core.Actor, action, target, detail string, from core.Origin) error
}

// Importer brings along what other kinds of server left.
type Importer struct {
	DB        *store.DB
	Accounts  *account.Service
	Contacts  *contact.Service
	Files     *file.Service
	Audit     Auditor
	AvatarDir string // where pictures are kept
}

// Job says what to import.
type Job struct {
	Kind     string // legacy.LLFC, legacy.CS3 or legacy.DPC
	Source   string // a file, or the address of a MySQL server
	Password string // of the MySQL user, if it is not in the address
	As       string // tells a second server of the same kind from the first, "" for the first
	Avatars  string // a folder with pictures, "" for none
	Files    string // a folder with shared files, "" for none
	DryRun   bool   // nothing is written
}

var goodAs = regexp.MustCompile(`^[a-z0-9_-]{0,32}$`)

// run is an import while it runs.
type run struct {
	*Importer
	actor    core.Actor
	from     core.Origin
	job      Job
	source   string // in the table of what was imported
	progress Advance
	old      *legacy.Source
	people   *people
	reserved map[core.UserID]struct{}
	local    map[string]core.UserID // by the foreign id
	owners   map[string]core.UserID // by the foreign name, and by its key
	tally    tally
	notes    []Note // not yet in the report
	report   notebook
	pictures []picture // to be copied once their owners are there
}

// Import brings along people and what is theirs. What an earlier import of the same source brought is recognised and left
// as it is, so that it can be repeated. With DryRun nothing is written, and the report says what would be.
func (im *Importer) Import(ctx context.Context, actor core.Actor, from core.Origin, job Job, advance Advance) (Report, error) {
	if !actor.Operator() {
		return Report{}, fmt.Errorf("import: %w", core.ErrForbidden)
	}
	if !goodAs.MatchString(job.As) {
		return Report{}, fmt.Errorf("import: the name of a server is of small letters, digits, - and _: %w", core.ErrInvalid)
	}
	r := &run{Importer: im, actor: actor, from: from, job: job, source: job.Kind, progress: advance}
	if job.As != "" {
		r.source += ":" + job.As
	}
	end, err := alone(im.DB)
	if err != nil {
		return Report{}, fmt.Errorf("import from %s: %w", job.Kind, err)
	}
	defer end()
	if err := r.all(ctx); err != nil {
		return Report{}, fmt.Errorf("import from %s: %w", job.Kind, err)
	}
	return Report{Counts: r.tally.counts(), Notes: r.report.all()}, nil
}

func (r *run) all(ctx context.Context) (err error) {
	r.old, err = legacy.Open(ctx, legacy.Place{Kind: r.job.Kind, Source: r.job.Source, Password: r.job.Password},
		func(rows int64) { r.progress("rows read", rows, 0) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.old.Close()) }()
	if err := r.checkFolders(); err != nil {
		return err
	}
	if r.local, err = r.imported(ctx); err != nil {
		return err
	}
	r.reserved, r.owners = map[core.UserID]struct{}{}, map[string]core.UserID{}
	err = r.old.Users(ctx, func(u legacy.User) error {
		if _, known := r.local[u.ID]; !known && u.UID >= 1 && u.UID <= maxUID {
			r.reserved[core.UserID(u.UID)] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.people, err = r.census(ctx, r.actor, r.reserved); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.users, r.friendships, r.requests, r.files} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// imported returns which accounts earlier imports brought, by their foreign ids.
func (r *run) imported(ctx context.Context) (map[string]core.UserID, error) {
	rows, err := r.DB.Query(ctx, `SELECT foreign_id, local_id FROM imported WHERE source = ? AND noun = 'user'`, r.source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	local := map[string]core.UserID{}
	for rows.Next() {
		var foreign string
		var id core.UserID
		if err := rows.Scan(&foreign, &id); err != nil {
			return nil, err
		}
		local[foreign] = id
	}
	return local, rows.Err()
}

// remember keeps what a foreign thing is here, in the context's unit of work.
func (r *run) remember(ctx context.Context, noun, foreign string, local int64) error {
	_, err := r.DB.Exec(ctx, `INSERT INTO imported (source, noun, foreign_id, local_id) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET local_id = excluded.local_id`, r.source, noun, foreign, local)
	return err
}

// inBatches gathers what each yields and hands it on in batches. A batch is one unit of work, unless nothing is written.
func inBatches[T any](ctx context.Context, r *run, what string, total int64, each func(context.Context, func(T) error) error, do func(context.Context, []T) error) error {
	var list []T
	var done int64
	flush := func() error {
		if err := ctx.Err(); err != nil || len(list) == 0 {
			return err
		}
		var err error
		if r.job.DryRun {
			err = do(ctx, list)
		} else {
			err = r.unit(ctx, func(ctx context.Context) error { return do(ctx, list) })
		}
		r.keepNotes()
		done += int64(len(list))
		list = list[:0]
		r.progress(what, done, total)
		return err
	}
	err := each(ctx, func(v T) error {
		if list = append(list, v); len(list) == batch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// attempts is how often a batch is tried that somebody else came in between of: a name was taken while it was decided.
const attempts = 5

// unit runs fn as one unit of work. What fn counted and noted counts only if it is committed.
func (r *run) unit(ctx context.Context, fn func(context.Context) error) error {
	for try := 1; ; try++ {
		tally, notes, pictures := r.tally, len(r.notes), len(r.pictures)
		err := r.DB.Update(ctx, fn)
		if err == nil {
			return nil
		}
		r.tally, r.notes, r.pictures = tally, r.notes[:notes], r.pictures[:pictures]
		if core.KindOf(err) != core.Conflict || try == attempts {
			return err
		}
		if r.local, err = r.imported(ctx); err != nil {
			return err
		}
		if r.people, err = r.census(ctx, r.actor, r.reserved); err != nil {
			return err
		}
	}
}

func (r *run) users(ctx context.Context) error {
	err := inBatches(ctx, r, "users", r.old.Counts().Users, r.usersOnce, func(ctx context.Context, list []legacy.User) error {
		for _, u := range list {
			if err := r.user(ctx, u); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.copyPictures(ctx)
}

// usersOnce yields the users. Who stands in the source twice, or several who have no name there, would be taken for
// one: all but the first are left out.
func (r *run) usersOnce(ctx context.Context, yield func(legacy.User) error) error {
	met := map[string]struct{}{}
	return r.old.Users(ctx, func(u legacy.User) error {
		if _, twice := met[u.ID]; twice {
			r.tally.users++
			r.leaveOut(u, fmt.Sprintf("%s is left out: another user of the source is called %s there as well", quoteName(u.Name), quoteName(u.ID)))
			return nil
		}
		met[u.ID] = struct{}{}
		return yield(u)
	})
}

// user takes one account in.
func (r *run) user(ctx context.Context, u legacy.User) error {
	r.tally.users++
	if id, known := r.local[u.ID]; known {
		if here, ok := r.people.users[id]; ok {
			r.tally.here++
			r.owns(u.Name, id)
			if here.avatar == u.Avatar {
				r.picture(u, id)
			}
			return nil
		}
	}
	rec, ok := r.decide(u)
	if !ok {
		return nil
	}
	id := rec.User.ID
	if !r.job.DryRun {
		if _, err := r.Accounts.Adopt(ctx, r.actor, rec, true); err != nil {
			return err
		}
		if err := r.remember(ctx, "user", u.ID, int64(id)); err != nil {
			return err
		}
		err := r.Audit.Record(ctx, r.actor, "account.import", "user "+strconv.FormatInt(int64(id), 10),
			cutBytes(fmt.Sprintf("name %s, from %s %s", rec.User.Name, r.source, u.ID), 1000), r.from)
		if err != nil {
			return err
		}
	}
	r.tally.fresh++
	r.people.add(rec.User)
	r.local[u.ID] = id
	r.owns(u.Name, id)
	r.picture(u, id)
	return nil
}

// owns keeps who is called what on the other server. Of several names with one key the first counts.
func (r *run) owns(name string, id core.UserID) {
	r.owners[name] = id
	if key := account.NameKey(name); r.owners[key] == 0 {
		r.owners[key] = id
	}
}
