package transfer_test

import (
	"testing"

	"parley/internal/account"
	"parley/internal/core"
)

// TestWhatIsAttachedComesBackIdentically with everything, and with the person whose file it is.
func TestWhatIsAttachedComesBackIdentically(t *testing.T) {
	here := lived(t)
	here.attach("Ann", "小包")
	for _, who := range []string{"", "Ann", "小包"} {
		there := newHouse(t)
		first := here.export(who)
		_, err := there.restore(first, false)
		there.must(err)
		same(t, first, there.export(who))
		files := map[string]int{"": 2, "Ann": 1, "小包": 1}[who]
		if n := there.count(`SELECT count(*) FROM message m JOIN file f ON f.id = m.file_id AND f.conversation_id = m.conversation_id`); n != files {
			t.Errorf("%q: %d of %d messages have their files", who, n, files)
		}
		if n := there.count(`SELECT count(*) FROM message WHERE file_id < 0`); n != 3-files {
			t.Errorf("%q: %d messages have lost theirs", who, n)
		}
	}
}

// TestWhatIsAttachedGetsAnotherNumber on a server where its own is somebody else's.
func TestWhatIsAttachedGetsAnotherNumber(t *testing.T) {
	here, there := lived(t), newHouse(t)
	own := here.attach("Ann", "小包")
	there.exec(`UPDATE user_id SET id = 5000`)
	zoe := there.add(account.NewUser{Name: "zoe"})
	for i := core.FileID(0); i < own; {
		i = there.share(zoe, "", string(rune('a'+i))+".txt", "Zoe's").ID
	}
	_, err := there.restore(here.export("Ann"), false)
	there.must(err)
	if n := there.count(`SELECT count(*) FROM message m JOIN file f ON f.id = m.file_id AND f.conversation_id = m.conversation_id
		WHERE f.owner_id = 1002 AND f.name = 'attached.png' AND m.sender_id = 1002`); n != 1 {
		t.Errorf("%d messages have their file", n)
	}
	if n := there.count(`SELECT count(*) FROM message m JOIN file f ON f.id = m.file_id WHERE f.owner_id <> 1002`); n != 0 {
		t.Errorf("%d messages have somebody else's", n)
	}
}
