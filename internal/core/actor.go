package core

import "net/netip"

// Actor is who performs an operation. The zero Actor is nobody.
// Only package account makes Actors: whoever holds one has proved who they are.
type Actor struct {
	user     UserID
	name     string
	avatar   string
	epoch    int64
	device   int64
	admin    bool
	operator bool
}

// NewActor returns the Actor of an authenticated user. Only package account calls it.
func NewActor(u User) Actor {
	return Actor{user: u.ID, name: u.Name, avatar: u.Avatar, epoch: u.Epoch, admin: u.Admin}
}

// OnDevice returns a with the login that it came by. Only package account calls it.
func (a Actor) OnDevice(device int64) Actor {
	a.device = device
	return a
}

// NewOperator returns the Actor of whoever runs the server on its own machine. Only package account calls it.
func NewOperator() Actor { return Actor{name: "operator", admin: true, operator: true} }

// User returns the acting user's id, 0 for nobody and for the operator.
func (a Actor) User() UserID { return a.user }

// Name returns the acting user's name.
func (a Actor) Name() string { return a.name }

// Avatar returns the file name of the acting user's picture.
func (a Actor) Avatar() string { return a.avatar }

// Epoch returns the account's epoch at authentication.
func (a Actor) Epoch() int64 { return a.epoch }

// Device returns the number of the login that the actor came by, 0 in protocols that do not keep logins.
func (a Actor) Device() int64 { return a.device }

// Admin reports whether the actor may administer the server.
func (a Actor) Admin() bool { return a.admin }

// Operator reports whether the actor is the one who runs the server, rather than a user of it.
func (a Actor) Operator() bool { return a.operator }

// Known reports whether the actor is a user at all.
func (a Actor) Known() bool { return a.user > 0 }

// Origin is where a request came from, before and beside who made it.
type Origin struct {
	Gateway Gateway
	IP      netip.Addr
}
