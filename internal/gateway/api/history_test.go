package api_test

import (
	"fmt"
	"slices"
	"testing"
)

// page is a stretch of a conversation as a client reads it.
type page struct {
	Items []struct {
		Seq int `json:"seq"`
	} `json:"items"`
	HasOlder *bool `json:"has_older"`
	HasNewer *bool `json:"has_newer"`
}

// TestEveryStretchOfAConversation compares what is asked for, in all ways and lengths, with all that there is. Bob came when a
// third of it was said.
func TestEveryStretchOfAConversation(t *testing.T) {
	const floor, last = 4, 12
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	room := "/conversations/" + ann.post("/rooms", `{"name":"The choir"}`).ok(201).at("conversation_id")
	for i := range last {
		if i == floor {
			ann.post("/rooms/2/members", fmt.Sprintf(`{"user_id":%d}`, bob.id)).ok(201)
		}
		ann.post(room+"/messages", `{"text":"la"}`).ok(201)
	}
	readers := map[*client][]int{ann: numbers(1, last), bob: numbers(floor+1, last)}
	for who, all := range readers {
		step := 1
		if testing.Short() {
			step = 3
		}
		for limit := 1; limit <= last+2; limit += step {
			for seq := range last + 3 {
				for _, way := range []string{"before", "after", "around"} {
					if seq == 0 && way != "after" {
						continue
					}
					query := fmt.Sprintf("%s/messages?%s=%d&limit=%d", room, way, seq, limit)
					var p page
					who.get(query).ok(200).read(&p)
					if err := p.wrong(all, way, seq, limit); err != nil {
						t.Errorf("%s, %s: %v", who.name, query, err)
					}
				}
			}
		}
	}
}

func numbers(from, to int) (list []int) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// wrong says what is wrong with a stretch of all that its reader may read.
func (p page) wrong(all []int, way string, seq, limit int) error {
	var got []int
	for _, m := range p.Items {
		got = append(got, m.Seq)
	}
	fits := func(n int) bool {
		return way != "before" && way != "after" || way == "before" && n < seq || way == "after" && n > seq
	}
	var could []int
	for _, n := range all {
		if fits(n) {
			could = append(could, n)
		}
	}
	if len(got) > limit || len(got) == 0 && len(could) > 0 && way != "around" {
		return fmt.Errorf("%v of %v", got, could)
	}
	older, newer := false, false
	if len(got) > 0 {
		first, last := slices.Index(could, got[0]), slices.Index(could, got[len(got)-1])
		if first < 0 || !slices.Equal(got, could[first:last+1]) {
			return fmt.Errorf("%v is no stretch of %v", got, could)
		}
		older, newer = first > 0, last < len(could)-1
	}
	switch {
	case way == "after" && (older || p.HasOlder != nil):
		return fmt.Errorf("%v does not begin where it should", got)
	case way == "before" && (newer || p.HasNewer != nil):
		return fmt.Errorf("%v does not end where it should", got)
	case way == "around" && slices.Contains(all, seq) && !slices.Contains(got, seq):
		return fmt.Errorf("%v is without it", got)
	case way != "after" && *p.HasOlder != older, way != "before" && *p.HasNewer != newer:
		return fmt.Errorf("%v of %v: older %v, newer %v", got, could, older, newer)
	}
	return nil
}

// TestAfterNothingCameTheNewest, although the oldest comes after 0.
func TestAfterNothingCameTheNewest(t *testing.T) {
	ann := newWorld(t).join("ann")
	room := "/conversations/" + ann.post("/rooms", `{"name":"The choir"}`).ok(201).at("conversation_id")
	for range 3 {
		ann.post(room+"/messages", `{"text":"la"}`).ok(201)
	}
	ann.get(room+"/messages?after=0&limit=2").ok(200).equal("items/0/seq", "1").equal("has_newer", "true")
	ann.get(room+"/messages?limit=2").ok(200).equal("items/0/seq", "2").equal("has_older", "true").equal("has_newer", "false")
}

// TestAZeroCountedAsNothing: what is written is meant, and is refused where it means nothing.
func TestAZeroCountedAsNothing(t *testing.T) {
	root := newWorld(t).admin("root")
	for path, details := range map[string]string{
		"/conversations/1/messages?before=0":         "before must be 1 or more",
		"/conversations/1/messages?around=0":         "around must be 1 or more",
		"/conversations/1/messages?after=-1":         "after must be 0 or more",
		"/conversations/1/messages?limit=0":          "limit must be 1 or more",
		"/conversations/1/messages?before=3&after=0": "Only one of before, after and around can be asked for",
		"/conversations?limit=0":                     "limit must be 1 or more",
		"/admin/users?page=0":                        "page must be 1 or more",
		"/admin/users?page_size=0":                   "page_size must be 1 or more",
	} {
		root.get(path).refused(400, 10400).because(details)
	}
	root.get("/conversations?after=0").ok(200)
}
