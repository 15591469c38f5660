package obs

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is every figure the server reports, in Prometheus form.
type Metrics struct {
	registry *prometheus.Registry

	Connections   *prometheus.GaugeVec     // open connections by gateway and state (open, online)
	Closed        *prometheus.CounterVec   // ended connections by gateway and reason
	FramesIn      *prometheus.CounterVec   // inbound frames by gateway
	Messages      *prometheus.CounterVec   // stored messages by origin gateway
	Retries       prometheus.Counter       // messages that had been stored before and were only acknowledged again
	Deliveries    *prometheus.CounterVec   // message events queued for a session by gateway
	Lagging       *prometheus.CounterVec   // times a session at the head fell behind, by gateway
	Logins        *prometheus.CounterVec   // logins by gateway and result
	CommitUnits   prometheus.Histogram     // units of work in one commit
	CommitSeconds prometheus.Histogram     // time of one commit, its work included
	PostSeconds   prometheus.Histogram     // from a message's arrival in the service to its publication
	HTTPSeconds   *prometheus.HistogramVec // time of an HTTP request by listener and status class
}

// NewMetrics returns metrics in a registry of their own.
func NewMetrics() *Metrics {
	vec := func(kind, name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "parley", Subsystem: kind, Name: name, Help: help}, labels)
	}
	hist := func(kind, name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "parley", Subsystem: kind, Name: name, Help: help, Buckets: buckets}
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 15)
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		Connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "parley", Subsystem: "session", Name: "connections", Help: "Connections by gateway and state.",
		}, []string{"gateway", "state"}),
		Closed:        vec("session", "closed_total", "Connections ended, by gateway and reason.", "gateway", "reason"),
		FramesIn:      vec("session", "frames_in_total", "Inbound frames by gateway.", "gateway"),
		Messages:      vec("chat", "messages_total", "Messages stored, by the gateway they came through.", "gateway"),
		Deliveries:    vec("session", "deliveries_total", "Message events queued for sessions, by gateway.", "gateway"),
		Lagging:       vec("session", "lagging_total", "Times a session fell behind its bounded queue, by gateway.", "gateway"),
		Logins:        vec("account", "logins_total", "Logins by gateway and result.", "gateway", "result"),
		Retries:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: "parley", Subsystem: "chat", Name: "retries_total", Help: "Messages that were stored before."}),
		CommitUnits:   prometheus.NewHistogram(hist("store", "commit_units", "Units of work in one commit.", prometheus.ExponentialBuckets(1, 2, 10))),
		CommitSeconds: prometheus.NewHistogram(hist("store", "commit_seconds", "Duration of a commit.", seconds)),
		PostSeconds:   prometheus.NewHistogram(hist("chat", "post_seconds", "From a message's arrival to its publication.", seconds)),
		HTTPSeconds:   prometheus.NewHistogramVec(hist("http", "request_seconds", "Duration of HTTP requests.", seconds), []string{"listener", "status"}),
	}
	m.registry.MustRegister(m.Connections, m.Closed, m.FramesIn, m.Messages, m.Retries, m.Deliveries, m.Lagging, m.Logins,
		m.CommitUnits, m.CommitSeconds, m.PostSeconds, m.HTTPSeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "parley", Name: "panics_total", Help: "Panics recovered.",
		}, func() float64 { return float64(Panics()) }))
	return m
}

// Gauge registers a gauge that is read when it is asked for, such as the length of a queue.
func (m *Metrics) Gauge(subsystem, name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "parley", Subsystem: subsystem, Name: name, Help: help,
	}, read))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// HTTP wraps h so that its requests are measured under the listener's name.
func (m *Metrics) HTTP(listener string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(sw, r)
		class := [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}[min(sw.status/100, 5)]
		m.HTTPSeconds.WithLabelValues(listener, class).Observe(time.Since(start).Seconds())
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
