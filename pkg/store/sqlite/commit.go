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
	var rev int64
	err := s.inTx(ctx, func(tx *sql.Tx) (err error) {
		rev, err = s.applyAll(ctx, tx, ops)
		return err
	})
	if err != nil {
		return 0, s.fail("commit", err)
	}
	s.seen.advance(store.Rev(rev))
	return store.Rev(rev), nil
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
	w := newOpWriter(ctx, tx, s.w, rev, s.cfg.Now().Unix())
	for _, op := range ops {
		if err := w.apply(ctx, op); err != nil {
			return 0, err
		}
	}
	if number == s.w.rev || rev%trimEvery(s.cfg.LogRows) != 0 {
		return rev, nil
	}
	return rev, s.trim(ctx, tx, rev)
}

// trimEvery spreads the cost of trimming over commits; a short log is kept
// short more eagerly.
func trimEvery(logRows int) int64 { return int64(min(max(logRows/8, 1), 256)) }

func (s *Store) trim(ctx context.Context, tx *sql.Tx, rev int64) error {
	oldest := s.cfg.Now().Add(-s.cfg.LogAge).Unix()
	if _, err := tx.StmtContext(ctx, s.w.trim).ExecContext(ctx, oldest, s.cfg.LogRows, rev); err != nil {
		return fmt.Errorf("trim log: %w", err)
	}
	return nil
}

// opWriter holds the statements bound to one transaction, so that a large
// commit binds each of them once.
type opWriter struct {
	rev, at                           int64
	find, insert, update, remove, log *sql.Stmt
}

func newOpWriter(ctx context.Context, tx *sql.Tx, w writeStmts, rev, at int64) *opWriter {
	return &opWriter{
		rev: rev, at: at,
		find:   tx.StmtContext(ctx, w.find),
		insert: tx.StmtContext(ctx, w.insert),
		update: tx.StmtContext(ctx, w.update),
		remove: tx.StmtContext(ctx, w.remove),
		log:    tx.StmtContext(ctx, w.log),
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
	var logged any // untyped nil is NULL: deleted
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
	if op.Data != nil {
		logged = op.Data
	}
	if _, err := w.log.ExecContext(ctx, w.rev, w.at, op.Kind, op.Key, logged); err != nil {
		return fmt.Errorf("log %s/%s: %w", op.Kind, op.Key, err)
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
