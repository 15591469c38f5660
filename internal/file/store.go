package file

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/core"
)

// stored is a row: what people see of it, and where its bytes are.
type stored struct {
	core.File
	blob      string // "" of a folder
	thumbnail string // "" if there is none yet
}

// blobs returns the blobs of a row.
func (f *stored) blobs() (keys []string) {
	for _, key := range []string{f.blob, f.thumbnail} {
		if key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

const (
	columns = `f.id, f.conversation_id, f.parent_id, f.owner_id, COALESCE(u.name, ''), COALESCE(u.avatar, ''), f.kind, f.name, f.wanted, f.sent,
	f.size, f.sha256, f.type, f.created_at, COALESCE(f.blob, ''), COALESCE(f.thumbnail, '')`
	fromFile = ` FROM file f LEFT JOIN "user" u ON u.uid = f.owner_id `
)

// BlobsQuery returns the keys of all blobs that the files of a database need.
const BlobsQuery = `SELECT blob FROM file WHERE blob IS NOT NULL UNION ALL SELECT thumbnail FROM file WHERE thumbnail IS NOT NULL`

// row takes columns.
type row struct {
	stored
	sum []byte
	at  int64
}

func (r *row) dest() []any {
	f := &r.File
	return []any{
		(*int64)(&f.ID), (*int64)(&f.Area), (*int64)(&f.Parent), (*int64)(&f.Owner.ID), &f.Owner.Name, &f.Owner.Avatar, &f.Kind,
		&f.Name, &f.Wanted, &f.Sent, &f.Size, &r.sum, &f.Type, &r.at, &r.blob, &r.thumbnail,
	}
}

func (r *row) value() stored {
	copy(r.SHA256[:], r.sum)
	r.At = time.UnixMilli(r.at)
	return r.stored
}

func (s *Service) one(ctx context.Context, query string, args ...any) (stored, error) {
	var r row
	err := s.db.QueryRow(ctx, query, args, r.dest()...)
	if errors.Is(err, sql.ErrNoRows) {
		err = core.ErrFileNotFound
	}
	return r.value(), err
}

func (s *Service) byID(ctx context.Context, id core.FileID) (stored, error) {
	return s.one(ctx, `SELECT `+columns+fromFile+`WHERE f.id = ?`, int64(id))
}

func (s *Service) byName(ctx context.Context, area core.ConversationID, parent core.FileID, name string) (stored, error) {
	return s.one(ctx, `SELECT `+columns+fromFile+`WHERE f.conversation_id = ? AND f.parent_id = ? AND f.name = ?`,
		int64(area), int64(parent), name)
}

func (s *Service) many(ctx context.Context, query string, args ...any) (list []core.File, err error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(r.dest()...); err != nil {
			return nil, err
		}
		list = append(list, r.value().File)
	}
	return list, rows.Err()
}

// What a view shows, as a condition.
const seen = ` AND (f.created_at >= ?1 OR f.owner_id = ?2) `

// args are the arguments of a query with the condition: its own are ?3 and so on.
func (v view) args(more ...any) []any { return append([]any{millis(v.since), int64(v.user)}, more...) }

// millis is what is stored of a time, 0 of the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (s *Service) children(ctx context.Context, v view, area core.ConversationID, parent core.FileID) ([]core.File, error) {
	return s.many(ctx, `SELECT `+columns+fromFile+`WHERE f.conversation_id = ?3 AND f.parent_id = ?4`+seen+`ORDER BY f.created_at, f.id`,
		v.args(int64(area), int64(parent))...)
}

// newestQuery reads a page along an index: there may be a hundred thousand files, which would have to be sorted for each.
const newestQuery = `SELECT ` + columns + fromFile + `WHERE f.conversation_id = ?3 AND f.parent_id = ?4` + seen + `
	ORDER BY f.created_at DESC, f.id DESC LIMIT ?5 OFFSET ?6`

func (s *Service) someChildren(
	ctx context.Context, v view, area core.ConversationID, parent core.FileID, skip, most int,
) (list []core.File, total int, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM file f WHERE f.conversation_id = ?3 AND f.parent_id = ?4`+seen,
		v.args(int64(area), int64(parent)), &total)
	if err != nil {
		return nil, 0, err
	}
	list, err = s.many(ctx, newestQuery, v.args(int64(area), int64(parent), most, skip)...)
	return list, total, err
}

func (s *Service) filesBelow(ctx context.Context, v view, folder core.FileID) ([]core.File, error) {
	return s.many(ctx, `WITH RECURSIVE below (id) AS (
		SELECT id FROM file WHERE parent_id = ?3 UNION ALL SELECT c.id FROM file c JOIN below b ON c.parent_id = b.id)
	SELECT `+columns+fromFile+`JOIN below ON below.id = f.id WHERE f.kind = 1`+seen+`ORDER BY f.sent, f.id`, v.args(int64(folder))...)
}

// insert stores a new file or folder and returns its id.
func (s *Service) insert(ctx context.Context, f stored) (id core.FileID, err error) {
	var sum, key any // NULL of a folder
	if f.Kind == core.PlainFile {
		sum, key = f.SHA256[:], f.blob
	}
	err = s.db.QueryRow(ctx, `INSERT INTO file (conversation_id, parent_id, owner_id, kind, name, wanted, sent, size, sha256, type, blob, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		[]any{
			int64(f.Area), int64(f.Parent), int64(f.Owner.ID), int64(f.Kind), f.Name, f.Wanted, f.Sent, f.Size, sum, f.Type, key, f.At.UnixMilli(),
		}, (*int64)(&id))
	return id, err
}

// replace gives an existing file other content.
func (s *Service) replace(ctx context.Context, f stored) error {
	_, err := s.db.Exec(ctx, `UPDATE file SET wanted = ?, sent = ?, size = ?, sha256 = ?, type = ?, blob = ?, thumbnail = NULL, created_at = ?
		WHERE id = ?`, f.Wanted, f.Sent, f.Size, f.SHA256[:], f.Type, f.blob, f.At.UnixMilli(), int64(f.ID))
	return err
}

// setThumbnail reports whether the file still has that content and had no thumbnail.
func (s *Service) setThumbnail(ctx context.Context, f stored, key string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE file SET thumbnail = ? WHERE id = ? AND blob = ? AND thumbnail IS NULL`, key, int64(f.ID), f.blob)
	return n == 1, err
}

// deleteTree deletes a row and all below it, and returns what they were and the blobs that they had.
func (s *Service) deleteTree(ctx context.Context, id core.FileID) ([]core.FileID, []string, error) {
	return s.deleted(ctx, `WITH RECURSIVE tree (id) AS (
		SELECT ? UNION ALL SELECT c.id FROM file c JOIN tree t ON c.parent_id = t.id)
	DELETE FROM file WHERE id IN (SELECT id FROM tree) RETURNING id, COALESCE(blob, ''), COALESCE(thumbnail, '')`, int64(id))
}

// deleteSomeOf deletes some of what a conversation shares, folders as well.
func (s *Service) deleteSomeOf(ctx context.Context, area core.ConversationID, limit int) ([]core.FileID, []string, error) {
	return s.deleted(ctx, `DELETE FROM file WHERE id IN (SELECT id FROM file WHERE conversation_id = ? LIMIT ?)
	RETURNING id, COALESCE(blob, ''), COALESCE(thumbnail, '')`, int64(area), limit)
}

// deleteFilesBefore deletes limit files at most that are older than at, and returns which and the blobs that they had.
func (s *Service) deleteFilesBefore(ctx context.Context, at time.Time, limit int) ([]core.FileID, []string, error) {
	return s.deleted(ctx, `DELETE FROM file WHERE id IN (
		SELECT id FROM file WHERE kind = 1 AND created_at < ? LIMIT ?)
	RETURNING id, COALESCE(blob, ''), COALESCE(thumbnail, '')`, at.UnixMilli(), limit)
}

// deleted runs a query that deletes rows, and returns which and their blobs.
func (s *Service) deleted(ctx context.Context, query string, args ...any) (ids []core.FileID, blobs []string, err error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f stored
		if err := rows.Scan((*int64)(&f.ID), &f.blob, &f.thumbnail); err != nil {
			return nil, nil, err
		}
		ids, blobs = append(ids, f.ID), append(blobs, f.blobs()...)
	}
	return ids, blobs, rows.Err()
}

// deleteEmptyFoldersBefore deletes folders that are older than at and have nothing in them, and returns how many.
func (s *Service) deleteEmptyFoldersBefore(ctx context.Context, at time.Time) (int64, error) {
	return s.db.Exec(ctx, `DELETE FROM file WHERE kind = 2 AND created_at < ?
		AND NOT EXISTS (SELECT 1 FROM file c WHERE c.parent_id = file.id)`, at.UnixMilli())
}

// clearThumbnail makes the file whose thumbnail a blob was have none.
func (s *Service) clearThumbnail(ctx context.Context, key string) error {
	_, err := s.db.Exec(ctx, `UPDATE file SET thumbnail = NULL WHERE thumbnail = ?`, key)
	return err
}

// usageOf returns how many files and folders a user has, and what they count for in the quota.
func (s *Service) usageOf(ctx context.Context, owner core.UserID) (entries, bytes int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*), COALESCE(sum(max(size, ?)), 0) FROM file WHERE owner_id = ?`,
		[]any{int64(minWeight), int64(owner)}, &entries, &bytes)
	return entries, bytes, err
}

// entriesIn returns how many files and folders a room has.
func (s *Service) entriesIn(ctx context.Context, area core.ConversationID) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM file WHERE conversation_id = ?`, []any{int64(area)}, &n)
	return n, err
}

// holder is who has a name, and for what.
type holder struct {
	owner  core.UserID
	kind   core.FileKind
	wanted string
}

// holders returns those of the names beside each other that something has.
func (s *Service) holders(ctx context.Context, area core.ConversationID, parent core.FileID, names []string) (map[string]holder, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `SELECT f.name, f.owner_id, f.kind, f.wanted FROM json_each(?) n
		CROSS JOIN file f ON f.conversation_id = ? AND f.parent_id = ? AND f.name = n.value`, string(list), int64(area), int64(parent))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	held := map[string]holder{}
	for rows.Next() {
		var name string
		var h holder
		if err := rows.Scan(&name, (*int64)(&h.owner), &h.kind, &h.wanted); err != nil {
			return nil, err
		}
		held[name] = h
	}
	return held, rows.Err()
}

// newest returns the number of the file that was added last, 0 if there is none.
func (s *Service) newest(ctx context.Context) (id core.FileID, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE(max(id), 0) FROM file`, nil, (*int64)(&id))
	return id, err
}

func (s *Service) totals(ctx context.Context) (files, bytes int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*), COALESCE(sum(size), 0) FROM file WHERE kind = 1`, nil, &files, &bytes)
	return files, bytes, err
}

// hasBlob reports whether a file needs a blob.
func (s *Service) hasBlob(ctx context.Context, key string) (yes bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM file WHERE blob = ?) OR EXISTS (SELECT 1 FROM file WHERE thumbnail = ?)`,
		[]any{key, key}, &yes)
	return yes, err
}
