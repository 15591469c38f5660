package core

import "time"

// Friend is an entry of a user's friend list.
type Friend struct {
	User   User // as others may see it
	Remark string
}

// FriendRequest is one user's wish to become another's friend, not yet answered.
type FriendRequest struct {
	From User // as others may see it
	To   UserID
	Text string
	At   time.Time
}
