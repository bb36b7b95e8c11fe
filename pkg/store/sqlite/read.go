package sqlite

import (
	"context"
	"database/sql"
	"errors"
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
	s.seen.advance(rev)
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

// Watch implements store.Store. No transaction is held while the consumer
// works, so a slow one never keeps the WAL from being checkpointed.
func (s *Store) Watch(ctx context.Context, after store.Rev) iter.Seq2[store.Commit, error] {
	return func(yield func(store.Commit, error) bool) {
		for {
			commits, err := s.next(ctx, after)
			if err != nil {
				yield(store.Commit{}, s.fail(fmt.Sprintf("watch after %d", uint64(after)), err))
				return
			}
			for _, c := range commits {
				if !yield(c, nil) {
					return
				}
				after = c.Rev
			}
		}
	}
}

// next waits until there are commits after a revision and returns some.
func (s *Store) next(ctx context.Context, after store.Rev) ([]store.Commit, error) {
	for {
		current, changed := s.seen.get()
		select {
		case <-s.closed:
			return nil, store.ErrClosed
		default:
		}
		switch err := ctx.Err(); {
		case err != nil:
			return nil, err
		case after > current:
			return nil, store.ErrCompacted // of a file since restored from a backup
		case after < current:
			return s.since(ctx, after)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.closed:
		}
	}
}

// batchBytes and batchCommits bound what is read for a watcher at once; one
// commit larger than that is still whole.
const (
	batchBytes   = 1 << 20
	batchCommits = 256
)

// since reads commits after a revision known to have successors. Revisions
// have no gaps, so if the first is not after+1 the log was trimmed.
func (s *Store) since(ctx context.Context, after store.Rev) ([]store.Commit, error) {
	rows, err := s.r.since.QueryContext(ctx, int64(after))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	commits, err := scanCommits(rows)
	if err != nil {
		return nil, err
	}
	if len(commits) == 0 || commits[0].Rev != after+1 {
		return nil, store.ErrCompacted
	}
	s.seen.advance(commits[len(commits)-1].Rev)
	return commits, nil
}

func scanCommits(rows *sql.Rows) ([]store.Commit, error) {
	var commits []store.Commit
	size := 0
	for rows.Next() {
		var rev int64
		var deleted bool
		var r store.Record
		if err := rows.Scan(&rev, &r.Kind, &r.Key, &deleted, &r.Data); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		r.Rev = store.Rev(rev)
		if !deleted {
			r.Data = notNil(r.Data)
		}
		if n := len(commits); n == 0 || commits[n-1].Rev != r.Rev {
			if size >= batchBytes || n >= batchCommits {
				return commits, nil
			}
			commits = append(commits, store.Commit{Rev: r.Rev})
		}
		last := &commits[len(commits)-1]
		last.Records = append(last.Records, r)
		size += len(r.Data)
	}
	return commits, rows.Err()
}
