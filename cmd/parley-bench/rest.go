package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"parley/internal/core"
)

type restCmd struct {
	Messages int `help:"Messages that are stored in the lobby before." default:"100000"`
	Clients  int `help:"Requests at the same time, each over a connection of its own." default:"16"`
	Page     int `help:"Messages in a page of the history." default:"50"`
}

const (
	// indexedWithin is how long the server may take to make all that is stored findable.
	indexedWithin = 10 * time.Minute
	// vocabulary is how many different words the stored messages have.
	vocabulary = 5_000
)

// word returns a word of the stored messages. Every fourth is Chinese.
func word(n int) string {
	if n%4 == 0 {
		return string([]rune{rune(0x4e00 + n), rune(0x4e00 + (n*7)%vocabulary)})
	}
	const consonants, vowels = "bdfgklmnprst", "aeiou"
	var b strings.Builder
	for v := n + len(consonants); v > 0; v /= len(consonants) * len(vowels) {
		b.WriteByte(consonants[v%len(consonants)])
		b.WriteByte(vowels[v/len(consonants)%len(vowels)])
	}
	return b.String()
}

// storedText returns the text of a stored message, by its number in the conversation.
func storedText(seq int64, size int) string {
	rnd := rand.New(rand.NewPCG(uint64(seq), 1))
	var b strings.Builder
	for b.Len() < size {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word(rnd.IntN(vocabulary)))
	}
	return b.String()
}

// Run measures requests of the API on a conversation with many messages.
func (c *restCmd) Run(ctx context.Context, o *options, rep *report) error {
	if c.Messages < c.Page || c.Page < 1 || c.Clients < 1 {
		return errors.New("rest: there must be a client, and a page of messages")
	}
	store := func(ctx context.Context, s *server) error {
		return seedMessages(ctx, filepath.Join(s.dir, "parley.db"), s.accounts, c.Messages, o.Size)
	}
	return withServer(ctx, o, "rest", c.Clients, func(s *server) error {
		r := &asking{restCmd: c, o: o, server: s}
		if err := r.awaitIndex(ctx); err != nil {
			return err
		}
		for _, what := range []struct {
			name, unit string
			ask        func(context.Context, *asker) error
		}{{"rest history", "pages/s", r.history}, {"rest search", "searches/s", r.search}, {"rest send", messages, r.send}} {
			if err := r.measure(ctx, rep, what.name, what.unit, what.ask); err != nil {
				return fmt.Errorf("%s: %w", what.name, err)
			}
		}
		return nil
	}, store)
}

// asking is a load of requests.
type asking struct {
	*restCmd
	o      *options
	server *server
}

// asker is one client of it.
type asker struct {
	account   account
	http      *http.Client
	rnd       *rand.Rand
	asked     uint64
	sent      int
	latencies latencies
}

func (r *asking) measure(ctx context.Context, rep *report, name, unit string, ask func(context.Context, *asker) error) error {
	t := &traffic{o: r.o, server: r.server}
	before, err := r.server.rss()
	if err != nil {
		return err
	}
	t.schedule()
	askers := make([]asker, r.Clients)
	g, gctx := errgroup.WithContext(ctx)
	for i := range askers {
		a := &askers[i]
		a.account, a.rnd = r.server.accounts[i], rand.New(rand.NewPCG(uint64(i), 2))
		transport := &http.Transport{DisableCompression: true}
		a.http = &http.Client{Transport: transport, Timeout: time.Minute}
		g.Go(func() error {
			defer transport.CloseIdleConnections()
			for now() < t.until {
				start := now()
				if err := ask(gctx, a); err != nil {
					return err
				}
				if at := now(); at >= t.from && at < t.until {
					a.asked++
					a.latencies.add(at - start)
				}
			}
			return nil
		})
	}
	cost, err := t.watch(gctx)
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	if err != nil {
		return err
	}
	res := result{Name: name, Unit: unit, RSSBefore: before}
	var all latencies
	for i := range askers {
		res.Rate += float64(askers[i].asked) / r.o.Duration.Seconds()
		all.merge(&askers[i].latencies)
	}
	if res.RSSAfter, err = r.server.rss(); err != nil {
		return err
	}
	res.spent(cost, r.o.Duration)
	res.took(&all)
	res.figure("clients", float64(r.Clients))
	rep.add(res)
	return nil
}

// restMessage is as much of a message as is checked.
type restMessage struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

// do makes a request and reads the answer's data.
func (r *asking) do(ctx context.Context, a *asker, method, path string, body []byte, status int, data any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.server.http+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.account.access)
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, b)
	}
	e := struct {
		Data any `json:"data"`
	}{data}
	return json.Unmarshal(b, &e)
}

// history reads a page somewhere in the conversation.
func (r *asking) history(ctx context.Context, a *asker) error {
	before := int64(r.Page+1) + a.rnd.Int64N(int64(r.Messages-r.Page+1))
	var page struct {
		Items []restMessage `json:"items"`
	}
	path := fmt.Sprintf("/conversations/%d/messages?before=%d&limit=%d", core.Lobby, before, r.Page)
	if err := r.do(ctx, a, http.MethodGet, path, nil, http.StatusOK, &page); err != nil {
		return err
	}
	for i, m := range page.Items {
		if seq := before - int64(r.Page-i); m.Seq != seq || m.Text != storedText(seq, r.o.Size) {
			return fmt.Errorf("%s: message %d is %+v", path, seq, m)
		}
	}
	if len(page.Items) != r.Page {
		return fmt.Errorf("%s: %d messages", path, len(page.Items))
	}
	return nil
}

// search looks for two words of one of the messages, and finds at least that.
func (r *asking) search(ctx context.Context, a *asker) error {
	return r.find(ctx, a, 1+a.rnd.Int64N(int64(r.Messages)), a.rnd)
}

var errNotFound = errors.New("what is stored was not found")

func (r *asking) find(ctx context.Context, a *asker, seq int64, rnd *rand.Rand) error {
	words := strings.Fields(storedText(seq, r.o.Size))
	one, other := words[rnd.IntN(len(words))], words[rnd.IntN(len(words))]
	path := "/messages/search?limit=20&q=" + url.QueryEscape(one+" "+other)
	for cursor := ""; ; {
		var page struct {
			Items  []restMessage `json:"items"`
			Cursor string        `json:"cursor"`
		}
		if err := r.do(ctx, a, http.MethodGet, path+cursor, nil, http.StatusOK, &page); err != nil {
			return err
		}
		for _, m := range page.Items {
			if !strings.Contains(m.Text, one) || !strings.Contains(m.Text, other) {
				return fmt.Errorf("%s found %+v", path, m)
			}
		}
		switch {
		case len(page.Items) > 0:
			return nil
		case page.Cursor == "":
			return fmt.Errorf("%s: %w", path, errNotFound)
		}
		cursor = "&cursor=" + url.QueryEscape(page.Cursor) // the server has looked through as much as it does for one request
	}
}

// send stores a message.
func (r *asking) send(ctx context.Context, a *asker) error {
	a.sent++
	id := fmt.Sprintf("%d-%d", a.account.uid, a.sent)
	body, err := json.Marshal(map[string]string{"client_id": id, "text": strings.Repeat("x", r.o.Size)})
	if err != nil {
		return err
	}
	var stored struct {
		Seq      int64  `json:"seq"`
		ClientID string `json:"client_id"`
	}
	if err := r.do(ctx, a, http.MethodPost, fmt.Sprintf("/conversations/%d/messages", core.Lobby), body, http.StatusCreated, &stored); err != nil {
		return err
	}
	if stored.ClientID != id || stored.Seq <= int64(r.Messages) {
		return fmt.Errorf("message %s is stored as %+v", id, stored)
	}
	return nil
}

// awaitIndex waits until the last of the stored messages is found.
func (r *asking) awaitIndex(ctx context.Context) error {
	a := &asker{account: r.server.accounts[0], http: &plain}
	for limit := now() + int64(indexedWithin); ; {
		err := r.find(ctx, a, int64(r.Messages), rand.New(rand.NewPCG(0, 3)))
		if err == nil || !errors.Is(err, errNotFound) || now() > limit {
			return err
		}
		if err := sleepUntil(ctx, now()+int64(100*time.Millisecond)); err != nil {
			return err
		}
	}
}
