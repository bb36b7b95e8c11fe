package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// part is a small object: it needs others by name and has a unique tag.
type part struct {
	Common
	Name, Tag string
	Needs     []string
	Keeps     string
	Count     int
}

func partKind() *Kind[part] {
	return &Kind[part]{
		Name: "parts", Key: func(p *part) string { return p.Name }, Common: func(p *part) *Common { return &p.Common },
		Indexes: []Index[part]{{Name: "Tag", Of: func(p *part) []string {
			if p.Tag == "" {
				return nil
			}
			return []string{p.Tag}
		}, Unique: true}},
		Refs: func(p *part) (out []Ref) {
			for _, n := range p.Needs {
				out = append(out, Ref{Kind: "parts", Key: n})
			}
			if p.Keeps != "" {
				out = append(out, Ref{Kind: "parts", Key: p.Keeps, Keep: true})
			}
			return out
		},
	}
}

type rig struct {
	*DB
	parts *Kind[part]
	store store.Store
}

func open(t *testing.T, s store.Store, hooks func(*Kind[part]) []Hook) rig {
	t.Helper()
	k := partKind()
	cfg := Config{Store: s, Kinds: []Any{k}, Ring: 64}
	if hooks != nil {
		cfg.Hooks = hooks(k)
	}
	db, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	return rig{db, k, s}
}

func (r rig) create(t *testing.T, list ...*part) {
	t.Helper()
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error {
		for _, p := range list {
			if err := r.parts.Create(tx, p); err != nil {
				return err
			}
		}
		return nil
	}))
}

// dump is every object as replies show it.
func (r rig) dump() map[string]string {
	out := map[string]string{}
	for o := range r.parts.Each(r.View()) {
		out[o.Key] = string(o.JSON)
	}
	return out
}

// TestFailedBatchFailsWhatWasBuiltOnIt holds one commit back, lets others
// queue up on its state, and fails it: all of them fail, and nothing of them
// stays in memory.
func TestFailedBatchFailsWhatWasBuiltOnIt(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		block := make(chan struct{})
		inner := mem.New(mem.Config{})
		faulty := store.NewFaulty(inner, store.Faults{})
		r := open(t, faulty, nil)
		r.create(t, &part{Name: "base"})
		faulty.Set(store.Faults{Every: 1, Block: block, Lost: lost})

		var wg sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			staged := make(chan struct{})
			wg.Go(func() {
				errs[i] = r.Update(context.Background(), func(tx *Tx) error {
					defer close(staged)
					return r.parts.Modify(tx, "base", func(p *part) error { p.Count++; return nil })
				})
			})
			<-staged
		}
		reader := make(chan error, 1)
		started := make(chan int, 1)
		go func() {
			reader <- r.Update(context.Background(), func(tx *Tx) error {
				p, err := r.parts.Get(tx, "base")
				started <- p.Count
				return err
			})
		}()
		assert.Equal(t, 10, <-started, "updates see what is not durable yet")
		seen, err := r.parts.Get(r.View(), "base")
		require.NoError(t, err)
		assert.Zero(t, seen.Count, "views do not")
		close(block)
		wg.Wait()
		for i, err := range append(errs, <-reader) {
			assert.Equal(t, Unavailable, CodeOf(err), "update %d: %v", i, err)
		}
		seen, err = r.parts.Get(r.View(), "base")
		require.NoError(t, err)
		assert.Zero(t, seen.Count)
		faulty.Set(store.Faults{})
		err = r.Update(t.Context(), func(tx *Tx) error {
			return r.parts.Modify(tx, "base", func(p *part) error { p.Count = 7; return nil })
		})
		if lost { // the store is ahead: nothing is overwritten
			assert.ErrorContains(t, err, "the store holds changes that this server does not know: restart it")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, r.dump(), open(t, inner, nil).dump())
	}
}

// TestGroupCommitUnderFaults lets many writers race while commits fail: what
// succeeded is there, what failed is not, and the store agrees with memory.
func TestGroupCommitUnderFaults(t *testing.T) {
	t.Parallel()
	inner := mem.New(mem.Config{})
	faulty := store.NewFaulty(inner, store.Faults{Every: 3})
	r := open(t, faulty, nil)
	var mu sync.Mutex
	want := map[string]int{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				name := fmt.Sprintf("w%d-%d", w, i%10)
				err := r.Update(t.Context(), func(tx *Tx) error {
					if !r.parts.Has(tx, name) {
						return r.parts.Create(tx, &part{Name: name, Count: 1})
					}
					return r.parts.Modify(tx, name, func(p *part) error { p.Count++; return nil })
				})
				mu.Lock()
				if err == nil {
					want[name]++
				} else {
					assert.Equal(t, Unavailable, CodeOf(err), "%v", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	got := map[string]int{}
	for p := range r.parts.All(r.View()) {
		got[p.Name] = p.Count
	}
	assert.Equal(t, want, got)
	assert.Equal(t, r.dump(), open(t, inner, nil).dump())
}

// TestFewerCommitsThanUpdates shows that what queues up behind a commit shares
// the next one.
func TestFewerCommitsThanUpdates(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	inner := mem.New(mem.Config{})
	r := open(t, store.NewFaulty(inner, store.Faults{Block: block}), nil)
	var wg sync.WaitGroup
	for i := range 50 {
		staged := make(chan struct{})
		wg.Go(func() {
			assert.NoError(t, r.Update(context.Background(), func(tx *Tx) error {
				defer close(staged)
				return r.parts.Create(tx, &part{Name: fmt.Sprint(i)})
			}))
		})
		<-staged
	}
	close(block)
	wg.Wait()
	rev, err := inner.Load(t.Context(), func(store.Record) error { return nil })
	require.NoError(t, err)
	assert.LessOrEqual(t, rev, store.Rev(3))
	assert.Equal(t, 50, r.parts.Len(r.View()))
}

func TestPanicInAnUpdateDoesNotLockTheDB(t *testing.T) {
	t.Parallel()
	hooked := func(k *Kind[part]) []Hook {
		return []Hook{OnSave(k, func(_ *Tx, _, new *part) error {
			if new != nil && new.Name == "bomb" {
				panic("hook")
			}
			return nil
		})}
	}
	r := open(t, mem.New(mem.Config{}), hooked)
	assert.PanicsWithValue(t, "update", func() {
		_ = r.Update(t.Context(), func(tx *Tx) error {
			_ = r.parts.Create(tx, &part{Name: "half"})
			panic("update")
		})
	})
	assert.PanicsWithValue(t, "hook", func() {
		_ = r.Update(t.Context(), func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "bomb"}) })
	})
	r.create(t, &part{Name: "after"})
	assert.Equal(t, []string{"after"}, slices.Sorted(maps.Keys(r.dump())))
}

func TestAvailabilityFollowsAChain(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil)
	r.create(t, &part{Name: "a", Needs: []string{"b"}}, &part{Name: "b", Needs: []string{"c"}})
	state := func() map[string]string {
		out := map[string]string{}
		for p := range r.parts.All(r.View()) {
			out[p.Name] = fmt.Sprintf("%t%v", p.Available, p.Errors)
		}
		return out
	}
	assert.Equal(t, map[string]string{"a": `false[part "b" is not available]`, "b": `false[part "c" does not exist]`}, state())
	r.create(t, &part{Name: "c"})
	good := map[string]string{"a": "true[]", "b": "true[]", "c": "true[]"}
	assert.Equal(t, good, state())
	assert.Equal(t, r.dump(), open(t, r.store, nil).dump(), "it is reckoned anew after a restart")
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error { return r.parts.Delete(tx, "c") }))
	assert.Equal(t, map[string]string{"a": `false[part "b" is not available]`, "b": `false[part "c" does not exist]`}, state())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil)
	r.create(t, &part{Name: "one", Tag: "x"}, &part{Name: "kept"}, &part{Name: "keeper", Keeps: "kept"})
	cases := map[string]struct {
		do   func(tx *Tx) error
		code Code
		text string
	}{
		"unique index, create": {func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "two", Tag: "x"}) }, Conflict, `parts/two: Tag "x" is already used by one`},
		"unique index, modify": {func(tx *Tx) error {
			return r.parts.Modify(tx, "kept", func(p *part) error { p.Tag = "x"; return nil })
		}, Conflict, `parts/kept: Tag "x" is already used by one`},
		"exists":    {func(tx *Tx) error { return r.parts.Create(tx, &part{Name: "one"}) }, Conflict, "parts/one: already exists"},
		"not there": {func(tx *Tx) error { return r.parts.Delete(tx, "two") }, NotFound, "parts/two: not found"},
		"no key":    {func(tx *Tx) error { return r.parts.Create(tx, &part{}) }, Malformed, "parts: Empty key not allowed"},
		"kept":      {func(tx *Tx) error { return r.parts.Delete(tx, "kept") }, Conflict, "parts/kept: still in use by parts/keeper"},
	}
	before, rev := r.dump(), r.View().Rev()
	for name, c := range cases {
		err := r.Update(t.Context(), func(tx *Tx) error {
			return errors.Join(r.parts.Create(tx, &part{Name: "side effect"}), c.do(tx))
		})
		assert.ErrorContains(t, err, c.text, name)
		assert.Equal(t, c.code, CodeOf(err), name)
	}
	assert.Equal(t, before, r.dump(), "a refused update leaves nothing behind")
	assert.Equal(t, rev, r.View().Rev())
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error { // a freed value may be used in the same update
		return errors.Join(r.parts.Delete(tx, "one"), r.parts.Create(tx, &part{Name: "two", Tag: "x"}))
	}))
	assert.Equal(t, "two", r.parts.One(r.View(), "Tag", "x").Name)
}

func TestViewsAreImmutable(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil)
	r.create(t, &part{Name: "a", Tag: "old"}, &part{Name: "gone"})
	v := r.View()
	held, err := r.parts.Get(v, "a")
	require.NoError(t, err)
	require.NoError(t, r.Update(t.Context(), func(tx *Tx) error {
		return errors.Join(
			r.parts.Modify(tx, "a", func(p *part) error { p.Tag, p.Needs = "new", []string{"x"}; return nil }),
			r.parts.Delete(tx, "gone"), r.parts.Create(tx, &part{Name: "b"}))
	}))
	assert.Equal(t, "old", held.Tag)
	assert.True(t, held.Available)
	assert.Equal(t, 2, r.parts.Len(v))
	assert.True(t, r.parts.Has(v, "gone"))
	assert.NotNil(t, r.parts.One(v, "Tag", "old"))
	assert.Nil(t, r.parts.One(v, "Tag", "new"))
	assert.Nil(t, r.parts.One(r.View(), "Tag", "old"))
	assert.Greater(t, r.View().Rev(), v.Rev())
}

func TestWatchersThatLag(t *testing.T) {
	t.Parallel()
	r := open(t, mem.New(mem.Config{}), nil) // keeps 64 events
	start := r.Seq()
	for i := range 64 {
		r.create(t, &part{Name: fmt.Sprintf("%02d", i)})
	}
	var keys []string
	for evs, err := range r.Watch(t.Context(), start, nil) {
		require.NoError(t, err)
		for _, e := range evs {
			assert.Equal(t, "create", e.Action)
			keys = append(keys, e.Key)
		}
		break
	}
	assert.Equal(t, slices.Sorted(maps.Keys(r.dump())), keys, "all, in order")
	r.create(t, &part{Name: "one more"})
	for _, after := range []uint64{start, r.Seq() + 1} {
		var got error
		for _, err := range r.Watch(t.Context(), after, nil) {
			got = err
		}
		assert.ErrorIs(t, got, ErrLagged, "after %d", after)
	}
}
