package cli

import (
	"fmt"
	"io"
	"time"
)

// bar tells how far a transfer is: drawn in place on a terminal, elsewhere a
// line for each Beat.
type bar struct {
	s           *session
	what        string
	size, moved int64
	start, said time.Time
	drawn       bool
}

// drawEvery bounds how often a terminal is drawn on.
const drawEvery = 200 * time.Millisecond

func (s *session) progress(what string, size int64) *bar {
	now := s.cfg.Now()
	return &bar{s: s, what: what, size: size, start: now, said: now}
}

func (b *bar) reader(r io.Reader) io.Reader { return &barReader{r, b} }

type barReader struct {
	r io.Reader
	b *bar
}

func (r *barReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.b.add(int64(n))
	return n, err
}

func (b *bar) add(n int64) {
	b.moved += n
	now := b.s.cfg.Now()
	every := b.s.cfg.Beat
	if b.s.errTTY {
		every = drawEvery
	}
	if b.s.flags.quiet || now.Sub(b.said) < every {
		return
	}
	b.said = now
	if b.s.errTTY {
		b.drawn = true
		fmt.Fprintf(b.s.err, "\r%s\x1b[K", plain(b.text(now)))
		return
	}
	b.s.note("%s %s", now.UTC().Format(time.RFC3339), b.text(now))
}

// text is such as "upload x.iso  12.0 of 40.0 MiB  30%  5.1 MiB/s".
func (b *bar) text(now time.Time) string {
	t := fmt.Sprintf("%s  %.1f", b.what, mib(b.moved))
	if b.size > 0 {
		t += fmt.Sprintf(" of %.1f MiB  %d%%", mib(b.size), 100*b.moved/b.size)
	} else {
		t += " MiB"
	}
	if d := now.Sub(b.start).Seconds(); d > 0 {
		t += fmt.Sprintf("  %.1f MiB/s", mib(b.moved)/d)
	}
	return t
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func (b *bar) end() {
	if b.drawn {
		fmt.Fprint(b.s.err, "\r\x1b[K")
	}
}
