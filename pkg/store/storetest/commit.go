package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
)

func testLifecycle(t *testing.T, s store.Store) {
	all, rev := load(t, s)
	assert.Empty(t, all)
	assert.Zero(t, rev)

	r1 := commit(t, s, create("a", "one"), create("b", "two"))
	r2 := commit(t, s, store.Op{Kind: "machines", Key: "a", If: r1, Data: []byte("three")})
	r3 := commit(t, s, store.Op{Kind: "machines", Key: "b", If: r1})
	assert.Equal(t, []store.Rev{1, 2, 3}, []store.Rev{r1, r2, r3})
	all, rev = load(t, s)
	assert.Equal(t, map[string]store.Record{
		"machines/a": {Kind: "machines", Key: "a", Rev: 2, Data: []byte("three")},
	}, all)
	assert.Equal(t, store.Rev(3), rev)

	r4 := commit(t, s, create("b", "again"))
	all, _ = load(t, s)
	assert.Equal(t, store.Record{Kind: "machines", Key: "b", Rev: r4, Data: []byte("again")}, all["machines/b"])
}

func testConflicts(t *testing.T, s store.Store) {
	commit(t, s, create("a", "old"))
	commit(t, s, store.Op{Kind: "machines", Key: "a", If: 1, Data: []byte("new")})
	for _, c := range []struct {
		name string
		op   store.Op
		want string
	}{
		{"create of what exists", create("a", "x"), "conflict on machines/a: want no record, have revision 2"},
		{"update of what changed", store.Op{Kind: "machines", Key: "a", If: 1, Data: []byte("x")}, "conflict on machines/a: want revision 1, have revision 2"},
		{"update of nothing", store.Op{Kind: "machines", Key: "none", If: 1, Data: []byte("x")}, "conflict on machines/none: want revision 1, have no record"},
		{"delete of what changed", store.Op{Kind: "machines", Key: "a", If: 1}, "conflict on machines/a: want revision 1, have revision 2"},
		{"delete of nothing", store.Op{Kind: "machines", Key: "none", If: 2}, "conflict on machines/none: want revision 2, have no record"},
		{"same key of another kind", store.Op{Kind: "params", Key: "a", If: 2}, "conflict on params/a: want revision 2, have no record"},
	} {
		// The good op comes first: it must be undone.
		_, err := s.Commit(context.Background(), []store.Op{create("fresh", "x"), c.op})
		require.ErrorIs(t, err, store.ErrConflict, c.name)
		assert.ErrorContains(t, err, c.want, c.name)
	}
	all, rev := load(t, s)
	assert.Equal(t, map[string]store.Record{
		"machines/a": {Kind: "machines", Key: "a", Rev: 2, Data: []byte("new")},
	}, all)
	assert.Equal(t, store.Rev(2), rev, "a refused commit uses no revision")
	next := watch(t, s, 2)
	commit(t, s, create("b", "x"))
	assert.Equal(t, store.Rev(3), take(t, next, 1)[0].Rev, "a refused commit is not in the log")
}

func testNeed(t *testing.T, s store.Store) {
	commit(t, s, create("a", "x"))
	need := store.Op{Kind: "machines", Key: "a", If: 1, Need: true}
	absent := store.Op{Kind: "machines", Key: "none", Need: true}

	assert.Equal(t, store.Rev(1), commit(t, s, need, absent), "only comparing makes no revision")
	assert.Equal(t, store.Rev(2), commit(t, s, need, create("b", "y"), absent))
	all, rev := load(t, s)
	assert.Equal(t, store.Rev(1), all["machines/a"].Rev, "comparing leaves the record's revision")
	assert.Len(t, all, 2)
	assert.Equal(t, store.Rev(2), rev)
	assert.Equal(t, []store.Commit{{Rev: 2, Records: []store.Record{{Kind: "machines", Key: "b", Rev: 2, Data: []byte("y")}}}},
		take(t, watch(t, s, 1), 1))

	for _, op := range []store.Op{
		{Kind: "machines", Key: "a", If: 2, Need: true},
		{Kind: "machines", Key: "a", Need: true},
		{Kind: "machines", Key: "none", If: 1, Need: true},
	} {
		_, err := s.Commit(context.Background(), []store.Op{create("c", "z"), op})
		assert.ErrorIs(t, err, store.ErrConflict, "%+v", op)
	}
	all, _ = load(t, s)
	assert.Len(t, all, 2)
}

func testBadOps(t *testing.T, s store.Store) {
	long := strings.Repeat("k", store.MaxKey+1)
	for _, c := range []struct {
		want string
		ops  []store.Op
	}{
		{"0 ops, want 1 to 4096", nil},
		{"4097 ops, want 1 to 4096", make([]store.Op, store.MaxOps+1)},
		{"ops 0 and 1 both name machines/a", []store.Op{create("a", "x"), create("a", "y")}},
		{"ops 0 and 1 both name machines/a", []store.Op{create("a", "x"), {Kind: "machines", Key: "a", Need: true}}},
		{"op 0: empty kind", []store.Op{{Key: "a", Data: []byte("x")}}},
		{"op 0: empty key", []store.Op{create("", "x")}},
		{"op 0: key \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"...: 513 bytes, limit 512", []store.Op{create(long, "x")}},
		{"op 1: key \"a\\x00b\": not UTF-8 or holds NUL", []store.Op{create("a", "x"), create("a\x00b", "x")}},
		{"op 0: key \"\\xff\": not UTF-8 or holds NUL", []store.Op{create("\xff", "x")}},
		{"op 0: machines/a: data on an op that only compares", []store.Op{{Kind: "machines", Key: "a", Need: true, Data: []byte("x")}}},
		{"op 0: machines/a: deletion without the revision last seen", []store.Op{{Kind: "machines", Key: "a"}}},
		{"op 0: machines/a: 16777217 bytes of data, limit 16777216", []store.Op{create("a", strings.Repeat("x", store.MaxData+1))}},
	} {
		_, err := s.Commit(context.Background(), c.ops)
		require.ErrorIs(t, err, store.ErrBadOps, c.want)
		assert.ErrorContains(t, err, c.want)
	}
	all, rev := load(t, s)
	assert.Empty(t, all)
	assert.Zero(t, rev)
}

func testEmptyData(t *testing.T, s store.Store) {
	commit(t, s, create("a", ""))
	commit(t, s, store.Op{Kind: "machines", Key: "a", If: 1})
	assert.Equal(t, []store.Commit{
		{Rev: 1, Records: []store.Record{{Kind: "machines", Key: "a", Rev: 1, Data: []byte{}}}},
		{Rev: 2, Records: []store.Record{{Kind: "machines", Key: "a", Rev: 2, Data: nil}}},
	}, take(t, watch(t, s, 0), 2))
	commit(t, s, create("a", ""))
	all, _ := load(t, s)
	assert.Equal(t, []byte{}, all["machines/a"].Data)
}

func testNames(t *testing.T, s store.Store) {
	names := []string{"a", "A", "a ", " a", "ä", "a\u0308", "a/b", "a%b", "a'b", "1", "01", "\n", strings.Repeat("k", store.MaxKey)}
	for _, n := range names {
		commit(t, s, create(n, n))
	}
	all, _ := load(t, s)
	require.Len(t, all, len(names))
	for _, n := range names {
		assert.Equal(t, n, string(all["machines/"+n].Data))
	}
}

func testLargeBatch(t *testing.T, s store.Store) {
	const n = 2000
	ops := make([]store.Op, n)
	for i := range ops {
		ops[i] = create(keyN(i), "first")
	}
	require.Equal(t, store.Rev(1), commit(t, s, ops...))
	for i := range ops {
		ops[i].If, ops[i].Data = 1, []byte("second")
	}
	ops[n-1].If = 7 // the last one alone is wrong
	_, err := s.Commit(context.Background(), ops)
	require.ErrorIs(t, err, store.ErrConflict)
	all, rev := load(t, s)
	require.Len(t, all, n)
	assert.Equal(t, store.Rev(1), rev)
	for k, r := range all {
		require.Equal(t, "first", string(r.Data), k)
	}
	got := take(t, watch(t, s, 0), 1)[0]
	require.Len(t, got.Records, n)
	for i, r := range got.Records {
		require.Equal(t, keyN(i), r.Key, "records are in the order of the ops")
	}
}

func testBigRecord(t *testing.T, s store.Store) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	commit(t, s, store.Op{Kind: "machines", Key: "big", Data: data})
	all, _ := load(t, s)
	assert.True(t, bytes.Equal(data, all["machines/big"].Data))
	assert.True(t, bytes.Equal(data, take(t, watch(t, s, 0), 1)[0].Records[0].Data))
}

func testCanceled(t *testing.T, s store.Store) {
	commit(t, s, create("a", "x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Commit(ctx, []store.Op{create("b", "x")})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Load(ctx, func(store.Record) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
	all, rev := load(t, s)
	assert.Len(t, all, 1)
	assert.Equal(t, store.Rev(1), rev)
}

func testLoadStops(t *testing.T, s store.Store) {
	commit(t, s, create("a", "x"), create("b", "x"))
	stop, calls := errors.New("enough"), 0
	_, err := s.Load(context.Background(), func(store.Record) error { calls++; return stop })
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 1, calls)
}
