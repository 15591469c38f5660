package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"parley/internal/cluster"
	"parley/internal/core"
)

const (
	freeByPair     = 5  // failures of one network for one account before it has to wait
	freeByAccount  = 20 // failures of all unknown networks for one account before they have to wait
	failuresByIP   = 300
	invitesByIP    = 300
	ipWindow       = 10 * time.Minute
	failureMemory  = time.Hour
	firstWait      = 30 * time.Second
	longestWait    = 15 * time.Minute
	knownFor       = 30 * 24 * time.Hour
	sendsByAddress = 5
	sendWindow     = 600 * time.Second
	sendsByIP      = 3 // times the registrations allowed
	// sendsWithoutLimit is for servers that do not limit registrations: they must not mail the world all the same.
	sendsWithoutLimit = 3000
	textsByPhone      = 20 // a day, from wherever
	// Wrong guesses a day at the codes for one recipient: by one network, and by all that its account does not know.
	wrongByNetwork   = 10
	wrongByStrangers = 100
)

// throttle limits how often something can be tried. Its counters are the cluster's.
//
// A login attempt counts as a failure before the password is looked at, and is taken back when it was right: so a
// hundred attempts at the same moment are no way round. What closes is never the account. A network that has logged in
// to it before is judged by its own failures alone.
type throttle struct {
	keys *cluster.Local
}

// attempt is a login that was let through.
type attempt struct {
	account, network string
	ip               string
	gates            []gate
}

// gate is a counter of failures that makes who comes after the free ones wait.
type gate struct {
	key    string
	closed bool // this attempt closed it behind itself
}

func pairKey(account, network string) string  { return "parley:login:" + account + "@" + network }
func knownKey(account, network string) string { return "parley:known:" + account + "@" + network }
func ipKey(network string) string             { return "parley:login:ip:" + network }

// accountKey names an account for the throttle, missingKey a login that belongs to none: it is throttled like one.
func accountKey(user core.UserID) string { return strconv.FormatInt(int64(user), 10) }

func missingKey(login string) string {
	if len(login) <= maxLogin {
		login = NameKey(login)
	}
	sum := sha256.Sum256([]byte(login))
	return hex.EncodeToString(sum[:8])
}

// network is what counts as one place: an IPv4 address, or the /64 that one IPv6 line gets.
func network(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// admit lets a login attempt through, or returns core.ErrThrottled with the time to wait.
// Whoever is let through calls succeeded, withdrawn, or neither if the password was wrong.
func (t throttle) admit(ctx context.Context, account, network string) (*attempt, error) {
	a := &attempt{account: account, network: network, ip: ipKey(network)}
	if err := t.count(ctx, a.ip, failuresByIP, ipWindow); err != nil {
		return nil, t.undo(ctx, a.ip, err)
	}
	err := t.pass(ctx, a, pairKey(account, network), freeByPair)
	if err == nil {
		var known bool
		if _, known, err = t.keys.Get(ctx, knownKey(account, network)); err == nil && !known {
			err = t.pass(ctx, a, "parley:login:"+account, freeByAccount)
		}
	}
	if err != nil {
		if uerr := t.withdrawn(ctx, a); uerr != nil {
			return nil, uerr
		}
		return nil, err
	}
	return a, nil
}

// pass counts an attempt at a gate. After the free ones each that gets through closes the gate behind itself, for
// twice as long as the one before; of many at once, one gets through.
func (t throttle) pass(ctx context.Context, a *attempt, key string, free int64) error {
	wait, err := t.keys.TTL(ctx, key+":wait")
	if err != nil || wait > 0 {
		return throttled(wait, err)
	}
	n, err := t.keys.Add(ctx, key, 1, failureMemory)
	if err != nil {
		return err
	}
	g := gate{key: key}
	if n >= free {
		wait = min(firstWait<<min(n-free, 10), longestWait)
		first, err := t.keys.Add(ctx, key+":wait", 1, wait)
		if err != nil {
			return err
		}
		if first > 1 {
			return t.undo(ctx, key, throttled(wait, nil))
		}
		g.closed = true
	}
	a.gates = append(a.gates, g)
	return nil
}

// succeeded takes the attempt back, forgets the network's failures and remembers that it belongs to the account.
func (t throttle) succeeded(ctx context.Context, a *attempt) error {
	if err := t.withdrawn(ctx, a); err != nil {
		return err
	}
	return t.welcome(ctx, a.account, a.network)
}

// withdrawn takes back an attempt whose password was not looked at, or was right.
func (t throttle) withdrawn(ctx context.Context, a *attempt) error {
	ctx = context.WithoutCancel(ctx)
	err := t.undo(ctx, a.ip, nil)
	for _, g := range a.gates {
		err = t.undo(ctx, g.key, err)
		if g.closed && err == nil {
			err = t.keys.Delete(ctx, g.key+":wait")
		}
	}
	return err
}

// welcome makes a network known to the account, and clears what it did wrong before.
func (t throttle) welcome(ctx context.Context, account, network string) error {
	pair := pairKey(account, network)
	if err := t.keys.Delete(ctx, pair, pair+":wait"); err != nil {
		return err
	}
	return t.keys.Set(ctx, knownKey(account, network), "1", knownFor)
}

// undo takes one from a counter and returns err, or why that failed.
func (t throttle) undo(ctx context.Context, key string, err error) error {
	if _, uerr := t.keys.Add(ctx, key, -1, failureMemory); uerr != nil {
		return uerr
	}
	return err
}

// waiting returns core.ErrThrottled while attempts of a network that is known to the account are not let through. It
// counts nothing.
func (t throttle) waiting(ctx context.Context, account, network string) error {
	wait, err := t.keys.TTL(ctx, pairKey(account, network)+":wait")
	if err != nil || wait > 0 {
		return throttled(wait, err)
	}
	text, ok, err := t.keys.Get(ctx, ipKey(network))
	if err != nil || !ok {
		return err
	}
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < failuresByIP {
		return err
	}
	return throttled(t.keys.TTL(ctx, ipKey(network)))
}

// count adds one to a counter of a window and returns core.ErrThrottled if that is too many.
func (t throttle) count(ctx context.Context, key string, limit int64, window time.Duration) error {
	n, err := t.keys.Add(ctx, key, 1, window)
	if err != nil || n <= limit {
		return err
	}
	return throttled(t.keys.TTL(ctx, key))
}

// registering counts a registration that has come as far as the hash.
func (t throttle) registering(ctx context.Context, network string, limit int) error {
	if limit <= 0 {
		return nil
	}
	return t.count(ctx, "parley:register:"+network, int64(limit), time.Hour)
}

// inviting counts an invitation that somebody comes with.
func (t throttle) inviting(ctx context.Context, network string) error {
	return t.count(ctx, "parley:invite:"+network, invitesByIP, ipWindow)
}

// sending counts a code that is asked for.
func (t throttle) sending(ctx context.Context, recipient, network string, registrations int) error {
	if err := t.count(ctx, "parley:code:ip:"+network, sends(registrations), time.Hour); err != nil {
		return err
	}
	return t.count(ctx, "parley:code:"+recipient, sendsByAddress, sendWindow)
}

func guessKey(recipient, network string) string { return "parley:guess:" + recipient + "@" + network }

// guessing counts a guess at a code before it is judged, as for logins. Unless it was wrong, guessed takes it back.
func (t throttle) guessing(ctx context.Context, recipient, network string) error {
	key := guessKey(recipient, network)
	if err := t.count(ctx, key, wrongByNetwork, day); err != nil {
		return t.undo(ctx, key, err)
	}
	return nil
}

func (t throttle) guessed(ctx context.Context, recipient, network string, err error) error {
	return t.undo(context.WithoutCancel(ctx), guessKey(recipient, network), err)
}

// mayGuess returns core.ErrThrottled to a network that has no guesses left. It counts nothing.
func (t throttle) mayGuess(ctx context.Context, recipient, network string) error {
	key := guessKey(recipient, network)
	text, ok, err := t.keys.Get(ctx, key)
	if err != nil || !ok {
		return err
	}
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < wrongByNetwork {
		return err
	}
	return throttled(t.keys.TTL(ctx, key))
}

// texting counts a code that goes out as a text message. Each costs money, so a day has no more than an hour otherwise.
func (t throttle) texting(ctx context.Context, phone, network string, registrations int) error {
	if err := t.count(ctx, "parley:text:ip:"+network, sends(registrations), day); err != nil {
		return err
	}
	return t.count(ctx, "parley:text:"+phone, textsByPhone, day)
}

// sends is how many codes one network may ask for.
func sends(registrations int) int64 {
	if registrations > 0 {
		return int64(sendsByIP * registrations)
	}
	return sendsWithoutLimit
}

func throttled(wait time.Duration, err error) error {
	if err != nil {
		return err
	}
	return core.RetryLater(core.ErrThrottled, wait)
}
