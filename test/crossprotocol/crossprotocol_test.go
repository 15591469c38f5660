// Package crossprotocol lets clients of different families talk to each other through the real server.
package crossprotocol

import (
	"strings"
	"testing"

	"parley/test/client"
	"parley/test/program"
)

const lobby = 1_500_000_001

func TestMain(m *testing.M) { program.Main(m) }

func TestLobbyIsOneRoom(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	carl, err := client.LoginCS3(s.CS3, "carl", "secret", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := carl.Say("大家好 from CS3"); err != nil {
		t.Fatal(err)
	}
	f, err := ann.Wait(1019)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Texts()
	if err != nil || got.From != lobby || got.To != ann.UID || got.Texts[0].Content != "carl: 大家好 from CS3" {
		t.Errorf("the llfc client sees %+v, %v", got, err)
	}
	if user, text, err := carl.WaitMessage(); err != nil || user != "carl" || text != "大家好 from CS3" {
		t.Errorf("the CS3 sender sees %s: %s, %v", user, text, err)
	}
	if err := ann.Say(lobby, "1", "hello from llfc"); err != nil {
		t.Fatal(err)
	}
	if user, text, err := carl.WaitMessage(); err != nil || user != "ann" || text != "hello from llfc" {
		t.Errorf("the CS3 client sees %s: %s, %v", user, text, err)
	}
}

// TestOneAccountOnTwoClients registers at one family and logs in through the other, and both hear the room.
func TestOneAccountOnTwoClients(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	carl, err := client.LoginCS3(s.CS3, "carl", "123456", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"123456", "745230"} { // as typed, and as the desktop client sends it
		if _, _, err := client.Login(s.HTTP, "carl", password); err != nil {
			t.Fatalf("llfc login with %s: %v", password, err)
		}
	}
	desktop, answer, err := client.Login(s.HTTP, "carl", "745230")
	if err != nil || answer["name"] != "carl" {
		t.Fatalf("%v %v", answer, err)
	}
	if err := carl.Say("typed in the other client"); err != nil {
		t.Fatal(err)
	}
	f, err := desktop.Wait(1019)
	if err != nil || !strings.Contains(string(f.Body), "carl: typed in the other client") {
		t.Errorf("own words from the other client: %s %v", f.Body, err)
	}
}

// TestAwayInOneClient is what a browser that is always open must not take from the desktop client.
func TestAwayInOneClient(t *testing.T) {
	s := program.Start(t, t.TempDir(), nil)
	s.AddUser("ann")
	ann, _, err := client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	ann.Conn.Close()
	annCS3, err := client.LoginCS3(s.CS3, "ann", "secret", false)
	if err != nil {
		t.Fatal(err)
	}
	carl, err := client.LoginCS3(s.CS3, "carl", "secret", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		if err := carl.Say(text); err != nil {
			t.Fatal(err)
		}
		if _, got, err := annCS3.WaitMessage(); err != nil || got != text {
			t.Fatalf("%q %v", got, err)
		}
	}
	ann, _, err = client.Login(s.HTTP, "ann", "secret")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for len(all) < 3 {
		f, err := ann.Wait(1019)
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		texts, err := f.Texts()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range texts.Texts {
			all = append(all, x.Content)
		}
	}
	if strings.Join(all, "|") != "carl: one|carl: two|carl: three" {
		t.Errorf("the desktop client gets %v", all)
	}
}
