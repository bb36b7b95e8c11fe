package resource_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

func layered(t *testing.T, st store.Store) *resource.DB {
	t.Helper()
	db, err := resource.Open(context.Background(), resource.Config{Store: st, Kinds: api.Kinds(), Overwritable: []string{"base"},
		Base: func(tx *resource.Tx) error {
			return api.Tasks.LayerAny(tx, "base", &api.Task{Name: "t"})
		}})
	require.NoError(t, err)
	return db
}

func bundleOf(t *testing.T, db *resource.DB, name string) string {
	t.Helper()
	o, err := api.Tasks.Get(db.View(), name)
	require.NoError(t, err)
	return o.Bundle
}

func records(t *testing.T, st store.Store) (keys []string) {
	t.Helper()
	_, err := st.Load(context.Background(), func(r store.Record) error {
		keys = append(keys, r.Kind+"/"+r.Key)
		return nil
	})
	require.NoError(t, err)
	return keys
}

// An overwritable layer gives way to another and comes back; a layer may take
// an object of the writable one over, whose record goes.
func TestLayersOverEachOther(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), mem.New(mem.Config{})
	db := layered(t, st)
	do := func(fn func(tx *resource.Tx) error) error { return db.Update(ctx, fn) }
	require.NoError(t, do(func(tx *resource.Tx) error { return api.Tasks.LayerAny(tx, "a", &api.Task{Name: "t"}) }))
	assert.Equal(t, "a", bundleOf(t, db, "t"))
	assert.ErrorContains(t, do(func(tx *resource.Tx) error { return api.Tasks.LayerAny(tx, "b", &api.Task{Name: "t"}) }), "belongs to content pack a")
	assert.ErrorContains(t, do(func(tx *resource.Tx) error { return api.Tasks.Put(tx, &api.Task{Name: "t"}) }), "belongs to content pack a")
	require.NoError(t, do(func(tx *resource.Tx) error { return tx.RemoveLayer("a") }))
	assert.Equal(t, "base", bundleOf(t, db, "t"))
	assert.ErrorContains(t, do(func(tx *resource.Tx) error { return api.Tasks.Delete(tx, "t") }), "belongs to content pack base")

	require.NoError(t, do(func(tx *resource.Tx) error { return api.Tasks.Create(tx, &api.Task{Name: "own"}) }))
	assert.Equal(t, []string{"tasks/own"}, records(t, st))
	assert.ErrorContains(t, do(func(tx *resource.Tx) error { return api.Tasks.LayerAny(tx, "a", &api.Task{Name: "own"}) }), "exists outside content pack a")
	require.NoError(t, do(func(tx *resource.Tx) error { return tx.TakeIntoLayer(api.Tasks, "a", &api.Task{Name: "own"}) }))
	assert.Equal(t, "a", bundleOf(t, db, "own"))
	assert.Empty(t, records(t, st))
	require.NoError(t, do(func(tx *resource.Tx) error { return tx.RemoveFromLayer("a", "tasks", "own") }))
	assert.False(t, api.Tasks.Has(db.View(), "own"))
	assert.Empty(t, records(t, st))
	// Made and taken over in one commit, nothing is stored.
	require.NoError(t, do(func(tx *resource.Tx) error {
		if err := api.Tasks.Create(tx, &api.Task{Name: "both"}); err != nil {
			return err
		}
		return tx.TakeIntoLayer(api.Tasks, "a", &api.Task{Name: "both"})
	}))
	assert.Empty(t, records(t, st))
}

// A stored object hides that of an overwritable layer, until it is deleted.
func TestStoredOverOverwritable(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), mem.New(mem.Config{})
	_, err := st.Commit(ctx, []store.Op{{Kind: "tasks", Key: "t", Data: []byte(`{"Name":"t","Description":"mine"}`)}})
	require.NoError(t, err)
	db := layered(t, st)
	assert.Empty(t, bundleOf(t, db, "t"))
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error {
		return api.Tasks.Modify(tx, "t", func(o *api.Task) error { o.Description = "changed"; return nil })
	}))
	assert.Empty(t, bundleOf(t, db, "t"))
	assert.Equal(t, []string{"tasks/t"}, records(t, st))
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error { return api.Tasks.Delete(tx, "t") }))
	assert.Equal(t, "base", bundleOf(t, db, "t"))
	assert.Empty(t, records(t, st))
}
