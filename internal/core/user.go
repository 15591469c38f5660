package core

import "time"

// User is an account as its owner sees it. It never carries a password.
type User struct {
	ID            UserID
	Name          string
	Email         string // "" if none
	EmailVerified bool
	Phone         string // "" if none
	PhoneVerified bool
	Nick          string
	Desc          string
	Icon          string // a resource name that clients understand, such as ":/res/head_1.jpg"
	Avatar        string // the file name of the picture, "" for the default one
	Sex           int
	Admin         bool
	Disabled      bool
	Epoch         int64 // raised when the password changes or the account is disabled
	CreatedAt     time.Time
}

// Public is u as others may see it: no e-mail, no phone.
func (u User) Public() User {
	u.Email, u.EmailVerified, u.Phone, u.PhoneVerified = "", false, "", false
	return u
}
