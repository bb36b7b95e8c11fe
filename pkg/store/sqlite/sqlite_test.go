package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
	"drpd/pkg/store/storetest"
)

func openPath(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func openNew(t testing.TB, logRows int) store.Store {
	return openPath(t, Config{Path: filepath.Join(t.TempDir(), "drpd.db"), LogRows: logRows})
}

func reopen(t testing.TB, s store.Store) store.Store {
	require.NoError(t, s.Close())
	return openPath(t, s.(*Store).cfg)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{Open: openNew, Reopen: reopen})
}

func BenchmarkCommit(b *testing.B) { storetest.Bench(b, openNew) }

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	exec := func(t *testing.T, path, text string) {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.Exec(text)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"newer format", func(t *testing.T, path string) {
			require.NoError(t, openPath(t, Config{Path: path}).Close())
			exec(t, path, "UPDATE format SET version = 5")
		}, "newer format: file has format 5, this program knows up to 4"},
		{"another program's database", func(t *testing.T, path string) {
			exec(t, path, "CREATE TABLE bookmark (url TEXT)")
		}, "a database of some other program"},
		{"not a database", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("plain text ", 100)), 0o600))
		}, "file is not a database"},
		{"in use", func(t *testing.T, path string) {
			openPath(t, Config{Path: path})
		}, "in use by another process: stop it first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "drpd.db")
			c.make(t, path)
			_, err := Open(t.Context(), Config{Path: path})
			require.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "open store "+path)
		})
	}
	_, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "none", "drpd.db")})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestFileModesAndPragmas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "odd name ?#%41")
	require.NoError(t, os.Mkdir(dir, 0o755))
	s := openPath(t, Config{Path: filepath.Join(dir, "drpd.db")})
	_, err := s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "a", Data: []byte("x")}})
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}
	assert.Equal(t, []string{"drpd.db", "drpd.db-shm", "drpd.db-wal", "drpd.db.lock"}, names)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"} {
		var got string
		require.NoError(t, s.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		assert.Equal(t, want, got, pragma)
	}
	_, err = s.read.Exec("DELETE FROM record")
	assert.Error(t, err, "the read pool cannot write")
}

// TestLoadWaitsForTheHistory: a commit is in the file, its committer has not
// yet told. Who reads it must be able to go on from there.
func TestLoadWaitsForTheHistory(t *testing.T) {
	t.Parallel()
	s := openNew(t, 0).(*Store)
	s.mu.Lock() // as a committer has it
	ops := []store.Op{{Kind: "machines", Key: "not told", Data: []byte("x")}}
	_, err := s.commit(t.Context(), ops)
	require.NoError(t, err)
	var told atomic.Bool
	loaded := make(chan store.Rev)
	go func() {
		_, rev := loadCounts(t, s)
		assert.True(t, told.Load())
		loaded <- rev
	}()
	s.tell(1, ops)
	told.Store(true)
	s.mu.Unlock()
	require.Equal(t, store.Rev(1), <-loaded)
	next, stop := iter.Pull2(s.Watch(t.Context(), 1))
	defer stop()
	_, err = s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "b", Data: []byte("x")}})
	require.NoError(t, err)
	c, err, _ := next()
	require.NoError(t, err)
	assert.Equal(t, store.Rev(2), c.Rev)
}

// TestCommitAfterAFailedOne: a commit that fails in the middle leaves nothing
// behind, and the next one goes on with the file's own revision.
func TestCommitAfterAFailedOne(t *testing.T) {
	t.Parallel()
	s := openNew(t, 0).(*Store)
	put := func(key string, at store.Rev) (store.Rev, error) {
		return s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "new " + key, Data: []byte("x")}, {Kind: "machines", Key: key, If: at, Data: []byte("x")}})
	}
	_, err := put("a", 7)
	require.ErrorIs(t, err, store.ErrConflict)
	rev, err := put("a", 0)
	require.NoError(t, err)
	assert.Equal(t, store.Rev(1), rev)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Commit(gone, []store.Op{{Kind: "machines", Key: "b", Data: []byte("x")}})
	require.ErrorIs(t, err, context.Canceled)
	rev, err = put("b", 0)
	require.NoError(t, err)
	assert.Equal(t, store.Rev(2), rev)
	counts, at := loadCounts(t, s)
	assert.Equal(t, store.Rev(2), at)
	assert.Equal(t, map[string]int{"machines": 4}, counts)
}

// TestMigrate opens a file of the first format, which kept a log of its own.
func TestMigrate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drpd.db")
	db, err := sql.Open("sqlite", dsn(path, false))
	require.NoError(t, err)
	_, err = db.Exec(migrations[0] + `UPDATE format SET version = 1; UPDATE state SET rev = 7;
		INSERT INTO record VALUES ('machines', 'a', 7, 'x'); INSERT INTO log (rev, at, kind, key, data) VALUES (7, 0, 'machines', 'a', 'x');`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	s := openPath(t, Config{Path: path})
	counts, rev := loadCounts(t, s)
	assert.Equal(t, map[string]int{"machines": 1}, counts)
	assert.Equal(t, store.Rev(7), rev)
	next, err := s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "a", If: 7, Data: []byte("y")}})
	require.NoError(t, err)
	assert.Equal(t, store.Rev(8), next)
}

// crashPath names the file TestCrashWriter writes; set only in the helper.
const crashPath = "DRPD_TEST_CRASH_PATH"

// TestCrashWriter is the helper process of TestKill: it commits until killed
// and prints each revision once the store said it is kept.
func TestCrashWriter(t *testing.T) {
	path := os.Getenv(crashPath)
	if path == "" {
		t.Skip("helper process of TestKill")
	}
	s := openPath(t, Config{Path: path})
	_, last := loadCounts(t, s)
	for rev := last; ; {
		next, err := s.Commit(context.Background(), []store.Op{
			{Kind: "left", Key: fmt.Sprint(rev + 1), Data: []byte("x")},
			{Kind: "right", Key: fmt.Sprint(rev + 1), Data: []byte("x")},
		})
		require.NoError(t, err)
		rev = next
		fmt.Printf("kept %d\n", uint64(rev))
	}
}

func loadCounts(t testing.TB, s store.Store) (map[string]int, store.Rev) {
	counts := map[string]int{}
	rev, err := s.Load(context.Background(), func(r store.Record) error { counts[r.Kind]++; return nil })
	require.NoError(t, err)
	return counts, rev
}

// TestKill kills a writer in the middle of its work, repeatedly: all it was
// told is kept must be there, and no commit by halves.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drpd.db")
	for range 3 {
		kept := writeAndKill(t, path, 40)
		s := openPath(t, Config{Path: path})
		counts, rev := loadCounts(t, s)
		assert.GreaterOrEqual(t, uint64(rev), kept)
		assert.Equal(t, map[string]int{"left": int(rev), "right": int(rev)}, counts)
		var check string
		require.NoError(t, s.read.QueryRow("PRAGMA integrity_check").Scan(&check))
		assert.Equal(t, "ok", check)
		require.NoError(t, s.Close())
	}
}

// writeAndKill runs the helper for some commits and returns the last revision
// it reported before it died.
func writeAndKill(t *testing.T, path string, commits int) (kept uint64) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashWriter$")
	cmd.Env = append(os.Environ(), crashPath+"="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines, seen := bufio.NewScanner(out), 0
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			continue
		}
		kept, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		if seen++; seen == commits {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	assert.ErrorContains(t, cmd.Wait(), "signal: killed")
	assert.GreaterOrEqual(t, seen, commits)
	return kept
}
