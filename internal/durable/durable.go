// Package durable makes what is written to a disk last.
package durable

import (
	"errors"
	"os"
	"runtime"
)

// SyncDir makes new names in a folder last. Windows cannot sync a folder and does not need to.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
