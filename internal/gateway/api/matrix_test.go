package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/gateway/api"
)

// right is what becomes of a request, for each of those who may make it: nobody, a stranger, a member of the room, an admin of the room, and
// an administrator of the server who is not in the room. In a body, <new> is a number that was not there before.
type right struct {
	operation string
	body      string
	want      [5]int
}

var actors = [5]string{"nobody", "a stranger", "a member", "an admin of the room", "an administrator"}

var (
	open       = [5]int{200, 200, 200, 200, 200}
	known      = [5]int{401, 200, 200, 200, 200}
	inTheRoom  = [5]int{401, 404, 200, 200, 404} // nobody else knows of the room
	authors    = [5]int{401, 404, 403, 403, 404} // the message is somebody else's
	roomAdmins = [5]int{401, 404, 403, 200, 200}
	owners     = [5]int{401, 404, 403, 403, 200}
	servers    = [5]int{401, 403, 403, 403, 200}
)

// rights has at least a line for each operation of the OpenAPI document. The room is private; {user_id} is a plain member of it in paths
// below /rooms, elsewhere somebody whom nobody has anything to do with. The message and the file are that plain member's.
var rights = []right{
	{"GET /openapi.json", "", open},
	{"GET /docs", "", open},
	{"GET /asyncapi.json", "", open},

	{"POST /auth/register", `{"username":"new<new>","password":"SecurePass123!"}`, open},
	{"POST /users/register", `{"username":"new<new>","password":"SecurePass123!"}`, open},
	{"POST /auth/send-code", `{"email":"new<new>@example.org"}`, open},
	{"POST /auth/login", `{"username":"ann","password":"SecurePass123!"}`, open},
	{"POST /users/login", `{"username":"ann","password":"SecurePass123!"}`, open},
	{"POST /auth/refresh", `{"refresh_token":"guessed"}`, [5]int{401, 401, 401, 401, 401}},
	{"POST /auth/logout", "", known},
	{"POST /ws/tickets", "", [5]int{401, 201, 201, 201, 201}},
	{"POST /auth/forgot-password", `{"email":"new<new>@example.org"}`, open},
	{"POST /auth/reset-password", `{"email":"new<new>@example.org","code":"123456","new_password":"SecurePass123!"}`, [5]int{400, 400, 400, 400, 400}},
	{"POST /users/change-password", `{"old_password":"guessed","new_password":"SecurePass123!"}`, [5]int{401, 403, 403, 403, 403}},
	{"PUT /users/change-password", `{"old_password":"guessed","new_password":"SecurePass123!"}`, [5]int{401, 403, 403, 403, 403}},

	{"GET /users/profile", "", known},
	{"PUT /users/profile", `{"bio":"Reads."}`, known},
	{"POST /users/verify-email", `{"email":"new<new>@example.org","code":"123456","password":"SecurePass123!"}`, [5]int{401, 400, 400, 400, 400}},
	{"GET /users/{user_id}", "", known},
	{"POST /users/upload-avatar", "{}", [5]int{401, 400, 400, 400, 400}},
	{"GET /avatars/{user_id}/{file}", "", [5]int{404, 404, 404, 404, 404}},
	{"DELETE /users/account", `{"password":"guessed"}`, [5]int{401, 403, 403, 403, 403}},
	{"GET /users/devices", "", known},
	{"DELETE /users/devices/{device_id}", "", [5]int{401, 404, 404, 404, 404}}, // it is somebody else's

	{"GET /contacts/search", "", known},
	{"GET /contacts/requests", "", known},
	{"POST /contacts/requests", `{"user_id":<other>}`, [5]int{401, 201, 201, 201, 201}},
	{"POST /contacts/requests/{user_id}/accept", "", [5]int{401, 404, 404, 404, 404}},
	{"POST /contacts/requests/{user_id}/refuse", "", [5]int{401, 404, 404, 404, 404}},
	{"GET /contacts/friends", "", known},
	{"PUT /contacts/friends/{user_id}", `{"remark":"x"}`, [5]int{401, 403, 403, 403, 403}},
	{"DELETE /contacts/friends/{user_id}", "", known}, // they are none already
	{"GET /contacts/blocks", "", known},
	{"PUT /contacts/blocks/{user_id}", "", known},
	{"DELETE /contacts/blocks/{user_id}", "", known},
	{"GET /presence", "", known},

	{"GET /conversations", "", known},
	{"POST /conversations/direct", `{"user_id":<friend>}`, known},
	{"POST /conversations/direct", `{"user_id":<other>}`, [5]int{401, 403, 403, 403, 403}},
	{"GET /conversations/{conversation_id}", "", inTheRoom},
	{"GET /conversations/{conversation_id}/messages", "", inTheRoom},
	{"POST /conversations/{conversation_id}/messages", `{"text":"hello"}`, [5]int{401, 404, 201, 201, 404}},
	{"POST /messages/direct", `{"user_id":<friend>,"text":"hello"}`, [5]int{401, 201, 201, 201, 201}},
	{"POST /messages/direct", `{"user_id":<other>,"text":"hello"}`, [5]int{401, 403, 403, 403, 403}},
	{"GET /conversations/{conversation_id}/messages/{seq}", "", inTheRoom},
	{"PUT /conversations/{conversation_id}/messages/{seq}", `{"text":"forged"}`, authors},
	{"DELETE /conversations/{conversation_id}/messages/{seq}", "", [5]int{401, 404, 403, 200, 404}},
	{"PUT /conversations/{conversation_id}/messages/{seq}/reactions", `{"emoji":"👍"}`, inTheRoom},
	{"DELETE /conversations/{conversation_id}/messages/{seq}/reactions", "", inTheRoom},
	{"GET /conversations/{conversation_id}/changes", "", inTheRoom},
	{"GET /messages/search", "", known},
	{"PUT /conversations/{conversation_id}/read", `{"seq":1}`, inTheRoom},
	{"GET /conversations/{conversation_id}/readers", "", inTheRoom},
	{"POST /conversations/{conversation_id}/typing", "", inTheRoom},

	{"POST /rooms", `{"name":"Another"}`, [5]int{401, 201, 201, 201, 201}},
	{"GET /rooms/public", "", known},
	{"PUT /rooms/{conversation_id}", `{"topic":"Other things"}`, roomAdmins},
	{"PUT /rooms/{conversation_id}", `{"is_public":true}`, [5]int{401, 404, 403, 403, 404}},
	{"DELETE /rooms/{conversation_id}", "", owners},
	{"POST /rooms/{conversation_id}/join", "", inTheRoom},
	{"POST /rooms/{conversation_id}/leave", "", inTheRoom},
	{"GET /rooms/{conversation_id}/members", "", [5]int{401, 404, 200, 200, 200}},
	{"POST /rooms/{conversation_id}/members", `{"user_id":<friend>}`, [5]int{401, 404, 201, 201, 404}},
	{"POST /rooms/{conversation_id}/members", `{"user_id":<other>}`, [5]int{401, 404, 403, 403, 404}},
	{"PUT /rooms/{conversation_id}/members/{user_id}", `{"role":"admin"}`, owners},
	{"PUT /rooms/{conversation_id}/members/{user_id}", `{"mute_seconds":60}`, roomAdmins},
	{"DELETE /rooms/{conversation_id}/members/{user_id}", "", roomAdmins},
	{"POST /rooms/{conversation_id}/owner", `{"user_id":<member>}`, owners},

	{"GET /rooms/{conversation_id}/links", "", roomAdmins},
	{"POST /rooms/{conversation_id}/links", "", [5]int{401, 404, 403, 201, 404}}, // nobody lets themselves into a room
	{"DELETE /rooms/{conversation_id}/links/{link_id}", "", roomAdmins},
	{"GET /invites/{token}", "", open},
	{"POST /invites/{token}/join", "", known},

	{"POST /conversations/{conversation_id}/files", "words", [5]int{401, 404, 201, 201, 404}},
	{"GET /conversations/{conversation_id}/files", "", inTheRoom},
	{"GET /files/usage", "", known},
	{"GET /files/{file_id}", "", inTheRoom},
	{"DELETE /files/{file_id}", "", roomAdmins},
	{"GET /files/{file_id}/content", "", inTheRoom},
	{"GET /files/{file_id}/thumbnail", "", [5]int{401, 404, 404, 404, 404}}, // it is no picture

	{"GET /admin/users", "", servers},
	{"POST /admin/users", `{"username":"new<new>","password":"SecurePass123!"}`, [5]int{401, 403, 403, 403, 201}},
	{"GET /admin/users/{user_id}", "", servers},
	{"PUT /admin/users/{user_id}", `{"bio":"Writes."}`, servers},
	{"POST /admin/users/{user_id}/ban", "", servers},
	{"POST /admin/users/{user_id}/unban", "", servers},
	{"DELETE /admin/users/{user_id}", "", servers},
	{"GET /admin/rooms", "", servers},
	{"GET /admin/audit", "", servers},

	{"POST /reports", `{"conversation_id":<room>,"seq":1,"reason":"It is rude."}`, [5]int{401, 404, 201, 201, 404}},
	{"POST /reports", `{"user_id":<friend>,"reason":"They are rude."}`, [5]int{401, 201, 201, 201, 201}},
	{"GET /admin/reports", "", servers},
	{"PUT /admin/reports/{report_id}", `{"state":"handled"}`, servers},
	{"GET /admin/settings", "", servers},
	{"PUT /admin/settings", "{}", servers},
	{"GET /admin/statistics", "", servers},
	{"GET /admin/connections", "", servers},
	{"DELETE /admin/connections/{connection_id}", "", [5]int{401, 403, 403, 403, 404}}, // there is none
	{"GET /admin/codes", "", servers},
	{"GET /admin/codes/{code_id}", "", [5]int{401, 403, 403, 403, 404}}, // there is none
	{"DELETE /admin/codes/{code_id}", "", [5]int{401, 403, 403, 403, 404}},
}

// queries is what operations cannot do without.
var queries = map[string]string{
	"GET /contacts/search": "?q=ann", "GET /messages/search": "?q=ann", "GET /presence": "?user_ids=1",
	"DELETE /conversations/{conversation_id}/messages/{seq}/reactions": "?emoji=👍",
	"POST /conversations/{conversation_id}/files":                      "?name=a.txt",
}

// TestWhoMayDoWhat goes through all operations of the OpenAPI document as everybody. A new one fails it until it has its line.
func TestWhoMayDoWhat(t *testing.T) {
	m := newMatrix(t)
	lines := map[string]bool{}
	for _, r := range rights {
		lines[r.operation] = true
		for i := range actors {
			m.try(r, i)
		}
	}
	for path, methods := range m.doc.Paths {
		for method := range methods {
			if op := strings.ToUpper(method) + " " + strings.TrimPrefix(path, api.Prefix); !lines[op] {
				t.Errorf("nobody said who may %s", op)
			}
			delete(lines, strings.ToUpper(method)+" "+strings.TrimPrefix(path, api.Prefix))
		}
	}
	if len(lines) > 0 {
		t.Errorf("not in the document: %v", lines)
	}
}

// matrix is a world with one person of each kind.
type matrix struct {
	*world
	who    [5]*client
	owner  *client
	plain  *client // a member besides the one who acts
	friend *client // of everybody
	made   int     // <new>
	rooms  int
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{world: newWorld(t)}
	m.plain, m.friend = m.join("ann"), m.join("friend")
	m.who = [5]*client{m.stranger(), m.join("stranger"), m.join("member"), m.join("warden"), m.admin("root")}
	for _, c := range m.who[1:] {
		c.befriend(m.friend)
	}
	return m
}

// roomsEach is how many rooms one person makes: nobody may own as many as there are here.
const roomsEach = 50

// room makes one in which the members are.
func (m *matrix) room() string {
	if m.rooms%roomsEach == 0 {
		m.owner = m.join(fmt.Sprint("owner", m.rooms))
		for _, c := range []*client{m.plain, m.who[2], m.who[3]} {
			m.owner.befriend(c)
		}
	}
	m.rooms++
	return m.owner.post("/rooms", fmt.Sprintf(`{"name":"The room","member_ids":[%d,%d,%d]}`, m.plain.id, m.who[2].id, m.who[3].id)).ok(201).at("conversation_id")
}

// scene is what a request may be about, made anew for each.
type scene struct {
	room, link, token, file string
	other                   *client // whom nobody knows
}

func (m *matrix) scene(operation string) (s scene) {
	m.made++
	if strings.Contains(operation, "{user_id}") || strings.Contains(operation, "{device_id}") || strings.Contains(operation, "<other>") {
		s.other = m.join(fmt.Sprint("other", m.made))
	}
	if !slices.ContainsFunc([]string{"{conversation_id}", "{token}", "{file_id}", "<room>"}, func(of string) bool { return strings.Contains(operation, of) }) {
		return s
	}
	s.room = m.room()
	m.owner.put("/rooms/"+s.room+"/members/"+strconv.Itoa(int(m.who[3].id)), `{"role":"admin"}`).ok(200)
	m.plain.post("/conversations/"+s.room+"/messages", `{"text":"hello"}`).ok(201)
	link := m.owner.post("/rooms/"+s.room+"/links", "").ok(201)
	s.link, s.token = link.at("link_id"), link.at("token")
	if strings.Contains(operation, "{file_id}") {
		s.file = m.plain.do("POST", "/conversations/"+s.room+"/files?name=a.txt", "words", "Content-Type", "text/plain").ok(201).at("file_id")
	}
	return s
}

// try makes one request as one of them.
func (m *matrix) try(r right, i int) {
	m.t.Helper()
	s := m.scene(r.operation + r.body)
	who := *m.who[i]
	if strings.HasSuffix(r.operation, "/logout") && i > 0 {
		who = *m.login(who.name)
	}
	method, path, _ := strings.Cut(r.operation, " ")
	user, device := m.plain.id, m.plain.device
	if s.other != nil && !strings.HasPrefix(path, "/rooms") {
		user, device = s.other.id, s.other.device
	}
	path = strings.NewReplacer("{conversation_id}", s.room, "{seq}", "1", "{link_id}", s.link, "{token}", s.token, "{file_id}", s.file,
		"{user_id}", fmt.Sprint(user), "{device_id}", fmt.Sprint(device), "{report_id}", "1", "{connection_id}", "1", "{code_id}", "1",
		"{file}", "x.png").Replace(path) + queries[r.operation]
	body := strings.NewReplacer("<new>", fmt.Sprint(m.made), "<room>", s.room, "<friend>", fmt.Sprint(m.friend.id), "<member>", fmt.Sprint(m.plain.id)).Replace(r.body)
	if s.other != nil {
		body = strings.ReplaceAll(body, "<other>", fmt.Sprint(s.other.id))
	}
	kind := "application/json"
	if body == "words" {
		kind = "text/plain"
	}
	if a := who.do(method, path, body, "Content-Type", kind); a.status != r.want[i] {
		m.t.Errorf("%s as %s: %d %s, want %d", r.operation, actors[i], a.status, a.body, r.want[i])
	}
}
