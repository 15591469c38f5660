// Package clean fails a package's tests for what they leave behind: goroutines, and panics that were swallowed.
package clean

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"parley/internal/obs"
)

// Main runs a package's tests. It does not return.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if n := obs.Panics(); n > 0 {
			fmt.Fprintln(os.Stderr, n, "panics were recovered")
			code = 1
		}
		os.Exit(code)
	}))
}
