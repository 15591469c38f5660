package events

import (
	"context"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/gobwas/ws"
)

var (
	background = context.Background()
	closeFrame = ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
)

// read makes of a part of an answer what it stands for.
func read(t *testing.T, part, in any) {
	t.Helper()
	b, err := json.Marshal(part)
	if err == nil {
		err = json.Unmarshal(b, in)
	}
	if err != nil {
		t.Fatal(err)
	}
}
