package api_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestAMessageSentAgainIsStoredOnce, even if all attempts come at once, and is answered as it is by then.
func TestAMessageSentAgainIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	path := fmt.Sprintf("/conversations/%d/messages", ann.room("The choir"))
	var mu sync.Mutex // guards statuses
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := ann.post(path, `{"client_id":"a1","text":"la"}`).equal("seq", "1")
			mu.Lock()
			statuses[a.status]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if statuses[201] != 1 || statuses[200] != 7 {
		t.Errorf("statuses %v", statuses)
	}
	ann.put(path+"/1", `{"text":"la li"}`).ok(200)
	ann.post(path, `{"client_id":"a1","text":"la"}`).ok(200).equal("text", "la li").equal("change", "1")
	ann.delete(path + "/1").ok(200)
	ann.post(path, `{"client_id":"a1","text":"la"}`).ok(200).equal("text", "").equal("deleted", "true")
	ann.post(path, `{"client_id":"a1","text":"la li"}`).refused(409, 20109)
	ann.post(path, `{"text":"la"}`).ok(201).equal("seq", "2") // without an id each is another one
	ann.post(path, `{"text":"la"}`).ok(201).equal("seq", "3")
}

// TestTheLongestTextFits into a body, and a longer one is told from a body that is too large.
func TestTheLongestTextFits(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	say := func(n int) answer {
		return ann.post("/conversations/1/messages", fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", n)))
	}
	say(60_000).ok(201)
	say(60_001).refused(400, 20111)
	say(70_000).refused(413, 10413)
}

// TestSearchGoesOnBehindACursor without missing or repeating anything.
func TestSearchGoesOnBehindACursor(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	rooms := []string{fmt.Sprint(ann.room("one")), fmt.Sprint(ann.room("two"))}
	var want []string
	for i := range 14 {
		room := rooms[i%2]
		text := fmt.Sprintf("la number%d", i)
		ann.post("/conversations/"+room+"/messages", fmt.Sprintf(`{"text":%q}`, text)).ok(201)
		want = append(want, text)
	}
	ann.until("/messages/search?q=la", func(a answer) bool { return a.at("items/13") != "" })
	var got []string
	cursor := ""
	for range 20 {
		a := ann.get("/messages/search?q=la&limit=3&cursor=" + cursor).ok(200)
		for i := 0; a.at(fmt.Sprint("items/", i)) != ""; i++ {
			got = append(got, a.at(fmt.Sprintf("items/%d/text", i)))
		}
		if cursor = a.at("cursor"); cursor == "null" {
			break
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}

// TestWhoIsOnline is told to friends and to those in the same room, and to nobody else.
func TestWhoIsOnline(t *testing.T) {
	w := newWorld(t)
	ann, bob, cyd, eve := w.join("ann"), w.join("bob"), w.join("cyd"), w.join("eve")
	ann.befriend(bob)
	bob.befriend(cyd)
	room := bob.room("The choir", ann, cyd)
	bob.connect("")
	query := fmt.Sprintf("/presence?user_ids=%d,%d,%d", bob.id, cyd.id, eve.id)
	online := func(id any) string { return fmt.Sprintf(`{"online":true,"user_id":%v}`, id) }
	offline := func(id any) string { return fmt.Sprintf(`{"online":false,"user_id":%v}`, id) }
	for who, want := range map[*client]string{
		ann: "[" + online(bob.id) + "," + offline(cyd.id) + "]",
		cyd: "[" + online(bob.id) + "]",
		eve: "[]",
	} {
		who.get(query).ok(200).equal("items", want)
	}
	// A friend in one list only, as imports may leave it, was shown although no event tells of them.
	eve.befriend(bob)
	eve.get(query).ok(200).equal("items", "["+online(bob.id)+"]")
	w.exec(`DELETE FROM friend WHERE self_id = ?`, int64(bob.id))
	eve.get(query).ok(200).equal("items", "[]")
	e := eve.dial()
	e.say(`{"type":"start"}`)
	e.has("ready", `"online":[]`)
	members := ann.get(fmt.Sprintf("/rooms/%d/members", room)).ok(200)
	members.equal("items/0/online", "false").equal("items/1/online", "true").equal("items/2/online", "false")
}

// TestADirectChatDoesNotShowWhoIsOnline to who was blocked there.
func TestADirectChatDoesNotShowWhoIsOnline(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	id := ann.post("/conversations/direct", fmt.Sprintf(`{"user_id":%d}`, bob.id)).ok(200).at("conversation_id")
	bob.connect("")
	path := "/rooms/" + id + "/members"
	ann.get(path).ok(200).equal("items/1/online", "true")
	bob.put(fmt.Sprintf("/contacts/blocks/%d", ann.id), "").ok(200)
	ann.get(path).ok(200).equal("items/1/online", "false")
	bob.get(path).ok(200).equal("items/1/online", "true") // that is themselves
}

// TestARoomIsMadeWithAllOfItsMembersOrNotAtAll.
func TestARoomIsMadeWithAllOfItsMembersOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	ann, bob, cyd := w.join("ann"), w.join("bob"), w.join("cyd")
	ann.befriend(bob)
	ann.post("/rooms", fmt.Sprintf(`{"name":"The choir","member_ids":[%d,%d]}`, bob.id, cyd.id)).refused(403, 10016)
	for _, c := range []*client{ann, bob, cyd} {
		c.get("/conversations?after=1").ok(200).equal("items", "[]")
	}
	ann.post("/rooms", fmt.Sprintf(`{"name":"The choir","member_ids":[%d,%[1]d]}`, bob.id)).ok(201)
	bob.get("/conversations?after=1").ok(200).equal("items/0/role", "member")
}

// TestOnlyOneThingIsChangedAboutAMember, so that a failure leaves nothing half done.
func TestOnlyOneThingIsChangedAboutAMember(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.join("ann"), w.join("bob")
	ann.befriend(bob)
	path := fmt.Sprintf("/rooms/%d/members/%d", ann.room("The choir", bob), bob.id)
	for _, body := range []string{"", "{}", `{"role":"admin","mute_seconds":60}`, `{"role":"owner"}`, `{"role":""}`, `{"mute_seconds":-1}`, `{"mute_seconds":9223372036854775807}`} {
		ann.put(path, body).refused(400, 10400)
	}
	a := ann.put(path, `{"role":"admin"}`).ok(200).equal("role", "admin")
	if strings.Contains(a.body, "muted_until") {
		t.Errorf("they are muted: %s", a.body)
	}
}

// TestARefusalDidNotSayWhy: "The request is malformed" was all that was told.
func TestARefusalDidNotSayWhy(t *testing.T) {
	w := newWorld(t)
	root, ann := w.admin("root"), w.join("ann")
	room := "/conversations/" + ann.post("/rooms", `{"name":"The choir"}`).ok(201).at("conversation_id")
	links := strings.Replace(room, "conversations", "rooms", 1) + "/links"
	ann.post(room+"/messages", `{"text":"la"}`).ok(201)
	long := func(n int) string { return strings.Repeat("x", n) }
	const both = "A report is about either a message, by its conversation and number, or a user"
	for _, tt := range []struct {
		who                         *client
		method, path, body, details string
	}{
		{ann, "POST", room + "/messages", `{"text":"la","client_id":"` + long(257) + `"}`, "The message's own id may have 256 bytes"},
		{ann, "POST", room + "/messages", `{"text":"la","reply_to":-1}`, "There is no message with a negative number to reply to"},
		{ann, "POST", room + "/messages", `{"text":"la","file_id":-1}`, "There is no file with a negative number"},
		{ann, "PUT", room + "/messages/1/reactions", `{"emoji":"no"}`, "That is no emoji"},
		{ann, "POST", links, `{"max_uses":-1}`, "A link may be good for 0 to 1000000 uses; 0 is any number"},
		{ann, "PUT", "/users/profile", `{"full_name":"` + long(65) + `"}`, "The full name may have 64 characters, all in one line"},
		{ann, "PUT", "/users/profile", `{"bio":"` + long(4097) + `"}`, "What one says of oneself may be 4096 bytes of text"},
		{ann, "PUT", "/users/profile", `{"sex":10}`, "The sex is a number from 0 to 9"},
		{ann, "GET", "/messages/search?q=" + long(257), "", "What is looked for may have 256 bytes"},
		{ann, "GET", "/messages/search", "", "There is no word in it to look for"},
		{ann, "POST", "/reports", fmt.Sprintf(`{"user_id":%d}`, ann.id), "Nobody can report themselves, or what is their own"},
		{ann, "POST", "/reports", fmt.Sprintf(`{"conversation_id":%s,"seq":1}`, strings.TrimPrefix(room, "/conversations/")), "Nobody can report themselves, or what is their own"},
		{ann, "POST", "/reports", `{}`, both},
		{ann, "POST", "/reports", fmt.Sprintf(`{"conversation_id":1,"seq":1,"user_id":%d}`, root.id), both},
		{ann, "POST", "/reports", fmt.Sprintf(`{"user_id":%d,"reason":"%s"}`, root.id, long(1001)), "The reason or note may have 1000 characters"},
		{root, "PUT", "/admin/reports/1", `{}`, "A report is open, handled or refused"},
	} {
		tt.who.do(tt.method, tt.path, tt.body).refused(400, 10400).because(tt.details)
	}
	w.stranger().post("/auth/register", fmt.Sprintf(`{"username":"bob","password":%q,"full_name":%q}`, password, long(65))).
		refused(400, 10400).because("The full name may have 64 characters, all in one line")
}

// TestNobodyIsWrittenToByTheConversationZero: it was told that there was no such user.
func TestNobodyIsWrittenToByTheConversationZero(t *testing.T) {
	w := newWorld(t)
	ann := w.join("ann")
	ann.post("/conversations/0/messages", `{"text":"la"}`).refused(404, 20101)
	ann.post("/messages/direct", `{"user_id":0,"text":"la"}`).refused(404, 10002)
}
