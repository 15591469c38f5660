//go:build !linux

package blob

import (
	"errors"
	"os"
)

func setStraight(_ *os.File, on bool) error {
	if on {
		return errors.ErrUnsupported
	}
	return nil
}

func refusesStraight(error) bool { return false }
