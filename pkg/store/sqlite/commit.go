package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"drpd/pkg/store"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, ops []store.Op) (store.Rev, error) {
	if err := store.CheckOps(ops); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rev, err := s.commit(ctx, ops)
	if err != nil {
		return 0, s.fail("commit", err)
	}
	s.tell(store.Rev(rev), ops)
	return store.Rev(rev), nil
}

// tell adds a commit to the history, unless its ops only compared.
func (s *Store) tell(rev store.Rev, ops []store.Op) {
	c := store.Commit{Rev: rev}
	for _, op := range ops {
		if !op.Need {
			c.Records = append(c.Records, store.Record{Kind: op.Kind, Key: op.Key, Rev: rev, Data: op.Data})
		}
	}
	if len(c.Records) > 0 {
		s.history.Add(c)
	}
}

// commit runs the ops under the next revision, or under the current one when
// they all only compare. The transaction is statements like all others: that of
// database/sql binds each statement anew and starts a goroutine.
func (s *Store) commit(ctx context.Context, ops []store.Op) (rev int64, err error) {
	if _, err := s.w.begin.ExecContext(ctx); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil { // also if it cannot be told whether it was made
			_, _ = s.w.rollback.ExecContext(context.WithoutCancel(ctx))
			s.rev = unknown
		}
	}()
	if s.rev == unknown {
		if _, err := s.readState(ctx); err != nil {
			return 0, err
		}
	}
	var sum uint64
	if rev, sum, err = s.number(ctx, ops); err != nil {
		return 0, err
	}
	for _, op := range ops {
		if err := s.apply(ctx, rev, op); err != nil {
			return 0, err
		}
	}
	if _, err := s.w.commit.ExecContext(ctx); err != nil {
		return 0, err
	}
	s.rev, s.sum = rev, sum
	return rev, nil
}

// number is the revision of a commit and the sum after it, which the file then has.
func (s *Store) number(ctx context.Context, ops []store.Op) (rev int64, sum uint64, err error) {
	if !slices.ContainsFunc(ops, func(op store.Op) bool { return !op.Need }) {
		return s.rev, s.sum, nil
	}
	rev, sum = s.rev+1, s.sum
	for _, op := range ops {
		sum += change(op, rev)
	}
	if _, err := s.w.next.ExecContext(ctx, rev, int64(sum)); err != nil {
		return 0, 0, fmt.Errorf("number commit: %w", err)
	}
	return rev, sum, nil
}

// apply compares and writes in one statement where it can: a row that was not
// touched is a conflict.
func (s *Store) apply(ctx context.Context, rev int64, op store.Op) error {
	if op.Need {
		return s.compare(ctx, op)
	}
	var res sql.Result
	var err error
	switch {
	case op.Data == nil:
		res, err = s.w.remove.ExecContext(ctx, op.Kind, op.Key, int64(op.If))
	case op.If == 0:
		res, err = s.w.insert.ExecContext(ctx, rev, op.Data, op.Kind, op.Key)
	default:
		res, err = s.w.update.ExecContext(ctx, rev, op.Data, op.Kind, op.Key, int64(op.If))
	}
	if err != nil {
		return fmt.Errorf("write %s/%s: %w", op.Kind, op.Key, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, s.compare(ctx, op))
	}
	return nil
}

// compare returns a conflict unless the record is at the op's revision.
func (s *Store) compare(ctx context.Context, op store.Op) error {
	var have int64
	err := s.w.find.QueryRowContext(ctx, op.Kind, op.Key).Scan(&have)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("find %s/%s: %w", op.Kind, op.Key, err)
	}
	if store.Rev(have) == op.If {
		return nil
	}
	return &store.ConflictError{Kind: op.Kind, Key: op.Key, Want: op.If, Have: store.Rev(have)}
}
