// Package mem is a store.Store in memory, for tests and throw-away servers.
package mem

import (
	"context"
	"fmt"
	"iter"
	"math"
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
	history *store.History

	mu      sync.Mutex // guards all below
	records map[recordID]store.Record
	rev     store.Rev
	closed  bool
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New(cfg Config) *Store {
	if cfg.LogRows <= 0 {
		cfg.LogRows = DefaultLogRows
	}
	return &Store{
		history: store.NewHistory(cfg.LogRows, math.MaxInt, 0),
		records: map[recordID]store.Record{},
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
	s.history.Add(c)
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, after store.Rev) iter.Seq2[store.Commit, error] {
	return s.history.Watch(ctx, after)
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.history.Close()
	return nil
}
