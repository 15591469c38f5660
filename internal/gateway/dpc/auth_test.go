package dpc_test

import (
	"testing"

	"parley/test/client"
)

// Somebody could register under the name of a number that was not theirs, and its owner never could.
func TestANumberIsNobodyElsesName(t *testing.T) {
	w := newWorld(t, options{})
	const own, foreign = "13800138000", "13955556666"
	d := w.user(foreign)
	for _, step := range []struct {
		name string
		want int
	}{{foreign, 1}, {own, 0}} {
		if test, err := d.SendCode(own); test != 0 || err != nil {
			t.Fatal(test, err)
		}
		d.Name = step.name
		if test, err := d.Register(own, w.texts.code(own), ""); test != step.want || err != nil {
			t.Errorf("%s with the number %s: %d, %v", step.name, own, test, err)
		}
	}
	owner := client.DPC{Auth: d.Auth, Name: "owner", Password: password}
	if test, err := owner.SendCode(foreign); test != 0 || err != nil {
		t.Errorf("a code for the owner of the number: %d, %v", test, err)
	}
}
