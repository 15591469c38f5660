package report

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/core"
)

const (
	columns = `r.id, r.reporter_id, COALESCE(b.name, ''), COALESCE(b.avatar, ''), r.about_id, COALESCE(a.name, ''), COALESCE(a.avatar, ''),
	r.conversation_id, r.seq, r.text, r.reason, r.created_at, r.state, r.handled_by, COALESCE(h.name, ''), COALESCE(h.avatar, ''), r.handled_at, r.note`
	fromReport = ` FROM report r LEFT JOIN "user" b ON b.uid = r.reporter_id LEFT JOIN "user" a ON a.uid = r.about_id
	LEFT JOIN "user" h ON h.uid = r.handled_by `
)

// row takes columns.
type row struct {
	core.Report
	at, handled int64
}

func (r *row) dest() []any {
	return []any{
		&r.ID, &r.By.ID, &r.By.Name, &r.By.Avatar, &r.About.ID, &r.About.Name, &r.About.Avatar,
		&r.Conversation, &r.Seq, &r.Text, &r.Reason, &r.at, &r.State, &r.HandledBy.ID, &r.HandledBy.Name, &r.HandledBy.Avatar, &r.handled, &r.Note,
	}
}

func (r *row) value() core.Report {
	r.At = time.UnixMilli(r.at)
	if r.handled != 0 {
		r.HandledAt = time.UnixMilli(r.handled)
	}
	return r.Report
}

func (s *Service) one(ctx context.Context, query string, args ...any) (core.Report, error) {
	var r row
	err := s.db.QueryRow(ctx, query, args, r.dest()...)
	if errors.Is(err, sql.ErrNoRows) {
		err = core.ErrReportNotFound
	}
	if err != nil {
		return core.Report{}, err
	}
	return r.value(), nil
}

func (s *Service) byID(ctx context.Context, id int64) (core.Report, error) {
	return s.one(ctx, `SELECT `+columns+fromReport+`WHERE r.id = ?`, id)
}

// againQuery goes through the reports of one person, not through all that are open.
const againQuery = `SELECT ` + columns + fromReport + `WHERE r.reporter_id = ? AND +r.state = 1 AND r.about_id = ? AND r.conversation_id = ? AND r.seq = ?
	ORDER BY r.created_at, r.id LIMIT 1`

// again finds an open report of the same by the same person.
func (s *Service) again(ctx context.Context, r core.Report) (core.Report, error) {
	return s.one(ctx, againQuery, int64(r.By.ID), int64(r.About.ID), int64(r.Conversation), int64(r.Seq))
}

func (s *Service) insert(ctx context.Context, r *core.Report) error {
	return s.db.QueryRow(ctx, `INSERT INTO report (reporter_id, about_id, conversation_id, seq, text, reason, created_at, state)
		VALUES (?, ?, ?, ?, ?, ?, ?, 1) RETURNING id`,
		[]any{int64(r.By.ID), int64(r.About.ID), int64(r.Conversation), int64(r.Seq), r.Text, r.Reason, r.At.UnixMilli()}, &r.ID)
}

// filedSince returns how many reports somebody has filed after a time, and when the first of them was.
func (s *Service) filedSince(ctx context.Context, user core.UserID, since time.Time) (count int, first time.Time, err error) {
	var at int64
	err = s.db.QueryRow(ctx, `SELECT count(*), COALESCE(min(created_at), 0) FROM report WHERE reporter_id = ? AND created_at > ?`,
		[]any{int64(user), since.UnixMilli()}, &count, &at)
	return count, time.UnixMilli(at), err
}

// settle sets what has become of a report. One that is opened again was handled by nobody.
func (s *Service) settle(ctx context.Context, id int64, state core.ReportState, by core.UserID, note string) error {
	at := time.Now().UnixMilli()
	if state == core.ReportOpen {
		by, at = 0, 0
	}
	n, err := s.db.Exec(ctx, `UPDATE report SET state = ?, handled_by = ?, handled_at = ?, note = ? WHERE id = ?`, int64(state), int64(by), at, note, id)
	if err == nil && n == 0 {
		err = core.ErrReportNotFound
	}
	return err
}

// Reports of a state, or all of them, and a page of those.
const (
	ofState = `WHERE r.state = ?1`
	ofAny   = `WHERE ?1 = 0`
	onePage = ` ORDER BY r.id DESC LIMIT ?2 OFFSET ?3`
)

func (s *Service) page(ctx context.Context, state core.ReportState, skip, most int) (list []core.Report, total int, err error) {
	where := ofState
	if state == 0 {
		where = ofAny
	}
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM report r `+where, []any{int64(state)}, &total); err != nil {
		return nil, 0, err
	}
	rows, err := s.db.Query(ctx, `SELECT `+columns+fromReport+where+onePage, int64(state), most, skip)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(r.dest()...); err != nil {
			return nil, 0, err
		}
		list = append(list, r.value())
	}
	return list, total, rows.Err()
}

// admins returns who administers.
func (s *Service) admins(ctx context.Context) (list []core.UserID, err error) {
	rows, err := s.db.Query(ctx, `SELECT uid FROM "user" WHERE admin = 1 AND disabled = 0 ORDER BY uid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id core.UserID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}
