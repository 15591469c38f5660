package chat

import (
	"errors"
	"testing"

	"parley/internal/core"
)

// An answer that was asked for before a change, and comes after it, holds for its own post at most.
func TestAnAnswerOlderThanAChangeIsNotRemembered(t *testing.T) {
	l := links{m: map[pair]link{}}
	refused := errors.New("refused")
	if _, err := l.get(pair{1, 2}, func() (core.ConversationID, error) {
		l.forget(2, 1)
		return 5, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.get(pair{1, 2}, func() (core.ConversationID, error) { return 0, refused }); !errors.Is(err, refused) {
		t.Error("the old answer is remembered")
	}
	for range 2 {
		k, err := l.get(pair{1, 2}, func() (core.ConversationID, error) { return 6, nil })
		if err != nil || k.id != 6 {
			t.Errorf("a refusal is remembered: %v, %v", k.id, err)
		}
	}
	if k, err := l.get(pair{1, 2}, func() (core.ConversationID, error) { return 0, refused }); err != nil || k.id != 6 {
		t.Errorf("a good answer is forgotten: %v, %v", k.id, err)
	}
}
