package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"drpd/pkg/store"
)

// ErrMixed: the file is damaged, no database at all, or it and the log beside it
// are not of one database at one time.
var ErrMixed = errors.New("the database is not of one piece")

// mixedMessage has what is wrong; the caller knows what to do about it.
const mixedMessage = "%w: its records are not those that its last commit left. " +
	"It or its -wal file is a copy of another time or of another server, or it is damaged"

// mixed tells what SQLite calls malformed by the same name.
func mixed(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case ok && e.Code()&0xff == sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf(mixedMessage+": %w", ErrMixed, err)
	case ok && e.Code()&0xff == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrMixed, err)
	}
	return err
}

// The sum of a file is that of one number for each record, made from what it is
// named and when it was last written, in 64 bits that may overflow. A commit
// changes it by its own records only. SQLite does not know whether a log belongs
// to its file: pages of a log over those of another copy make a database that
// looks sound, and whose sum is wrong.

// of is the number of one record.
func of(kind, key string, rev int64) uint64 {
	const prime = 1099511628211 // FNV-1a, 64 bits
	h := uint64(14695981039346656037)
	for _, s := range [...]string{kind, key} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
		h = (h ^ 0xff) * prime // ends each: no byte of UTF-8
	}
	for r := uint64(rev); r > 0; r >>= 8 {
		h = (h ^ r&0xff) * prime
	}
	// FNV leaves the low bits of near numbers near: a sum needs them mixed.
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// change is what an op of the commit rev adds to the sum.
func change(op store.Op, rev int64) (d uint64) {
	if op.Need {
		return 0
	}
	if op.If != 0 {
		d -= of(op.Kind, op.Key, int64(op.If))
	}
	if op.Data != nil {
		d += of(op.Kind, op.Key, rev)
	}
	return d
}

// readState reads revision and sum; known says that there is one, as there is from
// the first start on.
func (s *Store) readState(ctx context.Context) (known bool, err error) {
	var sum sql.NullInt64
	if err := s.w.state.QueryRowContext(ctx).Scan(&s.rev, &sum); err != nil {
		return false, fmt.Errorf("read revision: %w", err)
	}
	s.sum = uint64(sum.Int64)
	return sum.Valid, nil
}

// sumFormat is the first format whose state has a sum.
const sumFormat = 4

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// whole reads the state and compares its sum with that of the records. A file of
// a format without a sum gets its first one.
func (s *Store) whole(ctx context.Context) error {
	known, err := s.readState(ctx)
	if err != nil {
		return err
	}
	if known {
		return fits(ctx, s.conn, s.rev, sql.NullInt64{Int64: int64(s.sum), Valid: true})
	}
	if s.sum, _, err = sumOf(ctx, s.conn); err != nil {
		return err
	}
	if _, err := s.w.next.ExecContext(ctx, s.rev, int64(s.sum)); err != nil {
		return fmt.Errorf("first sum: %w", err)
	}
	return nil
}

// fits says whether the records are those that the commit rev left.
func fits(ctx context.Context, db querier, rev int64, sum sql.NullInt64) error {
	is, newest, err := sumOf(ctx, db)
	switch {
	case err != nil:
		return err
	case newest > rev || sum.Valid && uint64(sum.Int64) != is:
		return fmt.Errorf(mixedMessage, ErrMixed)
	}
	return nil
}

// sumOf reads the names of all records, not what is in them.
func sumOf(ctx context.Context, db querier) (sum uint64, newest int64, err error) {
	rows, err := db.QueryContext(ctx, "SELECT kind, key, rev FROM record")
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, key sql.RawBytes
		var rev int64
		if err := rows.Scan(&kind, &key, &rev); err != nil {
			return 0, 0, err
		}
		sum += of(string(kind), string(key), rev)
		newest = max(newest, rev)
	}
	return sum, newest, rows.Err()
}
