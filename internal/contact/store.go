package contact

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/core"
)

// The states of a friend request. Databases that others made know the first two.
const (
	pending   = 0
	accepted  = 1
	withdrawn = 2  // by its sender, who blocked the other
	refused   = 3  // by the one who was asked
	unheard   = 4  // the one who was asked had blocked the sender, or has since. It is there for its sender alone.
	unasked   = -1 // there is no row
)

// What others may see of a user, as publicDest takes it.
const publicColumns = `u.uid, u.name, u.nick, u."desc", u.icon, u.avatar, u.sex`

func publicDest(u *core.User, more ...any) []any {
	return append([]any{(*int64)(&u.ID), &u.Name, &u.Nick, &u.Desc, &u.Icon, &u.Avatar, &u.Sex}, more...)
}

// notFound makes the absence of a row ErrUserNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return core.ErrUserNotFound
	}
	return err
}

const (
	searchQuery = `SELECT ` + publicColumns + `, u.email, u.email_key IS NOT NULL,
	u.uid = ? OR EXISTS (SELECT 1 FROM friend WHERE self_id = ? AND friend_id = u.uid)
	         AND EXISTS (SELECT 1 FROM friend WHERE self_id = u.uid AND friend_id = ?)
FROM "user" u WHERE u.disabled = 0 AND `
	searchByID   = searchQuery + `u.uid = ?`
	searchByName = searchQuery + `u.name_key = ?`
)

func (s *Service) userByID(ctx context.Context, viewer, uid core.UserID) (core.User, error) {
	return s.search(ctx, searchByID, viewer, int64(uid))
}

func (s *Service) userByName(ctx context.Context, viewer core.UserID, key string) (core.User, error) {
	return s.search(ctx, searchByName, viewer, key)
}

func (s *Service) search(ctx context.Context, query string, viewer core.UserID, what any) (core.User, error) {
	var u core.User
	var near bool
	v := int64(viewer)
	err := s.db.QueryRow(ctx, query, []any{v, v, v, what}, publicDest(&u, &u.Email, &u.EmailVerified, &near)...)
	if !near {
		u = u.Public()
	}
	return u, notFound(err)
}

const profileQuery = `SELECT ` + publicColumns + ` FROM "user" u WHERE u.uid = ?`

// profile returns what others may see of a user, disabled or not.
func (s *Service) profile(ctx context.Context, uid core.UserID) (core.User, error) {
	var u core.User
	err := s.db.QueryRow(ctx, profileQuery, []any{int64(uid)}, publicDest(&u)...)
	return u, notFound(err)
}

// relation is how two users stand to each other, seen from the first.
type relation struct {
	friends bool
	blocked bool      // by the second
	status  int       // of the first's request to the second
	at      time.Time // of that request
}

const relationQuery = `SELECT
	EXISTS (SELECT 1 FROM friend WHERE self_id = ? AND friend_id = u.uid) AND EXISTS (SELECT 1 FROM friend WHERE self_id = u.uid AND friend_id = ?),
	EXISTS (SELECT 1 FROM block WHERE user_id = u.uid AND blocked_id = ?),
	COALESCE(a.status, -1), COALESCE(a.created_at, 0)
FROM "user" u LEFT JOIN friend_apply a ON a.from_uid = ? AND a.to_uid = u.uid
WHERE u.uid = ? AND u.disabled = 0`

func (s *Service) relation(ctx context.Context, from, to core.UserID) (relation, error) {
	var r relation
	var at int64
	f := int64(from)
	err := s.db.QueryRow(ctx, relationQuery, []any{f, f, f, f, int64(to)}, &r.friends, &r.blocked, &r.status, &at)
	r.at = time.UnixMilli(at)
	return r, notFound(err)
}

const standingQuery = `SELECT
	EXISTS (SELECT 1 FROM friend WHERE self_id = u.uid AND friend_id = ?),
	EXISTS (SELECT 1 FROM block WHERE user_id = u.uid AND blocked_id = ?) OR EXISTS (SELECT 1 FROM block WHERE user_id = ? AND blocked_id = u.uid)
FROM "user" u WHERE u.uid = ? AND u.disabled = 0 AND EXISTS (SELECT 1 FROM "user" f WHERE f.uid = ? AND f.disabled = 0)`

// standing reports whether from is in to's list of friends, and whether one of them has blocked the other.
func (s *Service) standing(ctx context.Context, from, to core.UserID) (friend, blocked bool, err error) {
	f := int64(from)
	err = s.db.QueryRow(ctx, standingQuery, []any{f, f, f, int64(to), f}, &friend, &blocked)
	return friend, blocked, notFound(err)
}

const oldestQuery = `SELECT created_at FROM friend_apply WHERE from_uid = ? AND created_at > ? ORDER BY created_at DESC LIMIT 1 OFFSET ?`

// oldestOfLast returns the date of the oldest of from's last n requests, and false if there are fewer since then.
func (s *Service) oldestOfLast(ctx context.Context, from core.UserID, n int, since time.Time) (time.Time, bool, error) {
	var at int64
	err := s.db.QueryRow(ctx, oldestQuery, []any{int64(from), since.UnixMilli(), n - 1}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return time.UnixMilli(at), err == nil, err
}

func (s *Service) countPending(ctx context.Context, to core.UserID) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM friend_apply WHERE to_uid = ? AND status = 0`, []any{int64(to)}, &n)
	return n, err
}

func (s *Service) saveRequest(ctx context.Context, rel relation, from, to core.UserID, status int, text string, at time.Time) error {
	query := `UPDATE friend_apply SET status = ?, text = ?, created_at = ? WHERE from_uid = ? AND to_uid = ?`
	if rel.status == unasked {
		query = `INSERT INTO friend_apply (status, text, created_at, from_uid, to_uid) VALUES (?, ?, ?, ?, ?)`
	}
	_, err := s.db.Exec(ctx, query, status, text, at.UnixMilli(), int64(from), int64(to))
	return err
}

// markAccepted reports whether there was a pending request to mark.
func (s *Service) markAccepted(ctx context.Context, from, to core.UserID) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE friend_apply SET status = ? WHERE from_uid = ? AND to_uid = ? AND status = ?`,
		accepted, int64(from), int64(to), pending)
	return n > 0, err
}

// settle marks what somebody has asked of who is a friend now, whatever the answer was.
func (s *Service) settle(ctx context.Context, from, to core.UserID) error {
	_, err := s.db.Exec(ctx, `UPDATE friend_apply SET status = ? WHERE from_uid = ? AND to_uid = ? AND status IN (?, ?, ?)`,
		accepted, int64(from), int64(to), pending, refused, unheard)
	return err
}

const requestsQuery = `SELECT ` + publicColumns + `, a.text, a.created_at
FROM friend_apply a JOIN "user" u ON u.uid = a.from_uid
WHERE a.to_uid = ? AND a.status = 0 AND u.disabled = 0 ORDER BY a.created_at, a.id`

func (s *Service) pendingRequests(ctx context.Context, to core.UserID) (list []core.FriendRequest, err error) {
	rows, err := s.db.Query(ctx, requestsQuery, int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := core.FriendRequest{To: to}
	var at int64
	dest := publicDest(&r.From, &r.Text, &at)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		r.At = time.UnixMilli(at)
		list = append(list, r)
	}
	return list, rows.Err()
}

// The order is that of the unique key, so that nothing has to be sorted.
const friendsQuery = `SELECT ` + publicColumns + `, f.back
FROM friend f JOIN "user" u ON u.uid = f.friend_id WHERE f.self_id = ? ORDER BY f.friend_id`

func (s *Service) friends(ctx context.Context, self core.UserID) (list []core.Friend, err error) {
	rows, err := s.db.Query(ctx, friendsQuery, int64(self))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var f core.Friend
	dest := publicDest(&f.User, &f.Remark)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, rows.Err()
}

// insertFriends puts each into the other's list. An entry that is there already is left as it is.
func (s *Service) insertFriends(ctx context.Context, acceptor, sender core.UserID, remark string) error {
	const query = `INSERT INTO friend (self_id, friend_id, back, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	now := time.Now().UnixMilli()
	if _, err := s.db.Exec(ctx, query, int64(acceptor), int64(sender), remark, now); err != nil {
		return err
	}
	_, err := s.db.Exec(ctx, query, int64(sender), int64(acceptor), "", now)
	return err
}

// insertBlock stores the block and ends what it does. What the other has asked stays for them to see. The blocker's own request stays as a withdrawn one, since it
// counts for the limits. insertBlock reports whether anything went that the other sees.
func (s *Service) insertBlock(ctx context.Context, user, blocked core.UserID) (seen bool, err error) {
	a, b := int64(user), int64(blocked)
	for _, st := range []struct {
		seen  bool
		query string
		args  []any
	}{
		{false, `INSERT INTO block (user_id, blocked_id, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, []any{a, b, time.Now().UnixMilli()}},
		{false, `DELETE FROM friend WHERE self_id = ? AND friend_id = ?`, []any{a, b}},
		{true, `DELETE FROM friend WHERE self_id = ? AND friend_id = ?`, []any{b, a}},
		{false, `UPDATE friend_apply SET status = ? WHERE from_uid = ? AND to_uid = ? AND status = ?`, []any{unheard, b, a, pending}},
		{true, `UPDATE friend_apply SET status = ? WHERE from_uid = ? AND to_uid = ? AND status = ?`, []any{withdrawn, a, b, pending}},
	} {
		n, err := s.db.Exec(ctx, st.query, st.args...)
		if err != nil {
			return false, err
		}
		seen = seen || st.seen && n > 0
	}
	return seen, nil
}

func (s *Service) deleteBlock(ctx context.Context, user, blocked core.UserID) (bool, error) {
	n, err := s.db.Exec(ctx, `DELETE FROM block WHERE user_id = ? AND blocked_id = ?`, int64(user), int64(blocked))
	return n > 0, err
}
