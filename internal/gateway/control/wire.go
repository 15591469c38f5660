package control

import (
	"time"

	"parley/internal/core"
)

// User is an account as the operator sees it.
type User struct {
	UID      int64     `json:"uid"`
	Name     string    `json:"name"`
	Email    string    `json:"email"`
	Phone    string    `json:"phone"`
	Admin    bool      `json:"admin"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
}

func userOf(u core.User) User {
	return User{int64(u.ID), u.Name, u.Email, u.Phone, u.Admin, u.Disabled, u.CreatedAt}
}

// NewUser asks for an account.
type NewUser struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Phone    string `json:"phone"`
	Admin    bool   `json:"admin"`
	Password string `json:"password"`
}

// Passwd asks for a new password. Login is a uid, a name, an e-mail address or a phone number.
type Passwd struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

// Disable asks to disable an account, or to undo that.
type Disable struct {
	Login string `json:"login"`
	Undo  bool   `json:"undo"`
}

type problem struct {
	Error string `json:"error"`
}
