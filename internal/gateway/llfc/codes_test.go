package llfc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"parley/internal/core"
)

// TestEveryErrorHasItsCode walks every error of the core through the tables, as docs/protocols/llfc.md#errors lists them.
func TestEveryErrorHasItsCode(t *testing.T) {
	want := map[*core.Error]int{
		core.ErrInvalid:              1001,
		core.ErrInvalidName:          1001,
		core.ErrInvalidEmail:         1001,
		core.ErrInvalidPassword:      1009,
		core.ErrInvalidAvatar:        1001,
		core.ErrInvalidPhone:         1001,
		core.ErrInvalidFileName:      1001,
		core.ErrFileTooLarge:         1001,
		core.ErrIncomplete:           1001,
		core.ErrEmptyMessage:         1001,
		core.ErrMessageTooLong:       1001,
		core.ErrBadCredentials:       1009,
		core.ErrLoginRequired:        1011,
		core.ErrNoToken:              1011,
		core.ErrWrongToken:           1010,
		core.ErrCodeExpired:          1003,
		core.ErrCodeWrong:            1004,
		core.ErrCodeNotSent:          1003,
		core.ErrEmailMismatch:        1007,
		core.ErrForbidden:            1011,
		core.ErrDisabled:             1011,
		core.ErrNotFriends:           1011,
		core.ErrRegistrationClosed:   1002,
		core.ErrSetupDone:            1011,
		core.ErrUserNotFound:         1011,
		core.ErrConversationNotFound: 1011,
		core.ErrRequestNotFound:      1011,
		core.ErrFileNotFound:         1011,
		core.ErrNameTaken:            1005,
		core.ErrEmailTaken:           1005,
		core.ErrPhoneTaken:           1005,
		core.ErrIDTaken:              1002,
		core.ErrQuotaUsedUp:          1002,
		core.ErrAlreadyOnline:        1002,
		core.ErrClientIDReused:       1002,
		core.ErrThrottled:            1002,
		core.ErrBusy:                 1002,
		core.ErrDeliveryFailed:       1002,
		core.ErrDiskFull:             1002,
		core.ErrStopping:             1002,
		core.ErrNotAPicture:          1001,
		core.ErrTokenExpired:         1011,
		core.ErrWrongPassword:        1011,
		core.ErrDeviceNotFound:       1011,
		core.ErrInvalidTopic:         1001,
		core.ErrMuted:                1011,
		core.ErrShutOut:              1011,
		core.ErrMemberNotFound:       1011,
		core.ErrMessageNotFound:      1011,
		core.ErrLinkNotFound:         1011,
		core.ErrReportNotFound:       1011,
		core.ErrUnsentNotFound:       1011,
		core.ErrConnectionNotFound:   1011,
		core.ErrInvalidSetting:       1001,
		core.ErrOwnerStays:           1002,
		core.ErrLastAdmin:            1002,
		core.ErrTooMany:              1002,
	}
	parts := map[string]int{"frames": internalFrames, "gate": internalGate, "register": internalRegister, "reset": internalReset}
	for _, e := range core.All {
		code, ok := want[e]
		if !ok {
			t.Errorf("%q has no code in this table", e)
		}
		for part, internal := range parts {
			if got := codeOf(fmt.Errorf("wrapped: %w", e), internal); got != code {
				t.Errorf("%s: %q is %d, want %d", part, e, got, code)
			}
		}
	}
	for part, internal := range map[string]int{"frames": 1002, "gate": 1002, "register": -1, "reset": 1008} {
		for _, err := range []error{errors.New("a disk is full"), context.DeadlineExceeded} {
			if got := codeOf(err, parts[part]); got != internal {
				t.Errorf("%s: %q is %d, want %d", part, err, got, internal)
			}
		}
	}
	if codeOf(errConfirm, internalRegister) != 1006 || codeOf(nil, internalRegister) != 0 {
		t.Error("1006 or 0 is wrong")
	}
}
