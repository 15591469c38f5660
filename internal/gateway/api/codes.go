package api

import (
	"errors"
	"net/http"

	"parley/internal/core"
)

// refusal is how a failure is told: the status of HTTP, the five-digit code and the type.
type refusal struct {
	status int
	code   int
	kind   string
}

// The types of failures.
const (
	validation     = "ValidationError"
	authentication = "AuthenticationError"
	permission     = "PermissionError"
	notFound       = "NotFoundError"
	conflict       = "ConflictError"
	rateLimit      = "RateLimitError"
	unavailable    = "ServiceUnavailableError"
	internal       = "InternalError"
)

// ownError is about the request itself, before any service has seen it.
type ownError struct {
	text string
	refusal
}

func (e *ownError) Error() string { return e.text }

// The gateway's own errors.
var (
	errBody    = &ownError{"Invalid request", refusal{http.StatusBadRequest, 10400, validation}}
	errNoRoute = &ownError{"There is nothing at this address", refusal{http.StatusNotFound, 10404, notFound}}
	errMethod  = &ownError{"This address does not take the method", refusal{http.StatusMethodNotAllowed, 10405, validation}}
	errSlow    = &ownError{"The request took too long to arrive", refusal{http.StatusRequestTimeout, 10408, validation}}
	errLarge   = &ownError{"The request is too large", refusal{http.StatusRequestEntityTooLarge, 10413, validation}}
	errMedia   = &ownError{"The body must be JSON", refusal{http.StatusUnsupportedMediaType, 10415, validation}}
	errRange   = &ownError{"The range lies beyond the file", refusal{http.StatusRequestedRangeNotSatisfiable, 10416, validation}}
	errUpgrade = &ownError{"Events come over a WebSocket", refusal{http.StatusUpgradeRequired, 10426, validation}}
	errOrigin  = &ownError{"This page may not connect", refusal{http.StatusForbidden, 10403, permission}}
	errSockets = &ownError{"Too many connections are open", refusal{http.StatusTooManyRequests, 10429, rateLimit}}
	errStarted = &ownError{"The events have begun already", refusal{http.StatusConflict, 10409, conflict}}
	errAddress = &ownError{"No account has this verified address", refusal{http.StatusBadRequest, 10008, validation}}
	errForm    = &ownError{"The upload failed", refusal{http.StatusBadRequest, 30001, validation}}
)

// byError are the errors with a code of their own; 10001 to 10005 and 30001 to 30003 are the document's, and so are 20001 to 20004, for
// its meetings.
// docs/protocols/api.md#codes.
var byError = []struct {
	err error
	refusal
}{
	{core.ErrBadCredentials, refusal{http.StatusUnauthorized, 10001, authentication}},
	{core.ErrWrongPassword, refusal{http.StatusForbidden, 10001, permission}},
	{core.ErrUserNotFound, refusal{http.StatusNotFound, 10002, notFound}},
	{core.ErrNameTaken, refusal{http.StatusConflict, 10003, conflict}},
	{core.ErrEmailTaken, refusal{http.StatusConflict, 10003, conflict}},
	{core.ErrPhoneTaken, refusal{http.StatusConflict, 10003, conflict}},
	{core.ErrIDTaken, refusal{http.StatusConflict, 10003, conflict}},
	{core.ErrLoginRequired, refusal{http.StatusUnauthorized, 10004, authentication}},
	{core.ErrNoToken, refusal{http.StatusUnauthorized, 10004, authentication}},
	{core.ErrWrongToken, refusal{http.StatusUnauthorized, 10004, authentication}},
	{core.ErrTokenExpired, refusal{http.StatusUnauthorized, 10005, authentication}},
	{core.ErrDisabled, refusal{http.StatusForbidden, 10006, permission}},
	{core.ErrRegistrationClosed, refusal{http.StatusForbidden, 10007, permission}},
	// A client that gets 401 fetches another token and tries again. A wrong code is no matter of tokens.
	{core.ErrCodeWrong, refusal{http.StatusBadRequest, 10008, validation}},
	{core.ErrCodeExpired, refusal{http.StatusBadRequest, 10009, validation}},
	{core.ErrCodeNotSent, refusal{http.StatusBadRequest, 10009, validation}},
	{core.ErrEmailMismatch, refusal{http.StatusBadRequest, 10008, validation}},
	{core.ErrInvalidName, refusal{http.StatusBadRequest, 10010, validation}},
	{core.ErrInvalidPassword, refusal{http.StatusBadRequest, 10011, validation}},
	{core.ErrInvalidEmail, refusal{http.StatusBadRequest, 10012, validation}},
	{core.ErrInvalidPhone, refusal{http.StatusBadRequest, 10013, validation}},
	{core.ErrDeviceNotFound, refusal{http.StatusNotFound, 10014, notFound}},
	{core.ErrRequestNotFound, refusal{http.StatusNotFound, 10015, notFound}},
	{core.ErrNotFriends, refusal{http.StatusForbidden, 10016, permission}},
	{core.ErrReportNotFound, refusal{http.StatusNotFound, 10017, notFound}},
	{core.ErrInvalidSetting, refusal{http.StatusBadRequest, 10018, validation}},
	{core.ErrUnsentNotFound, refusal{http.StatusNotFound, 10019, notFound}},
	{core.ErrConnectionNotFound, refusal{http.StatusNotFound, 10020, notFound}},
	{core.ErrLastAdmin, refusal{http.StatusConflict, 10021, conflict}},
	{core.ErrConversationNotFound, refusal{http.StatusNotFound, 20101, notFound}},
	{core.ErrMemberNotFound, refusal{http.StatusNotFound, 20102, notFound}},
	{core.ErrMessageNotFound, refusal{http.StatusNotFound, 20103, notFound}},
	{core.ErrLinkNotFound, refusal{http.StatusNotFound, 20104, notFound}},
	{core.ErrMuted, refusal{http.StatusForbidden, 20105, permission}},
	{core.ErrShutOut, refusal{http.StatusForbidden, 20106, permission}},
	{core.ErrOwnerStays, refusal{http.StatusConflict, 20107, conflict}},
	{core.ErrTooMany, refusal{http.StatusConflict, 20108, conflict}},
	{core.ErrClientIDReused, refusal{http.StatusConflict, 20109, conflict}},
	{core.ErrEmptyMessage, refusal{http.StatusBadRequest, 20110, validation}},
	{core.ErrMessageTooLong, refusal{http.StatusBadRequest, 20111, validation}},
	{core.ErrInvalidTopic, refusal{http.StatusBadRequest, 20112, validation}},
	{core.ErrNotAPicture, refusal{http.StatusBadRequest, 30002, validation}},
	{core.ErrFileTooLarge, refusal{http.StatusRequestEntityTooLarge, 30003, validation}},
	{core.ErrIncomplete, refusal{http.StatusBadRequest, 30001, validation}},
	{core.ErrInvalidFileName, refusal{http.StatusBadRequest, 30006, validation}},
	{core.ErrQuotaUsedUp, refusal{http.StatusConflict, 30007, conflict}},
	{core.ErrDiskFull, refusal{http.StatusServiceUnavailable, 30008, unavailable}},
}

// byKind is for all others.
var byKind = map[core.Kind]refusal{
	core.Invalid:         {http.StatusBadRequest, 10400, validation},
	core.Unauthenticated: {http.StatusUnauthorized, 10401, authentication},
	core.Forbidden:       {http.StatusForbidden, 10403, permission},
	core.NotFound:        {http.StatusNotFound, 10404, notFound},
	core.Conflict:        {http.StatusConflict, 10409, conflict},
	core.Throttled:       {http.StatusTooManyRequests, 10429, rateLimit},
	core.Unavailable:     {http.StatusServiceUnavailable, 10503, unavailable},
	core.Internal:        {http.StatusInternalServerError, 10500, internal},
}

func refusalFor(err error) refusal {
	var own *ownError
	if errors.As(err, &own) {
		return own.refusal
	}
	for _, e := range byError {
		if errors.Is(err, e.err) {
			return e.refusal
		}
	}
	return byKind[core.KindOf(err)]
}
