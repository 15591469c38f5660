package promise

import (
	"fmt"

	"parley/internal/core"
)

const firstUse = 50

// starts returns between which numbers a client starts in a conversation: its first use of the gateway was somewhere
// between two looks at the heads.
func (d *device) starts(conv core.ConversationID) (low, high core.Seq) {
	joined := d.store[conv].joined[d.user]
	return max(joined, d.before[conv]-firstUse), max(joined, d.after[conv]-firstUse)
}

// shown reports whether a client is shown a message of a conversation that its user is in.
func (d *device) shown(k *conversation, seq core.Seq) bool {
	return d.gw != 0 || !k.direct || k.messages[seq-1].author != d.user
}

// missing returns the messages that the client must have heard and has not.
func (d *device) missing() (missing []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conv, k := range d.store {
		if _, in := k.joined[d.user]; !in {
			continue
		}
		got := make([]bool, len(k.messages)+1)
		for _, v := range d.views {
			for _, h := range v[conv] {
				if h.seq < core.Seq(len(got)) {
					got[h.seq] = true
				}
			}
		}
		_, start := d.starts(conv)
		for seq := start + 1; seq <= core.Seq(len(k.messages)); seq++ {
			if !got[seq] && d.shown(k, seq) {
				missing = append(missing, fmt.Sprintf("%d:%d", conv, seq))
			}
		}
	}
	return missing
}

// check compares everything that a client has heard with the store.
func (d *device) check() {
	d.Helper()
	if missing := d.missing(); len(missing) > 0 {
		d.Errorf("client %v has not heard %d messages: %.200s", d, len(missing), fmt.Sprint(missing))
	}
	for n, v := range d.views {
		for conv, messages := range v {
			d.checkView(fmt.Sprintf("client %v, connection %d of %d, conversation %d", d, n+1, len(d.views), conv), conv, messages)
		}
	}
}

func (d *device) checkView(where string, conv core.ConversationID, messages []heard) {
	d.Helper()
	k := d.store[conv]
	if k == nil {
		d.Errorf("%s: there is no such conversation", where)
		return
	}
	if _, in := k.joined[d.user]; !in {
		d.Errorf("%s: heard what is not for this user", where)
		return
	}
	low, _ := d.starts(conv)
	for i, h := range messages {
		switch {
		case h.seq <= low || h.seq > core.Seq(len(k.messages)):
			d.Errorf("%s: heard number %d, not within %d to %d", where, h.seq, low+1, len(k.messages))
			return
		case k.messages[h.seq-1] != h.message:
			d.Errorf("%s: number %d is %v, heard %v", where, h.seq, k.messages[h.seq-1], h.message)
		case !d.shown(k, h.seq):
			d.Errorf("%s: heard its user's own message", where)
		case i > 0:
			for between := messages[i-1].seq + 1; between < h.seq; between++ {
				if d.shown(k, between) {
					d.Errorf("%s: number %d was left out", where, between)
				}
			}
			if h.seq <= messages[i-1].seq {
				d.Errorf("%s: number %d came after %d", where, h.seq, messages[i-1].seq)
			}
		}
	}
}
