package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"drpd/pkg/store"
)

// Snapshot copies the database at path to a new file as it is at one moment,
// also while another process has it open and writes. It returns the revision of
// the copy, which was looked through for damage.
func Snapshot(ctx context.Context, path, to string) (store.Rev, error) {
	rev, err := snapshot(ctx, path, to)
	if err != nil {
		return 0, fmt.Errorf("copy database %s: %w", path, err)
	}
	return rev, nil
}

func snapshot(ctx context.Context, path, to string) (store.Rev, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: readOnly()}
	from, err := sql.Open("sqlite", u.String())
	if err != nil {
		return 0, err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return 0, mixed(err)
	}
	return Check(ctx, to)
}

// readOnly opens a file, and its log, so that nothing of them is changed: at the
// end of the last connection that may write, SQLite lays the log over its file,
// which may not be its own.
func readOnly() string { return fmt.Sprintf("mode=ro&_pragma=busy_timeout(%d)", busyTimeout) }

// Check looks a database through that nobody has open, and returns its revision.
func Check(ctx context.Context, path string) (store.Rev, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: "mode=ro&immutable=1"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var says string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&says); err != nil {
		return 0, err
	}
	if says != "ok" {
		return 0, fmt.Errorf("it is damaged: %s", says)
	}
	return checkSum(ctx, db)
}

// Peek looks a database through, its log included, and reads one record, all as of
// one moment. Nothing is changed. ErrMixed as Open.
func Peek(ctx context.Context, path, kind, key string) (store.Record, store.Rev, error) {
	r := store.Record{Kind: kind, Key: key}
	abs, err := filepath.Abs(path)
	if err != nil {
		return r, 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: readOnly()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return r, 0, err
	}
	defer db.Close()
	rev, err := peek(ctx, db, &r)
	if err != nil {
		return r, 0, fmt.Errorf("look at %s: %w", path, mixed(err))
	}
	return r, rev, nil
}

func peek(ctx context.Context, db *sql.DB, r *store.Record) (store.Rev, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // a server may be writing
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var ours int
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'format'").Scan(&ours)
	if err != nil || ours == 0 {
		return 0, err // nothing yet, or another program's: Open says which
	}
	rev, err := checkSum(ctx, tx)
	if err != nil {
		return 0, err
	}
	var at int64
	err = tx.QueryRowContext(ctx, "SELECT rev, data FROM record WHERE kind = ? AND key = ?", r.Kind, r.Key).Scan(&at, &r.Data)
	if r.Rev = store.Rev(at); errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return rev, err
}

// checkSum compares the file with its sum; one of a former format has none.
func checkSum(ctx context.Context, db querier) (store.Rev, error) {
	var format, rev int64
	var sum sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT version FROM format").Scan(&format); err != nil {
		return 0, fmt.Errorf("read format version: %w", err)
	}
	if format < sumFormat {
		err := db.QueryRowContext(ctx, "SELECT rev FROM state").Scan(&rev)
		return store.Rev(rev), err
	}
	if err := db.QueryRowContext(ctx, "SELECT rev, sum FROM state").Scan(&rev, &sum); err != nil {
		return 0, fmt.Errorf("read revision: %w", err)
	}
	return store.Rev(rev), fits(ctx, db, rev, sum)
}
