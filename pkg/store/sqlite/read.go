package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"drpd/pkg/store"
)

// Load implements store.Store. It reads one snapshot; commits go on meanwhile.
func (s *Store) Load(ctx context.Context, fn func(store.Record) error) (store.Rev, error) {
	rev, err := s.load(ctx, fn)
	if err != nil {
		return 0, s.fail("load", err)
	}
	// The file may be a commit ahead of the history: wait until that is told,
	// so that a watch can go on from here.
	s.mu.Lock()
	defer s.mu.Unlock()
	return rev, nil
}

func (s *Store) load(ctx context.Context, fn func(store.Record) error) (store.Rev, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var rev int64
	if err := tx.StmtContext(ctx, s.r.rev).QueryRowContext(ctx).Scan(&rev); err != nil {
		return 0, fmt.Errorf("read revision: %w", err)
	}
	rows, err := tx.StmtContext(ctx, s.r.load).QueryContext(ctx)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var r store.Record
		var at int64
		if err := rows.Scan(&r.Kind, &r.Key, &at, &r.Data); err != nil {
			return 0, err
		}
		r.Rev, r.Data = store.Rev(at), notNil(r.Data)
		if err := fn(r); err != nil {
			return 0, fmt.Errorf("%s/%s: %w", r.Kind, r.Key, err)
		}
	}
	return store.Rev(rev), rows.Err()
}

// notNil tells an empty record from a deleted one, which the driver does not.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// Watch implements store.Store. What was before the start is ErrCompacted.
func (s *Store) Watch(ctx context.Context, after store.Rev) iter.Seq2[store.Commit, error] {
	return s.history.Watch(ctx, after)
}
