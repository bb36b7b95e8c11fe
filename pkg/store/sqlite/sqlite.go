// Package sqlite is a store.Store in one SQLite file.
//
// One table holds everything. Commits go through one connection and are on disk
// when they return (WAL with synchronous=FULL); reads have connections of their
// own. The newest commits are kept in memory for watchers, not written twice.
//
// One process at a time may have the file open: a lock file beside it sees to
// that, because watchers are woken by commits of their own process only.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"drpd/pkg/store"
)

// Defaults of Config.
const (
	DefaultLogRows = 10_000
	DefaultReaders = 4
)

// historyBytes bounds the data of commits kept for watchers.
const historyBytes = 8 << 20

// checkpointPages is how many pages of 4 KiB the write-ahead log has before
// they are copied into the file: hot pages are then copied once for many
// commits.
const checkpointPages = 4000

// busyTimeout is how long a connection waits for a lock, in milliseconds.
// Nobody should hold one long; backup programs do.
const busyTimeout = 10_000

// Config says where the store is and how much history it keeps.
type Config struct {
	Path    string // the database file; created with mode 0600, its folder must exist
	LogRows int    // changed records kept for Watch, since the start; 0: DefaultLogRows
	Readers int    // connections for reading; 0: DefaultReaders
}

func (c Config) withDefaults() Config {
	if c.LogRows <= 0 {
		c.LogRows = DefaultLogRows
	}
	if c.Readers <= 0 {
		c.Readers = DefaultReaders
	}
	return c
}

// Store implements store.Store; make it with Open.
type Store struct {
	cfg     Config
	lock    *os.File
	write   *sql.DB // exactly one connection: conn
	conn    *sql.Conn
	read    *sql.DB
	w       writeStmts
	r       readStmts
	mu      sync.Mutex // held from a commit until the history has it
	rev     int64      // of the last commit, or unknown; guarded by mu
	sum     uint64     // of all records at rev; guarded by mu
	history *store.History
	closer  sync.Once
	closed  chan struct{}
}

// unknown is a revision that the file must be asked for: a commit failed.
const unknown = -1

var _ store.Store = (*Store)(nil)

// Open opens the store of cfg, creating it if there is none. It refuses a file
// of a newer format, one that is not ours, and one that is in use.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{cfg: cfg.withDefaults(), closed: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, errors.Join(mixed(err), s.release()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	path, err := filepath.Abs(s.cfg.Path)
	if err != nil {
		return err
	}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return err
	}
	if err = createFile(path); err != nil {
		return err
	}
	// The end of any connection lays a log over its file: look first.
	real := path
	if to, err := filepath.EvalSymlinks(path); err == nil {
		real = to // SQLite keeps the log beside the file, not beside a link to it
	}
	if _, err = os.Stat(real + "-wal"); err == nil {
		if _, _, err = Peek(ctx, path, "", ""); err != nil {
			return err
		}
	}
	if s.write, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err = migrate(ctx, s.write); err != nil {
		return err
	}
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(s.cfg.Readers)
	s.read.SetMaxIdleConns(s.cfg.Readers)
	if err = s.prepare(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

// start learns the current revision and looks whether the file is of one piece.
func (s *Store) start(ctx context.Context) error {
	if err := s.whole(ctx); err != nil {
		return err
	}
	s.history = store.NewHistory(s.cfg.LogRows, historyBytes, store.Rev(s.rev))
	return nil
}

// dsn names the file as a URI, so that no character of the path means anything.
// busy_timeout comes first: switching to WAL may itself meet a lock.
func dsn(path string, readOnly bool) string {
	pragmas := []string{
		fmt.Sprintf("_pragma=busy_timeout(%d)", busyTimeout),
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
	}
	if readOnly {
		pragmas = append(pragmas, "_pragma=query_only(1)")
	} else {
		pragmas = append(pragmas, fmt.Sprintf("_pragma=wal_autocheckpoint(%d)", checkpointPages))
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(pragmas, "&")}
	return u.String()
}

// Close implements store.Store.
func (s *Store) Close() (err error) {
	s.closer.Do(func() {
		close(s.closed)
		s.history.Close()
		err = s.release()
	})
	return err
}

// release closes what is open; the lock goes last. What is prepared is closed
// first: a connection with statements lives on in SQLite, and the last one to
// go takes the write-ahead log with it, so that the file is whole by itself.
func (s *Store) release() error {
	var errs []error
	for _, stmt := range slices.Concat(s.w.all(), s.r.all()) {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// fail wraps an error with what was tried; after Close every error is ErrClosed.
func (s *Store) fail(what string, err error) error {
	select {
	case <-s.closed:
		return fmt.Errorf("%s: %w", what, store.ErrClosed)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
