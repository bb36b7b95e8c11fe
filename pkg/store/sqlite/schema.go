package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// formatVersion is the layout this code reads and writes. Each layout has one
// entry in migrations; the entry at index v leads from v to v+1.
const formatVersion = 4

// ErrNewerFormat: the file was written by a newer program.
var ErrNewerFormat = errors.New("newer format")

var migrations = [formatVersion]string{`
CREATE TABLE format (version INTEGER NOT NULL);
INSERT INTO format VALUES (0);
CREATE TABLE state (rev INTEGER NOT NULL);
INSERT INTO state VALUES (0);
CREATE TABLE record (
	kind TEXT NOT NULL,
	key  TEXT NOT NULL,
	rev  INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (kind, key)
);
CREATE TABLE log (
	seq  INTEGER PRIMARY KEY,
	rev  INTEGER NOT NULL,
	at   INTEGER NOT NULL,
	kind TEXT NOT NULL,
	key  TEXT NOT NULL,
	data BLOB
);
CREATE INDEX log_rev ON log (rev);
`, `
DROP TABLE log; -- the history is in memory
`, `
SELECT 1; -- what replies hide of an object may follow it in data, as a JSON object of its own
`, `
ALTER TABLE state ADD COLUMN sum INTEGER; -- see sum.go; NULL until it is first made
`}

// migrate brings the file to formatVersion in one transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer tx.Rollback()
	have, err := readFormat(ctx, tx)
	if err != nil {
		return err
	}
	if have > formatVersion {
		return fmt.Errorf("%w: file has format %d, this program knows up to %d: run the newer program or restore a backup",
			ErrNewerFormat, have, formatVersion)
	}
	if have == formatVersion {
		return nil
	}
	for v := have; v < formatVersion; v++ {
		if _, err := tx.ExecContext(ctx, migrations[v]); err != nil {
			return fmt.Errorf("migrate from format %d: %w", v, err)
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE format SET version = ?", formatVersion); err != nil {
		return fmt.Errorf("migrate to format %d: %w", formatVersion, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrate to format %d: %w", formatVersion, err)
	}
	return nil
}

// readFormat returns the file's format, 0 when it is empty.
func readFormat(ctx context.Context, tx *sql.Tx) (int, error) {
	var tables, ours int
	err := tx.QueryRowContext(ctx,
		"SELECT count(*), count(*) FILTER (WHERE name = 'format') FROM sqlite_master WHERE type = 'table'").Scan(&tables, &ours)
	if err != nil {
		return 0, fmt.Errorf("read schema: %w", err)
	}
	if ours == 0 {
		if tables > 0 {
			return 0, errors.New("a database of some other program: give another path")
		}
		return 0, nil
	}
	var version int
	if err := tx.QueryRowContext(ctx, "SELECT version FROM format").Scan(&version); err != nil {
		return 0, fmt.Errorf("read format version: %w", err)
	}
	return version, nil
}

type writeStmts struct {
	begin, commit, rollback *sql.Stmt
	state, next, find       *sql.Stmt
	insert, update, remove  *sql.Stmt
}

type readStmts struct{ rev, load *sql.Stmt }

func (w writeStmts) all() []*sql.Stmt {
	return []*sql.Stmt{w.begin, w.commit, w.rollback, w.state, w.next, w.find, w.insert, w.update, w.remove}
}

func (r readStmts) all() []*sql.Stmt { return []*sql.Stmt{r.rev, r.load} }

// prepare compiles every statement once.
func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		db interface {
			PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
		}
		to   **sql.Stmt
		text string
	}{
		{s.conn, &s.w.begin, "BEGIN IMMEDIATE"},
		{s.conn, &s.w.commit, "COMMIT"},
		{s.conn, &s.w.rollback, "ROLLBACK"},
		{s.conn, &s.w.state, "SELECT rev, sum FROM state"},
		{s.conn, &s.w.next, "UPDATE state SET rev = ?, sum = ?"},
		{s.conn, &s.w.find, "SELECT rev FROM record WHERE kind = ? AND key = ?"},
		{s.conn, &s.w.insert, "INSERT INTO record (rev, data, kind, key) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"},
		{s.conn, &s.w.update, "UPDATE record SET rev = ?, data = ? WHERE kind = ? AND key = ? AND rev = ?"},
		{s.conn, &s.w.remove, "DELETE FROM record WHERE kind = ? AND key = ? AND rev = ?"},
		{s.read, &s.r.rev, "SELECT rev FROM state"},
		{s.read, &s.r.load, "SELECT kind, key, rev, data FROM record ORDER BY kind, key"},
	} {
		stmt, err := p.db.PrepareContext(ctx, p.text)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.text, err)
		}
		*p.to = stmt
	}
	return nil
}
