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
	if _, _, err := Peek(ctx, abs, "", ""); err != nil {
		return 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: fmt.Sprintf("mode=rw&_pragma=busy_timeout(%d)", busyTimeout)}
	from, err := sql.Open("sqlite", u.String())
	if err != nil {
		return 0, err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return 0, err
	}
	return Check(ctx, to)
}

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

// Peek looks a database through that nobody has open, its log included, and reads
// one record. It opens the file for reading only: even the end of a connection
// would lay a log over its file, which may not be its own. ErrMixed as Open.
func Peek(ctx context.Context, path, kind, key string) (store.Record, store.Rev, error) {
	r := store.Record{Kind: kind, Key: key}
	abs, err := filepath.Abs(path)
	if err != nil {
		return r, 0, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: fmt.Sprintf("mode=ro&_pragma=busy_timeout(%d)", busyTimeout)}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return r, 0, err
	}
	defer db.Close()
	var ours int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'format'").Scan(&ours)
	if err == nil && ours == 0 {
		return r, 0, nil // nothing yet, or another program's: Open says which
	}
	var rev store.Rev
	if err == nil {
		rev, err = checkSum(ctx, db)
	}
	if err == nil {
		var at int64
		err = db.QueryRowContext(ctx, "SELECT rev, data FROM record WHERE kind = ? AND key = ?", kind, key).Scan(&at, &r.Data)
		if r.Rev = store.Rev(at); errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
	}
	if err != nil {
		return r, 0, fmt.Errorf("look at %s: %w", path, mixed(err))
	}
	return r, rev, nil
}

// checkSum compares the file with its sum; one of a former format has none.
func checkSum(ctx context.Context, db *sql.DB) (store.Rev, error) {
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
