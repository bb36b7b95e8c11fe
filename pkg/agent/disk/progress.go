//go:build linux

package disk

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const progressEvery = 5 * time.Second

// progress prints how far a long operation is, every few seconds and at its
// end.
type progress struct {
	w     io.Writer
	what  string
	total int64
	done  int64
	start time.Time
	last  time.Time
}

func newProgress(w io.Writer, what string, total int64) *progress {
	if w == nil {
		w = io.Discard
	}
	now := time.Now()
	return &progress{w: w, what: what, total: total, start: now, last: now}
}

func (p *progress) add(n int64) {
	p.done += n
	if now := time.Now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		p.print(now)
	}
}

func (p *progress) finish() { p.print(time.Now()) }

func (p *progress) print(now time.Time) {
	secs := max(now.Sub(p.start).Seconds(), 0.001)
	fmt.Fprintf(p.w, "%s: %d of %d bytes, %.1f MB/s, %.1f s\n",
		p.what, p.done, p.total, float64(p.done)/1e6/secs, secs)
}

// lockedWriter lets several disks print to one log.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil {
		return len(b), nil
	}
	return l.w.Write(b)
}
