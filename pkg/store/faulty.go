package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrInjected is what Faulty fails with.
var ErrInjected = errors.New("injected fault")

// Faults says which commits a Faulty store fails. The zero value fails none.
type Faults struct {
	Every int             // fail each commit whose number divides by it; 0: off
	After int             // let that many commits pass, then fail all; 0: off
	Lost  bool            // apply the failing commit and lose only the answer
	Block <-chan struct{} // commits wait until it is closed; nil: no wait
}

// Faulty decorates a Store for tests of the code above it: commits fail, get
// lost or hang as told. Reading passes through.
type Faulty struct {
	Store

	mu     sync.Mutex
	faults Faults
	count  int // commits since Set
}

// NewFaulty wraps s with the given faults.
func NewFaulty(s Store, f Faults) *Faulty { return &Faulty{Store: s, faults: f} }

// Set replaces the faults and starts counting commits anew.
func (f *Faulty) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.count = faults, 0
}

// Commit counts, waits and fails as the faults say, else commits.
func (f *Faulty) Commit(ctx context.Context, ops []Op) (Rev, error) {
	faults, n := f.next()
	if faults.Block != nil {
		select {
		case <-faults.Block:
		case <-ctx.Done():
			return 0, fmt.Errorf("commit %d: %w", n, ctx.Err())
		}
	}
	if !faults.hit(n) {
		return f.Store.Commit(ctx, ops)
	}
	if faults.Lost {
		if _, err := f.Store.Commit(ctx, ops); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("commit %d: %w", n, ErrInjected)
}

func (f *Faulty) next() (Faults, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	return f.faults, f.count
}

func (f Faults) hit(n int) bool {
	return f.Every > 0 && n%f.Every == 0 || f.After > 0 && n > f.After
}
