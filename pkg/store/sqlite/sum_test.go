package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
)

// put writes the records from..to-1 of a kind, each in a commit, and again those
// that are there.
func put(t *testing.T, s *Store, kind string, from, to int) {
	t.Helper()
	have := map[string]store.Rev{}
	_, err := s.Load(t.Context(), func(r store.Record) error { have[r.Kind+r.Key] = r.Rev; return nil })
	require.NoError(t, err)
	for i := from; i < to; i++ {
		key := fmt.Sprintf("%s-%d", kind, i)
		_, err := s.Commit(t.Context(), []store.Op{{Kind: kind, Key: key, If: have[kind+key], Data: make([]byte, 3000)}})
		require.NoError(t, err)
	}
}

// copyOf copies the files of an open database, as a kill leaves them.
func copyOf(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
	}
}

func TestCloseLeavesOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drpd.db")
	s := openPath(t, Config{Path: path})
	put(t, s, "machines", 0, 20)
	require.NoError(t, s.Close())
	assert.NoFileExists(t, path+"-wal")
	rev, err := Check(t.Context(), path)
	require.NoError(t, err, "without its log it is whole")
	assert.Equal(t, store.Rev(20), rev)
}

// TestMixedFiles puts files together that are not of one database at one time.
func TestMixedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	s, o := openPath(t, Config{Path: at("live")}), openPath(t, Config{Path: at("strange")})
	checkpoint := func(s *Store) {
		_, err := s.conn.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
		require.NoError(t, err)
	}
	put(t, o, "machines", 100, 150)
	checkpoint(o)
	put(t, o, "clusters", 0, 2)
	copyOf(t, at("strange"), at("other"))
	put(t, s, "machines", 0, 10)
	checkpoint(s)
	copyOf(t, at("live"), at("early")) // no log: the file alone
	put(t, s, "machines", 0, 40)
	copyOf(t, at("live"), at("between"))
	checkpoint(s)
	put(t, s, "machines", 5, 15)
	copyOf(t, at("live"), at("now"))

	for _, c := range []struct {
		name, file, log string
		fits            bool
	}{
		{"as it was killed", "now", "now", true},
		{"as it was killed earlier", "between", "between", true},
		{"a copy of the file alone, at a checkpoint", "early", "", true},
		{"the file of before the log's checkpoint, with the log that holds all since", "early", "between", true},
		{"an older file under the log", "early", "now", false},
		{"a file of between under the log", "between", "now", false},
		{"another server's file under the log", "other", "now", false},
		{"another server's log over the file", "now", "other", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "drpd.db")
			for _, p := range [][2]string{{at(c.file), path}, {at(c.log) + "-wal", path + "-wal"}} {
				if c.log == "" && p[1] != path {
					continue
				}
				data, err := os.ReadFile(p[0])
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(p[1], data, 0o600))
			}
			was := files(t, path)
			_, _, err := Peek(t.Context(), path, "machines", "machines-1")
			assert.Equal(t, was, files(t, path), "a look changes nothing")
			assert.Equal(t, c.fits, err == nil, err)
			s, err := Open(t.Context(), Config{Path: path})
			if c.fits {
				require.NoError(t, err)
				assert.NoError(t, s.Close())
				return
			}
			if err == nil {
				_ = s.Close()
			}
			require.ErrorIs(t, err, ErrMixed)
			_, err = Snapshot(t.Context(), path, path+".copy")
			require.ErrorIs(t, err, ErrMixed)
			assert.Equal(t, was, files(t, path), "what is refused stays as it is")
		})
	}
}

func files(t *testing.T, path string) (out [2]string) {
	t.Helper()
	for i, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		out[i] = string(data)
	}
	return out
}

func TestSumFollowsEachCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drpd.db")
	s := openPath(t, Config{Path: path})
	put(t, s, "machines", 0, 3)
	_, err := s.Commit(t.Context(), []store.Op{
		{Kind: "machines", Key: "machines-0", If: 1},
		{Kind: "machines", Key: "machines-1", If: 2, Need: true},
		{Kind: "machines", Key: "machines-2", If: 3, Data: []byte("x")},
		{Kind: "machine", Key: "smachines-1", Data: []byte("y")},
	})
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), []store.Op{{Kind: "machines", Key: "machines-9", If: 7, Data: []byte("z")}})
	require.ErrorIs(t, err, store.ErrConflict, "leaves the sum as it was")
	put(t, s, "clusters", 0, 1)
	require.NoError(t, s.Close())
	_, err = Check(t.Context(), path)
	require.NoError(t, err)
	s, err = Open(t.Context(), Config{Path: path})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestLooksUnderLoad: a look, and a copy, are of one moment while another writes.
func TestLooksUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drpd.db")
	s := openPath(t, Config{Path: path})
	put(t, s, "machines", 0, 200)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = s.Commit(ctx, []store.Op{{Kind: "load", Key: fmt.Sprint(n), Data: []byte("x")}}) // ends with ctx
		}
	})
	for n := range 40 {
		_, rev, err := Peek(t.Context(), path, "machines", "machines-1")
		require.NoError(t, err)
		assert.GreaterOrEqual(t, rev, store.Rev(200))
		if n%8 == 0 {
			_, err = Snapshot(t.Context(), path, fmt.Sprintf("%s.%d", path, n))
			require.NoError(t, err)
		}
	}
	cancel()
	writer.Wait()
}
