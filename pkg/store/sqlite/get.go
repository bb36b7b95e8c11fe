package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"drpd/pkg/store"
)

// Get reads one record, of which Data is nil if there is none, and the revision
// of the store.
func (s *Store) Get(ctx context.Context, kind, key string) (store.Record, store.Rev, error) {
	r := store.Record{Kind: kind, Key: key}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, 0, s.fail("get", err)
	}
	defer tx.Rollback()
	var rev, at int64
	if err := tx.StmtContext(ctx, s.r.rev).QueryRowContext(ctx).Scan(&rev); err != nil {
		return r, 0, s.fail("get", err)
	}
	err = tx.QueryRowContext(ctx, "SELECT rev, data FROM record WHERE kind = ? AND key = ?", kind, key).Scan(&at, &r.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return r, store.Rev(rev), nil
	}
	if err != nil {
		return r, 0, s.fail("get", err)
	}
	r.Rev, r.Data = store.Rev(at), notNil(r.Data)
	return r, store.Rev(rev), nil
}
