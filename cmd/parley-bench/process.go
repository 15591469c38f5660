package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// clockTick is the unit in which Linux tells programs how long they ran, in seconds.
const clockTick = 0.01

// usage is what a stretch of time cost: the difference of two of these.
type usage struct {
	server, bench float64 // CPU seconds
	metrics       map[string]float64
}

func (s *server) usage(ctx context.Context) (u usage, err error) {
	if u.server, err = cpuSeconds(strconv.Itoa(s.cmd.Process.Pid)); err != nil {
		return u, err
	}
	if u.bench, err = cpuSeconds("self"); err != nil {
		return u, err
	}
	u.metrics, err = s.scrape(ctx)
	return u, err
}

func (u usage) since(before usage) usage {
	d := usage{server: u.server - before.server, bench: u.bench - before.bench, metrics: map[string]float64{}}
	for name, v := range u.metrics {
		d.metrics[name] = v - before.metrics[name]
	}
	return d
}

func cpuSeconds(pid string) (float64, error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	// After the name in parentheses come the state and ten more fields, then user and system time.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%s/stat is too short", pid)
	}
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(f[12], 64)
	return (user + system) * clockTick, err
}

// rss returns the server's resident memory in bytes.
func (s *server) rss() (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
	return kb << 10, err
}

// scrape returns the server's metrics, those that differ in labels only added up.
func (s *server) scrape(ctx context.Context) (map[string]float64, error) {
	b, err := get(ctx, "http://"+s.metrics+"/metrics")
	if err != nil {
		return nil, err
	}
	m := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if i := strings.LastIndexByte(lines.Text(), '}'); i >= 0 {
			name, value, ok = lines.Text()[:strings.IndexByte(lines.Text(), '{')], strings.TrimSpace(lines.Text()[i+1:]), true
		}
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			m[name] += v
		}
	}
	return m, lines.Err()
}
