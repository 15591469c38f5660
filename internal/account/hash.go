package account

import (
	"context"
	"crypto/md5" //nolint:gosec // only to read what older servers stored
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"parley/internal/core"
)

const (
	hashesAtATime = 2
	hashesWaiting = 64
	saltLength    = 16
	keyLength     = 32
)

// The forms a stored password can have beside argon2id, all from older servers.
const (
	formArgon2 = "$argon2id$"
	formPlain  = "$plain$"
	formMD5    = "$md5$"
	formBcrypt = "$2"
)

// cost is what one argon2id hash takes.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

var defaultCost = cost{memory: 19 * 1024, time: 2, threads: 1}

// hasher computes password hashes, a few at a time, with a bounded number of callers waiting.
type hasher struct {
	cost   cost
	places chan struct{} // one for each caller, running or waiting
	slots  chan struct{} // one for each that runs
}

func newHasher(c cost) *hasher {
	return &hasher{
		cost: c, places: make(chan struct{}, hashesAtATime+hashesWaiting), slots: make(chan struct{}, hashesAtATime),
	}
}

// run calls fn when its turn comes. It fails with core.ErrBusy at once if too many wait, and when ctx ends first.
// The methods below belong inside fn.
func (h *hasher) run(ctx context.Context, fn func()) error {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return core.ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fn()
	return nil
}

// make returns a new hash of text in PHC form.
func (h *hasher) make(text string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt)
	key := h.cost.key(text, salt, keyLength)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", formArgon2, argon2.Version,
		h.cost.memory, h.cost.time, h.cost.threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// spend takes as long as a check does.
func (h *hasher) spend(text string) { h.cost.key(text, make([]byte, saltLength), keyLength) }

func (c cost) key(text string, salt []byte, length int) []byte {
	return argon2.IDKey([]byte(text), salt, c.time, c.memory, c.threads, uint32(length))
}

// check reports whether text is the stored password, and whether it is stored as it would be today. It takes no less
// time for a form that is cheap to check, nor for one that is none.
func (h *hasher) check(stored, text string) (ok, current bool) {
	if strings.HasPrefix(stored, formArgon2) {
		if c, salt, want, err := parsePHC(stored); err == nil {
			return subtle.ConstantTimeCompare(c.key(text, salt, len(want)), want) == 1, c == h.cost
		}
	}
	h.spend(text)
	switch {
	case strings.HasPrefix(stored, formPlain):
		got, want := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(stored[len(formPlain):]))
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1, false
	case strings.HasPrefix(stored, formMD5):
		want, err := hex.DecodeString(stored[len(formMD5):])
		got := md5.Sum([]byte(text)) //nolint:gosec // see the import
		return err == nil && subtle.ConstantTimeCompare(got[:], want) == 1, false
	case strings.HasPrefix(stored, formBcrypt):
		return bcrypt.CompareHashAndPassword([]byte(stored), []byte(text)) == nil, false
	}
	return false, false
}

var errHashForm = errors.New("account: a stored password has no known form")

// parsePHC reads an argon2id string. It refuses costs that would stop the server.
func parsePHC(s string) (c cost, salt, key []byte, err error) {
	part := strings.Split(strings.TrimPrefix(s, formArgon2), "$")
	if len(part) != 4 || part[0] != "v="+strconv.Itoa(argon2.Version) {
		return c, nil, nil, errHashForm
	}
	n, err := fmt.Sscanf(part[1]+"\n", "m=%d,t=%d,p=%d\n", &c.memory, &c.time, &c.threads)
	if err != nil || n != 3 || c.memory > 256*1024 || c.time < 1 || c.time > 16 || c.threads < 1 {
		return c, nil, nil, errHashForm
	}
	salt, err = base64.RawStdEncoding.DecodeString(part[2])
	if err != nil || len(salt) < 8 {
		return c, nil, nil, errHashForm
	}
	key, err = base64.RawStdEncoding.DecodeString(part[3])
	if err != nil || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, errHashForm
	}
	return c, salt, key, nil
}
