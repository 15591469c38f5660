// Package events tests that clients of the API's events which drop, hang, come back and see the server killed miss nothing:
// in the end what each of them has put together is what the server would tell them anew.
package events

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"parley/test/client"
	"parley/test/program"
)

func TestMain(m *testing.M) { program.Main(m) }

const (
	users    = 10
	password = "SecurePass123!"
	lobby    = 1
)

// size is how long a run is, and how often the server is killed in it.
func size() (lives int, each time.Duration) {
	if os.Getenv("SOAK") != "" {
		return 10, 10 * time.Second
	}
	return 3, 1500 * time.Millisecond
}

func TestClientsThatComeBackHaveEverything(t *testing.T) {
	seed := rand.Uint64()
	if _, err := fmt.Sscan(os.Getenv("SEED"), &seed); err == nil {
		t.Log("the seed is given")
	}
	t.Logf("SEED=%d", seed)
	s := program.Start(t, t.TempDir(), nil, "limits.requests=0", "chat.strangers=true")
	people := make([]*person, users)
	for i := range people {
		people[i] = newPerson(t, s, i, seed)
	}
	people[0].makeRooms(t, people)
	lives, each := size()
	for life := range lives {
		var wg sync.WaitGroup
		deadline := time.Now().Add(each)
		for _, p := range people {
			wg.Go(func() { p.live(deadline) })
		}
		if life < lives-1 {
			time.Sleep(each * 3 / 4) // at some moment of their doing
			s.Kill()
		}
		wg.Wait()
		if life < lives-1 {
			s.Run()
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server says:\n%s", s.Output())
		}
	})
	connections, frames := 0, 0
	deadline := time.Now().Add(30 * time.Second)
	for _, p := range people {
		p.settle(t, deadline)
		connections, frames = connections+p.connections, frames+p.frames
	}
	t.Logf("%d connections, %d frames", connections, frames)
	for _, p := range people {
		for _, wrong := range p.wrong {
			t.Errorf("%s: %s", p.name, wrong)
		}
	}
}

func newPerson(t *testing.T, s *program.Server, i int, seed uint64) *person {
	t.Helper()
	p := &person{
		name: fmt.Sprint("person", i), url: "http://" + s.HTTP, rnd: rand.New(rand.NewPCG(seed, uint64(i))), open: map[string]draft{},
		known: map[int64]*conversation{},
	}
	p.api = &client.API{URL: p.url}
	data, err := p.api.Enter("/auth/register", p.name, password)
	if err != nil {
		t.Fatal(err)
	}
	p.uid = int64(data["user_id"].(float64))
	return p
}

// makeRooms makes rooms that some of the people are in, and those that everybody writes to.
func (p *person) makeRooms(t *testing.T, people []*person) {
	t.Helper()
	places := make([][]int64, len(people))
	for i := range places {
		places[i] = []int64{lobby}
	}
	for r := range 3 {
		var members []int64
		in := []int{0}
		for i := 1 + r; i < len(people); i += 1 + r {
			members = append(members, people[i].uid)
			in = append(in, i)
		}
		status, data, err := p.api.Ask(http.MethodPost, "/rooms", map[string]any{"name": fmt.Sprint("room", r), "member_ids": members})
		if err != nil || status != http.StatusCreated {
			t.Fatalf("%d %v %v", status, data, err)
		}
		for _, i := range in {
			places[i] = append(places[i], int64(data["conversation_id"].(float64)))
		}
	}
	for i := range people {
		people[i].places = places[i]
	}
}
