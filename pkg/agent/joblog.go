//go:build linux

package agent

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"drpd/pkg/client"
)

const (
	logEvery  = time.Second
	logChunk  = 64 << 10 // bytes of one append
	logHeld   = 1 << 20  // bytes kept while the server is away; then writers wait
	maxJobLog = 32 << 20 // bytes of one run; what exceeds them is dropped and said so
	maxLine   = 1 << 10  // bytes of the error line kept
)

// jobLog gathers the output of one job and sends it in order.
type jobLog struct {
	a   *agent
	job string

	mu     sync.Mutex // guards all below
	room   *sync.Cond // signaled when held shrinks or the log ends
	held   []byte
	total  int64
	closed bool // nothing more will be written
	dead   bool // nothing more will be sent
	last   lastLine
	full   chan struct{} // a chunk is complete, or the log was closed
}

func newJobLog(a *agent, job string) *jobLog {
	l := &jobLog{a: a, job: job, full: make(chan struct{}, 1)}
	l.room = sync.NewCond(&l.mu)
	return l
}

// Write never fails: a task must not fail because its log cannot be kept.
func (l *jobLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for len(b) > 0 && !l.dead {
		if l.total >= maxJobLog {
			l.cutOff()
			break
		}
		for len(l.held) >= logHeld && !l.dead {
			l.room.Wait()
		}
		take := min(len(b), max(logHeld-len(l.held), 0), int(maxJobLog-l.total))
		l.held, b, l.total = append(l.held, b[:take]...), b[take:], l.total+int64(take)
		if len(l.held) >= logChunk {
			l.wake()
		}
	}
	return n, nil
}

// cutOff says once that the log ends here. It is called with mu held.
func (l *jobLog) cutOff() {
	if l.total == maxJobLog {
		l.held = fmt.Appendf(l.held, "\n... the log is cut off after %d bytes\n", int64(maxJobLog))
		l.total++
	}
}

func (l *jobLog) wake() {
	select {
	case l.full <- struct{}{}:
	default:
	}
}

func (l *jobLog) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake()
}

// send appends what is written until the log is closed and all is sent. Output
// of a task goes on being taken after an error, and is dropped.
func (l *jobLog) send(ctx context.Context) error {
	defer l.kill()
	size, err := ask(ctx, l.a, func(c *client.Client) (int64, error) { return c.LogSize(ctx, l.job) })
	if err != nil {
		return err
	}
	for {
		chunk, closed := l.next()
		if len(chunk) == 0 && closed {
			return nil
		}
		if len(chunk) < logChunk && !closed {
			if l.await(ctx); ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if chunk, _ = l.next(); len(chunk) == 0 {
				continue
			}
		}
		if size, err = l.append(ctx, chunk, size); err != nil {
			return err
		}
		l.sent(len(chunk))
	}
}

// append sends a chunk that belongs at byte size. If no answer comes the server
// is asked how much of it has arrived before the rest is sent.
func (l *jobLog) append(ctx context.Context, chunk []byte, size int64) (int64, error) {
	end := size + int64(len(chunk))
	err := l.a.call(ctx, func(c *client.Client) error {
		for size < end {
			err := c.AppendLog(ctx, l.job, chunk[int64(len(chunk))-(end-size):])
			if err == nil {
				break
			}
			if !temporary(err) || ctx.Err() != nil {
				return err
			}
			now, err2 := c.LogSize(ctx, l.job)
			if err2 != nil || now <= size {
				return err
			}
			size = min(now, end)
		}
		return nil
	})
	return end, err
}

func (l *jobLog) next() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[:min(len(l.held), logChunk)], l.closed
}

func (l *jobLog) await(ctx context.Context) {
	t := time.NewTimer(logEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.full:
	case <-t.C:
	}
}

func (l *jobLog) sent(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A fresh array: chunks handed out must not change, and memory is given back.
	l.held = append([]byte(nil), l.held[n:]...)
	l.room.Broadcast()
}

// kill lets writers go on when nothing is sent any more.
func (l *jobLog) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.held = true, nil
	l.room.Broadcast()
}

// stderr is the log for a script's errors, whose last line becomes the cause.
func (l *jobLog) stderr() io.Writer { return errorWriter{l} }

type errorWriter struct{ log *jobLog }

func (w errorWriter) Write(b []byte) (int, error) {
	w.log.mu.Lock()
	w.log.last.add(b)
	w.log.mu.Unlock()
	return w.log.Write(b)
}

// lastError is the last line of errors with a separator before it, or "".
func (l *jobLog) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.last.line(); s != "" {
		return ": " + s
	}
	return ""
}

// lastLine keeps the last line that is not blank, in bounded memory.
type lastLine struct {
	done string
	part []byte
}

func (l *lastLine) add(b []byte) {
	for _, c := range b {
		if c != '\n' {
			if len(l.part) < maxLine {
				l.part = append(l.part, c)
			}
			continue
		}
		l.done, l.part = l.line(), l.part[:0]
	}
}

func (l *lastLine) line() string {
	if s := strings.TrimSpace(strings.ToValidUTF8(string(l.part), "?")); s != "" {
		return s
	}
	return l.done
}
