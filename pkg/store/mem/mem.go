// Package mem is a store.Store in memory, for tests and throw-away servers.
package mem

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"drpd/pkg/store"
)

// DefaultLogRows is how many changed records the log keeps unless told.
const DefaultLogRows = 100_000

// Config is how to make a Store; the zero value is good.
type Config struct {
	LogRows int // changed records kept for Watch; 0: DefaultLogRows
}

type recordID struct{ kind, key string }

// Store implements store.Store; make it with New.
type Store struct {
	logRows int

	mu      sync.Mutex
	records map[recordID]store.Record
	rev     store.Rev
	log     []store.Commit // revisions rev-len(log)+1 to rev, without gaps
	rows    int            // records in log
	changed chan struct{}  // closed and replaced by each commit and by Close
	closed  bool
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New(cfg Config) *Store {
	if cfg.LogRows <= 0 {
		cfg.LogRows = DefaultLogRows
	}
	return &Store{
		logRows: cfg.LogRows,
		records: map[recordID]store.Record{},
		changed: make(chan struct{}),
	}
}

// Load implements store.Store. fn runs without the lock held, on a snapshot.
func (s *Store) Load(ctx context.Context, fn func(store.Record) error) (store.Rev, error) {
	records, rev, err := s.snapshot()
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	for _, r := range records {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("load: %w", err)
		}
		if err := fn(r); err != nil {
			return 0, fmt.Errorf("load %s/%s: %w", r.Kind, r.Key, err)
		}
	}
	return rev, nil
}

func (s *Store) snapshot() ([]store.Record, store.Rev, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, store.ErrClosed
	}
	records := make([]store.Record, 0, len(s.records))
	for _, r := range s.records {
		records = append(records, r)
	}
	return records, s.rev, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, ops []store.Op) (store.Rev, error) {
	if err := store.CheckOps(ops); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, fmt.Errorf("commit: %w", store.ErrClosed)
	}
	for _, op := range ops {
		if have := s.records[recordID{op.Kind, op.Key}].Rev; have != op.If {
			return 0, fmt.Errorf("commit: %w", &store.ConflictError{Kind: op.Kind, Key: op.Key, Want: op.If, Have: have})
		}
	}
	s.apply(ops)
	return s.rev, nil
}

// apply makes the checked ops true, logs them and wakes the watchers.
func (s *Store) apply(ops []store.Op) {
	c := store.Commit{Rev: s.rev + 1}
	for _, op := range ops {
		if op.Need {
			continue
		}
		id := recordID{op.Kind, op.Key}
		r := store.Record{Kind: op.Kind, Key: op.Key, Rev: c.Rev, Data: slices.Clone(op.Data)}
		if op.Data == nil {
			delete(s.records, id)
		} else {
			s.records[id] = r
		}
		c.Records = append(c.Records, r)
	}
	if len(c.Records) == 0 {
		return
	}
	s.rev = c.Rev
	s.log = append(s.log, c)
	s.rows += len(c.Records)
	s.trim()
	s.wake()
}

// trim drops the oldest commits while the log is too long, never the newest.
func (s *Store) trim() {
	n := 0
	for s.rows > s.logRows && n < len(s.log)-1 {
		s.rows -= len(s.log[n].Records)
		s.log[n] = store.Commit{} // let the data go before the array does
		n++
	}
	s.log = s.log[n:]
}

func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, after store.Rev) iter.Seq2[store.Commit, error] {
	return func(yield func(store.Commit, error) bool) {
		for {
			commits, changed, err := s.since(ctx, after)
			if err != nil {
				yield(store.Commit{}, fmt.Errorf("watch after %d: %w", uint64(after), err))
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
func (s *Store) since(ctx context.Context, after store.Rev) ([]store.Commit, <-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.rev - store.Rev(len(s.log)) // everything after it is in the log
	switch {
	case s.closed:
		return nil, nil, store.ErrClosed
	case after < oldest, after > s.rev:
		return nil, nil, store.ErrCompacted
	}
	rest := s.log[after-oldest:]
	return slices.Clone(rest[:min(len(rest), watchBatch)]), s.changed, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.wake()
	}
	return nil
}
