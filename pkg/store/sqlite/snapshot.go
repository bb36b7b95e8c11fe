package sqlite

import (
	"context"
	"database/sql"
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
