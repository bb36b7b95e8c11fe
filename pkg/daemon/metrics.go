package daemon

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// metrics serves /metrics as Prometheus reads it: text, format 0.0.4.
func (d *Daemon) metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		writeMetrics(w, d.DB.View(), d.DB.Kinds(), time.Since(d.started))
		d.cut.write(w)
	})
	return mux
}

func writeMetrics(w io.Writer, v *resource.View, kinds []resource.Any, up time.Duration) {
	gauge := func(name, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name) }
	gauge("drpd_objects", "Objects of each kind.")
	for _, k := range kinds {
		fmt.Fprintf(w, "drpd_objects{kind=%q} %d\n", k.KindName(), k.Len(v))
	}
	gauge("drpd_machines_runnable", "Machines whose tasks may run.")
	fmt.Fprintf(w, "drpd_machines_runnable %d\n", count(v, api.Machines, api.ByRunnable, "true"))
	gauge("drpd_jobs", "Jobs in each state.")
	for _, s := range []api.JobState{api.JobCreated, api.JobRunning, api.JobFinished, api.JobFailed, api.JobIncomplete, api.JobCancelled} {
		fmt.Fprintf(w, "drpd_jobs{state=%q} %d\n", s, count(v, api.Jobs, "State", string(s)))
	}
	gauge("drpd_waits", "Objects that wait, with a stored reason.")
	fmt.Fprintf(w, "drpd_waits %d\n", engine.Waits.Len(v))
	gauge("drpd_goroutines", "Goroutines.")
	fmt.Fprintf(w, "drpd_goroutines %d\n", runtime.NumGoroutine())
	gauge("drpd_uptime_seconds", "Time since the start.")
	fmt.Fprintf(w, "drpd_uptime_seconds %.0f\n", up.Seconds())
}

func count[T any](v *resource.View, k *resource.Kind[T], index, value string) (n int) {
	for range k.By(v, index, value) {
		n++
	}
	return n
}

// cuts counts readers of events that were cut off, by how they followed them.
type cuts struct{ websocket, stream atomic.Int64 }

func (d *Daemon) cutOff(how string) {
	if how == "websocket" {
		d.cut.websocket.Add(1)
	} else {
		d.cut.stream.Add(1)
	}
}

func (c *cuts) write(w io.Writer) {
	fmt.Fprintf(w, "# HELP drpd_event_readers_cut_total Readers of events that were cut off for not reading.\n# TYPE drpd_event_readers_cut_total counter\n")
	fmt.Fprintf(w, "drpd_event_readers_cut_total{how=\"websocket\"} %d\n", c.websocket.Load())
	fmt.Fprintf(w, "drpd_event_readers_cut_total{how=\"stream\"} %d\n", c.stream.Load())
}
