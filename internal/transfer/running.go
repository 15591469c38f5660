package transfer

import (
	"errors"
	"sync"

	"parley/internal/store"
)

// ErrRunning says that an import has to wait for another one.
var ErrRunning = errors.New("another import is running; wait until it has ended")

// running holds the databases into which something is being imported. Two imports at a time would each decide without
// knowing whom the other brings. Other processes are kept out by the lock on the data folder.
var running sync.Map // *store.DB -> struct{}

// alone takes a database for one import. end gives it back.
func alone(db *store.DB) (end func(), err error) {
	if _, busy := running.LoadOrStore(db, struct{}{}); busy {
		return nil, ErrRunning
	}
	return func() { running.Delete(db) }, nil
}
