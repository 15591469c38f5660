package llfc

import (
	"errors"

	"parley/internal/core"
)

// The protocol's error codes: docs/protocols/llfc.md#errors.
const (
	codeOK             = 0
	codeJSON           = 1001
	codeRPCFailed      = 1002
	codeVarifyExpired  = 1003
	codeVarifyWrong    = 1004
	codeUserExists     = 1005
	codePasswordErr    = 1006
	codeEmailNotMatch  = 1007
	codePasswordFailed = 1008
	codePasswordBad    = 1009
	codeTokenInvalid   = 1010
	codeUIDInvalid     = 1011
)

// What the parts of the protocol say of an error that is the server's fault.
const (
	internalFrames   = codeRPCFailed
	internalGate     = codeRPCFailed
	internalRegister = -1
	internalReset    = codePasswordFailed
)

// errConfirm: the two passwords of a registration differ. Only this protocol sends two.
var errConfirm = errors.New("the passwords differ")

var byError = []struct {
	err  error
	code int
}{
	{errConfirm, codePasswordErr},
	{core.ErrInvalidPassword, codePasswordBad},
	{core.ErrBadCredentials, codePasswordBad},
	{core.ErrWrongToken, codeTokenInvalid},
	{core.ErrCodeExpired, codeVarifyExpired},
	{core.ErrCodeNotSent, codeVarifyExpired},
	{core.ErrCodeWrong, codeVarifyWrong},
	{core.ErrEmailMismatch, codeEmailNotMatch},
	{core.ErrNameTaken, codeUserExists},
	{core.ErrEmailTaken, codeUserExists},
	{core.ErrPhoneTaken, codeUserExists},
	{core.ErrRegistrationClosed, codeRPCFailed},
}

var byKind = map[core.Kind]int{
	core.Invalid:         codeJSON,
	core.Unauthenticated: codeUIDInvalid,
	core.Forbidden:       codeUIDInvalid,
	core.NotFound:        codeUIDInvalid,
	core.Conflict:        codeRPCFailed,
	core.Throttled:       codeRPCFailed,
	core.Unavailable:     codeRPCFailed,
}

// codeOf returns the code of an error; internal is that of one that nobody classified.
func codeOf(err error, internal int) int {
	if err == nil {
		return codeOK
	}
	for _, c := range byError {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if code, ok := byKind[core.KindOf(err)]; ok {
		return code
	}
	return internal
}
