package api_test

import (
	"fmt"
	"testing"
)

// TestWhatIsAttachedIsToldWhenItGoes: messages showed a file that was deleted, and clients heard nothing.
func TestWhatIsAttachedIsToldWhenItGoes(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	id := ann.room("The choir", bob)
	f := ann.uploadTo(fmt.Sprintf("/conversations/%d/files", id), "file", "a.txt", []byte("la")).ok(201).at("file_id")
	ann.post(fmt.Sprintf("/conversations/%d/messages", id), `{"file_id":`+f+`}`).ok(201)
	s := bob.connect("")
	ann.delete("/files/" + f).ok(200)
	s.has("message.changed", `"kind":"file"`, `"deleted":true`)
}

// TestNobodyHearsWhoLeavesTheLobby: when an account was deleted, everybody who was connected was told who was in the lobby.
func TestNobodyHearsWhoLeavesTheLobby(t *testing.T) {
	w := newWorld(t)
	root, ann, bob := w.admin("root"), w.join("ann"), w.join("bob")
	s := bob.connect("")
	root.delete(fmt.Sprintf("/admin/users/%d", ann.id)).ok(200)
	s.quiet()
}
