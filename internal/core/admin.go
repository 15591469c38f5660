package core

// The named errors of what those who administer do with the running server.
var (
	ErrInvalidSetting     = newError(Invalid, "the setting cannot have this value")
	ErrUnsentNotFound     = newError(NotFound, "there is no such unsent code")
	ErrConnectionNotFound = newError(NotFound, "there is no such connection")
)
