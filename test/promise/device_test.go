package promise

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/core"
	"parley/test/line"
)

// device is one user's client of one gateway, over all its connections.
type device struct {
	*city
	user core.UserID
	gw   int
	late bool // its user comes later than the others
	rnd  *rand.Rand

	conn  *connection
	left  []net.Conn // half-open ones
	posts map[string]*post
	open  []string // posts without an acknowledgement, in their order
	// What the store's heads were before and after the first login, which pins where the client starts.
	before, after map[core.ConversationID]core.Seq

	mu    sync.Mutex // guards views, and the posts' acked
	views []view     // one for each connection
}

// view is what a client has heard over one connection.
type view map[core.ConversationID][]heard

type heard struct {
	seq core.Seq
	message
}

type post struct {
	to    string
	text  string
	acked []core.Seq
}

func newDevice(c *city, user core.UserID, gw int, late bool) *device {
	return &device{
		city: c, user: user, gw: gw, late: late, posts: map[string]*post{},
		rnd: rand.New(rand.NewPCG(c.seed, uint64(user)<<1|uint64(gw))),
	}
}

func (d *device) String() string { return fmt.Sprintf("%d/%s", d.user, gateways[d.gw]) }

func textOf(author core.UserID, id string) string {
	return fmt.Sprintf("%d says %s%s", author, id, strings.Repeat(" and", len(id)*int(author)%60))
}

func (d *device) sleep(most time.Duration) { time.Sleep(time.Duration(d.rnd.Int64N(int64(most) + 1))) }

// live connects, talks and drops until there is no time for more, and ends connected with everything acknowledged.
func (d *device) live() {
	if d.rnd.IntN(4) == 0 {
		d.sleep(d.of.posting / 2)
	}
	d.connect()
	for time.Now().Before(d.deadline) {
		until := time.Now().Add(time.Duration(20+d.rnd.IntN(600)) * time.Millisecond)
		for time.Now().Before(until) {
			d.act()
		}
		d.drop()
		d.sleep(30 * time.Millisecond)
		d.connect()
	}
	for d.conn.unacked() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// act does one of the things that a connected client does.
func (d *device) act() {
	switch d.rnd.IntN(20) {
	case 0:
		d.conn.say("ping idle")
	case 1:
		d.conn.slow.Store(d.rnd.Int64N(int64(2 * time.Millisecond)))
	case 2:
		d.conn.slow.Store(0)
	default:
		d.sleep(2 * d.of.pause)
		if time.Now().Before(d.deadline) {
			d.post()
		}
	}
}

func (d *device) post() {
	id := fmt.Sprintf("%c%d", gateways[d.gw][0], len(d.posts)+1)
	p := &post{text: textOf(d.user, id)}
	rooms := d.rooms[d.user]
	switch n := d.rnd.IntN(30); {
	case n == 0 && d.lobbyLeft.Add(-1) >= 0:
		p.to = fmt.Sprintf("room %d", core.Lobby)
	case n < 15 && len(rooms) > 0:
		p.to = fmt.Sprintf("room %d", rooms[d.rnd.IntN(len(rooms))])
	default:
		to := d.users[d.rnd.IntN(len(d.users)*4/5)]
		if to == d.user {
			return
		}
		p.to = fmt.Sprintf("user %d", to)
	}
	d.mu.Lock()
	d.posts[id] = p
	d.open = append(d.open, id)
	d.mu.Unlock()
	d.conn.say("post " + id + " " + p.to + " " + p.text)
}

// The ways to drop.
const (
	dropClean = iota // close
	dropHalf         // close the sending side, read to the end
	dropReset
	dropHang // leave the connection open, read and say nothing
)

var dropNames = [...]string{"clean", "half", "reset", "hang"}

// drop ends the connection. Whatever the server confirmed to itself with a frame, it had sent before the answer to that
// frame; so a client that has the answer to its last one may vanish.
func (d *device) drop() {
	how := d.rnd.IntN(len(dropNames))
	d.dropped[how].Add(1)
	c := d.conn
	if how == dropHalf {
		_ = c.tcp().CloseWrite()
		<-c.ended
		_ = c.Close()
		return
	}
	freeze := how != dropClean
	c.askLast(freeze)
	if !freeze {
		d.sleep(10 * time.Millisecond)
		_ = c.SetReadDeadline(time.Now()) // what has been read is heard, the rest is left to TCP
	}
	<-c.ended
	switch d.sleep(40 * time.Millisecond); how {
	case dropHang:
		d.left = append(d.left, c)
	case dropReset:
		_ = c.tcp().SetLinger(0)
		fallthrough
	default:
		_ = c.Close()
	}
}

// stay keeps the connection until everybody is content.
func (d *device) stay(complete <-chan struct{}) {
	<-complete
	_ = d.conn.Close()
	<-d.conn.ended
	for _, c := range d.left {
		_ = c.Close()
	}
}

func (d *device) heads() map[core.ConversationID]core.Seq {
	heads := map[core.ConversationID]core.Seq{}
	rows, err := d.DB.Query(d.Context(), `SELECT id, last_seq FROM conversation`)
	d.Check(err)
	defer rows.Close()
	for rows.Next() {
		var id core.ConversationID
		var seq core.Seq
		d.Check(rows.Scan(&id, &seq))
		heads[id] = seq
	}
	d.Check(rows.Err())
	return heads
}

// connect logs in and sends again what was not acknowledged.
func (d *device) connect() {
	d.connections.Add(1)
	first := d.before == nil
	if first {
		d.before = d.heads()
	}
	tcp, err := net.Dial("tcp", d.addr[d.gw])
	if err != nil {
		d.Error(err)
		return
	}
	_ = tcp.(*net.TCPConn).SetReadBuffer(16 << 10)
	c := &connection{Client: line.NewClient(tcp), d: d, ended: make(chan struct{}), welcome: make(chan struct{})}
	d.mu.Lock()
	c.view = len(d.views)
	d.views = append(d.views, view{})
	again := slices.Clone(d.open)
	d.mu.Unlock()
	d.conn = c
	go c.listen()
	c.say("login " + strconv.FormatInt(int64(d.user), 10))
	<-c.welcome
	if first {
		d.after = d.heads()
	}
	for _, id := range again {
		d.again.Add(1)
		c.say("post " + id + " " + d.posts[id].to + " " + d.posts[id].text)
	}
}

// connection is one connection of a device; listen is its reader.
type connection struct {
	*line.Client
	d       *device
	view    int
	slow    atomic.Int64 // how long a line takes to read
	freeze  atomic.Bool  // the reader stops at the last answer
	last    chan struct{}
	welcome chan struct{}
	ended   chan struct{}
}

func (c *connection) tcp() *net.TCPConn { return c.Conn.(*net.TCPConn) }

// say sends a line. The server may have ended the connection; then the next one says it again.
func (c *connection) say(text string) { _ = c.Say("%s", text) }

// askLast sends a last frame and waits for its answer, or the end.
func (c *connection) askLast(freeze bool) {
	c.d.mu.Lock()
	c.last = make(chan struct{})
	c.d.mu.Unlock()
	c.freeze.Store(freeze)
	c.say("ping last")
	select {
	case <-c.last:
	case <-c.ended:
	}
}

func (c *connection) unacked() int {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return len(c.d.open)
}

func (c *connection) listen() {
	defer close(c.ended)
	for {
		text, err := c.Hear()
		if err != nil {
			return
		}
		if !c.hear(text) {
			return
		}
		if slow := c.slow.Load(); slow > 0 {
			time.Sleep(time.Duration(slow))
		}
	}
}

// hear takes a line and reports whether to go on.
func (c *connection) hear(text string) bool {
	d := c.d
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "msg":
		c.hearMessage(text)
	case "welcome":
		close(c.welcome)
	case "ack":
		id, number, _ := strings.Cut(rest, " ")
		seq, err := strconv.ParseInt(number, 10, 64)
		d.mu.Lock()
		defer d.mu.Unlock()
		p := d.posts[id]
		if err != nil || p == nil {
			d.Errorf("client %v: heard %q", d, text)
			return true
		}
		p.acked = append(p.acked, core.Seq(seq))
		d.open = slices.DeleteFunc(d.open, func(o string) bool { return o == id })
	case "pong":
		if rest == "last" {
			d.mu.Lock()
			close(c.last)
			d.mu.Unlock()
			return !c.freeze.Load()
		}
	default:
		d.Errorf("client %v: heard %q", d, text)
	}
	return true
}

func (c *connection) hearMessage(text string) {
	d := c.d
	m, ok := line.ParseMessage(text)
	if !ok || m.Viewer != d.user || m.Text != textOf(m.Author, m.ID) {
		d.Errorf("client %v: heard %.60q", d, text)
		return
	}
	d.heard.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.views[c.view]
	v[m.Conversation] = append(v[m.Conversation], heard{m.Seq, message{m.Author, m.ID}})
}
