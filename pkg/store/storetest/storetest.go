// Package storetest is the one conformance suite every store.Store must pass.
package storetest

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
)

// Backend tells the suite how to make the store under test.
type Backend struct {
	// Open returns an empty store that keeps about logRows changed records in
	// its log (0: the backend's default) and is closed when the test ends.
	Open func(t testing.TB, logRows int) store.Store
	// Reopen closes a store and opens the same again; nil: not durable.
	Reopen func(t testing.TB, s store.Store) store.Store
}

// Run runs the suite against a backend.
func Run(t *testing.T, b Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"create, update and delete", testLifecycle},
		{"conflicts change nothing", testConflicts},
		{"need compares only", testNeed},
		{"bad ops are refused", testBadOps},
		{"empty data is a record", testEmptyData},
		{"names are kept exactly", testNames},
		{"2000 ops in one commit", testLargeBatch},
		{"record of 4 MiB", testBigRecord},
		{"load stops on error", testLoadStops},
		{"load is one snapshot", testLoadSnapshot},
		{"canceled context", testCanceled},
		{"close", testClose},
		{"watch replays and follows", testWatch},
		{"watch ends with its context", testWatchContext},
		{"watch and concurrent commits", testWatchConcurrent},
		{"one winner per revision", testRace},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, b.Open(t, 0))
		})
	}
	t.Run("compaction", func(t *testing.T) {
		t.Parallel()
		testCompaction(t, b.Open(t, 8))
	})
	if b.Reopen != nil {
		t.Run("reopen", func(t *testing.T) {
			t.Parallel()
			testReopen(t, b.Open(t, 0), b.Reopen)
		})
	}
}

// load returns what the store holds, keyed "kind/key".
func load(t testing.TB, s store.Store) (map[string]store.Record, store.Rev) {
	t.Helper()
	all := map[string]store.Record{}
	rev, err := s.Load(context.Background(), func(r store.Record) error {
		all[r.Kind+"/"+r.Key] = r
		return nil
	})
	require.NoError(t, err)
	return all, rev
}

func commit(t testing.TB, s store.Store, ops ...store.Op) store.Rev {
	t.Helper()
	rev, err := s.Commit(context.Background(), ops)
	require.NoError(t, err)
	return rev
}

// create returns an op that makes a machine.
func create(key, data string) store.Op {
	return store.Op{Kind: "machines", Key: key, Data: []byte(data)}
}

// take reads n commits of a watch that must have them.
func take(t testing.TB, next func() (store.Commit, error, bool), n int) []store.Commit {
	t.Helper()
	var got []store.Commit
	for range n {
		c, err, ok := next()
		require.NoError(t, err)
		require.True(t, ok)
		got = append(got, c)
	}
	return got
}

// watch starts a watch that ends with the test.
func watch(t testing.TB, s store.Store, after store.Rev) func() (store.Commit, error, bool) {
	next, stop := iter.Pull2(s.Watch(t.Context(), after))
	t.Cleanup(stop)
	return next
}

// firstError returns the error a watch starts with.
func firstError(t testing.TB, ctx context.Context, s store.Store, after store.Rev) error {
	t.Helper()
	n := 0
	var first error
	for c, err := range s.Watch(ctx, after) {
		require.Error(t, err, "commit %d instead of an error", uint64(c.Rev))
		first = err
		n++
	}
	assert.Equal(t, 1, n, "a watch yields one error and ends")
	return first
}

func keyN(i int) string { return fmt.Sprintf("m%04d", i) }
