package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// History is the newest commits of a store in memory, for its Watch.
type History struct {
	rows, bytes int // limits of what is kept

	mu      sync.Mutex // guards all below
	rev     Rev
	log     []Commit // revisions rev-len(log)+1 to rev, without gaps
	hasRows int
	hasData int
	changed chan struct{} // closed and replaced by each commit and by Close
	closed  bool
}

// NewHistory keeps at most rows records with bytes of data, and the newest
// commit whatever its size. rev is the revision that the store is at.
func NewHistory(rows, bytes int, rev Rev) *History {
	return &History{rows: rows, bytes: bytes, rev: rev, changed: make(chan struct{})}
}

// Add tells of the next commit. Its data is shared from now on.
func (h *History) Add(c Commit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rev = c.Rev
	h.log = append(h.log, c)
	h.hasRows += len(c.Records)
	h.hasData += dataOf(c)
	h.trim()
	h.wake()
}

func dataOf(c Commit) (n int) {
	for _, r := range c.Records {
		n += len(r.Data)
	}
	return n
}

// trim drops the oldest commits while the log is too long, never the newest.
func (h *History) trim() {
	n := 0
	for (h.hasRows > h.rows || h.hasData > h.bytes) && n < len(h.log)-1 {
		h.hasRows -= len(h.log[n].Records)
		h.hasData -= dataOf(h.log[n])
		h.log[n] = Commit{} // let the data go before the array does
		n++
	}
	h.log = h.log[n:]
}

func (h *History) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Watch is Store.Watch.
func (h *History) Watch(ctx context.Context, after Rev) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		for {
			commits, changed, err := h.since(ctx, after)
			if err != nil {
				yield(Commit{}, fmt.Errorf("watch after %d: %w", uint64(after), err))
				return
			}
			for _, c := range commits {
				if !yield(c, nil) {
					return
				}
				after = c.Rev
			}
			if len(commits) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// watchBatch bounds what a slow watcher keeps alive.
const watchBatch = 64

// since returns the next commits after a revision, or what to wait for.
func (h *History) since(ctx context.Context, after Rev) ([]Commit, <-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	oldest := h.rev - Rev(len(h.log)) // everything after it is in the log
	switch {
	case h.closed:
		return nil, nil, ErrClosed
	case after < oldest, after > h.rev:
		return nil, nil, ErrCompacted
	}
	rest := h.log[after-oldest:]
	return slices.Clone(rest[:min(len(rest), watchBatch)]), h.changed, nil
}

// Close ends all watches.
func (h *History) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}
