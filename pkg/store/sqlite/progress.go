package sqlite

import (
	"sync"

	"drpd/pkg/store"
)

// progress is the newest revision known to be committed and a way to wait for
// a newer one. Readers may find a commit in the file before the committer comes
// to report it; so whoever hands out a revision advances to it first.
type progress struct {
	mu      sync.Mutex
	rev     store.Rev
	changed chan struct{} // closed and replaced when rev rises
}

func newProgress() *progress { return &progress{changed: make(chan struct{})} }

// advance raises the revision. Callers may come in any order.
func (p *progress) advance(rev store.Rev) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rev <= p.rev {
		return
	}
	p.rev = rev
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *progress) get() (store.Rev, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rev, p.changed
}
