package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"drpd/pkg/store"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, ops []store.Op) (store.Rev, error) {
	if err := store.CheckOps(ops); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var rev int64
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		rev, err = s.applyAll(ctx, tx, ops)
		return err
	})
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

func (s *Store) inTx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // no effect once committed
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// applyAll runs the ops under the next revision, or under the current one when
// they all only compare.
func (s *Store) applyAll(ctx context.Context, tx *sql.Tx, ops []store.Op) (int64, error) {
	number := s.w.rev
	for _, op := range ops {
		if !op.Need {
			number = s.w.next
		}
	}
	var rev int64
	if err := tx.StmtContext(ctx, number).QueryRowContext(ctx).Scan(&rev); err != nil {
		return 0, fmt.Errorf("number commit: %w", err)
	}
	w := newOpWriter(ctx, tx, s.w, rev)
	for _, op := range ops {
		if err := w.apply(ctx, op); err != nil {
			return 0, err
		}
	}
	return rev, nil
}

// opWriter holds the statements bound to one transaction, so that a large
// commit binds each of them once.
type opWriter struct {
	rev                          int64
	find, insert, update, remove *sql.Stmt
}

func newOpWriter(ctx context.Context, tx *sql.Tx, w writeStmts, rev int64) *opWriter {
	return &opWriter{
		rev:    rev,
		find:   tx.StmtContext(ctx, w.find),
		insert: tx.StmtContext(ctx, w.insert),
		update: tx.StmtContext(ctx, w.update),
		remove: tx.StmtContext(ctx, w.remove),
	}
}

// apply compares and writes in one statement where it can: a row that was not
// touched is a conflict.
func (w *opWriter) apply(ctx context.Context, op store.Op) error {
	if op.Need {
		return w.compare(ctx, op)
	}
	var res sql.Result
	var err error
	switch {
	case op.Data == nil:
		res, err = w.remove.ExecContext(ctx, op.Kind, op.Key, int64(op.If))
	case op.If == 0:
		res, err = w.insert.ExecContext(ctx, w.rev, op.Data, op.Kind, op.Key)
	default:
		res, err = w.update.ExecContext(ctx, w.rev, op.Data, op.Kind, op.Key, int64(op.If))
	}
	if err != nil {
		return fmt.Errorf("write %s/%s: %w", op.Kind, op.Key, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, w.compare(ctx, op))
	}
	return nil
}

// compare returns a conflict unless the record is at the op's revision.
func (w *opWriter) compare(ctx context.Context, op store.Op) error {
	var have int64
	err := w.find.QueryRowContext(ctx, op.Kind, op.Key).Scan(&have)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("find %s/%s: %w", op.Kind, op.Key, err)
	}
	if store.Rev(have) == op.If {
		return nil
	}
	return &store.ConflictError{Kind: op.Kind, Key: op.Key, Want: op.If, Have: store.Rev(have)}
}
