package core

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the coarse class of an error; gateways fall back on it for errors they have no code of their own for.
type Kind uint8

// The kinds of error. The zero Kind is Internal: an error that nobody classified is the server's fault.
const (
	Internal        Kind = iota
	Invalid              // the request breaks a rule that the caller could have known
	Unauthenticated      // the caller did not prove who they are
	Forbidden            // the caller may not do this
	NotFound             // there is no such thing, or the caller may not know of it
	Conflict             // the state of things does not allow it
	Throttled            // too often; later is fine
	Unavailable          // the server cannot do it now
)

// Error is a named error of the core. Services wrap it; gateways find it with errors.Is.
type Error struct {
	Kind Kind
	Text string
}

func (e *Error) Error() string { return e.Text }

// All lists every named error, so that each gateway's table can be tested against it.
var All []*Error

func newError(kind Kind, text string) *Error {
	e := &Error{Kind: kind, Text: text}
	All = append(All, e)
	return e
}

// The named errors.
var (
	ErrInvalid         = newError(Invalid, "the request is malformed")
	ErrInvalidName     = newError(Invalid, "the name is not allowed")
	ErrInvalidEmail    = newError(Invalid, "the e-mail address is not valid")
	ErrInvalidPassword = newError(Invalid, "the password is not allowed")
	ErrInvalidAvatar   = newError(Invalid, "the picture's file name is not allowed")
	ErrInvalidPhone    = newError(Invalid, "the phone number is not valid")
	ErrInvalidFileName = newError(Invalid, "the file's name is not allowed")
	ErrFileTooLarge    = newError(Invalid, "the file is too large")
	ErrIncomplete      = newError(Invalid, "the upload has not the size that was announced")
	ErrNotAPicture     = newError(Invalid, "the file is no picture of a known kind")
	ErrEmptyMessage    = newError(Invalid, "the message is empty")
	ErrMessageTooLong  = newError(Invalid, "the message is too long")

	ErrBadCredentials = newError(Unauthenticated, "name or password is wrong")
	ErrLoginRequired  = newError(Unauthenticated, "login is required")
	ErrNoToken        = newError(Unauthenticated, "there is no live token")
	ErrTokenExpired   = newError(Unauthenticated, "the token has expired")
	ErrWrongToken     = newError(Unauthenticated, "the token is not the live one")
	ErrCodeExpired    = newError(Unauthenticated, "there is no live verification code")
	ErrCodeWrong      = newError(Unauthenticated, "the verification code is wrong")
	ErrCodeNotSent    = newError(Unauthenticated, "no verification code was sent there")
	ErrEmailMismatch  = newError(Unauthenticated, "name and e-mail address do not belong together")

	ErrForbidden          = newError(Forbidden, "not allowed")
	ErrWrongPassword      = newError(Forbidden, "the password is wrong")
	ErrDisabled           = newError(Forbidden, "the account is disabled")
	ErrNotFriends         = newError(Forbidden, "only friends can be written to")
	ErrRegistrationClosed = newError(Forbidden, "registration is closed")
	ErrSetupDone          = newError(Forbidden, "the set-up link is used up")

	ErrUserNotFound         = newError(NotFound, "there is no such user")
	ErrConversationNotFound = newError(NotFound, "there is no such conversation")
	ErrRequestNotFound      = newError(NotFound, "there is no such friend request")
	ErrDeviceNotFound       = newError(NotFound, "there is no such device")
	ErrFileNotFound         = newError(NotFound, "there is no such file")

	ErrNameTaken      = newError(Conflict, "the name is taken")
	ErrEmailTaken     = newError(Conflict, "the e-mail address is taken")
	ErrPhoneTaken     = newError(Conflict, "the phone number is taken")
	ErrIDTaken        = newError(Conflict, "the uid is taken")
	ErrQuotaUsedUp    = newError(Conflict, "the space for the user's files is used up")
	ErrLastAdmin      = newError(Conflict, "somebody has to administer the server")
	ErrAlreadyOnline  = newError(Conflict, "the account is logged in already")
	ErrClientIDReused = newError(Conflict, "the message id was used for other content")

	ErrThrottled = newError(Throttled, "too many attempts")

	ErrBusy           = newError(Unavailable, "the server is busy")
	ErrDeliveryFailed = newError(Unavailable, "the message could not be sent out")
	ErrDiskFull       = newError(Unavailable, "the server's disk is full")
	ErrStopping       = newError(Unavailable, "the server is stopping")
)

// KindOf returns the kind of the first named error in err's tree, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// reasonError adds to a named error what is wrong in this case.
type reasonError struct {
	err    error
	reason string
}

func (e *reasonError) Error() string { return fmt.Sprintf("%v: %s", e.err, e.reason) }
func (e *reasonError) Unwrap() error { return e.err }

// Because wraps err with a sentence for whoever asked, which says what is wrong with what they asked for.
func Because(err error, reason string) error { return &reasonError{err: err, reason: reason} }

// Reason returns the sentence that Because put on err, "" if none.
func Reason(err error) string {
	var r *reasonError
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}

// retryError adds to an error how long the caller should wait.
type retryError struct {
	err   error
	after time.Duration
}

func (e *retryError) Error() string {
	return fmt.Sprintf("%v, try again in %d seconds", e.err, int64((e.after+time.Second-1)/time.Second))
}

func (e *retryError) Unwrap() error { return e.err }

// RetryLater wraps err with the time after which another attempt makes sense.
func RetryLater(err error, after time.Duration) error { return &retryError{err: err, after: after} }

// RetryAfter returns the wait that RetryLater put on err, 0 if none.
func RetryAfter(err error) time.Duration {
	var r *retryError
	if errors.As(err, &r) {
		return r.after
	}
	return 0
}
