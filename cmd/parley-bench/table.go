package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// report is everything that was measured, and on what.
type report struct {
	Go      string   `json:"go"`
	Cores   int      `json:"cores"`
	System  string   `json:"system"`
	Parley  string   `json:"parley"`
	Load    string   `json:"load"`
	Results []result `json:"results"`
}

// result is one measurement. Latencies are in milliseconds, memory is in bytes.
type result struct {
	Name      string   `json:"name"`
	Rate      float64  `json:"rate"`
	Unit      string   `json:"unit"`
	P50       float64  `json:"p50_ms"`
	P99       float64  `json:"p99_ms"`
	Max       float64  `json:"max_ms"`
	Seconds   float64  `json:"seconds"`
	ServerCPU float64  `json:"server_cpu_seconds"`
	BenchCPU  float64  `json:"bench_cpu_seconds"`
	RSSBefore int64    `json:"server_rss_before"`
	RSSAfter  int64    `json:"server_rss_after"`
	Figures   []figure `json:"figures"`
}

// figure is something that only some measurements have.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func newReport(ctx context.Context, o *options) *report {
	version, err := exec.CommandContext(ctx, o.Parley, "--version").Output()
	if err != nil {
		version = []byte("unknown")
	}
	return &report{
		Go: runtime.Version(), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Parley: strings.TrimSpace(string(version)),
		Load:   fmt.Sprintf("texts of %d bytes, %s ids, %v after %v of warm-up", o.Size, o.IDs, o.Duration, o.Warmup),
	}
}

func (rep *report) add(r result) { rep.Results = append(rep.Results, r) }

// What the rate of a traffic counts.
const (
	messages   = "messages/s" // acknowledged to their senders
	deliveries = "deliveries/s"
)

// traffic runs a load and adds its result, in messages or deliveries.
func (rep *report) traffic(ctx context.Context, name, unit string, t *traffic) error {
	r := result{Name: name, Unit: unit}
	var err error
	if r.RSSBefore, err = t.server.rss(); err != nil {
		return err
	}
	cost, err := t.run(ctx)
	if err != nil {
		return err
	}
	if r.RSSAfter, err = t.server.rss(); err != nil {
		return err
	}
	acked, delivered, l := t.sum()
	seconds := t.o.Duration.Seconds()
	r.spent(cost, t.o.Duration)
	r.took(l)
	for u, n := range map[string]uint64{messages: acked, deliveries: delivered} {
		if u == unit {
			r.Rate = float64(n) / seconds
		} else {
			r.figure(u, float64(n)/seconds)
		}
	}
	if commits := cost.metrics["parley_store_commit_units_count"]; commits > 0 {
		r.figure("commits/s", commits/seconds)
		r.figure("messages/commit", cost.metrics["parley_chat_messages_total"]/commits)
	}
	r.figure("times a session fell behind", cost.metrics["parley_session_lagging_total"])
	rep.add(r)
	return nil
}

func (r *result) spent(u usage, d time.Duration) {
	r.Seconds, r.ServerCPU, r.BenchCPU = d.Seconds(), u.server, u.bench
}

func (r *result) took(l *latencies) {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	r.P50, r.P99, r.Max = ms(l.quantile(0.5)), ms(l.quantile(0.99)), ms(l.quantile(1))
}

func (r *result) figure(name string, value float64) {
	r.Figures = append(r.Figures, figure{name, value})
}

// print prints the report, nothing if nothing was measured.
func (rep *report) print(out io.Writer, asJSON bool) error {
	if len(rep.Results) == 0 {
		return nil
	}
	if asJSON {
		if err := json.MarshalWrite(out, rep, jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out)
		return err
	}
	fmt.Fprintf(out, "%s, %d cores, %s, parley %s; %s\n\n", rep.Go, rep.Cores, rep.System, rep.Parley, rep.Load)
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| measured\t| rate\t| p50\t| p99\t| max\t| server CPU\t| bench CPU\t| server RSS\t| also\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rep.Results {
		var also []string
		for _, f := range r.Figures {
			also = append(also, fmt.Sprintf("%s %s", f.Name, amount(f.Value)))
		}
		fmt.Fprintf(w, "| %s\t| %s %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %.1f → %.1f MB\t| %s\t|\n",
			r.Name, amount(r.Rate), r.Unit, unless(r.P50, "%.2f ms"), unless(r.P99, "%.2f ms"), unless(r.Max, "%.1f ms"),
			unless(r.ServerCPU, "%.1f s of %.0f", r.Seconds), unless(r.BenchCPU, "%.1f s"),
			float64(r.RSSBefore)/1e6, float64(r.RSSAfter)/1e6, strings.Join(also, ", "))
	}
	return w.Flush()
}

// unless writes a figure, "-" if it was not measured.
func unless(v float64, form string, more ...any) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(form, append([]any{v}, more...)...)
}

// amount writes a number with as many digits as are worth reading.
func amount(v float64) string {
	if v < 100 && v != float64(int64(v)) {
		return fmt.Sprintf("%.2f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
