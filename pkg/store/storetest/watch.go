package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/store"
)

// testLoadSnapshot commits from inside Load: what it returns must be of the
// revision it says, and the store must not lock up.
func testLoadSnapshot(t *testing.T, s store.Store) {
	commit(t, s, create("a", "x"), create("b", "x"))
	var once sync.Once
	got := map[string]store.Rev{}
	rev, err := s.Load(context.Background(), func(r store.Record) error {
		once.Do(func() {
			commit(t, s,
				store.Op{Kind: "machines", Key: "a", If: 1, Data: []byte("y")},
				store.Op{Kind: "machines", Key: "b", If: 1, Data: []byte("y")}, create("c", "y"))
		})
		got[r.Key] = r.Rev
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]store.Rev{"a": 1, "b": 1}, got)
	assert.Equal(t, store.Rev(1), rev)
	assert.Equal(t, store.Rev(2), take(t, watch(t, s, rev), 1)[0].Rev, "following from it misses nothing")
}

func testWatch(t *testing.T, s store.Store) {
	commit(t, s, create("a", "1"))
	commit(t, s, create("b", "2"))
	want := []store.Commit{
		{Rev: 1, Records: []store.Record{{Kind: "machines", Key: "a", Rev: 1, Data: []byte("1")}}},
		{Rev: 2, Records: []store.Record{{Kind: "machines", Key: "b", Rev: 2, Data: []byte("2")}}},
		{Rev: 3, Records: []store.Record{
			{Kind: "machines", Key: "a", Rev: 3, Data: []byte("3")},
			{Kind: "machines", Key: "b", Rev: 3},
		}},
	}
	fromStart, fromOne, fromNow := watch(t, s, 0), watch(t, s, 1), watch(t, s, 2)
	assert.Equal(t, want[:2], take(t, fromStart, 2))
	assert.Equal(t, want[1:2], take(t, fromOne, 1))
	commit(t, s, store.Op{Kind: "machines", Key: "a", If: 1, Data: []byte("3")}, store.Op{Kind: "machines", Key: "b", If: 2})
	assert.Equal(t, want[2:], take(t, fromStart, 1))
	assert.Equal(t, want[2:], take(t, fromOne, 1))
	assert.Equal(t, want[2:], take(t, fromNow, 1))
	assert.ErrorIs(t, firstError(t, t.Context(), s, 99), store.ErrCompacted, "a revision of the future")
}

func testWatchContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	commit(t, s, create("a", "1"))
	commit(t, s, create("b", "1"))
	var last error
	n := 0
	for _, err := range s.Watch(ctx, 0) {
		if last = err; err == nil {
			if n++; n == 2 {
				cancel() // the next call waits, unless it sees this
			}
		}
	}
	cancel()
	assert.Equal(t, 2, n)
	assert.ErrorIs(t, last, context.Canceled)
}

// testWatchConcurrent lets writers race while watchers follow from the start:
// every watcher sees every revision once, in order, and replaying gives what
// the store holds.
func testWatchConcurrent(t *testing.T, s store.Store) {
	const writers, each, watchers = 4, 25, 3
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error { return writeMany(s, fmt.Sprintf("w%d-", w), each) })
	}
	seen := make([][]store.Commit, watchers)
	for i := range seen {
		g.Go(func() error {
			for c, err := range s.Watch(context.Background(), 0) {
				if err != nil {
					return err
				}
				if seen[i] = append(seen[i], c); len(seen[i]) == writers*each {
					return nil
				}
			}
			return errors.New("watch ended without error")
		})
	}
	require.NoError(t, g.Wait())
	all, rev := load(t, s)
	assert.Equal(t, store.Rev(writers*each), rev)
	for _, commits := range seen {
		replayed := map[string]store.Record{}
		for i, c := range commits {
			require.Equal(t, store.Rev(i+1), c.Rev)
			for _, r := range c.Records {
				replayed[r.Kind+"/"+r.Key] = r
			}
		}
		assert.Equal(t, all, replayed)
	}
}

// writeMany commits n times: a new record and an update of the writer's own.
func writeMany(s store.Store, prefix string, n int) error {
	var own store.Rev
	for i := range n {
		rev, err := s.Commit(context.Background(), []store.Op{
			create(fmt.Sprint(prefix, i), "x"),
			{Kind: "writers", Key: prefix, If: own, Data: fmt.Append(nil, i)},
		})
		if err != nil {
			return err
		}
		own = rev
	}
	return nil
}

// testRace lets many try the same step; the count of winners is exact.
func testRace(t *testing.T, s store.Store) {
	const racers = 8
	commit(t, s, create("seat", "0"))
	var mu sync.Mutex
	wins := 0
	var g errgroup.Group
	for range racers {
		g.Go(func() error {
			_, err := s.Commit(context.Background(), []store.Op{{Kind: "machines", Key: "seat", If: 1, Data: []byte("mine")}})
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			wins++
			return err
		})
	}
	require.NoError(t, g.Wait())
	assert.Equal(t, 1, wins)
}

func testClose(t *testing.T, s store.Store) {
	commit(t, s, create("a", "x"))
	ended := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		var last error
		for _, err := range s.Watch(context.Background(), 0) {
			if last = err; err == nil {
				close(started)
			}
		}
		ended <- last
	}()
	<-started
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "a second close does nothing")
	assert.ErrorIs(t, <-ended, store.ErrClosed)

	_, err := s.Commit(context.Background(), []store.Op{create("b", "x")})
	assert.ErrorIs(t, err, store.ErrClosed)
	_, err = s.Load(context.Background(), func(store.Record) error { return nil })
	assert.ErrorIs(t, err, store.ErrClosed)
	assert.ErrorIs(t, firstError(t, context.Background(), s, 0), store.ErrClosed)
}

// testCompaction expects a log of 8 records.
func testCompaction(t *testing.T, s store.Store) {
	slow := watch(t, s, 0)
	commit(t, s, create(keyN(1), "x"))
	take(t, slow, 1) // stands at 1 while the log moves on
	for i := 2; i <= 40; i++ {
		commit(t, s, create(keyN(i), "x"))
	}
	assert.ErrorIs(t, firstError(t, t.Context(), s, 0), store.ErrCompacted)
	assert.ErrorIs(t, firstError(t, t.Context(), s, 31), store.ErrCompacted)
	got := take(t, watch(t, s, 32), 8)
	assert.Equal(t, []store.Rev{33, 40}, []store.Rev{got[0].Rev, got[7].Rev})
	_, err, ok := slow()
	assert.True(t, ok)
	assert.ErrorIs(t, err, store.ErrCompacted)

	var ops []store.Op
	for i := range 20 {
		ops = append(ops, create(fmt.Sprint("big", i), "x"))
	}
	commit(t, s, ops...)
	assert.Len(t, take(t, watch(t, s, 40), 1)[0].Records, 20, "the newest commit is never trimmed")
	all, rev := load(t, s)
	assert.Len(t, all, 60)
	assert.Equal(t, store.Rev(41), rev)
}

func testReopen(t *testing.T, s store.Store, reopen func(testing.TB, store.Store) store.Store) {
	commit(t, s, create("a", "x"), create("b", "x"))
	commit(t, s, store.Op{Kind: "machines", Key: "b", If: 1})
	before, _ := load(t, s)
	s = reopen(t, s)
	after, rev := load(t, s)
	assert.Equal(t, before, after)
	assert.Equal(t, store.Rev(2), rev)
	assert.ErrorIs(t, firstError(t, t.Context(), s, 3), store.ErrCompacted, "a revision of the future")
	follow := watch(t, s, 2)
	commit(t, s, store.Op{Kind: "machines", Key: "a", If: 1})
	assert.Equal(t, store.Rev(3), take(t, follow, 1)[0].Rev, "whoever has seen all goes on")
	s = reopen(t, s)
	assert.Equal(t, store.Rev(4), commit(t, s, create("a", "new")), "revisions go on after all records are gone")
}
